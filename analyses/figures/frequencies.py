"""Fourier frequencies of the embedding: at one epoch as bars, over training as a heatmap."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray

from analyses.figures.checks import WrongShape, array_with_axes, coordinate
from analyses.figures.style import (
    BLUE,
    FAINT,
    ORANGE,
    SEQUENTIAL,
    drawn,
    epoch_axis,
    epoch_line,
    frequency_axis,
    percent,
    share_axis,
    threshold_line,
)


def wave_shares(
    coefficients: NDArray[Any],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Share of the power on the sine and on the cosine of each frequency.

    Parameters
    ----------
    coefficients
        `(…, component)`, p of them: constant, then sine and cosine of frequency 1, of frequency 2, and so on; for
        even p, the last frequency has a cosine only. The constant is left out: it says nothing about residues.

    Returns
    -------
    sine, cosine
        `(…, frequency)` each; together they sum to one, or are zero where there is no power at all.
    """
    components = coefficients.shape[-1]
    if components < 2:
        advice = "Pass the constant, then a sine and a cosine for each frequency."
        raise WrongShape("coefficients", "(p,)", coefficients.shape, advice)
    power = np.square(coefficients[..., 1:].astype(np.float64))  # (…, 2 * frequency)
    if components % 2 == 0:
        power = np.insert(power, -1, 0, axis=-1)  # The sine of p / 2 vanishes.
    total = power.sum(axis=-1, keepdims=True)
    shares = np.divide(power, total, out=np.zeros_like(power), where=total > 0)
    return shares[..., 0::2], shares[..., 1::2]


def dominant_frequencies(
    coefficients: ArrayLike,
    frequency: ArrayLike,
    *,
    threshold: float,
    peak: float | None = None,
) -> go.Figure:
    """Share of the embedding's power on each frequency, the dominant ones in colour.

    Parameters
    ----------
    coefficients
        `(component,)` at one epoch: constant, then sine and cosine of each frequency.
    frequency
        The frequency of each pair of components, 1 to p // 2.
    threshold
        Share of the power from which a frequency is dominant.
    peak
        Upper end of the axis; give the same one for every epoch that is to be compared.
    """
    sine, cosine = wave_shares(
        array_with_axes("coefficients", coefficients, "component")
    )
    frequencies = coordinate(
        "frequency", frequency, along="coefficients", length=sine.size
    )
    share = sine + cosine
    dominant = share >= threshold

    bars = [
        {
            "type": "bar",
            "name": name,
            "meta": {"faint": FAINT},
            "x": frequencies,
            "y": part,
            "marker": {
                "color": color,
                "opacity": np.where(dominant, 1, FAINT),
                "line": {"width": 0},
            },
            "hovertemplate": f"{name} of frequency %{{x}}<br>%{{y:.2%}} of the power<extra></extra>",
        }
        for name, part, color in (("sin", sine, BLUE), ("cos", cosine, ORANGE))
    ]
    names = {
        "type": "scatter",
        "name": "dominant",
        "x": frequencies[dominant],
        "y": share[dominant],
        "text": [str(each) for each in frequencies[dominant]],
        "mode": "text",
        "textposition": "top center",
        "textfont": {"size": 13},
        "cliponaxis": False,
        "hoverinfo": "skip",
        "showlegend": False,
    }
    top = peak if peak is not None else float(share.max(initial=threshold))
    return drawn(
        [*bars, names],
        f"Dominant frequencies: at least {percent(threshold)} of the embedding's power",
        barmode="stack",
        bargap=0.15,
        xaxis=frequency_axis(frequencies),
        yaxis=share_axis("share of power (mean left out)", peak=1.12 * top),
        shapes=[threshold_line(threshold)],
    )


def frequency_heatmap(
    power: ArrayLike,
    epochs: ArrayLike,
    frequency: ArrayLike,
    *,
    colorscale: str = SEQUENTIAL,
    epoch: int | None = None,
) -> go.Figure:
    """Share of the embedding's power on each frequency, over training.

    Each checkpoint is as wide as the part of training it is the nearest one to.

    Parameters
    ----------
    power
        `(epoch, frequency)`, shares of each epoch's power.
    epochs
        Rising; their steps may differ.
    frequency
        1 to p // 2.
    epoch
        Marked by a line.
    """
    shares = array_with_axes("power", power, "epoch", "frequency")
    times = coordinate("epochs", epochs, along="power", length=shares.shape[0])
    frequencies = coordinate(
        "frequency", frequency, along="power", length=shares.shape[1]
    )
    if np.any(np.diff(times) <= 0):
        raise ValueError(
            f"epochs must rise, but {times.tolist()} do not. Sort the rows of power by epoch."
        )

    heatmap = {
        "type": "heatmap",
        "name": "share",
        # Given centres, Plotly draws each cell from midpoint to midpoint.
        "x": times,
        "y": frequencies,
        "z": shares.T,
        "zmin": 0,
        "zmax": float(np.nanmax(shares)),
        "colorscale": colorscale,
        "colorbar": {"title": {"text": "share of power"}, "tickformat": ".0%"},
        "hovertemplate": "epoch %{x:,d}<br>frequency %{y}<br>%{z:.2%} of the power<extra></extra>",
    }
    return drawn(
        [heatmap],
        "Frequencies of the embedding over training",
        xaxis=epoch_axis(times),
        yaxis=frequency_axis(frequencies),
        shapes=[] if epoch is None else [epoch_line(epoch)],
    )
