"""Figures: no analysis reaches them."""

from __future__ import annotations

from signal_lib.shapes import Array

COLOUR = "teal"


def bars(values: Array) -> list[tuple[str, float]]:
    """A bar of each value, in one colour."""
    return [(COLOUR, float(value)) for value in values]
