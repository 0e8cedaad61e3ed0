"""`push`: bring what a store holds into a shared one."""

from __future__ import annotations

import argparse

from artifact_store.cli.arguments import add_place, begin
from artifact_store.cli.sharing import (
    add_shared,
    carry_out,
    shared_store,
    store_here,
)


def add_to(parser: argparse.ArgumentParser) -> None:
    """How to ask for it."""
    begin(parser, push, "What is there already is left alone.")
    add_place(parser)
    add_shared(parser, "where to")


def push(arguments: argparse.Namespace) -> int:
    """Carry it out."""
    return carry_out(arguments, store_here(arguments), shared_store(arguments))
