"""Statistics: partials, closures, dispatch and optional parts."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import lru_cache, partial, reduce, singledispatch
from typing import Any

import numpy as np
from signal_lib.shapes import Array

try:
    from signal_lib.fast import upper as upper
except ImportError:

    def upper(values: Array) -> float:
        """Slow, and larger."""
        return float(max(values))


try:
    from signal_lib.faster import lower as lower  # type: ignore[import-not-found, unused-ignore]
except ImportError:

    def lower(values: Array) -> float:
        """The least."""
        return float(np.min(values))


if sys.maxsize > 2**31:

    def middle(values: Array) -> float:
        """The median."""
        return float(np.median(values))

else:

    def middle(values: Array) -> float:
        """The mean, on small machines."""
        return float(np.mean(values))


def norm_of(values: Array, axis: int, *, order: float = 1.0, scale: float = 1) -> Array:
    """Norm along an axis."""
    return np.asarray(scale * (np.abs(values) ** order).sum(axis=axis) ** (1 / order))


rms = partial(norm_of, axis=1, order=2.0)


@lru_cache
def discount(length: int) -> tuple[float, ...]:
    """Weights that fall by a tenth."""
    return tuple(0.9**step for step in range(length))


def at_least(limit: float) -> Callable[[Array], Array]:
    """What keeps the values above `limit`."""

    def kept(values: Array) -> Array:
        return np.where(values > limit, values, 0.0)

    return kept


audible = at_least(2.1)
loud = at_least(0.5)


@singledispatch
def summary(values: Any) -> float:
    """One number."""
    return float(values)


@summary.register
def _(values: np.ndarray) -> float:
    return float(values.mean()) * 2


@summary.register
def _(values: list) -> float:  # type: ignore[type-arg]
    return float(sum(values)) + 1


STAGES: Sequence[Callable[[Array], Array]] = [
    lambda values: values + 1.0,
    np.sqrt,
    lambda values: values * 3.0,
]


def staged(values: Array) -> Array:
    """`values` through all stages."""
    return reduce(lambda held, stage: stage(held), STAGES, values)


class Clip:
    """Called with values, keeps them between two limits."""

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low, high

    def __call__(self, values: Array) -> Array:
        return np.clip(values, self.low, self.high)


clip = Clip(-0.8, 0.8)
