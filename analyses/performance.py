"""How well a network answers: on the pairs that it was trained on, on those that it was not, and on all.

One forward pass per checkpoint, whose losses are kept pair by pair; means over any of them, and when they pass a bar,
are a matter of reading those.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from analyses import model
from analyses.neurons import WeightsOn, default_device
from analyses.records import training_pairs
from artifact_store import Arrays, Checkpoint, Run, analysis, fold

Pairs = Mapping[str, ArrayLike]


@analysis(dims={"loss": ("a", "b"), "correct": ("a", "b")}, ignore=("device",))
def answer_losses(checkpoint: Checkpoint, *, device: str | None = None) -> Arrays:
    """The loss on every pair (a, b), and whether it is answered correctly.

    Parameters
    ----------
    checkpoint
        A one-layer transformer under TransformerLens' names; see `model`.
    device
        Where to run; by default a GPU if there is one. Not part of the key.

    Returns
    -------
    loss
        Cross-entropy in nats; float64, as losses of 1e-7 drown in float32.
    correct
        Whether the largest logit is that of (a + b) mod p.
    """
    weights = WeightsOn(checkpoint, device or default_device())
    with torch.inference_mode(), model.one_thread():
        logits, p = model.logits(weights), model.prime_of(weights)
        is_right = logits.argmax(dim=-1) == model.answers(p, logits.device)
        return {
            "loss": pair_losses(logits.double()).view(p, p),
            "correct": is_right.view(p, p),
        }


def pair_losses(logits: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of every pair of the probe: (p^2, d_vocab_out) to (p^2,)."""
    right = model.answers(round(len(logits) ** 0.5), logits.device)
    return torch.nn.functional.cross_entropy(logits, right, reduction="none")


@fold(shared={"pairs": training_pairs})
def performance_over_training(
    checkpoint: Checkpoint, *, pairs: Pairs | None = None
) -> Arrays:
    """Loss and accuracy of each checkpoint.

    Parameters
    ----------
    pairs
        `train` and `test`, as `records.training_pairs` has them; those of the run if not given.

    Returns
    -------
    train_loss, test_loss, loss
        Mean cross-entropy in nats over the training pairs, the test pairs and all pairs.
    train_accuracy, test_accuracy, accuracy
        Share of them that is answered correctly. Where the run does not say which pairs these are, those of training
        and test are NaN.
    epoch
        Coordinate: the epochs that have a checkpoint.
    """
    found, (train, test) = answer_losses(checkpoint), split_of(pairs)
    return {
        f"{prefix}{name}": mean_over(values, some)
        for name, values in (("loss", found["loss"]), ("accuracy", found["correct"]))
        for prefix, some in (("train_", train), ("test_", test), ("", None))
    }


def split_of(pairs: Pairs | None) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Training pairs and test pairs, as numbers; none of what is not known."""
    train, test = (
        np.asarray((pairs or {}).get(name, ()), np.int64) for name in ("train", "test")
    )
    return train, test


def mean_over(grid: NDArray[Any], pairs: NDArray[np.integer[Any]] | None) -> np.float64:
    """The mean of a grid over some pairs, given as `a * p + b`, or all; NaN over none."""
    some = grid.ravel() if pairs is None else grid.ravel()[pairs]
    return some.mean(dtype=np.float64) if some.size else np.float64(np.nan)


@analysis
def epoch_of_grokking(run: Run, *, accuracy: float = 0.9) -> Arrays:
    """When the network had memorised its training pairs, and when it had understood the others.

    As finely as there are checkpoints: the first of them from which on accuracy stays at the bar.

    Parameters
    ----------
    accuracy
        The bar: the share of pairs to be answered correctly, at this checkpoint and at all later ones.

    Returns
    -------
    memorised, grokked
        The epoch for the training pairs, and for the test pairs; -1 if that never came, or if the run does not say
        which pairs these are.
    """
    found = performance_over_training(run)
    return {
        name: first_to_stay(found[of], accuracy, found["epoch"])
        for name, of in (("memorised", "train_accuracy"), ("grokked", "test_accuracy"))
    }


def first_to_stay(
    values: NDArray[Any], bar: float, epochs: NDArray[np.integer[Any]]
) -> np.int64:
    """The first epoch from which on values are at a bar or above it; -1 if there is none."""
    below = np.flatnonzero(~(values >= bar))  # NaN is below
    first = below[-1] + 1 if below.size else 0
    return np.int64(epochs[first] if first < len(epochs) else -1)
