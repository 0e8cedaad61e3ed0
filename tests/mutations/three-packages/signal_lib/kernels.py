"""Kernels; `decay` is replaced when the package is imported."""

from __future__ import annotations

import numpy as np
from signal_lib.shapes import Array


def decay(values: Array) -> Array:
    """Never called: see `patches`."""
    return values


def linear(values: Array) -> Array:
    """The values and a little."""
    return values + 0.125


def cubic(values: Array) -> Array:
    """The third power."""
    return np.asarray(values**3)


def __getattr__(name: str) -> float:
    """Constants made on demand."""
    if name == "late":
        return 0.375
    raise AttributeError(name)
