"""The embedding of the residues in one fixed basis: where they are, and how they came there."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray

from analyses.figures.checks import WrongShape, array_with_axes, coordinate
from analyses.figures.style import MUTED, SEQUENTIAL, Spec, drawn, percent

# A path of more points is no longer seen as such, and a picture has one for each residue.
_MOST_STEPS = 40


def embedding_trajectory(
    position: ArrayLike,
    share: ArrayLike,
    epochs: ArrayLike,
    *,
    epoch: int | None = None,
    axes: tuple[int, int] = (1, 2),
    colorscale: str = SEQUENTIAL,
) -> go.Figure:
    """Every residue as a dot at one epoch, with the path on which it came.

    Both axes have one scale and keep it at all epochs, so that circles are round and nothing jumps.

    Parameters
    ----------
    position
        `(epoch, residue, component)`.
    share
        `(epoch, component)`, share of the spread of the residues along each axis of the basis.
    epochs
        Of the checkpoints, rising.
    epoch
        Which one to show: the last checkpoint that is not later; the last of all if not given.
    axes
        Which two components, counted from 1.
    """
    places = array_with_axes("position", position, "epoch", "residue", "component")
    times = coordinate("epochs", epochs, along="position", length=len(places))
    shares = array_with_axes("share", share, "epoch", "component")
    if max(axes) > places.shape[2] or shares.shape != places.shape[::2]:
        expected = f"(epoch, {max(axes)} or more), as position has them"
        raise WrongShape("share", expected, shares.shape, "Pass axes that are there.")
    chosen = [axis - 1 for axis in axes]
    row = _row_at(times, epoch)
    seen = places[:, :, chosen]  # (epoch, residue, 2)
    reach = 1.08 * float(np.abs(seen).max(initial=0)) or 1.0
    titles = [
        f"axis {axis} ({percent(_rounded(shares[row, axis - 1]))} of the spread)"
        for axis in axes
    ]
    return drawn(
        [_paths(seen[: row + 1]), _dots(seen[row], colorscale)],
        f"Embedding of the residues at epoch {times[row]:,}",
        showlegend=False,
        xaxis={"title": {"text": titles[0]}, "range": [-reach, reach]},
        yaxis={
            "title": {"text": titles[1]},
            "range": [-reach, reach],
            "scaleanchor": "x",
        },
    )


def _row_at(times: NDArray[Any], epoch: int | None) -> int:
    """The last checkpoint that is not later than an epoch; the first, if all are."""
    if epoch is None:
        return len(times) - 1
    return max(0, int(np.searchsorted(times, epoch, side="right")) - 1)


def _paths(seen: NDArray[Any]) -> Spec:
    """The way of each residue as one line, with gaps between them: one trace, whatever their number."""
    steps = np.unique(np.linspace(0, len(seen) - 1, _MOST_STEPS).round().astype(int))
    ways = seen[steps].transpose(1, 0, 2)  # (residue, step, 2)
    gaps = np.full((len(ways), 1, 2), np.nan)
    points = np.concatenate([ways, gaps], axis=1).reshape(-1, 2)
    return {
        "type": "scatter",
        "name": "path",
        "x": points[:, 0],
        "y": points[:, 1],
        "mode": "lines",
        "line": {"color": MUTED, "width": 0.8},
        "hoverinfo": "skip",
    }


def _dots(now: NDArray[Any], colorscale: str) -> Spec:
    residues = np.arange(len(now))
    return {
        "type": "scatter",
        "name": "residues",
        "x": now[:, 0],
        "y": now[:, 1],
        "customdata": residues,
        "mode": "markers",
        "marker": {
            "color": residues,
            "colorscale": colorscale,
            "size": 9,
            "showscale": True,
            "colorbar": {"title": {"text": "residue"}, "tickformat": "d"},
        },
        "hovertemplate": "residue %{customdata}<br>%{x:.3g}, %{y:.3g}<extra></extra>",
    }


def _rounded(share: float) -> float:
    """As exactly as it is of interest: a hundredth."""
    return round(float(share), 2)
