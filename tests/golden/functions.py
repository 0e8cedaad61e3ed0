"""Functions of every kind a closure meets. Add at will; what is here stays as it is."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np

NAMES = ("affine", "configured", "decorated", "dispatched", "recursive", "windowed")

SCALE = 2.0
TABLE = {"a": lambda x: x + 1, "b": math.sqrt}
PATTERN = re.compile(r"w\d+")
WINDOW = np.hanning(5)


class Kind(Enum):
    ONE = 1
    TWO = 2


@dataclass
class Config:
    kind: Kind = Kind.ONE
    names: list[str] = field(default_factory=lambda: ["w"])

    @property
    def first(self) -> str:
        """The first name."""
        return self.names[0]


CONFIG = Config(Kind.TWO)


def affine(x: float, offset: float = 1.0) -> float:
    """The body, a constant and a default."""
    return SCALE * x + offset


def configured(x: Any) -> Any:
    """An instance of a class with an enum, a property and a factory."""
    return x[CONFIG.first] if CONFIG.kind is Kind.TWO else TABLE["a"](x)


def twice(function: Callable[[float], float]) -> Callable[[float], float]:
    @functools.wraps(function)
    def inner(x: float) -> float:
        return function(function(x))

    return inner


@twice
def decorated(x: float) -> float:
    """A decorator, and what it wraps."""
    return x / 2


@functools.singledispatch
def dispatched(x: object) -> int:
    """A dispatch, with a context manager inside."""
    with counted() as count:
        return count


@dispatched.register
def _(x: str) -> int:
    return len(PATTERN.findall(x))


@contextmanager
def counted() -> Iterator[int]:
    yield 1


def recursive(n: int, depth: int = 3) -> int:
    """Recursion that relies on a default."""
    return 1 if n == 0 else recursive(n - 1) + depth


def windowed(x: Any) -> Any:
    """An array, a comprehension, an import inside and a pattern match."""
    from collections import Counter

    match x:
        case {"w": values}:
            return [WINDOW @ np.asarray(one) for one in values]
        case _:
            return Counter(x)
