"""`gc`: remove what nothing needs."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from artifact_store.cli.arguments import add_place, begin
from artifact_store.cli.printing import command, near, out, print_json, size, table
from artifact_store.garbage import Garbage, quarantined, removed, unneeded
from artifact_store.layout import Layout
from artifact_store.listing import number_of_entries
from artifact_store.progress import bar
from artifact_store.stores.base import Store
from artifact_store.stores.locate import store_at

if TYPE_CHECKING:
    from rich.table import Table

_WORDS: Final = {
    "data": "data that no entry names",
    "record": "records that no entry names",
    "door": "doors to data that are gone",
    "stage": "left behind by writers that died",
    "quarantine": "set aside as corrupt",
}


def add_to(parser: argparse.ArgumentParser) -> None:
    """How to ask for it."""
    more = "No entry is removed, nor anything that one needs or that is younger than an hour."
    begin(parser, gc, more)
    add_place(parser)
    add = parser.add_argument
    add("--dry-run", action="store_true", help="say what would go, and remove nothing")
    aside = "what was set aside as corrupt, too"
    add("--quarantined", action="store_true", help=aside)


def gc(arguments: argparse.Namespace) -> int:
    """Carry it out."""
    store = store_at(arguments.run)
    found, aside = _unneeded(store), quarantined(store)
    if arguments.quarantined:
        found, aside = found + aside, []
    if not arguments.dry_run:
        with bar("gc", len(found), "file") as advance:
            found = removed(store, found, advance)
    nbytes = sum(one.nbytes for one in found)
    if arguments.json:
        listed = [asdict(one) for one in found]
        removes = not arguments.dry_run
        print_json({"removed": removes, "garbage": listed, "nbytes": nbytes})
        return 0

    frees = "Would free" if arguments.dry_run else "Freed"
    what = f"{frees} {size(nbytes)} of" if found else "Nothing to remove in"
    out(f"{what} {near(store.location)}.", _table(found))
    if aside:
        kept = f"Kept: {len(aside):,} set aside as corrupt, {_size(aside)}."
        out(kept, command("remove them too", "gc", arguments.run, "--quarantined"))
    return 0


def _unneeded(store: Store) -> list[Garbage]:
    # Of each entry, its manifest is looked at, and then its door.
    steps = 2 * number_of_entries(Layout(store.location))
    with bar("gc", steps, "entry") as advance:
        return unneeded(store, advance)


def _table(found: Sequence[Garbage]) -> Table:
    rows = table("", ">", ">", indent=2)
    for kind, words in _WORDS.items():
        of_kind = [one for one in found if one.kind == kind]
        if of_kind:
            rows.add_row(f"  {words}", f"{len(of_kind):,}", _size(of_kind))
    return rows


def _size(found: Sequence[Garbage]) -> str:
    return size(sum(one.nbytes for one in found))
