"""How long does one wait for a result that is already there?

A hit is the decorated call as a user writes it: the path of a checkpoint and three params in, a
verified read-only array out. `np.load` is given the file's name and checks nothing.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from artifact_store import Checkpoint, analysis
from benchmarks.baselines import load_npy, load_zarr, with_joblib
from benchmarks.measure import Timing, Way, race, tabulate
from benchmarks.workloads import RACY_SECONDS, WORKLOADS, Workload, write_checkpoint


def body(checkpoint: str, layer: int, scale: float, kind: str) -> np.ndarray[Any, Any]:
    """What `joblib` memoizes; the workload is found by its name."""
    return {one.name: one for one in WORKLOADS}[kind].array(layer)


@analysis(depends_on=(Workload,))
def result(
    checkpoint: Checkpoint, layer: int, scale: float, kind: str
) -> np.ndarray[Any, Any]:
    """What we memoize: the same."""
    return {one.name: one for one in WORKLOADS}[kind].array(layer)


def measure(workload: Workload, directory: Path) -> list[Timing]:
    """Hits of one size, ours first."""
    path = str(
        write_checkpoint(
            directory / "run/checkpoints/checkpoint_epoch_00500.safetensors"
        )
    )
    expected, saved = workload.array(7), directory / "saved.npy"
    np.save(saved, expected)
    memoized = with_joblib(body, directory / "joblib")
    group = result.artifact(path, 7, 0.5, workload.name).path  # type: ignore[arg-type]

    ways: dict[str, Way] = {
        "artifact_store": lambda _: result(path, 7, 0.5, kind=workload.name),  # type: ignore[arg-type]
        "np.load": lambda _: load_npy(saved),
        "joblib.Memory": lambda _: memoized(path, 7, 0.5, workload.name),
        "zarr.open": lambda _: load_zarr(group, "value"),
    }
    for name, way in ways.items():
        np.testing.assert_array_equal(way(0), expected, err_msg=name)
    time.sleep(RACY_SECONDS)
    return race(ways, workload.rounds)


def main() -> str:
    """The table."""
    return tabulate("hit", measure)


if __name__ == "__main__":
    print(main())
