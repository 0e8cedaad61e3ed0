"""`export`: a store in one file."""

from __future__ import annotations

import argparse
from pathlib import Path

from artifact_store.cli.arguments import add_place, begin
from artifact_store.cli.sharing import add_named, is_meant_by, store_here, tell
from artifact_store.progress import bar
from artifact_store.sharing import pack


def add_to(parser: argparse.ArgumentParser) -> None:
    """How to ask for it."""
    begin(parser, export, "`import` brings it into another store.")
    add_place(parser)
    parser.add_argument("file", type=Path, metavar="FILE", help="the archive to write")
    add_named(parser)


def export(arguments: argparse.Namespace) -> int:
    """Carry it out."""
    store, path = store_here(arguments), arguments.file.absolute()
    with bar("bringing", None, "entry") as advance:
        found = pack(store, path, is_meant_by(arguments, store), advance)
    return tell(arguments, found, store.location, str(path))
