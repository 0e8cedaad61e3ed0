"""The rows of a table: a title, the changes, and what has to be computed after them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Row:
    """Changes of the project, and the analyses that are to be computed anew."""

    title: str
    changes: tuple[str, ...]
    computed: frozenset[str]

    def __str__(self) -> str:
        return self.title.replace(" ", "-")


def rows(table: str) -> list[Row]:
    """Every row of `semantic` or `cosmetic`."""
    text = (Path(__file__).parent / f"{table}.txt").read_text()
    return [_row(block) for block in ("\n" + text).split("\n=== ")[1:]]


def _row(block: str) -> Row:
    head, *changes = block.strip("\n").split("\n")
    title, _, computed = head.partition(" => ")
    return Row(title, tuple(filter(None, changes)), frozenset(computed.split()))
