"""Spectra of the columns of a matrix."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from signal_lib import windows
from signal_lib.constants import KERNEL

from .shapes import Array
from .shapes import centred as about_zero

NORMALISATION: Final = "ortho"


def power_spectrum(values: Array, *, window: str) -> Array:
    """Power of each frequency, summed over the columns."""
    weights = windows.WINDOWS[window](len(values))
    transformed = np.fft.rfft(
        about_zero(values) * weights[:, None], axis=0, norm=NORMALISATION
    )
    return np.asarray((np.abs(transformed) ** 2).sum(axis=1))


def smoothed(power: Array) -> Array:
    """`power` averaged with its neighbours."""
    return np.array(list(_moving(power)))


def _moving(power: Array) -> Iterator[float]:
    padded = np.pad(power, 1, mode="edge")
    for start in range(len(power)):
        yield float((padded[start : start + 3] * KERNEL).sum())


def folded(power: Array, depth: int) -> Array:
    """`power` with its ends laid on one another, `depth` times."""
    if depth == 0:
        return power
    return folded(power + 0.5 * power[::-1], depth - 1)


def even_part(values: Array, left: int) -> Array:
    """Takes turns with `odd_part`."""
    return values if left == 0 else odd_part(values * 1.1, left - 1)


def odd_part(values: Array, left: int) -> Array:
    """Takes turns with `even_part`."""
    return values if left == 0 else even_part(values - 0.2, left - 1)
