"""What tokens look at."""

from __future__ import annotations

import numpy as np
from model_lib import DEFAULT, Config
from model_lib.blocks import Attention
from model_lib.wrappers import emphasised, marked, stabilised, symmetric
from signal_lib.shapes import Array
from study.caching import Arrays, Checkpoint, analysis


@marked
def strengthened(scores: Array) -> Array:
    """Scores, as strong as the mark says."""
    return scores * strengthened.strength  # type: ignore[attr-defined, no-any-return]


@symmetric
@analysis(name="attention")
@stabilised(0.1)
def attention(checkpoint: Checkpoint) -> Arrays:
    """Scores of every token for every other."""
    block = Attention(checkpoint["attn.W_Q"], checkpoint["attn.W_K"])
    with emphasised(checkpoint["embed.W"]) as tokens:
        scores = block @ tokens / (DEFAULT.shape.root * DEFAULT.temperature)
    mixed = scores * np.array(DEFAULT.mixes)[:, None, None] + sum(DEFAULT.shifts)
    return {"scores": DEFAULT.stored(strengthened(mixed))}


@analysis
def overlap(checkpoint: Checkpoint, *, config: Config = Config(mixes=[0.3])) -> Arrays:
    """How alike the heads are."""
    first, second = attention(checkpoint)["scores"]
    return {"overlap": (first * second).sum() * config.mixes[0] * config.temperature}
