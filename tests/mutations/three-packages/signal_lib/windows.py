"""Weights along a signal, by name."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from signal_lib.shapes import Array

EDGE = 0.1


def taper(length: int, power: float = 2.0) -> Array:
    """Falls towards both ends."""
    # EDGE keeps the first row from vanishing.
    return np.asarray(np.hanning(length + 2)[1:-1] ** power + EDGE)


def box(length: int) -> Array:
    """The same everywhere."""
    return np.full(length, 0.5)


WINDOWS: dict[str, Callable[[int], Array]] = {
    "taper": taper,
    "box": box,
    "ramp": lambda length: np.arange(length) / length,
}
