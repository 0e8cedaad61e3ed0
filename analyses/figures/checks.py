"""What a figure demands of its arrays before it draws: the right axes, and neurons that exist."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


class WrongShape(ValueError):
    """An array does not have the axes a figure draws."""

    def __init__(
        self, name: str, expected: str, found: tuple[int, ...], advice: str
    ) -> None:
        super().__init__(name, expected, found, advice)
        self.name, self.expected, self.found, self.advice = (
            name,
            expected,
            found,
            advice,
        )

    def __str__(self) -> str:
        return f"{self.name} has shape {self.found}, but the figure draws {self.expected}. {self.advice}"


class UnknownNeuron(ValueError):
    """A neuron was asked for that the activations do not hold."""

    def __init__(self, neuron: int, held: tuple[int, ...]) -> None:
        super().__init__(neuron, held)
        self.neuron, self.held = neuron, held

    def __str__(self) -> str:
        return f"There is no neuron {self.neuron}; the activations hold {_abridged(self.held)}. Ask for one of those."


def array_with_axes(name: str, values: ArrayLike, *axes: str) -> NDArray[Any]:
    """`values` as an array, if it has one non-empty dimension per name in `axes`."""
    array = np.asarray(values)
    if array.ndim != len(axes) or array.size == 0:
        expected = f"({', '.join(axes)}{',' * (len(axes) == 1)})"
        raise WrongShape(
            name,
            expected,
            array.shape,
            "Pass one non-empty dimension per axis, in this order.",
        )
    return array


def coordinate(
    name: str, values: ArrayLike, *, along: str, length: int
) -> NDArray[Any]:
    """`values` as the coordinate of an axis of `length` that belongs to the array `along`."""
    array = array_with_axes(name, values, name)
    if array.size != length:
        raise WrongShape(
            name,
            f"({length},)",
            array.shape,
            f"Pass one {name} for each that {along} holds.",
        )
    return array


def positions_of(neurons: Sequence[int], held: Sequence[int]) -> list[int]:
    """Where each of `neurons` lies in `held`; negative numbers do not count from the end."""
    place = {int(neuron): position for position, neuron in enumerate(held)}
    for neuron in neurons:
        if neuron not in place:
            raise UnknownNeuron(int(neuron), tuple(place))
    return [place[neuron] for neuron in neurons]


def _abridged(numbers: tuple[int, ...]) -> str:
    """A few numbers as they are; many as the first and the last."""
    if len(numbers) <= 8:
        return ", ".join(map(str, numbers))
    return f"{len(numbers)} neurons from {numbers[0]} to {numbers[-1]}"
