"""The ways people keep results today, each used as its documentation shows.

None of them looks at what is in the checkpoint: they are given its name, which is what their keys are made of.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import diskcache
import joblib
import numpy as np
import zarr

from benchmarks.typical import Array, Body

# diskcache evicts beyond 1 GiB unless it is told to keep more.
DISKCACHE_BYTES = 1 << 36


def with_joblib(body: Body, directory: Path) -> Body:
    """`body`, memoized by `joblib.Memory`."""
    memoized: Body = joblib.Memory(directory, verbose=0).cache(body)
    return memoized


def with_diskcache(body: Body, directory: Path) -> Body:
    """`body`, memoized by `diskcache.Cache`, which pickles results into SQLite or, if large, into files."""
    cache = diskcache.Cache(str(directory), size_limit=DISKCACHE_BYTES)
    memoized: Body = cache.memoize()(body)
    return memoized


def with_npz(body: Body, directory: Path) -> Body:
    """`body`, behind the cache that researchers write by hand: a compressed file per epoch and params."""
    directory.mkdir(exist_ok=True)

    def memoized(checkpoint: str, layer: int, scale: float, kind: str) -> Array:
        path = directory / f"{Path(checkpoint).stem}_{layer}_{scale}_{kind}.npz"
        if path.exists():
            found: Array = np.load(path)["result"]
            return found
        result = body(checkpoint, layer, scale, kind)
        np.savez_compressed(path, result=result)
        return result

    return memoized


def save_npy(path: Path, array: Array) -> None:
    """`np.save`: the least that keeping a result can cost, under a name that somebody else thought of."""
    np.save(path, array)


def load_npy(path: Path) -> Array:
    """`np.load`: the least that reading a result into memory can cost, without any key or check."""
    found: Array = np.load(path)
    return found


def load_zarr(door: Path, name: str) -> Array:
    """Our own artifact through its door, read whole by zarr-python."""
    group: Any = zarr.open(door, mode="r")
    return np.asarray(group[name][...])
