"""`rm`: remove entries, after saying which."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING

from artifact_store.cli.arguments import (
    add_place,
    begin,
    goes_by,
    import_from_here,
    run_at,
)
from artifact_store.cli.printing import command, near, out, print_json, table, text
from artifact_store.cli.selection import (
    Test,
    add_selection,
    age,
    by_age,
    by_epoch,
    check_names,
    is_of,
)
from artifact_store.equivalence import as_good
from artifact_store.errors import CorruptArtifact, UnknownFormat
from artifact_store.keys import Key
from artifact_store.layout import Layout, key_of_manifest
from artifact_store.listing import briefs
from artifact_store.modes import refuse_changes
from artifact_store.offers import analysis_named, offered
from artifact_store.pins import pinned
from artifact_store.quantities import count, duration, size
from artifact_store.retention import freed_by, is_stale, weighed_by_analysis
from artifact_store.staging import storage_time
from artifact_store.stores.base import Store
from artifact_store.stores.locate import store_at

if TYPE_CHECKING:
    from rich.table import Table


def add_to(parser: argparse.ArgumentParser) -> None:
    """How to ask for it."""
    begin(parser, rm, "Removes nothing without --yes.")
    add_place(parser)
    add = parser.add_argument
    add_selection(parser)
    add("--all", action="store_true", help="if no analysis is named: of every analysis")
    stale = (
        "only what is of other code than today's, or of a checkpoint that was replaced"
    )
    add("--stale", action="store_true", help=stale)
    code = "only what was made by this code: the beginning of its closure, as `show` prints it"
    add("--code", type=_code, metavar="DIGEST", help=code)
    older = "only what was used last so long ago: 30d, 12h, 8w"
    add("--older-than", type=age, metavar="AGE", help=older)
    add("--pinned", action="store_true", help="what is pinned, too")
    add("--yes", action="store_true", help="do remove them")


def _code(text: str) -> str:
    # None at all would mean all code, which is what a variable that is not set would say.
    if re.fullmatch("[0-9a-f]{4,64}", text):
        return text
    raise argparse.ArgumentTypeError(
        f"{text!r} is no beginning of a closure: give 4 or more of its hex digits"
    )


def rm(arguments: argparse.Namespace) -> int:
    """Carry it out."""
    if not arguments.analysis and not arguments.all:
        arguments.parser.error("name an --analysis, or say --all")
    store = store_at(arguments.run)
    if arguments.yes:
        refuse_changes(store.location)
    keys, kept = _selected(arguments, store), 0
    if not arguments.pinned:
        stays = pinned(store.location)
        free = [key for key in keys if key.digest.hex not in stays]
        keys, kept = free, len(keys) - len(free)
    rows = _table(store, keys)
    try:
        gained, unread = freed_by(store, keys), ""
    except (CorruptArtifact, UnknownFormat) as error:
        gained, unread = 0, error.path
    if arguments.yes:
        gained = store.remove(keys)
    if arguments.json:
        names = [str(key) for key in keys]
        removed = {"removed": arguments.yes, "keys": names, "nbytes": gained}
        print_json(removed | {"pinned": kept, "unread": unread})
        return 0

    done = "Removed" if arguments.yes else "Would remove"
    freed = "freed" if arguments.yes else "to gain"
    what = f"{count(len(keys), 'entry')} of {near(store.location)}"
    out(f"{done} {what}; {size(gained)} {freed}.")
    if keys:
        out(rows)
    if unread:
        _print_why_data_stay(arguments, unread)
    if kept:
        out(f"Kept: {count(kept, 'entry')}, pinned. --pinned removes them too.")
    if keys and not arguments.yes:
        out("Nothing was removed. The same with --yes does it.")
    return 0


def _print_why_data_stay(arguments: argparse.Namespace, unread: str) -> None:
    named = f"{near(unread)} cannot be read now, and may name any of them"
    out(text((f"Their data stay: {named}.", "yellow")))
    out("Make it readable, read it with a newer release, or remove it. Then:")
    out(command("remove data that no entry names", "gc", arguments.run))


def _table(store: Store, keys: list[Key]) -> Table:
    """What goes, by analysis."""
    now = storage_time(Layout(store.location).staging)
    rows = table("  analysis", ">entries", ">size", ">last used")
    for analysis, one in weighed_by_analysis(store, keys).items():
        used = f"{duration(max(0.0, now - one.used))} ago" if one.used else ""
        rows.add_row(f"  {analysis}", f"{one.entries:,}", size(one.nbytes), used)
    return rows


def _selected(arguments: argparse.Namespace, store: Store) -> list[Key]:
    names: list[str] | None = arguments.analysis
    check_names(names or [], store)
    tests = [
        *by_epoch(arguments, store),
        *_by_code(arguments, store),
        *by_age(arguments, store),
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


def _by_code(arguments: argparse.Namespace, store: Store) -> list[Test]:
    tests: list[Test] = []
    if arguments.code is not None:
        tests.append(lambda one: one.provenance.closure.startswith(arguments.code))
    if arguments.stale:
        now, contents = _today(arguments, store)
        tests.append(
            lambda one: one.analysis in now
            and is_stale(one, *now[one.analysis], contents)
        )
    return tests


def _today(
    arguments: argparse.Namespace, store: Store
) -> tuple[dict[str, tuple[set[str], str]], dict[str, str]]:
    """Code and declaration of each analysis, and the content of each checkpoint, as they are now."""
    names, run = arguments.analysis, run_at(arguments.run)
    import_from_here(names)
    analyses = [analysis_named(name) for name in names] if names else offered()
    now = {
        one.__name__: (
            as_good(store, one.__name__, one.closure.digest.hex),
            one.declaration.environment,
        )
        for one in analyses
    }
    if not is_of(store, run):
        return now, {}
    return now, {one.label: one.identify(store).hex for one in run.values()}
