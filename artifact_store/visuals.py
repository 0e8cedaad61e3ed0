"""Visual parameters: what changes how a figure looks, and never what was computed.

annotation of a parameter ──► its kind ──► checked value, from Python, a command line or a link

A kind says what values there are, so that a page can make the control for it: a list to choose
from for `Literal[...]`, a slider for `Annotated[float, Between(0, 1, step=0.01)]`.
"""

from __future__ import annotations

import inspect
import math
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np


class Kind(Protocol):
    """What values a visual parameter has."""

    @property
    def words(self) -> str:
        """The values in words."""

    def parse(self, text: str) -> Any:
        """The value that `text` stands for; `ValueError` if none."""

    def check(self, value: Any) -> Any:
        """The value as figures take it; `ValueError` or `TypeError` if it is none of these."""

    def show(self, value: Any) -> str:
        """As `parse` reads it."""


@dataclass(frozen=True)
class Choice:
    """One of a few words."""

    values: tuple[str, ...]

    @property
    def words(self) -> str:
        return f"one of {', '.join(self.values)}"

    def parse(self, text: str) -> str:
        return self.check(text)

    def check(self, value: Any) -> str:
        if value not in self.values:
            raise ValueError(value)
        return str(value)

    def show(self, value: str) -> str:
        return value


@dataclass(frozen=True)
class Between:
    """A number within bounds; a whole one where `step` is."""

    low: float
    high: float = math.inf
    step: float = 1

    @property
    def words(self) -> str:
        noun = "a whole number" if isinstance(self.step, int) else "a number"
        if math.isinf(self.high):
            return f"{noun} from {self.low} up"
        return f"{noun} from {self.low} to {self.high}"

    def parse(self, text: str) -> float:
        return self.check(float(text))

    def check(self, value: Any) -> float:
        number = int(value) if isinstance(self.step, int) else float(value)
        if _is_truth(value) or number != value:
            raise TypeError(value)
        if not (self.low <= number <= self.high and math.isfinite(number)):
            raise ValueError(value)
        return number

    def show(self, value: float) -> str:
        return _shown(value)


@dataclass(frozen=True)
class Numbers:
    """Some whole numbers from 0 up; none stand for whatever the figure shows by itself."""

    @property
    def words(self) -> str:
        return "whole numbers from 0 up, with commas between them"

    def parse(self, text: str) -> tuple[int, ...]:
        return self.check([int(part) for part in text.split(",") if part.strip()])

    def check(self, value: Any) -> tuple[int, ...]:
        numbers = tuple(int(one) for one in value)
        if any(a != b or b < 0 for a, b in zip(value, numbers, strict=True)):
            raise ValueError(value)
        # A mask would be taken for the neurons 0 and 1.
        if any(map(_is_truth, value)):
            raise TypeError(value)
        return numbers

    def show(self, value: tuple[int, ...]) -> str:
        return ",".join(map(str, value))


@dataclass(frozen=True)
class Span:
    """Both ends of a scale, the lower one first; `None` stands for those of what is shown."""

    @property
    def words(self) -> str:
        return "two numbers, the lower one first, or nothing"

    def parse(self, text: str) -> tuple[float, float] | None:
        return self.check([float(part) for part in text.split(",") if part.strip()])

    def check(self, value: Any) -> tuple[float, float] | None:
        if value is None or len(value) == 0:
            return None
        low, high = map(float, value)
        # Not of text, each character of which may be a number.
        if low != value[0] or high != value[1]:
            raise TypeError(value)
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise ValueError(value)
        return low, high

    def show(self, value: tuple[float, float] | None) -> str:
        return "" if value is None else ",".join(map(_shown, value))


@dataclass(frozen=True)
class Visual:
    """A visual parameter: its name, its kind, and its value where none is given."""

    name: str
    kind: Kind
    default: Any


def visuals_of(
    draw: Callable[..., Any], reserved: frozenset[str]
) -> Mapping[str, Visual]:
    """The keyword-only parameters of `draw` but those that are reserved, by name.

    Raises
    ------
    TypeError
        One has no default or one that it could not be given, or its annotation says of no kind what values there are.
    """
    hints = typing.get_type_hints(draw, include_extras=True)
    found = {}
    for one in inspect.signature(draw).parameters.values():
        if one.kind is not one.KEYWORD_ONLY or one.name in reserved:
            continue
        kind = _kind_of(hints.get(one.name))
        if kind is None or one.default is one.empty:
            raise TypeError(
                f"{one.name} is no visual parameter: give it a default and annotate it as Literal['a', 'b'], or as "
                "Annotated[..., Between(0, 1)], Numbers() or Span()"
            )
        try:
            found[one.name] = Visual(one.name, kind, kind.check(one.default))
        except (ValueError, TypeError, OverflowError):
            raise TypeError(
                f"{one.name} is {one.default!r} by default, and {kind.words} else: give it a default of its kind"
            ) from None
    return found


def _kind_of(hint: Any) -> Kind | None:
    values = typing.get_args(hint)
    if typing.get_origin(hint) is Literal:
        return Choice(values) if all(isinstance(one, str) for one in values) else None
    kinds = (one for one in getattr(hint, "__metadata__", ()) if hasattr(one, "parse"))
    return next(kinds, None)


def _is_truth(value: Any) -> bool:
    """Whether it is true or false, which Python also takes for 1 and 0."""
    return isinstance(value, bool | np.bool_)


def _shown(number: float) -> str:
    """All digits that tell it from other numbers, and no more."""
    return repr(number).removesuffix(".0")
