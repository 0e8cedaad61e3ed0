"""Progress measures over training: what the mechanism alone achieves, and what is left without it."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike

from analyses.figures.checks import array_with_axes, coordinate
from analyses.figures.style import (
    BLUE,
    GREEN,
    ORANGE,
    VERMILION,
    drawn,
    epoch_axis,
    epoch_line,
    loss_axis,
)


def progress_measures(
    restricted: ArrayLike,
    excluded: ArrayLike,
    train: ArrayLike,
    test: ArrayLike,
    epochs: ArrayLike,
    *,
    epoch: int | None = None,
) -> go.Figure:
    """Restricted and excluded loss beside the losses that they explain, on a logarithmic scale.

    Parameters
    ----------
    restricted, excluded
        Loss with nothing but the key frequencies in the logits, and training loss without them; one per checkpoint.
    train, test
        Loss on the training pairs and on the test pairs. What a logarithm cannot show (NaN, infinity, zero) is a gap,
        and a curve that is nothing else is left out.
    epochs
        Of the checkpoints, rising.
    epoch
        Marked by a line.
    """
    length = array_with_axes("restricted", restricted, "epoch").size
    times = coordinate("epochs", epochs, along="restricted", length=length)
    curves = []
    for name, values, color, dash in (
        ("restricted", restricted, GREEN, "solid"),
        ("excluded (train)", excluded, VERMILION, "solid"),
        ("train", train, BLUE, "dot"),
        ("test", test, ORANGE, "dot"),
    ):
        losses = coordinate(name, values, along="restricted", length=length)
        shown = np.where(np.isfinite(losses) & (losses > 0), losses, np.nan)
        if np.isfinite(shown).any():
            curves.append(
                {
                    "type": "scatter",
                    "name": name,
                    "x": times,
                    "y": shown,
                    "mode": "lines+markers",
                    "marker": {"size": 5},
                    "line": {"color": color, "width": 2, "dash": dash},
                    "hovertemplate": f"{name} loss %{{y:.3g}}<extra></extra>",
                }
            )
    return drawn(
        curves,
        "Progress measures: loss by the key frequencies alone, and without them",
        showlegend=True,
        xaxis=epoch_axis(times),
        yaxis=loss_axis(),
        hovermode="x unified",
        shapes=[] if epoch is None else [epoch_line(epoch)],
    )
