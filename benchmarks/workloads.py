"""The inputs of all benchmarks, listed once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

# A file so young is digested again at each call, because it could still change unnoticed; nobody waits for that twice.
RACY_SECONDS = 2.1


@dataclass(frozen=True, slots=True)
class Workload:
    """A float32 result of some size.

    Attributes
    ----------
    rounds
        In how many it is asked for, or kept anew.
    epochs
        At how many checkpoints it is asked for once each: as many as fit on a disk beside those of every rival.
    """

    name: str
    shape: tuple[int, ...]
    rounds: int
    epochs: int

    @property
    def nbytes(self) -> int:
        return 4 * math.prod(self.shape)

    def __str__(self) -> str:
        return self.name


SMALL = Workload("1 KB", (256,), rounds=60, epochs=100)
MIDDLE = Workload("100 KB", (25, 32, 32), rounds=60, epochs=100)
MEDIUM = Workload("1 MB", (64, 64, 64), rounds=40, epochs=100)
# The activations of 512 neurons over all pairs at p = 113.
LARGE = Workload("26 MB", (512, 113, 113), rounds=6, epochs=10)
HUGE = Workload("256 MB", (64, 1024, 1024), rounds=3, epochs=0)

WORKLOADS = (SMALL, MIDDLE, MEDIUM, LARGE, HUGE)


def write_checkpoint(path: Path, seed: int = 1) -> Path:
    """A checkpoint as large as that of a p = 113 transformer: 0.9 MB, 14 tensors; another for each seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    shapes: dict[str, tuple[int, ...]] = {
        "embed.W_E": (114, 128),
        "blocks.0.mlp.W_in": (128, 512),
        "blocks.0.mlp.W_out": (512, 128),
    }
    shapes |= {f"blocks.0.attn.W_{letter}": (4, 128, 32) for letter in "QKVO"}
    shapes |= {f"blocks.0.attn.b_{letter}": (4, 32) for letter in "QKVO"}
    shapes |= {
        "unembed.W_U": (128, 113),
        "pos_embed.W_pos": (3, 128),
        "blocks.0.mlp.b_in": (512,),
    }
    save_file(
        {
            name: random.standard_normal(shape, dtype=np.float32)
            for name, shape in shapes.items()
        },
        path,
    )
    return path


def write_run(run: Path, epochs: int) -> list[str]:
    """A run of so many checkpoints, no two equal; where they are."""
    names = (f"checkpoints/checkpoint_epoch_{one:05d}.safetensors" for one in range(epochs))  # fmt: skip
    return [str(write_checkpoint(run / name, seed)) for seed, name in enumerate(names)]
