"""Accuracy over training: on what was trained on at once, on all else long after."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike

from analyses.figures.checks import array_with_axes, coordinate
from analyses.figures.style import (
    BLUE,
    GREEN,
    ORANGE,
    drawn,
    epoch_axis,
    epoch_line,
    share_axis,
)


def accuracy_over_training(
    train: ArrayLike,
    test: ArrayLike,
    every: ArrayLike,
    epochs: ArrayLike,
    *,
    epoch: int | None = None,
) -> go.Figure:
    """Share of the pairs that are answered correctly, at each checkpoint.

    Parameters
    ----------
    train, test, every
        Accuracy on the training pairs, the test pairs and all pairs, one per checkpoint. What is not known at any of
        them (NaN) has no curve.
    epochs
        Of the checkpoints, rising.
    epoch
        Marked by a line.
    """
    shares = array_with_axes("train", train, "epoch")
    times = coordinate("epochs", epochs, along="train", length=shares.size)
    curves = []
    for name, values, color in (
        ("train", shares, BLUE),
        ("test", test, ORANGE),
        ("all pairs", every, GREEN),
    ):
        known = coordinate(name, values, along="train", length=shares.size)
        if np.isfinite(known).any():
            curves.append(
                {
                    "type": "scatter",
                    "name": name,
                    "x": times,
                    "y": known,
                    "mode": "lines+markers",
                    "marker": {"size": 5},
                    "line": {"color": color, "width": 2},
                    "hovertemplate": f"{name} %{{y:.1%}}<extra></extra>",
                }
            )
    return drawn(
        curves,
        "Accuracy over training",
        showlegend=True,
        xaxis=epoch_axis(times),
        yaxis=share_axis("pairs answered correctly", peak=1.04),
        hovermode="x unified",
        shapes=[] if epoch is None else [epoch_line(epoch)],
    )
