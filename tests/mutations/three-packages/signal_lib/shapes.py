"""Arrays moved and scaled, made for `from signal_lib.shapes import *`."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["centred", "unit"]

Array = npt.NDArray[Any]
SMALLEST = 1e-3


def centred(values: Array) -> Array:
    """`values` about the mean of their columns."""
    return np.asarray(values - values.mean(axis=0))


def unit(values: Array) -> Array:
    """`values` with rows of length one."""
    lengths = np.linalg.norm(values, axis=1)
    return np.asarray(values / np.maximum(lengths, SMALLEST)[:, None])
