"""How every figure looks: one typeface, one palette, one way to write an axis.

Ink is left to the template and backgrounds are transparent but for the paper of a figure on its own, so a page
may lay a figure on light or dark paper by exchanging the template alone.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, TypeAlias

import plotly.graph_objects as go
from numpy.typing import NDArray

# A trace or a part of a layout, as Plotly's JSON has it.
Spec: TypeAlias = dict[str, Any]

FONT = (
    "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
)

# Okabe and Ito's palette, distinguishable with every common colour blindness.
BLUE, ORANGE, GREEN, PINK = "#0072B2", "#E69F00", "#009E73", "#CC79A7"
SKY, VERMILION, YELLOW = "#56B4E9", "#D55E00", "#F0E442"
CATEGORIES = (BLUE, ORANGE, GREEN, VERMILION, SKY, PINK, YELLOW)

SEQUENTIAL = "Viridis"
MUTED = "rgba(128, 128, 128, 0.45)"  # legible on light and dark paper alike
FAINT = 0.3  # opacity of what a threshold leaves in the background
MARKER = PINK  # the present epoch, wherever it is drawn


@functools.cache  # Plotly copies it for each figure.
def light_template() -> go.layout.Template:
    """The look on white paper, and of a figure on its own."""
    return _template(
        ink="#24292f", quiet="#57606a", grid="rgba(36, 41, 47, 0.10)", paper="#ffffff"
    )


@functools.cache
def dark_template() -> go.layout.Template:
    """The look on dark paper."""
    return _template(
        ink="#e6edf3",
        quiet="#9da7b1",
        grid="rgba(230, 237, 243, 0.12)",
        paper="#161b22",
    )


def _template(*, ink: str, quiet: str, grid: str, paper: str) -> go.layout.Template:
    clear = "rgba(0, 0, 0, 0)"
    axis = {
        "gridcolor": grid,
        "linecolor": quiet,
        "tickcolor": quiet,
        "tickfont": {"color": quiet},
        "title": {"standoff": 8},
        "showline": True,
        "ticks": "outside",
        "ticklen": 4,
        "zeroline": False,
        "automargin": True,
    }
    bar = {
        "outlinewidth": 0,
        "thickness": 12,
        "tickfont": {"color": quiet},
        "title": {"side": "right"},
    }
    return go.layout.Template(
        layout={
            "font": {"family": FONT, "size": 13, "color": ink},
            "title": {
                "font": {"size": 16},
                "x": 0,
                "xref": "paper",
                "xanchor": "left",
                # From the top down, so that a legend of one line has room below it.
                "y": 1,
                "yref": "container",
                "yanchor": "top",
                "pad": {"t": 14},
            },
            "paper_bgcolor": clear,
            "plot_bgcolor": clear,
            "colorway": CATEGORIES,
            "coloraxis": {"colorbar": bar},
            "xaxis": axis,
            "yaxis": axis,
            "legend": {
                "orientation": "h",
                "traceorder": "normal",
                "x": 0,
                "xanchor": "left",
                "y": 1.02,
                "yanchor": "bottom",
            },
            "hoverlabel": {
                "bgcolor": paper,
                "bordercolor": quiet,
                "font": {"family": FONT, "color": ink},
            },
            "modebar": {"bgcolor": clear, "color": quiet, "activecolor": ink},
            "margin": {"l": 64, "r": 24, "t": 72, "b": 52},
        },
        data={"heatmap": [{"colorbar": bar}]},
    )


def drawn(traces: Sequence[Spec], title: str, **layout: Any) -> go.Figure:
    """A figure in the common look, with its title.

    Made of plain dicts at once: Plotly checks every trace and every update anew, which takes longer than all else.
    """
    # Its ink is dark, wherever it is laid by itself: a dark notebook, a viewer. Pages of ours take the paper away.
    paper = {"paper_bgcolor": "#ffffff"}
    look = {"template": light_template(), "title": {"text": title}, **paper}
    return go.Figure({"data": list(traces), "layout": look | layout})


def without(title: str, why: str) -> go.Figure:
    """A figure that says why there is nothing to draw."""
    words = {
        "text": why,
        "showarrow": False,
        "x": 0.5,
        "y": 0.5,
        "xref": "paper",
        "yref": "paper",
    }
    hidden = {"visible": False}
    return drawn([], title, annotations=[words], xaxis=hidden, yaxis=hidden)


def epoch_axis(epochs: NDArray[Any]) -> dict[str, Any]:
    """An axis of training time, in epochs as they are: unequal steps stay unequal."""
    axis = {
        "title": {"text": "epoch"},
        "type": "linear",
        "tickformat": ",d",
        "hoverformat": ",d",
        "showgrid": False,
    }
    if epochs.size == 1:
        return {**axis, "tickvals": epochs, "range": [epochs[0] - 0.5, epochs[0] + 0.5]}
    return {**axis, "range": [float(epochs[0]), float(epochs[-1])]}


def frequency_axis(frequency: NDArray[Any]) -> dict[str, Any]:
    """An axis of Fourier frequencies that starts where they do, and is never labelled between two of them."""
    first, last = int(frequency.min()), int(frequency.max())
    step = next(
        (step for step in (1, 2, 5, 10, 20, 50) if (last - first) / step <= 12), 100
    )
    rest = range(step * (first // step + 1), last + 1, step)
    ticks = [first, *(tick for tick in rest if step == 1 or tick - first > step / 2)]
    return {
        "title": {"text": "frequency k (periods in p)"},
        "tickvals": ticks,
        "range": [first - 0.5, last + 0.5],
        "showgrid": False,
    }


def share_axis(title: str, *, peak: float) -> dict[str, Any]:
    """An axis of shares from nothing to a little above `peak`."""
    return {"title": {"text": title}, "range": [0, peak], "tickformat": ".0%"}


def loss_axis() -> Spec:
    """An axis of losses, which fall by powers of ten."""
    return {
        "title": {"text": "cross-entropy (nats, log scale)"},
        "type": "log",
        "exponentformat": "power",
    }


def epoch_line(epoch: float) -> dict[str, Any]:
    """A vertical line at the present epoch, over the whole height of a plot."""
    return {
        "name": "epoch",
        "type": "line",
        "xref": "x",
        "yref": "paper",
        "x0": epoch,
        "x1": epoch,
        "y0": 0,
        "y1": 1,
        "line": {"color": MARKER, "width": 2},
    }


def threshold_line(threshold: float, *, yref: str = "y") -> dict[str, Any]:
    """A horizontal line at a threshold, over the whole width of a plot."""
    return {
        "name": "threshold",
        "type": "line",
        "xref": "paper",
        "yref": yref,
        "x0": 0,
        "x1": 1,
        "y0": threshold,
        "y1": threshold,
        "line": {"color": "rgb(128, 128, 128)", "width": 1, "dash": "dash"},
    }


def highlight(color: str) -> dict[str, Any]:
    """Marker settings in which 1 stands for `color` and 0 for the background."""
    return {
        "colorscale": [[0, MUTED], [1, color]],
        "cmin": 0,
        "cmax": 1,
        "showscale": False,
    }


def percent(share: float) -> str:
    """A share in words, with no more digits than it needs."""
    return f"{100 * share:.3g} %"
