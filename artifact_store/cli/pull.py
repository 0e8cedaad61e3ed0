"""`pull`: bring what a shared store holds into the one of a run."""

from __future__ import annotations

import argparse

from artifact_store.cli.arguments import add_place, begin
from artifact_store.cli.sharing import (
    add_shared,
    carry_out,
    shared_store,
    store_to_fill,
)


def add_to(parser: argparse.ArgumentParser) -> None:
    """How to ask for it."""
    more = "Without it, a tier brings each entry here as it is read."
    begin(parser, pull, more)
    add_place(parser)
    add_shared(parser, "where from")


def pull(arguments: argparse.Namespace) -> int:
    """Carry it out."""
    return carry_out(arguments, shared_store(arguments), store_to_fill(arguments))
