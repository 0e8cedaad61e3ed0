"""What changes along a run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from study.caching import Arrays, Checkpoint, Run, analysis
from study.derived import sharpness

EVERY = 1


@analysis
def trajectory(run: Run) -> Arrays:
    """Sharpness by epoch."""
    epochs = list(run)[::EVERY]
    values = [sharpness(run[epoch])["sharpness"] for epoch in epochs]
    return {"sharpness": np.array(values), "epoch": np.array(epochs)}


@analysis
def drift(checkpoints: Sequence[Checkpoint]) -> Arrays:
    """How far the unembedding moved from the first to the last."""
    first, *_, last = (one["unembed.W"] for one in checkpoints)
    return {"drift": np.abs(last - first).mean()}
