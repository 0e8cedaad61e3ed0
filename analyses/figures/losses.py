"""Loss over training: the curve on which one sees a network memorise first and understand later."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray

from analyses.figures.checks import array_with_axes, coordinate
from analyses.figures.style import (
    BLUE,
    MARKER,
    ORANGE,
    Spec,
    drawn,
    epoch_axis,
    epoch_line,
    loss_axis,
)


def loss_curves(
    train_losses: ArrayLike, test_losses: ArrayLike, *, epoch: int | None = None
) -> go.Figure:
    """Training and test loss over the epochs, on a logarithmic scale.

    Parameters
    ----------
    train_losses, test_losses
        Mean cross-entropy, one per epoch from 0. What a logarithm cannot show (NaN, infinity,
        zero) is a gap in the curve.
    epoch
        Marked by a line and by a dot on each curve.
    """
    train = array_with_axes("train_losses", train_losses, "epoch").astype(float)
    test = coordinate(
        "test_losses", test_losses, along="train_losses", length=train.size
    ).astype(float)
    epochs = np.arange(train.size)

    curves = [
        {
            "type": "scatter",
            "name": name,
            "x": epochs,
            "y": np.where(np.isfinite(losses) & (losses > 0), losses, np.nan),
            "mode": "lines",
            "line": {"color": color, "width": 2},
            "hovertemplate": f"{name} loss %{{y:.3g}}<extra></extra>",
        }
        for name, losses, color in (("train", train, BLUE), ("test", test, ORANGE))
    ]
    marked = [] if epoch is None else [_dots(train, test, epoch)]
    return drawn(
        [*curves, *marked],
        "Loss over training",
        xaxis=epoch_axis(epochs),
        yaxis=loss_axis(),
        hovermode="x unified",
        shapes=[] if epoch is None else [epoch_line(epoch)],
    )


def _dots(train: NDArray[Any], test: NDArray[Any], epoch: int) -> Spec:
    """A dot on each curve at the present epoch, if losses of it are known."""
    known = 0 <= epoch < train.size
    return {
        "type": "scatter",
        "name": "at epoch",
        "x": [epoch, epoch],
        "y": [train[epoch], test[epoch]] if known else [None, None],
        "mode": "markers",
        "cliponaxis": False,
        "marker": {
            "color": [BLUE, ORANGE],
            "size": 10,
            "line": {"color": MARKER, "width": 2},
        },
        "hoverinfo": "skip",
        "showlegend": False,
    }
