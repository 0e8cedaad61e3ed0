"""What does it cost to know that a call was made before?

The parts of a hit that come before the store is asked: an unchanged checkpoint is recognised, the
guard finds that no code and no constant changed, the key is made. Of ten functions and five
constants.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from artifact_store.checkpoints import open_checkpoint
from benchmarks.measure import Way, in_words, race
from benchmarks.typical import typical
from benchmarks.workloads import RACY_SECONDS, write_checkpoint


def main() -> str:
    """The table."""
    with tempfile.TemporaryDirectory() as directory:
        path = str(
            write_checkpoint(
                Path(directory) / "run/checkpoints/checkpoint_epoch_00500.safetensors"
            )
        )
        time.sleep(RACY_SECONDS)
        guard = typical.closure.guard
        assert guard.holds()
        ways: dict[str, Way] = {
            "an unchanged checkpoint": lambda _: open_checkpoint(path),
            "the guard": lambda _: guard.holds(),
            "the key, with both": lambda _: typical.key(path, 3, 0.5, kind="x"),  # type: ignore[arg-type]
        }
        timings = race(ways, 2000)
    rows = [f"| {timing.name} | {in_words(timing.median)} |" for timing in timings]
    return "\n".join(["| part | median |", "|---|---|", *rows])


if __name__ == "__main__":
    print(main())
