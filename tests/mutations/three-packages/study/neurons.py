"""What the hidden layer does."""

from __future__ import annotations

import numpy as np
from model_lib import Perceptron
from signal_lib.constants import Level
from signal_lib.stats import summary
from study.caching import Arrays, Checkpoint, analysis


@analysis(ignore=("batch",))
def activations(checkpoint: Checkpoint, *, side: str = "in", batch: int = 3) -> Arrays:
    """Activations of every neuron at every token, a batch at a time."""
    layer = Perceptron(checkpoint[f"mlp.W_{side}"], checkpoint[f"mlp.b_{side}"])
    tokens = checkpoint["embed.W"]
    parts = [layer(tokens[i : i + batch]) for i in range(0, len(tokens), batch)]
    return {"activations": np.concatenate(parts)}


@analysis
def sparsity(
    checkpoint: Checkpoint, *, level: Level = Level.LOW, threshold: float = 1.0
) -> Arrays:
    """How much of each neuron is above a threshold."""
    values = activations(checkpoint)["activations"]
    match level:
        case Level.LOW:
            amount = threshold * level.doubled
        case _:
            amount = threshold
    loud = np.where(values > amount, values - amount, 0.0)
    counts = [summary(column) for column in loud.T]
    return {"sparsity": np.array(counts), "total": summary(counts)}
