"""`rm`: remove entries, after saying which."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeAlias

from artifact_store.cli.arguments import (
    add_place,
    begin,
    goes_by,
    import_from_here,
    run_at,
    split_names,
)
from artifact_store.cli.printing import (
    count,
    near,
    out,
    print_json,
    size,
    table,
)
from artifact_store.equivalence import as_good
from artifact_store.errors import NoSuchAnalysis
from artifact_store.eviction import used_last
from artifact_store.keys import Key
from artifact_store.layout import Layout, home_of_run, key_of_manifest
from artifact_store.listing import Brief, briefs, listed_analyses
from artifact_store.offers import analysis_named, offered
from artifact_store.pins import pins
from artifact_store.retention import freed_by, is_made_of, is_stale
from artifact_store.runs import Run
from artifact_store.staging import storage_time
from artifact_store.stores.base import Store
from artifact_store.stores.locate import store_at

_SECONDS: Final = {"h": 3600, "d": 86400, "w": 7 * 86400}

# Whether an entry is among those that were asked for.
Test: TypeAlias = Callable[[Brief], bool]


def add_to(parser: argparse.ArgumentParser) -> None:
    """How to ask for it."""
    begin(parser, rm, "Removes nothing without --yes.")
    add_place(parser)
    add = parser.add_argument
    mine = "entries of these analyses"
    add("--analysis", action="extend", type=split_names, metavar="NAME,...", help=mine)
    add("--all", action="store_true", help="if no analysis is named: of every analysis")
    add("--epoch", type=int, metavar="N", help="only of this checkpoint of RUN")
    stale = (
        "only what is of other code than today's, or of a checkpoint that was replaced"
    )
    add("--stale", action="store_true", help=stale)
    code = "only what was made by this code: the beginning of its closure, as `show` prints it"
    add("--code", metavar="DIGEST", help=code)
    older = "only what was used last so long ago: 30d, 12h, 8w"
    add("--older-than", type=_age, metavar="AGE", help=older)
    add("--pinned", action="store_true", help="what is pinned, too")
    add("--yes", action="store_true", help="do remove them")


def rm(arguments: argparse.Namespace) -> int:
    """Carry it out."""
    if not arguments.analysis and not arguments.all:
        arguments.parser.error("name an --analysis, or say --all")
    store = store_at(arguments.run)
    keys, kept = _selected(arguments, store), 0
    if not arguments.pinned:
        pinned = {one.key for one in pins(store.location)}
        kept = len(pinned.intersection(keys))
        keys = [key for key in keys if key not in pinned]
    gained = store.remove(keys) if arguments.yes else freed_by(store, keys)
    if arguments.json:
        names = [str(key) for key in keys]
        removed = {"removed": arguments.yes, "keys": names, "nbytes": gained}
        print_json(removed | {"pinned": kept})
        return 0

    rows = table("", ">", indent=2)
    for analysis, number in Counter(key.analysis for key in keys).items():
        rows.add_row("  " + analysis, count(number, "entry"))
    done = "Removed" if arguments.yes else "Would remove"
    what = f"{count(len(keys), 'entry')} of {near(store.location)}"
    out(
        f"{done} {what}; {size(gained)} {'freed' if arguments.yes else 'to gain'}.",
        rows,
    )
    if kept:
        out(f"Kept: {count(kept, 'entry')}, pinned. --pinned removes them too.")
    if keys and not arguments.yes:
        out("Nothing was removed. The same with --yes does it.")
    return 0


def _selected(arguments: argparse.Namespace, store: Store) -> list[Key]:
    names: list[str] | None = arguments.analysis
    _check_names(names or [], store)
    tests = [
        *_by_epoch(arguments, store),
        *_by_code(arguments, store),
        *_by_age(arguments, store),
    ]
    unread: list[str] = []
    every = briefs(
        Layout(store.location), refuse=lambda error: unread.append(error.path)
    )
    found = [
        one.address
        for one in every
        if goes_by(one, names) and all(test(one) for test in tests)
    ]
    if tests:
        return found
    # Of those that cannot be read, no more is known than the analysis.
    others = [key_of_manifest(Path(path)) for path in unread]
    return found + [key for key in others if key.analysis in (names or [key.analysis])]


def _check_names(names: list[str], store: Store) -> None:
    """Raise unless there are entries of every analysis that was named: a slip is no wish for nothing."""
    known = listed_analyses(Layout(store.location))
    for name in names:
        if name.partition(":")[2] in known or name in known:
            continue
        if not any(goes_by(one, [name]) for one in briefs(Layout(store.location))):
            raise NoSuchAnalysis(name, store.location, tuple(known))


def _age(text: str) -> float:
    """A number of seconds, as in `30d`."""
    number, unit = text[:-1], text[-1:]
    if not number.isdecimal() or unit not in _SECONDS:
        raise argparse.ArgumentTypeError(f"{text!r} is no age such as 30d, 12h or 8w")
    return int(number) * _SECONDS[unit]


def _by_age(arguments: argparse.Namespace, store: Store) -> list[Test]:
    if arguments.older_than is None:
        return []
    layout = Layout(store.location)
    then = storage_time(layout.staging) - arguments.older_than
    return [lambda one: used_last(layout, one) < then]


def _by_code(arguments: argparse.Namespace, store: Store) -> list[Test]:
    if arguments.code:
        code: str = arguments.code
        return [lambda one: one.provenance.closure.startswith(code)]
    if not arguments.stale:
        return []
    now, contents = _today(arguments, store)
    return [
        lambda one: one.analysis in now and is_stale(one, *now[one.analysis], contents)
    ]


def _by_epoch(arguments: argparse.Namespace, store: Store) -> list[Test]:
    if arguments.epoch is None:
        return []
    run = run_at(arguments.run)
    checkpoint = run[arguments.epoch]
    same = {checkpoint.identify(store).hex}
    same |= {checkpoint.label} if _is_of(store, run) else set()
    return [lambda one: is_made_of(one, same)]


def _today(
    arguments: argparse.Namespace, store: Store
) -> tuple[dict[str, tuple[set[str], str]], dict[str, str]]:
    """Code and declaration of each analysis, and the content of each checkpoint, as they are now."""
    import_from_here()
    names, run = arguments.analysis, run_at(arguments.run)
    analyses = [analysis_named(name) for name in names] if names else offered()
    now = {
        one.__name__: (
            as_good(store, one.__name__, one.closure.digest.hex),
            one.declaration.environment,
        )
        for one in analyses
    }
    if not _is_of(store, run):
        return now, {}
    return now, {one.label: one.identify(store).hex for one in run.values()}


def _is_of(store: Store, run: Run) -> bool:
    """Whether a store holds this run alone, so that labels mean its checkpoints."""
    return Path(store.location) == home_of_run(run.path)
