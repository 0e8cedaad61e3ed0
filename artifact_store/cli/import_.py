"""`import`: bring what was exported into a store."""

from __future__ import annotations

import argparse
from pathlib import Path

from artifact_store.cli.arguments import add_place, begin
from artifact_store.cli.sharing import store_to_fill, tell
from artifact_store.modes import refuse_changes
from artifact_store.progress import bar
from artifact_store.sharing import unpack


def add_to(parser: argparse.ArgumentParser) -> None:
    """How to ask for it."""
    more = "Every byte is digested on the way; what is there already is left alone."
    begin(parser, import_, more)
    add_place(parser)
    does = "what `export` wrote"
    parser.add_argument("file", type=Path, metavar="FILE", help=does)


def import_(arguments: argparse.Namespace) -> int:
    """Carry it out."""
    store, path = store_to_fill(arguments), arguments.file.absolute()
    refuse_changes(store.location)
    with bar("bringing", None, "entry") as advance:
        found = unpack(path, store, advance)
    return tell(arguments, found, str(path), store.location)
