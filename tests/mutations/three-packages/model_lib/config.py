"""How attention is computed. Its annotations are evaluated: they decide."""

from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

import numpy as np


def _mixes() -> list[float]:
    return [1.0, 0.5]


class Shape(NamedTuple):
    """How large."""

    heads: int = 2
    width: float = 2.0

    @property
    def root(self) -> float:
        """What scores are divided by."""
        return float(self.width**0.5)


@dataclass
class Stored:
    """What scores are kept as."""

    scores: np.float16


@dataclass(frozen=True)
class Config:
    """How scores become shares."""

    temperature: float = 0.8
    mixes: list[float] = field(default_factory=_mixes)
    shifts: list[float] = field(default_factory=lambda: [0.1, 0.2])
    shape: Shape = Shape()

    def __post_init__(self) -> None:
        if self.temperature < 0.9:
            object.__setattr__(self, "temperature", self.temperature + 0.05)

    def stored(self, scores: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """`scores` as they are kept."""
        return scores.astype(fields(Stored)[0].type)


DEFAULT = Config(temperature=0.6)
