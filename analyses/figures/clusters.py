"""Neurons by the frequency they compute with: at one epoch, and how many of them over training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray

from analyses.figures.checks import WrongShape, array_with_axes, coordinate
from analyses.figures.style import (
    BLUE,
    CATEGORIES,
    MUTED,
    SEQUENTIAL,
    Spec,
    drawn,
    epoch_axis,
    epoch_line,
    frequency_axis,
    highlight,
    percent,
    share_axis,
    threshold_line,
)


def cluster_order(norm: NDArray[Any]) -> NDArray[np.intp]:
    """Neurons by their dominant frequency, the purest of each first, from `norm (frequency, neuron)`.

    Neurons without any power, hence without a frequency, go last.
    """
    shares = np.nan_to_num(norm)
    purest = shares.max(axis=0)  # (neuron,)
    cluster = np.where(purest > 0, shares.argmax(axis=0), shares.shape[0])
    return np.lexsort((-purest, cluster))


def turn_order(norm: NDArray[Any]) -> NDArray[np.intp]:
    """The purest neuron of each frequency in turn, then the next of each, from `norm (frequency, neuron)`.

    The frequency with most on it comes first. Neurons of which no frequency has half of the power go last.
    """
    shares = np.nan_to_num(norm)
    purest, cluster = shares.max(axis=0), shares.argmax(axis=0)  # (neuron,)
    mixed = purest < 0.5
    order = np.lexsort((-purest, cluster, mixed))
    group = 2 * cluster[order] + mixed[order]
    first = {each: number for number, each in reversed(list(enumerate(group.tolist())))}
    turn = np.arange(len(order)) - [first[each] for each in group.tolist()]
    size = np.bincount(cluster, weights=purest * ~mixed, minlength=len(shares))
    ranked = np.lexsort((cluster[order], -size[cluster[order]], turn, mixed[order]))
    return order[ranked]


def neuron_clusters(
    norm: ArrayLike,
    frequency: ArrayLike,
    *,
    threshold: float,
    order: ArrayLike | None = None,
    sorted_by: str = "sorted by dominant frequency (position)",
    colorscale: str = SEQUENTIAL,
) -> go.Figure:
    """Share of each neuron's power on each frequency, neurons of one frequency side by side.

    Above it, the share of each neuron's dominant frequency: in colour where it reaches the
    threshold and the neuron counts as specialised.

    Parameters
    ----------
    norm
        `(frequency, neuron)` at one epoch. NaN (a neuron without power) is left blank.
    frequency
        1 to p // 2.
    threshold
        Share from which a neuron is specialised.
    order
        Neurons from left to right; by default `cluster_order(norm)`. Give the order of one epoch
        to every epoch that is to be compared with it.
    sorted_by
        What the axis says of that order.
    """
    shares = array_with_axes("norm", norm, "frequency", "neuron")
    frequencies = coordinate(
        "frequency", frequency, along="norm", length=shares.shape[0]
    )
    neurons = shares.shape[1]
    ordered = coordinate(
        "order",
        cluster_order(shares) if order is None else order,
        along="norm",
        length=neurons,
    )
    if not np.array_equal(np.sort(ordered), np.arange(neurons)):
        advice = f"Pass each of the neurons 0 to {neurons - 1} once."
        raise WrongShape("order", "a permutation of the neurons", ordered.shape, advice)
    purest = np.nan_to_num(shares).max(axis=0)[ordered]  # (neuron,)

    dots = {
        "type": "scatter",
        "name": "dominant share",
        "x": np.arange(neurons),
        "y": purest,
        "customdata": ordered,
        "mode": "markers",
        "marker": {
            "color": (purest >= threshold).astype(int),
            "size": 4,
            **highlight(BLUE),
        },
        "hovertemplate": "neuron %{customdata}<br>%{y:.1%} on its dominant frequency<extra></extra>",
    }
    heatmap = {
        "type": "heatmap",
        "name": "share",
        "xaxis": "x2",
        "yaxis": "y2",
        "x": np.arange(neurons),
        "y": frequencies,
        "z": shares[:, ordered],
        "customdata": np.broadcast_to(ordered, shares.shape),
        "zmin": 0,
        "zmax": 1,
        "colorscale": colorscale,
        "colorbar": {
            "title": {"text": "share of the neuron's power"},
            "tickformat": ".0%",
        },
        "hovertemplate": "neuron %{customdata}<br>frequency %{y}<br>%{z:.1%} of its power<extra></extra>",
    }
    across = {"showgrid": False, "range": [-0.5, neurons - 0.5]}
    return drawn(
        [dots, heatmap],
        f"Neurons by frequency: {np.sum(purest >= threshold)} of {neurons} have at least {percent(threshold)} of their "
        "power on one",
        showlegend=False,
        shapes=[threshold_line(threshold)],
        xaxis=across | {"matches": "x2", "showticklabels": False, "anchor": "y"},
        yaxis=share_axis("largest share", peak=1.05)
        | {"nticks": 3, "domain": [0.77, 1], "anchor": "x"},
        xaxis2=across
        | {
            "title": {"text": f"neurons, {sorted_by}"},
            "tickformat": "d",
            "anchor": "y2",
        },
        yaxis2=frequency_axis(frequencies) | {"domain": [0, 0.73], "anchor": "x2"},
    )


def specialised_neurons(
    counts: ArrayLike,
    epochs: ArrayLike,
    frequency: ArrayLike,
    *,
    threshold: float,
    named: Sequence[int] | None = None,
    epoch: int | None = None,
) -> go.Figure:
    """How many neurons are specialised in each frequency, over training, stacked.

    Parameters
    ----------
    counts
        `(epoch, frequency)`: neurons whose dominant frequency holds at least `threshold` of their power.
    epochs
        Rising; their steps may differ.
    frequency
        1 to p // 2.
    named
        Frequencies with a colour of their own, at most seven; the others are added up. By default
        those with most neurons at some epoch.
    epoch
        Marked by a line.
    """
    numbers = array_with_axes("counts", counts, "epoch", "frequency")
    times = coordinate("epochs", epochs, along="counts", length=numbers.shape[0])
    frequencies = coordinate(
        "frequency", frequency, along="counts", length=numbers.shape[1]
    )
    chosen = _most_frequent(numbers, frequencies) if named is None else sorted(named)
    if len(chosen) > len(CATEGORIES) or not set(chosen) <= set(frequencies.tolist()):
        raise ValueError(
            f"named is {chosen}, but at most {len(CATEGORIES)} of the frequencies from {frequencies.min()} "
            f"to {frequencies.max()} can have a colour of their own. Name fewer, or others."
        )
    others = [each for each in frequencies.tolist() if each not in chosen]

    groups = [
        (f"frequency {each}", [each], color) for each, color in zip(chosen, CATEGORIES)
    ]
    stacked = [
        {
            "name": name,
            "meta": {"frequencies": members},
            "x": times,
            "y": numbers[:, np.isin(frequencies, members)].sum(axis=1),
            "hovertemplate": "%{y} neurons<extra>%{fullData.name}</extra>",
            **_stack(color, times.size),
        }
        for name, members, color in [*groups, ("other frequencies", others, MUTED)]
    ]
    return drawn(
        stacked,
        f"Specialised neurons, with at least {percent(threshold)} of their power on one frequency",
        xaxis=epoch_axis(times),
        yaxis={"title": {"text": "specialised neurons"}, "rangemode": "tozero"},
        barmode="stack",
        hovermode="x unified",
        shapes=[] if epoch is None else [epoch_line(epoch)],
    )


def _stack(color: str, epochs: int) -> Spec:
    """How one part of the stack looks: an area, or a bar where there is one epoch."""
    if epochs == 1:
        return {"type": "bar", "marker": {"color": color}, "width": 0.2}
    line = {"color": color, "width": 1}
    return {"type": "scatter", "mode": "lines", "stackgroup": "neurons", "line": line}


def counts_from(
    dominant: NDArray[Any], share: NDArray[Any], frequencies: int, threshold: float
) -> NDArray[np.int64]:
    """Specialised neurons per frequency `(epoch, frequency)`.

    Parameters
    ----------
    dominant, share
        `(epoch, neuron)`: the frequency of each neuron, 1 to p // 2, and its share of the neuron's power.
    frequencies
        How many there are.
    threshold
        Share from which a neuron is specialised.
    """
    counted = np.where(share >= threshold, dominant, 0)
    # One table for all epochs: each epoch has the numbers of its own row.
    rows = np.arange(len(counted))[:, None] * (frequencies + 1)
    cells = np.bincount(
        (counted + rows).ravel(), minlength=rows.size * (frequencies + 1)
    )
    return cells.reshape(-1, frequencies + 1)[:, 1:]


def most_preferred(dominant: NDArray[Any]) -> list[int]:
    """The frequencies that most neurons prefer, as many as there are colours, from `dominant (neuron,)`."""
    frequencies, neurons = np.unique(dominant[dominant > 0], return_counts=True)
    best = np.argsort(-neurons, kind="stable")[: len(CATEGORIES)]
    return [int(each) for each in frequencies[best]]


def _most_frequent(counts: NDArray[Any], frequencies: NDArray[Any]) -> list[int]:
    """The frequencies that ever have most neurons, rising; those that never have one are left out."""
    peaks = counts.max(axis=0)  # (frequency,)
    best = np.argsort(-peaks, kind="stable")[: len(CATEGORIES)]
    return sorted(int(frequencies[each]) for each in best if peaks[each] > 0)
