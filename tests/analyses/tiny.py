"""Runs of tiny networks, really written."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.torch import save_file

from analyses.train import Training, initial_weights
from artifact_store import Run

# Even ones have a frequency with a cosine alone.
PRIMES = (2, 3, 6, 7)


def write_run(
    folder: Path,
    prime: int = 7,
    epochs: Iterable[int] = (0, 5, 9),
    *,
    scale: float = 3.0,
    train: Sequence[int] | None = None,
    **metadata: Any,
) -> Run:
    """A run of random networks; the first half of the pairs are those of training, unless told otherwise."""
    (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
    for epoch in epochs:
        config = Training(prime=prime, d_model=8, n_heads=2, d_mlp=12, model_seed=epoch)
        drawn = initial_weights(config)
        path = folder / f"checkpoints/checkpoint_epoch_{epoch:05d}.safetensors"
        save_file({name: scale * tensor for name, tensor in drawn.items()}, path)
    rows = list(range(prime**2 // 2)) if train is None else list(train)
    split = {
        "train_indices": rows,
        "test_indices": sorted(set(range(prime**2)) - set(rows)),
    }
    (folder / "metadata.json").write_text(json.dumps(split | metadata))
    return Run(folder)


def log_softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Plainly, along the last axis."""
    above = logits - logits.max(axis=-1, keepdims=True)
    found: NDArray[np.float64] = above - np.log(
        np.exp(above).sum(axis=-1, keepdims=True)
    )
    return found


def losses(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cross-entropy of each pair, pair by pair: (p, p, out) to (p, p)."""
    p = len(logits)
    said = log_softmax(logits)
    return np.array([[-said[a, b, (a + b) % p] for b in range(p)] for a in range(p)])
