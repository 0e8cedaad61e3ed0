"""What comes out, and what there is."""

from __future__ import annotations

import numpy as np
from signal_lib import constants as c
from signal_lib.spectra import even_part
from signal_lib.stats import discount, staged
from study.caching import Arrays, Checkpoint, analysis


@analysis(versions=("numpy",))
def logits(checkpoint: Checkpoint) -> Arrays:
    """The unembedding, weighed by constants of every kind."""
    held = checkpoint["unembed.W"].astype(c.KIND)[c.EVERY]
    held = c.COMBINE(held, c.WEIGHT + c.SCALAR) * c.ROUNDS + abs(c.TURN)
    held = held + (c.MARK[0] if c.SIGNED else -c.MARK[0]) + np.roll(c.ORDER, 1)[0]
    held = np.roll(held, c.SHIFTS, axis=(0, 1)) * c.TABLE["high"]["a"]  # type: ignore[index]
    held = held[:, sorted(c.KEPT)] + sum(c.STEPS) + float(c.RATIO) + float(c.PRICE)
    held = held * c.PERIOD.total_seconds() + c.COUNTS["c"] + list(c.LIMITS.values())[0]
    held = held + c.RECENT[-1] + c.FROZEN["a"] * c.OPTIONS.gain + c.PICK((0.5, 0.6))
    held = (
        held
        + c.BOUNDS.high
        + c.LEVEL.value
        + c.Rank.SECOND
        + c.PARTS.value
        + c.REDUCE(held)
    )
    if (extra := getattr(held, c.MODE)()) > 0:
        held = held + extra
    return {"logits": even_part(held, 3).astype(c.DTYPE)}


@analysis
def inventory(checkpoint: Checkpoint) -> Arrays:
    """Sizes of the matrices of the hidden layer, found by their names."""
    names = sorted(name for name in checkpoint if c.MATRICES.match(name))
    sizes = {name: np.abs(checkpoint[name]).sum() for name in names}
    chosen = [name for name in sizes if name.removeprefix("mlp.") in c.CHOSEN]
    values = np.array([sizes[name] for name in [*names, *chosen]])
    return {"sizes": staged(values) * discount(len(values))}
