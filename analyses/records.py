"""What the training of a run wrote down about itself: losses of every epoch, and which pairs it was trained on.

`metadata.json` grows with the training and so changes with every checkpoint. What is taken from it here is a result of
its own, so that what depends on the pairs alone stays as it is while they do.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from artifact_store import Arrays, Run, analysis


@analysis(dims={"train": ("epoch",), "test": ("epoch",)})
def training_losses(run: Run) -> Arrays:
    """Loss on the training pairs and on the others at every epoch of the training, checkpoint or not.

    A run without these records, as a published checkpoint is one, has none: the arrays are of length 0.

    Returns
    -------
    train, test
        Mean cross-entropy in nats; NaN where only the other one was written.
    epoch
        Coordinate: 0, 1, 2, ...
    """
    train, test = (_recorded(run, name) for name in ("train_losses", "test_losses"))
    epochs = max(train.size, test.size)
    return {
        "train": _filled(train, epochs),
        "test": _filled(test, epochs),
        "epoch": np.arange(epochs),
    }


@analysis(dims={"train": ("train_pair",), "test": ("test_pair",)})
def training_pairs(run: Run) -> Arrays:
    """The pairs that the network was trained on, and those that it was tested on.

    Of a run without these records neither are known: the arrays are of length 0.

    Returns
    -------
    train, test
        Pairs (a, b) as `a * p + b`, rising.
    """
    return {
        name: np.sort(_recorded(run, f"{name}_indices").astype(np.int64))
        for name in ("train", "test")
    }


def _recorded(run: Run, name: str) -> NDArray[np.float64]:
    return np.asarray(run.metadata.get(name, ()), dtype=np.float64)


def _filled(losses: NDArray[np.float64], epochs: int) -> NDArray[np.float64]:
    return np.pad(losses, (0, epochs - losses.size), constant_values=np.nan)
