"""The closure of an ordinary analysis: ten functions and five constants, for `bench_key`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from artifact_store import Checkpoint, analysis


@dataclass(frozen=True)
class Config:
    """Some settings."""

    scale: float = 2.0
    name: str = "x"


TABLE: dict[str, Any] = {"a": 1, "b": [1, 2]}
CONFIG, SCALE, NAMES, ARRAY = Config(), 3, ("a", "b"), np.arange(10.0)


def f1(x: float) -> float: return f2(x)  # fmt: skip  # noqa: E704
def f2(x: float) -> float: return f3(x) * CONFIG.scale  # fmt: skip  # noqa: E704
def f3(x: float) -> float: return f4(x) + SCALE  # fmt: skip  # noqa: E704
def f4(x: float) -> float: return f5(x) + len(NAMES)  # fmt: skip  # noqa: E704
def f5(x: float) -> float: return f6(x) + float(ARRAY[0])  # fmt: skip  # noqa: E704
def f6(x: float) -> float: return f7(x) + float(TABLE["a"])  # fmt: skip  # noqa: E704
def f7(x: float) -> float: return f8(x) + float(np.abs(x))  # fmt: skip  # noqa: E704
def f8(x: float) -> float: return f9(x)  # fmt: skip  # noqa: E704
def f9(x: float) -> float: return -x  # fmt: skip  # noqa: E704


@analysis
def typical(checkpoint: Checkpoint, layer: int, scale: float, kind: str) -> float:
    """The tenth."""
    return f1(layer * scale)


TABLES = np.arange(1_250_000.0)


@analysis
def tabled(checkpoint: Checkpoint) -> float:
    """The same, and a large constant."""
    return f1(TABLES[0])
