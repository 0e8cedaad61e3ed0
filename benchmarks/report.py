"""What a benchmark answers: a table for people, the bars that it was held to, and what to draw."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Literal


@dataclass(frozen=True, slots=True)
class Bar:
    """A figure that was promised.

    Attributes
    ----------
    what
        What was measured, in words that stand alone: `hit of 1 KB / np.load`.
    unit
        `×` for a ratio, `s` for seconds, `B` for bytes.
    """

    what: str
    measured: float
    limit: float
    unit: Literal["×", "s", "B"] = "×"
    sense: Literal["at most", "at least", "below"] = "at most"

    @property
    def is_met(self) -> bool:
        """Whether it is as promised."""
        if self.sense == "below":
            return self.measured < self.limit
        least = self.sense == "at least"
        return self.measured >= self.limit if least else self.measured <= self.limit


@dataclass(frozen=True, slots=True)
class Line:
    """One way of doing it, at each point of the x axis."""

    name: str
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Plot:
    """A picture of an answer: each line over the same points; groups of columns where the points are words.

    Attributes
    ----------
    points
        Numbers, or names of sizes or parts.
    y, x
        What the axes are called, with units.
    """

    title: str
    x: str
    y: str
    points: tuple[float, ...] | tuple[str, ...]
    lines: tuple[Line, ...]
    is_logarithmic: bool = True


@dataclass(frozen=True, slots=True)
class Answer:
    """What one benchmark found; `text` is markdown, `title` the question."""

    title: str
    text: str
    bars: tuple[Bar, ...] = ()
    plots: tuple[Plot, ...] = ()

    def __str__(self) -> str:
        return f"{self.title}\n\n{self.text}"


def answer_to(name: str) -> Answer:
    """What the benchmark of this name finds."""
    found: Answer = import_module(f"benchmarks.{name}").main()
    return found
