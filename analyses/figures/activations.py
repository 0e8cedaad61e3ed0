"""Activations of single neurons over every pair of summands: waves, once the network adds by rotating."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike
from plotly.subplots import make_subplots

from analyses.figures.checks import (
    WrongShape,
    array_with_axes,
    coordinate,
    positions_of,
)
from analyses.figures.style import SEQUENTIAL, styled


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

    rows, columns = ceil(len(neurons) / columns), min(columns, len(neurons))
    figure = make_subplots(
        rows=rows,
        cols=columns,
        shared_xaxes="all",
        shared_yaxes="all",
        horizontal_spacing=0.12 / columns,
        vertical_spacing=0.2 / rows,
        subplot_titles=[f"neuron {neuron}" for neuron in neurons],
    )
    for place, (neuron, grid) in enumerate(zip(neurons, shown, strict=True)):
        figure.add_heatmap(
            row=place // columns + 1,
            col=place % columns + 1,
            name=f"neuron {neuron}",
            z=grid,
            coloraxis="coloraxis",
            hovertemplate="a = %{y}, b = %{x}<br>activation %{z:.3g}<extra>%{fullData.name}</extra>",
        )
    styled(
        figure,
        "Neuron activations after ReLU, for every pair (a, b)",
        coloraxis={
            "colorscale": colorscale,
            "cmin": low,
            "cmax": high,
            "colorbar": {"title": {"text": "activation"}},
        },
    )
    figure.update_annotations(font_size=13)
    figure.update_xaxes(showgrid=False, constrain="domain", nticks=6)
    figure.update_yaxes(showgrid=False, constrain="domain", nticks=6)
    figure.update_xaxes(title_text="summand b", row=rows)
    figure.update_yaxes(title_text="summand a", col=1)
    # All axes match the first, so one square cell makes all of them square.
    return figure.update_yaxes(scaleanchor="x", row=1, col=1)
