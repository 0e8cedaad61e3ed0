"""`du`: what a store weighs."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from artifact_store.cli.arguments import Verbs, add_place, add_verb
from artifact_store.cli.printing import command, out, print_json, size, table, text
from artifact_store.inventory import Share, inventory
from artifact_store.stores.locate import store_at

_STYLES = {"analysis": "", "shared": "", "records": "dim", "leftover": "yellow"}


def add_to(verbs: Verbs) -> None:
    """How to ask for it."""
    does = "say what is stored weighs, by analysis"
    add_place(add_verb(verbs, "du", does, du, "Shared data are counted once."))


def du(arguments: argparse.Namespace) -> int:
    """Carry it out."""
    found = inventory(store_at(arguments.run))
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
        out(command("remove them", "rm", arguments.run, "--leftovers"))
    return 0


def _cells(share: Share) -> tuple[str, str, str, str]:
    entries = f"{share.entries:,}" if share.entries else ""
    return share.name, entries, f"{share.files:,}", size(share.nbytes)
