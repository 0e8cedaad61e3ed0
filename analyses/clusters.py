"""Which neurons serve which frequency.

From the stored activations to each neuron's frequencies, and from those, by a
threshold, to clusters and their sizes. Changing the threshold costs nothing:
the transform does not depend on it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from analyses.fourier import grid_shares
from analyses.model import blocks, one_thread
from analyses.neurons import default_device, neuron_activations
from artifact_store import Arrays, Checkpoint, Run, analysis, fold


@analysis(dims={"norm": ("frequency", "neuron")}, ignore=("device",))
def neuron_freq_norm(checkpoint: Checkpoint, *, device: str | None = None) -> Arrays:
    """Share of each neuron's power that lies on each frequency alone.

    Near one at a single frequency, a neuron computes a function of cos and sin
    of that frequency only, the mark of a network that has generalised.

    Parameters
    ----------
    device
        Where to run; by default a GPU if there is one. Not part of the key.

    Returns
    -------
    norm
        Share of the constant, sin and cos products of frequency k in the power
        of the neuron's grid, its mean removed (`fourier.grid_shares`); zero for
        a dead neuron.
    frequency
        Coordinate: 1 ... p // 2.
    """
    stored = neuron_activations(checkpoint, device=device)["activations"]
    norm = frequency_shares(stored, device or default_device())
    return {"norm": norm, "frequency": np.arange(1, len(norm) + 1)}


def frequency_shares(grids: NDArray[Any], device: str) -> torch.Tensor:
    """Share of each frequency in the power of each grid: (neuron, p, p) to (frequency, neuron).

    Grids go to `device` some at a time, and all that is made of them stays there up to the shares.
    """
    with torch.inference_mode(), one_thread():
        # A copy, because torch has no read-only tensors; of some neurons at a time it does not leave the cache.
        shares = [
            grid_shares(torch.tensor(grids[some], device=device))
            for some in blocks(len(grids))
        ]
        return torch.cat(shares, dim=1)


@analysis(dims={"cluster": ("neuron",), "share": ("neuron",), "order": ("rank",)})
def neuron_clusters(checkpoint: Checkpoint, *, threshold: float = 0.85) -> Arrays:
    """The frequency each neuron belongs to.

    Parameters
    ----------
    threshold
        A neuron belongs to its best frequency when that one's share of its
        power exceeds this. Above one half, no other frequency could.

    Returns
    -------
    cluster
        Each neuron's frequency, 0 if it belongs to none.
    share
        The share of its best frequency, whether or not it belongs.
    order
        Neurons sorted by cluster and, within each, from the purest down; those
        that belong to none come last.
    """
    norm = neuron_freq_norm(checkpoint)["norm"]  # (frequency, neuron)
    share = norm.max(axis=0)
    cluster = np.where(share > threshold, norm.argmax(axis=0) + 1, 0)
    return {
        "cluster": cluster,
        "share": share,
        "order": np.lexsort((-share, cluster, cluster == 0)),
    }


@analysis(dims={"count": ("frequency",)})
def specialised_neurons(checkpoint: Checkpoint, *, threshold: float = 0.85) -> Arrays:
    """How many neurons belong to each frequency, as `neuron_clusters` has it.

    Returns
    -------
    count
        Neurons per frequency; what is missing to all neurons belongs to none.
    frequency
        Coordinate: 1 ... p // 2.
    """
    frequency = np.asarray(neuron_freq_norm(checkpoint)["frequency"])
    cluster = neuron_clusters(checkpoint, threshold=threshold)["cluster"]
    return {
        "count": np.bincount(cluster, minlength=len(frequency) + 1)[1:],
        "frequency": frequency,
    }


@fold(dims={"dominant": ("neuron",), "share": ("neuron",), "neurons": ("frequency",)})
def neuron_frequencies_over_training(checkpoint: Checkpoint) -> Arrays:
    """The frequency of each neuron at each checkpoint, whatever its share.

    From here, any threshold is a matter of comparing: see `specialised_neurons_over_training`.

    Returns
    -------
    dominant
        The frequency that most of the neuron's power is on; 0 for a dead neuron.
    share
        How much of its power that is.
    neurons
        How many neurons have each frequency as their dominant one.
    frequency
        Coordinate: 1 ... p // 2.
    epoch
        Coordinate: the epochs that have a checkpoint.
    """
    found = neuron_freq_norm(checkpoint)
    share = found["norm"].max(axis=0)
    dominant = np.where(share > 0, found["frequency"][found["norm"].argmax(axis=0)], 0)
    return {
        "dominant": dominant,
        "share": share,
        "neurons": _counts(dominant, len(found["frequency"])),
        "frequency": found["frequency"],
    }


@analysis(dims={"count": ("epoch", "frequency")})
def specialised_neurons_over_training(run: Run, *, threshold: float = 0.85) -> Arrays:
    """How many neurons belong to each frequency at each checkpoint, as `neuron_clusters` has it.

    Parameters
    ----------
    threshold
        A neuron belongs to its dominant frequency when that one's share of its power exceeds this.

    Returns
    -------
    count
        Neurons per checkpoint and frequency; what is missing to all neurons belongs to none.
    frequency
        Coordinate: 1 ... p // 2.
    epoch
        Coordinate: the epochs that have a checkpoint.
    """
    found = neuron_frequencies_over_training(run)
    belongs = np.where(found["share"] > threshold, found["dominant"], 0)
    count = [_counts(row, len(found["frequency"])) for row in belongs]
    return {
        "count": np.stack(count),
        "frequency": found["frequency"],
        "epoch": found["epoch"],
    }


def _counts(members: NDArray[Any], frequencies: int) -> NDArray[np.int64]:
    """How many of some neurons, given by their frequency or 0, have each: (frequency,)."""
    return np.bincount(members, minlength=frequencies + 1)[1:].astype(np.int64)
