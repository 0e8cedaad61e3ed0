"""`du`: what a store weighs."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from artifact_store.cli.arguments import add_place, begin
from artifact_store.cli.printing import command, out, print_json, table, text
from artifact_store.inventory import Inventory, Share, inventory
from artifact_store.layout import Layout
from artifact_store.listing import number_of_entries
from artifact_store.progress import bar
from artifact_store.quantities import size
from artifact_store.stores.base import Store
from artifact_store.stores.locate import store_at

_STYLES = {"analysis": "", "shared": "", "records": "dim", "leftover": "yellow"}


def add_to(parser: argparse.ArgumentParser) -> None:
    """How to ask for it."""
    begin(parser, du, "Shared data are counted once.")
    add_place(parser)


def du(arguments: argparse.Namespace) -> int:
    """Carry it out."""
    found = _counted(store_at(arguments.run))
    if arguments.json:
        print_json(asdict(found) | {"total": asdict(found.total)})
        return 0
    rows = table("", ">entries", ">files", ">size")
    for share in found.shares:
        rows.add_row(*_cells(share), style=_STYLES[share.kind])
    rows.add_row(*_cells(found.total), style="bold")
    out(rows)
    if any(share.kind == "leftover" for share in found.shares):
        out("", text(("Leftovers are needed by nothing.", "yellow")))
        out(command("remove those older than an hour", "gc", arguments.run))
    return 0


def _counted(store: Store) -> Inventory:
    # Of each entry, the manifest is read, and then measured.
    steps = 2 * number_of_entries(Layout(store.location))
    with bar("du", steps, "entry") as advance:
        return inventory(store, advance)


def _cells(share: Share) -> tuple[str, str, str, str]:
    entries = f"{share.entries:,}" if share.entries else ""
    return share.name, entries, f"{share.files:,}", size(share.nbytes)
