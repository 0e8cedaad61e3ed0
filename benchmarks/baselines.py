"""The ways people keep results today."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import zarr

Body = Callable[[str, int, float, str], np.ndarray[Any, Any]]


def with_joblib(body: Body, directory: Path) -> Body:
    """`body`, memoized by `joblib.Memory` as its documentation shows it."""
    memoized: Body = joblib.Memory(directory, verbose=0).cache(body)
    return memoized


def load_npy(path: Path) -> np.ndarray[Any, Any]:
    """`np.load`: the least that reading a result into memory can cost, without any key or check."""
    found: np.ndarray[Any, Any] = np.load(path)
    return found


def load_zarr(group: Path, name: str) -> np.ndarray[Any, Any]:
    """Our own artifact, read whole by zarr-python."""
    return np.asarray(zarr.open_group(group, mode="r")[name][...])  # type: ignore[index]
