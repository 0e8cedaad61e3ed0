"""`unpin`: let entries go again."""

from __future__ import annotations

import argparse

from artifact_store.cli.arguments import add_place, begin, split_names
from artifact_store.cli.pin import add_entries
from artifact_store.cli.printing import out, print_json
from artifact_store.errors import NotPinned
from artifact_store.modes import refuse_changes
from artifact_store.pins import Pin, pins
from artifact_store.pins import unpin as take_back
from artifact_store.quantities import count
from artifact_store.stores.locate import store_at


def add_to(parser: argparse.ArgumentParser) -> None:
    """How to ask for it."""
    begin(parser, unpin, "An ENTRY may be gone already.")
    add_place(parser)
    add_entries(parser)
    add = parser.add_argument
    mine = "what is pinned of these analyses"
    add("--analysis", action="extend", type=split_names, metavar="NAME,...", help=mine)
    add("--all", action="store_true", help="everything that is pinned")


def unpin(arguments: argparse.Namespace) -> int:
    """Carry it out."""
    if not (arguments.entry or arguments.analysis or arguments.all):
        arguments.parser.error("name an ENTRY or an --analysis, or say --all")
    store = store_at(arguments.run)
    refuse_changes(store.location)
    stated = pins(store.location)
    meant = dict.fromkeys(stated if arguments.all else [])
    for wanted in [*arguments.entry, *(arguments.analysis or [])]:
        found = [one for one in stated if _is_meant(one, wanted)]
        if not found:
            raise NotPinned(wanted, store.location)
        meant |= dict.fromkeys(found)
    for one in meant:
        take_back(store.location, one)
    if arguments.json:
        print_json({"unpinned": [str(one.key) for one in meant]})
    else:
        out(f"{count(len(meant), 'entry')} may go again.")
    return 0


def _is_meant(pinned: Pin, wanted: str) -> bool:
    name = f"{pinned.analysis}@{pinned.label}"
    is_of_key = len(wanted) >= 4 and pinned.digest.startswith(wanted)
    return wanted in (name, pinned.analysis) or is_of_key
