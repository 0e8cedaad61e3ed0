"""An ordinary analysis, of ten functions and five constants, that reads two of a checkpoint's tensors.

`bench_hit` and `bench_miss` keep its results and `bench_key` looks at its closure. `body` is the same for those who
keep the results of plain functions. Results look like noise, so that nobody compresses them to nothing, and differ
with every param, so that nobody finds them stored already.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from safetensors import safe_open

from artifact_store import Checkpoint, analysis
from benchmarks.workloads import WORKLOADS

Array = np.ndarray[Any, Any]

# The path of a checkpoint and three params.
Body = Callable[[str, int, float, str], Array]


@dataclass(frozen=True)
class Config:
    """Some settings."""

    scale: float = 2.0
    name: str = "x"


SHAPES = {workload.name: workload.shape for workload in WORKLOADS}
CONFIG, SCALE, NAMES, ARRAY = Config(), 3, ("a", "b"), np.arange(10.0)


def f1(x: float) -> float: return f2(x)  # fmt: skip  # noqa: E704
def f2(x: float) -> float: return f3(x) * CONFIG.scale  # fmt: skip  # noqa: E704
def f3(x: float) -> float: return f4(x) + SCALE  # fmt: skip  # noqa: E704
def f4(x: float) -> float: return f5(x) + len(NAMES)  # fmt: skip  # noqa: E704
def f5(x: float) -> float: return f6(x) + float(ARRAY[0])  # fmt: skip  # noqa: E704
def f6(x: float) -> float: return f7(x) + float(np.abs(x))  # fmt: skip  # noqa: E704
def f7(x: float) -> float: return f8(x) * 2  # fmt: skip  # noqa: E704
def f8(x: float) -> float: return -x  # fmt: skip  # noqa: E704


def tiled(embedding: Array, bias: Array, shift: float, kind: str) -> Array:
    """The embedding, repeated until it has the size of this kind; another array for another shift."""
    found = np.resize(embedding, SHAPES[kind])
    found += np.float32(bias[0] + f1(shift))
    return found


@analysis
def typical(checkpoint: Checkpoint, layer: int, scale: float, kind: str) -> Array:
    """What we keep: the tenth function."""
    embedding, bias = checkpoint["embed.W_E"], checkpoint["blocks.0.mlp.b_in"]
    return tiled(embedding, bias, layer * scale, kind)


# Called with a path, as users do.
kept = cast(Body, typical)


def body(checkpoint: str, layer: int, scale: float, kind: str) -> Array:
    """What the others keep: the same, of the file that they are given the name of."""
    with safe_open(checkpoint, framework="numpy") as tensors:
        embedding = tensors.get_tensor("embed.W_E")
        bias = tensors.get_tensor("blocks.0.mlp.b_in")
    return tiled(embedding, bias, layer * scale, kind)


TABLES = np.arange(1_250_000.0)


@analysis
def tabled(checkpoint: Checkpoint) -> float:
    """The same functions, and a constant of 10 MB."""
    return f1(TABLES[0])
