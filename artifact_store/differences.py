"""Differences: how the arrays of two computations differ, if they are not the same bits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class Difference:
    """How an array of now differs from that of then.

    Attributes
    ----------
    what
        The difference in words.
    elements, of
        How many differ in any bit, and how many there are; 0 where shape or dtype differ.
    absolute, relative
        The largest difference, in the unit of the array and in that of the stored value; `None` where no number says
        it, as of NaN, or as a share of zero.
    """

    array: str
    what: str
    elements: int = 0
    of: int = 0
    absolute: float | None = None
    relative: float | None = None


def differences(
    then: Mapping[str, Any], now: Mapping[str, Any]
) -> Iterator[Difference]:
    """Each array that is not bit by bit the same in both."""
    for name in sorted(then.keys() | now.keys()):
        if name not in now or name not in then:
            yield Difference(name, "is new" if name in now else "is gone")
            continue
        was, found = np.asarray(then[name]), np.asarray(now[name])
        if (was.shape, was.dtype) != (found.shape, found.dtype):
            kinds = [f"{one.dtype} of shape {one.shape}" for one in (was, found)]
            yield Difference(name, f"was {kinds[0]}, and is {kinds[1]}")
        elif was.tobytes() != found.tobytes():
            yield _difference(name, was, found)


def _difference(name: str, was: Any, found: Any) -> Difference:
    """How two arrays differ that have one shape and dtype."""
    size = was.dtype.itemsize
    bits = [
        np.ascontiguousarray(one).reshape(-1).view(np.uint8).reshape(-1, size)
        for one in (was, found)
    ]
    differ = (bits[0] != bits[1]).any(axis=1)
    # Wide enough for any number that can be stored, and of those alone that differ.
    wide = np.clongdouble if was.dtype.kind == "c" else np.longdouble
    old, new = (one.reshape(-1)[differ].astype(wide) for one in (was, found))
    with np.errstate(all="ignore"):
        gap = np.abs(new - old)
        absolute, relative = _largest(gap), _largest(gap / np.abs(old))
    what = f"differs in {len(old):,} of {was.size:,} elements"
    what += "" if absolute is None else f", by {absolute:.3g} at most"
    what += "" if relative is None else f" ({relative:.2g} of its value)"
    return Difference(name, what, len(old), was.size, absolute, relative)


def _largest(numbers: Any) -> float | None:
    finite = numbers[np.isfinite(numbers)]
    return float(finite.max()) if finite.size else None
