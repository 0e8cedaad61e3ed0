"""Activations of single neurons over every pair of summands: waves, once the network adds by rotating."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike

from analyses.figures.checks import (
    WrongShape,
    array_with_axes,
    coordinate,
    positions_of,
)
from analyses.figures.style import SEQUENTIAL, Spec, drawn


def activation_heatmaps(
    activations: ArrayLike,
    neurons: Sequence[int],
    *,
    numbers: Sequence[int] | None = None,
    columns: int = 4,
    colorscale: str = SEQUENTIAL,
    value_range: tuple[float, float] | None = None,
) -> go.Figure:
    """One square picture per neuron: its activation for each pair of summands.

    Parameters
    ----------
    activations
        `(neuron, a, b)`.
    neurons
        Which to draw, by their numbers in the network.
    numbers
        The number of each neuron in `activations`; by default 0, 1, 2 and so on.
    columns
        Pictures per row.
    value_range
        Both ends of the shared colour scale; by default zero, or less if needed, to the largest shown.
    """
    grids = array_with_axes("activations", activations, "neuron", "a", "b")
    if grids.shape[1] != grids.shape[2]:
        raise WrongShape(
            "activations",
            "(neuron, p, p)",
            grids.shape,
            "Pass one value for each pair (a, b).",
        )
    if not neurons:
        raise ValueError(
            "neurons is empty, so there is nothing to draw. Name at least one neuron."
        )
    held = range(grids.shape[0]) if numbers is None else numbers
    coordinate("numbers", held, along="activations", length=grids.shape[0])
    shown = grids[positions_of(neurons, held)]  # (shown, a, b)
    low, high = value_range or (
        float(np.nanmin(shown, initial=0)),
        float(np.nanmax(shown, initial=0)),
    )

    columns = min(columns, len(neurons))
    grid = _grid(ceil(len(neurons) / columns), columns)
    pictures = [
        {
            "type": "heatmap",
            "name": f"neuron {neuron}",
            "z": picture,
            "xaxis": f"x{place or ''}",
            "yaxis": f"y{place or ''}",
            "coloraxis": "coloraxis",
            "hovertemplate": "a = %{y}, b = %{x}<br>activation %{z:.3g}<extra>%{fullData.name}</extra>",
        }
        for place, neuron, picture in zip(grid.places, neurons, shown, strict=False)
    ]
    return drawn(
        pictures,
        "Neuron activations after ReLU, for every pair (a, b)",
        **grid.axes,
        annotations=[
            {"text": f"neuron {neuron}", **above}
            for neuron, above in zip(neurons, grid.above, strict=False)
        ],
        coloraxis={
            "colorscale": colorscale,
            "cmin": low,
            "cmax": high,
            "colorbar": {"title": {"text": "activation"}},
        },
    )


class _Grid(NamedTuple):
    """Where pictures stand, row by row: the number of their axes, these axes, and what a title above each needs."""

    places: list[int]
    axes: Spec
    above: list[Spec]


def _grid(rows: int, columns: int) -> _Grid:
    """A grid of squares, all with the axes of the first: one square cell makes all of them square."""
    gap = 0.12 / columns, 0.2 / rows
    width, height = (1 - gap[0] * (columns - 1)) / columns, (
        1 - gap[1] * (rows - 1)
    ) / rows
    common = {"showgrid": False, "constrain": "domain", "nticks": 6}
    # Between pictures there is no room for axes, and each takes the browser 3 ms at every epoch.
    bare = {"visible": False}
    grid = _Grid([], {}, [])
    for number in range(rows * columns):
        row, column = divmod(number, columns)
        # Sums of rounded parts may end a little outside, where Plotly refuses them.
        left = column * (width + gap[0])
        bottom = max(1 - height - row * (height + gap[1]), 0.0)
        right, top = min(left + width, 1.0), min(bottom + height, 1.0)
        place = number + 1 if number else ""
        x: Spec = common | {"domain": [left, right], "anchor": f"y{place}"}
        y: Spec = common | {"domain": [bottom, top], "anchor": f"x{place}"}
        if number:
            x["matches"], y["matches"] = "x", "y"
        else:
            y["scaleanchor"] = "x"
        x |= {"title": {"text": "summand b"}} if row == rows - 1 else bare
        y |= bare if column else {"title": {"text": "summand a"}}
        grid.places.append(number + 1 if number else 0)
        grid.axes.update({f"xaxis{place}": x, f"yaxis{place}": y})
        grid.above.append(
            {
                "x": left + width / 2,
                "y": bottom + height,
                "xref": "paper",
                "yref": "paper",
                "xanchor": "center",
                "yanchor": "bottom",
                "showarrow": False,
                "font": {"size": 13},
            }
        )
    return grid
