"""The figures of a run as views: which analyses each draws, and how it may look.

stored artifacts ──► *view* ──► the arrays it needs, at the epoch ──► figure

Report, workbench, notebooks and `analyses render` have these by name (entry points `artifact_store.views`).
Nothing here computes: a view is given artifacts, reads the rows that it shows, and has `analyses.figures` draw them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from analyses.clusters import neuron_freq_norm, neuron_frequencies_over_training
from analyses.embedding import fourier_coefficients, frequency_power_over_training
from analyses.figures.activations import activation_heatmaps
from analyses.figures.checks import positions_of
from analyses.figures.clusters import (
    cluster_order,
    counts_from,
    most_preferred,
)
from analyses.figures.clusters import neuron_clusters as clusters_figure
from analyses.figures.clusters import specialised_neurons as specialised_figure
from analyses.figures.clusters import turn_order
from analyses.figures.frequencies import dominant_frequencies as dominant_figure
from analyses.figures.frequencies import frequency_heatmap as heatmap_figure
from analyses.figures.frequencies import wave_shares
from analyses.figures.losses import loss_curves
from analyses.figures.performance import accuracy_over_training
from analyses.figures.progress import progress_measures as progress_figure
from analyses.figures.style import without
from analyses.figures.trajectory import embedding_trajectory as trajectory_figure
from analyses.neurons import neuron_activations
from analyses.performance import performance_over_training
from analyses.progress import progress_measures_over_training
from analyses.records import training_losses
from analyses.trajectory import embedding_trajectory as trajectory
from artifact_store import Artifact
from artifact_store.views import view
from artifact_store.visuals import Between, Numbers, Span

# Perceptually uniform, and distinguishable with every common colour blindness.
Colours = Literal["Viridis", "Cividis", "Inferno", "Greys"]
Share = Annotated[float, Between(0, 1, 0.01)]


@view(losses=training_losses)
def losses(losses: Artifact, *, epoch: int | None = None) -> go.Figure:
    """Loss over training."""
    train, test = losses["train"][...], losses["test"][...]
    if not train.size:
        return without(
            "Loss over training",
            "This run has no metadata.json, which would hold its losses.",
        )
    return loss_curves(train, test, epoch=epoch)


@view(performance=performance_over_training)
def accuracy(performance: Artifact, *, epoch: int | None = None) -> go.Figure:
    """Accuracy over training."""
    return accuracy_over_training(
        performance["train_accuracy"][...],
        performance["test_accuracy"][...],
        performance["accuracy"][...],
        performance["epoch"][...],
        epoch=epoch,
    )


@view(coefficients=fourier_coefficients)
def dominant_frequencies(
    coefficients: Artifact, *, threshold: Share = 0.1, top: Share = 0.0
) -> go.Figure:
    """Dominant frequencies of the embedding.

    Parameters
    ----------
    threshold
        Share of the power from which a frequency is dominant.
    top
        The upper end of the axis, for epochs or runs that are to be compared; at 0, one that fits.
    """
    norms = coefficients["coefficients"][...]  # (component,)
    frequency = np.arange(1, len(norms) // 2 + 1)
    peak = float(np.add(*wave_shares(norms)).max(initial=threshold))
    return dominant_figure(
        norms, frequency, threshold=threshold, peak=top or _round_up(peak)
    )


@view(power=frequency_power_over_training)
def frequency_heatmap(
    power: Artifact, *, colours: Colours = "Viridis", epoch: int | None = None
) -> go.Figure:
    """Frequencies of the embedding over training."""
    return heatmap_figure(
        power["sin"][...] + power["cos"][...],
        power["epoch"][...],
        power["frequency"][...],
        colorscale=colours,
        epoch=epoch,
    )


@view(activations=neuron_activations, norm=neuron_freq_norm)
def activation_heatmap(
    activations: Artifact,
    norm: Artifact,
    *,
    neurons: Annotated[tuple[int, ...], Numbers()] = (),
    sort: Literal["in turn", "purest", "frequency", "number"] = "in turn",
    count: Annotated[int, Between(1, 24)] = 8,
    page: Annotated[int, Between(1)] = 1,
    columns: Annotated[int, Between(1, 12)] = 4,
    colours: Colours = "Viridis",
    scale: Annotated[tuple[float, float] | None, Span()] = None,
) -> go.Figure:
    """Activations of single neurons, for every pair of summands.

    Parameters
    ----------
    neurons
        Which neurons, by number; if none are named, some of all of them, as `sort`, `count` and `page` say.
    sort
        `in turn`: the purest neuron of each frequency, then the next of each, as far as they are specialised at all.
    scale
        Both ends of the colour scale; by default from zero to the largest that is shown.
    """
    grids = activations["activations"]
    if not neurons:
        order = _ordered(norm["norm"][...], sort)
        last = max(-(-len(order) // count), 1)
        first = (min(page, last) - 1) * count
        neurons = tuple(order[first : first + count].tolist())
    rows = positions_of(neurons, range(len(grids)))
    return activation_heatmaps(
        np.stack([grids[row] for row in rows]),
        neurons,
        numbers=neurons,
        columns=columns,
        colorscale=colours,
        value_range=scale,
    )


@view(norm=neuron_freq_norm)
def neuron_clusters(
    norm: Artifact,
    *,
    threshold: Share = 0.85,
    sort: Literal["frequency", "purest", "number"] = "frequency",
    colours: Colours = "Viridis",
) -> go.Figure:
    """Neurons by the frequency they compute with.

    Parameters
    ----------
    threshold
        Share of a neuron's power on one frequency from which it is specialised.
    """
    shares = norm["norm"][...]  # (frequency, neuron)
    return clusters_figure(
        shares,
        norm["frequency"][...],
        threshold=threshold,
        order=_ordered(shares, sort),
        sorted_by=_SORTED[sort],
        colorscale=colours,
    )


@view(neurons=neuron_frequencies_over_training)
def specialised_neurons(
    neurons: Artifact, *, threshold: Share = 0.85, epoch: int | None = None
) -> go.Figure:
    """Specialised neurons over training.

    Parameters
    ----------
    threshold
        Share of a neuron's power on one frequency from which it is specialised.
    """
    dominant, share = neurons["dominant"][...], neurons["share"][...]  # (epoch, neuron)
    frequency = neurons["frequency"][...]
    return specialised_figure(
        counts_from(dominant, share, len(frequency), threshold),
        neurons["epoch"][...],
        frequency,
        threshold=threshold,
        # Colours must not change hands when the threshold moves.
        named=most_preferred(dominant[-1]),
        epoch=epoch,
    )


@view(measures=progress_measures_over_training)
def progress_measures(measures: Artifact, *, epoch: int | None = None) -> go.Figure:
    """Progress measures over training."""
    return progress_figure(
        measures["restricted"][...],
        measures["excluded"][...],
        measures["train_loss"][...],
        measures["test_loss"][...],
        measures["epoch"][...],
        epoch=epoch,
    )


@view(trajectory=trajectory)
def embedding_trajectory(
    trajectory: Artifact, *, colours: Colours = "Viridis", epoch: int | None = None
) -> go.Figure:
    """Embedding of the residues, along its principal axes."""
    return trajectory_figure(
        trajectory["position"][...],
        trajectory["share"][...],
        trajectory["epoch"][...],
        epoch=epoch,
        colorscale=colours,
    )


_SORTED = {
    "frequency": "sorted by dominant frequency (position)",
    "purest": "sorted by the share of their dominant frequency (position)",
    "number": "by number",
}


def _ordered(shares: NDArray[Any], sort: str) -> NDArray[np.intp]:
    """All neurons in an order, from their shares (frequency, neuron)."""
    if sort == "in turn":
        return turn_order(shares)
    if sort == "frequency":
        return cluster_order(shares)
    if sort == "purest":
        return np.argsort(-shares.max(axis=0), kind="stable")
    return np.arange(shares.shape[1])


def _round_up(peak: float) -> float:
    """The end of an axis that few epochs have to move."""
    return next(end for end in (0.1, 0.2, 0.5, 1.0) if peak <= end or end == 1.0)
