"""What does it cost to know that a call was made before?

The parts of a hit that come before the store is asked: an unchanged checkpoint is recognised, the
guard finds that no code and no constant changed, the key is made. Of ten functions and five
constants; and what a table of 10 MB among them adds, whose content is compared at each call. A loop
that does nothing of ours says how fast the machine is just now.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from artifact_store.checkpoints import open_checkpoint
from benchmarks.measure import Way, in_words, race
from benchmarks.typical import tabled, typical
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
        guard, large = typical.closure.guard, tabled.closure.guard
        assert guard.holds() and large.holds()
        ways: dict[str, Way] = {
            "a loop of 200 additions": lambda _: sum(range(200)),
            "an unchanged checkpoint": lambda _: open_checkpoint(path),
            "the guard": lambda _: guard.holds(),
            "the guard, with a table of 10 MB": lambda _: large.holds(),
            "the key, with both": lambda _: typical.key(path, 3, 0.5, kind="x"),  # type: ignore[arg-type]
        }
        timings = race(ways, 2000)
    rows = [f"| {timing.name} | {in_words(timing.median)} |" for timing in timings]
    return "\n".join(["| part | median |", "|---|---|", *rows])


if __name__ == "__main__":
    print(main())
