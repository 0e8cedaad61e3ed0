"""Which entries are meant where they are not named one by one: by analysis, epoch, code and age."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeAlias

from artifact_store.cli.arguments import goes_by, run_at, split_names
from artifact_store.errors import NoSuchAnalysis
from artifact_store.layout import Layout, home_of_run
from artifact_store.listing import Brief, Unread, briefs, listed_analyses, used_last
from artifact_store.retention import is_made_of
from artifact_store.runs import Run
from artifact_store.staging import storage_time
from artifact_store.stores.base import Store

_SECONDS: Final = {"h": 3600, "d": 86400, "w": 7 * 86400}

# Whether an entry is among those that were asked for.
Test: TypeAlias = Callable[[Brief], bool]


def add_selection(parser: argparse.ArgumentParser) -> None:
    """`--analysis` and `--epoch`."""
    add = parser.add_argument
    mine = "entries of these analyses"
    add("--analysis", action="extend", type=split_names, metavar="NAME,...", help=mine)
    add("--epoch", type=int, metavar="N", help="only of this checkpoint of RUN")


def age(text: str) -> float:
    """A number of seconds, as in `30d`."""
    number, unit = text[:-1], text[-1:]
    if not re.fullmatch("[0-9]{1,9}", number) or unit not in _SECONDS:
        raise argparse.ArgumentTypeError(f"{text!r} is no age such as 30d, 12h or 8w")
    return int(number) * _SECONDS[unit]


def folders_of(names: list[str] | None) -> list[str | None]:
    """The folders of manifests in which to look for entries that go by some names; `None` stands for all of them."""
    if not names or any(map(is_function, names)):
        return [None]
    return [*dict.fromkeys(names)]


def is_function(name: str) -> bool:
    """Whether a name is `module:function`, and not that of a folder."""
    return ":" in name


def check_names(names: list[str], store: Store) -> None:
    """Raise unless there are entries of every analysis that was named: a slip is no wish for nothing."""
    layout = Layout(store.location)
    known = listed_analyses(layout)
    for name in names:
        if name not in known and not (is_function(name) and _may_go_by(name, layout)):
            raise NoSuchAnalysis(name, store.location, tuple(known))


def _may_go_by(name: str, layout: Layout) -> bool:
    """Whether an entry goes by the name of a function; one that cannot be read may."""
    unread: list[Unread] = []
    every = briefs(layout, refuse=unread.append)
    return any(goes_by(one, [name]) for one in every) or bool(unread)


def by_epoch(arguments: argparse.Namespace, store: Store) -> list[Test]:
    """That it is of the checkpoint that was asked for, if one was."""
    if arguments.epoch is None:
        return []
    run = run_at(arguments.run)
    checkpoint = run[arguments.epoch]
    same = {checkpoint.identify(store).hex}
    same |= {checkpoint.label} if is_of(store, run) else set()
    return [lambda one: is_made_of(one, same)]


def by_age(arguments: argparse.Namespace, store: Store) -> list[Test]:
    """That it was used last as long ago as was asked for, if it was."""
    if arguments.older_than is None:
        return []
    layout = Layout(store.location)
    then = storage_time(layout.staging) - arguments.older_than
    return [lambda one: used_last(layout, one) < then]


def is_of(store: Store, run: Run) -> bool:
    """Whether a store holds this run alone, so that labels mean its checkpoints."""
    return Path(store.location) == home_of_run(run.path)
