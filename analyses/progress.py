"""Progress measures: how far the rotation has come that a network ends up adding by, before one sees it answer.

Of Nanda et al., *Progress measures for grokking via mechanistic interpretability* (2023, arXiv:2301.05217), section
5.1. A network that adds by rotating has logits made of cos and sin of w_k (a + b), w_k = 2 pi k / p, for a few *key
frequencies* k. Logits over the probe are divided into the part on these waves, their mean, and all else; the losses
of the first two alone, and of all but the first, tell the mechanism from what was memorised.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from analyses import fourier, model
from analyses.neurons import WeightsOn, default_device
from analyses.performance import (
    Pairs,
    answer_losses,
    mean_over,
    pair_losses,
    split_of,
)
from analyses.records import training_pairs
from artifact_store import Arrays, Checkpoint, Run, analysis, fold


@analysis(dims={"share": ("frequency",)}, ignore=("device",))
def logit_frequencies(checkpoint: Checkpoint, *, device: str | None = None) -> Arrays:
    """Share of each frequency's waves of a + b in what the logits say of the pairs.

    Parameters
    ----------
    device
        Where to run; by default a GPU if there is one. Not part of the key.

    Returns
    -------
    share
        Of the power of the logits, each output's mean over the pairs removed; what is on no wave of a + b is missing
        to one.
    frequency
        Coordinate: 1 ... p // 2.
    """
    weights = WeightsOn(checkpoint, device or default_device())
    with torch.inference_mode(), model.one_thread():
        logits = model.logits(weights).double()
        about = logits - logits.mean(dim=0)
        waves = _wave_coefficients(about, range(1, model.prime_of(weights) // 2 + 1))
        power = waves.square().sum(dim=(1, 2)) / (about.square().sum() or 1.0)
    return {"share": power, "frequency": np.arange(1, len(power) + 1)}


@analysis(dims={"frequencies": ("rank",)})
def key_frequencies(run: Run, *, threshold: float = 0.01) -> NDArray[np.int64]:
    """The frequencies that the network of a run answers by, as far as it has come.

    A run that has not understood yet may have none. As it grows, they may become others until it has.

    Parameters
    ----------
    threshold
        A frequency is a key frequency when its share of the logits' power at the last checkpoint exceeds this; of
        noise, each has about 2 / p^2.

    Returns
    -------
    frequencies
        Rising.
    """
    last = logit_frequencies(run[run.epochs[-1]])
    key: NDArray[np.int64] = last["frequency"][last["share"] > threshold]
    return key


@analysis(dims={"restricted": ("a", "b"), "excluded": ("a", "b")}, ignore=("device",))
def ablated_losses(
    checkpoint: Checkpoint, *, frequencies: tuple[int, ...], device: str | None = None
) -> Arrays:
    """The loss on every pair with only the key frequencies in the logits, and with all but these.

    Nanda et al. (2023), section 5.1: for the restricted loss, the 2D Fourier transform of the logits over (a, b) is
    set to zero but for "the constant term" and "the terms corresponding to cos(w_k(a+b)) and sin(w_k(a+b))"; for the
    excluded loss, only the latter are removed. As in the code published with it, that is a projection of each
    output's logits on these two directions per frequency; the waves of a - b count as neither.

    Parameters
    ----------
    frequencies
        The key frequencies k, each once.
    device
        Where to run; by default a GPU if there is one. Not part of the key.

    Returns
    -------
    restricted, excluded
        Cross-entropy in nats; float64. The restricted one depends on (a + b) mod p alone.
    """
    weights = WeightsOn(checkpoint, device or default_device())
    with torch.inference_mode(), model.one_thread():
        logits, p = model.logits(weights).double(), model.prime_of(weights)
        key = key_part(logits, frequencies)
        restricted, excluded = logits.mean(dim=0) + key, logits - key
        return {
            "restricted": pair_losses(restricted).view(p, p),
            "excluded": pair_losses(excluded).view(p, p),
        }


def key_part(logits: torch.Tensor, frequencies: Sequence[int]) -> torch.Tensor:
    """The part of logits over the probe on the waves of a + b of some frequencies: (p^2, out) to (p^2, out)."""
    p = round(len(logits) ** 0.5)
    # (wave, p) and (wave, out): that each is made of p pairs with the same a + b gives the norm.
    waves = _waves(p, frequencies).flatten(0, 1).to(logits)
    along = _wave_coefficients(logits, frequencies).flatten(0, 1) / p**0.5
    part: torch.Tensor = (waves.T @ along)[model.answers(p, logits.device)]
    return part


def _wave_coefficients(
    logits: torch.Tensor, frequencies: Sequence[int]
) -> torch.Tensor:
    """Coefficients of logits over the probe on orthonormal waves of a + b: (p^2, out) to (frequency, 2, out)."""
    p = round(len(logits) ** 0.5)
    # Such a wave is the same for all p pairs of one sum, so that only these are added up: (sum, out).
    by_sum = model.answers(p, logits.device).argsort(stable=True)
    sums = logits[by_sum].view(p, p, -1).sum(dim=1)
    coefficients: torch.Tensor = _waves(p, frequencies).to(logits) @ sums / p**0.5
    return coefficients


def _waves(p: int, frequencies: Sequence[int]) -> torch.Tensor:
    """Sin and cos of each frequency, of unit norm over the residues: (frequency, 2, p)."""
    return torch.tensor(fourier.waves(p)[[k - 1 for k in frequencies]])


@fold(shared={"frequencies": key_frequencies, "pairs": training_pairs})
def progress_measures_over_training(
    checkpoint: Checkpoint,
    *,
    frequencies: Iterable[int] | None = None,
    pairs: Pairs | None = None,
) -> Arrays:
    """Restricted and excluded loss of each checkpoint, beside the losses that they explain.

    The restricted loss begins to fall before the test loss does, the excluded loss rises as the network comes to rely
    on the key frequencies (Nanda et al. 2023, sections 5.1 and 5.2).

    Parameters
    ----------
    frequencies
        The key frequencies; those of the run (`key_frequencies`) if not given. As it grows, its rows are kept for as
        long as these stay the same.
    pairs
        `train` and `test`, as `records.training_pairs` has them; those of the run if not given.

    Returns
    -------
    restricted
        Mean loss over all pairs with nothing but the key frequencies, and the mean, in the logits.
    excluded
        Mean loss over the training pairs without the key frequencies.
    train_loss, test_loss
        Mean loss over the training pairs and the test pairs, nothing ablated. What is of training or test pairs is NaN
        where the run does not say which these are.
    epoch
        Coordinate: the epochs that have a checkpoint.
    """
    key = tuple(map(int, () if frequencies is None else frequencies))
    ablated = ablated_losses(checkpoint, frequencies=key)
    loss, (train, test) = answer_losses(checkpoint)["loss"], split_of(pairs)
    return {
        "restricted": mean_over(ablated["restricted"], None),
        "excluded": mean_over(ablated["excluded"], train),
        "train_loss": mean_over(loss, train),
        "test_loss": mean_over(loss, test),
    }
