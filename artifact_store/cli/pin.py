"""`pin`: entries that are to stay, whatever a budget says."""

from __future__ import annotations

import argparse

import msgspec

from artifact_store.cli.arguments import add_place, begin, goes_by
from artifact_store.cli.printing import (
    age,
    command,
    labels,
    near,
    out,
    print_json,
    table,
    text,
)
from artifact_store.cli.selection import add_selection, by_epoch, check_names
from artifact_store.keys import Key
from artifact_store.layout import Layout
from artifact_store.listing import briefs
from artifact_store.lookup import entry_meant, key_of
from artifact_store.modes import refuse_changes
from artifact_store.pins import Pin
from artifact_store.pins import pin as state
from artifact_store.pins import pins
from artifact_store.stores.base import Store
from artifact_store.stores.locate import store_at


def add_to(parser: argparse.ArgumentParser) -> None:
    """How to ask for it."""
    more = (
        "`gc` does not evict what is pinned, and `rm` removes it only with --pinned. With no ENTRY, --analysis or "
        "--epoch, says what is pinned."
    )
    begin(parser, pin, more)
    add_place(parser)
    add_entries(parser)
    add_selection(parser)
    parser.add_argument("--note", default="", metavar="WORDS", help="why it is to stay")


def add_entries(parser: argparse.ArgumentParser) -> None:
    """`ENTRY ...`, in any of the ways that `show` understands."""
    ways = "the beginning of its key, its door, or ANALYSIS@LABEL"
    parser.add_argument("entry", nargs="*", metavar="ENTRY", help=ways)


def pin(arguments: argparse.Namespace) -> int:
    """Carry it out."""
    store = store_at(arguments.run)
    if _is_any_asked_for(arguments):
        refuse_changes(store.location)
    # All are looked up before any is pinned: a slip changes nothing.
    meant = [*_named(arguments, store), *_selected(arguments, store)]
    stated = [state(store.location, key, label, arguments.note) for key, label in meant]
    listed = stated if _is_any_asked_for(arguments) else pins(store.location)
    if arguments.json:
        print_json([msgspec.to_builtins(one) for one in listed])
    elif not listed:
        how = command("pin one", "pin", arguments.run, "ANALYSIS@LABEL")
        out(f"Nothing is pinned in {near(store.location)}.", how)
    else:
        _print(store, listed)
    return 0


def _is_any_asked_for(arguments: argparse.Namespace) -> bool:
    chosen = arguments.analysis or arguments.epoch is not None
    return bool(arguments.entry or chosen)


def _named(arguments: argparse.Namespace, store: Store) -> list[tuple[Key, str]]:
    """Key and label of each entry that was named."""
    found = [entry_meant(store, one) for one in arguments.entry]
    return [(key_of(one), labels(one)) for one in found]


def _selected(arguments: argparse.Namespace, store: Store) -> list[tuple[Key, str]]:
    """The same of those of an analysis or epoch that was asked for."""
    names: list[str] | None = arguments.analysis
    tests = by_epoch(arguments, store)
    if not names and not tests:
        return []
    check_names(names or [], store)
    return [
        (one.address, labels(one))
        for one in briefs(Layout(store.location))
        if goes_by(one, names) and all(test(one) for test in tests)
    ]


def _print(store: Store, listed: list[Pin]) -> None:
    there = {key.digest.hex for key in store.keys()}
    rows = table("", ">", "", "")
    for one in listed:
        name = text(
            (f"{one.analysis}@{one.label}", "bold"), (f"  {one.digest[:8]}", "cyan")
        )
        gone = ("", "") if one.digest in there else ("its entry is gone", "yellow")
        rows.add_row(
            name, age(one.created), text((one.who, "dim")), text(gone, one.note)
        )
    out("Pinned:", rows)
