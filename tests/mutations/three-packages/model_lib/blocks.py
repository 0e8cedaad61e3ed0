"""The multilayer perceptron and the attention of one layer."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from model_lib.base import Array, Leaky, Module, Scaled


class Bias:
    """A descriptor: what is added before the activation."""

    def __init__(self, amount: float) -> None:
        self.amount = amount

    def __get__(self, block: object, owner: type) -> float:
        return self.amount


class MLP(Scaled, Leaky, Module, sharpened=1.5):
    """One hidden layer."""

    bias = Bias(0.05)

    class Hidden:
        """What the layer inside is like."""

        dropout = 0.1

    def __init__(self, weights: Array, offsets: Array) -> None:
        self.weights, self.offsets = weights, offsets

    @cached_property
    def strength(self) -> float:
        """The mean weight."""
        return float(np.abs(self.weights).mean())

    def forward(self, values: Array) -> Array:
        """Rectified, limited, scaled."""
        from model_lib.activations import swish

        inside = values @ self.weights + self.offsets + self.bias
        open_share = 1 - self.Hidden.dropout
        hidden = self.limited(self.rectified(swish(inside))) * open_share
        return super().forward(hidden) * self.scale * self.strength


class Attention:
    """Scores of every token for every other."""

    __slots__ = ("keys", "queries")

    def __init__(self, queries: Array, keys: Array) -> None:
        self.queries, self.keys = queries, keys

    def __matmul__(self, values: Array) -> Array:
        return np.asarray(
            (values @ self.queries) @ (values @ self.keys).transpose(0, 2, 1)
        )
