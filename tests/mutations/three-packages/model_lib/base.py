"""What all blocks share."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


class Named(type):
    """A metaclass that knows how long names are."""

    @property
    def offset(cls) -> float:
        """A little, the same for all."""
        return 0.01


class Module(metaclass=Named):
    """The base of all blocks."""

    gain = 1.0
    sharpened: ClassVar[float]

    def __init_subclass__(cls, sharpened: float = 1.0) -> None:
        cls.sharpened = sharpened

    def forward(self, values: Array) -> Array:
        """What the block does."""
        return values * self.sharpened

    def __call__(self, values: Array) -> Array:
        return self.forward(values) + type(self).offset


class Scaled:
    """A mixin that scales."""

    factor = 0.5

    @property
    def scale(self) -> float:
        """How much."""
        return self.factor + 0.25

    @staticmethod
    def rectified(values: Array) -> Array:
        """Nothing below zero."""
        return np.maximum(values, 0.0)

    @classmethod
    def limited(cls, values: Array) -> Array:
        """At most a few times the factor."""
        return np.minimum(values, 20 * cls.factor)


class Leaky:
    """Another mixin, which differs in its factor."""

    factor = 0.7
