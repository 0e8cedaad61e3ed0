"""The inputs of all benchmarks, listed once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

# A file so young is digested again at each call, because it could still change unnoticed; nobody waits for that twice.
RACY_SECONDS = 2.1


@dataclass(frozen=True, slots=True)
class Workload:
    """A result of some size, and how often to measure it."""

    name: str
    shape: tuple[int, ...]
    rounds: int

    def __str__(self) -> str:
        return self.name

    def array(self, number: int) -> np.ndarray[Any, Any]:
        """A float32 result that no other number has."""
        found = np.random.default_rng(0).standard_normal(self.shape, dtype=np.float32)
        found.reshape(-1)[0] = number
        return found


SMALL = Workload("1 KB", (256,), 300)
MEDIUM = Workload("1 MB", (64, 64, 64), 200)
# The activations of 512 neurons over all pairs at p = 113.
LARGE = Workload("26 MB", (512, 113, 113), 40)

WORKLOADS = (SMALL, MEDIUM, LARGE)


def write_checkpoint(path: Path) -> Path:
    """A checkpoint as large as that of a p = 113 transformer: 0.9 MB, 14 tensors."""
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(1)
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
