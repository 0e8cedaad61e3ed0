"""Analyses that do nothing but compute, on one core each: for `bench_parallel`, whose workers import them from here."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from artifact_store import Checkpoint, analysis

# So many that either takes about 0.13 s, as a longer forward pass would.
SAMPLES = 300
LAGS = 40


@analysis
def bootstrapped(checkpoint: Checkpoint) -> NDArray[np.float64]:
    """Median size of the embedding's entries, with the quartiles that resampling gives it; by numpy."""
    sizes = np.abs(checkpoint["embed.W_E"]).ravel()
    random = np.random.default_rng(0)
    samples = (random.choice(sizes, len(sizes)) for _ in range(SAMPLES))
    medians = [np.median(sample) for sample in samples]
    return np.array([np.quantile(medians, share) for share in (0.25, 0.5, 0.75)])


@analysis
def sign_agreement(checkpoint: Checkpoint) -> NDArray[np.int64]:
    """How many of the weights into the neurons have the sign of the one so many places on; in plain Python."""
    signs = (checkpoint["blocks.0.mlp.W_in"].ravel() > 0).tolist()
    return np.array(
        [
            sum(one == other for one, other in zip(signs, signs[lag:], strict=False))
            for lag in range(1, LAGS)
        ]
    )
