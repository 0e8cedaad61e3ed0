"""Loss over training: the curve on which one sees a network memorise first and understand later."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike

from analyses.figures.checks import array_with_axes, coordinate
from analyses.figures.style import BLUE, MARKER, ORANGE, epoch_axis, epoch_line, styled


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

    figure = go.Figure()
    for name, losses, color in (("train", train, BLUE), ("test", test, ORANGE)):
        figure.add_scatter(
            name=name,
            x=epochs,
            y=np.where(np.isfinite(losses) & (losses > 0), losses, np.nan),
            mode="lines",
            line={"color": color, "width": 2},
            hovertemplate=f"{name} loss %{{y:.3g}}<extra></extra>",
        )
    styled(
        figure,
        "Loss over training",
        xaxis=epoch_axis(epochs),
        yaxis={
            "title": {"text": "cross-entropy (nats, log scale)"},
            "type": "log",
            "exponentformat": "power",
        },
        hovermode="x unified",
    )
    if epoch is None:
        return figure

    known = 0 <= epoch < train.size
    figure.add_scatter(
        name="at epoch",
        x=[epoch, epoch],
        y=[train[epoch], test[epoch]] if known else [None, None],
        mode="markers",
        cliponaxis=False,
        marker={
            "color": [BLUE, ORANGE],
            "size": 10,
            "line": {"color": MARKER, "width": 2},
        },
        hoverinfo="skip",
        showlegend=False,
    )
    return figure.add_shape(epoch_line(epoch))
