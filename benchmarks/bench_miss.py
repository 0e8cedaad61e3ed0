"""What does keeping a result cost, beyond computing it?

Each round asks for a result that nobody has. The function does as little as makes an array of
its own, and the time that takes by itself is subtracted: what is left is the overhead.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np

from artifact_store import Checkpoint, analysis
from benchmarks.baselines import with_joblib
from benchmarks.measure import Timing, Way, race, tabulate
from benchmarks.workloads import RACY_SECONDS, WORKLOADS, Workload, write_checkpoint

SHAPES = {workload.name: workload.shape for workload in WORKLOADS}


def body(checkpoint: str, layer: int, scale: float, kind: str) -> np.ndarray[Any, Any]:
    """What `joblib` memoizes."""
    return np.full(SHAPES[kind], layer, np.float32)


@analysis
def result(
    checkpoint: Checkpoint, layer: int, scale: float, kind: str
) -> np.ndarray[Any, Any]:
    """What we memoize: the same."""
    return np.full(SHAPES[kind], layer, np.float32)


def measure(workload: Workload, directory: Path) -> list[Timing]:
    """Overheads of one size, ours first."""
    run, kind = directory / "run", workload.name
    path = write_checkpoint(run / "checkpoints/checkpoint_epoch_00500.safetensors")
    memoized = with_joblib(body, directory / "joblib")
    array = body("", 0, 0.5, kind)
    time.sleep(RACY_SECONDS)

    def tidy(number: int) -> None:
        shutil.rmtree(directory / "joblib", ignore_errors=True)
        shutil.rmtree(run / "artifacts", ignore_errors=True)

    # Warmed with a number that no round asks for.
    np.testing.assert_array_equal(
        result(Checkpoint(path), workload.rounds, 0.5, kind),
        body("", workload.rounds, 0.5, kind),
    )
    np.testing.assert_array_equal(
        memoized(str(path), workload.rounds, 0.5, kind),
        body("", workload.rounds, 0.5, kind),
    )
    ways: dict[str, Way] = {
        "artifact_store": lambda number: result(str(path), number, 0.5, kind),  # type: ignore[arg-type]
        "np.save": lambda number: np.save(directory / "saved.npy", array),
        "joblib.Memory": lambda number: memoized(str(path), number, 0.5, kind),
        "body": lambda number: body(str(path), number, 0.5, kind),
    }
    ours, saving, theirs, bare = race(ways, workload.rounds, tidy)
    return [without(ours, bare), saving, without(theirs, bare)]


def without(call: Timing, bare: Timing) -> Timing:
    """What a call takes beyond its body."""
    return Timing(call.name, tuple(seconds - bare.median for seconds in call.seconds))


def main() -> str:
    """The table."""
    return tabulate("miss overhead", measure)


if __name__ == "__main__":
    print(main())
