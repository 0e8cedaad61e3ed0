"""After an edit, what is computed for nothing, and what is not computed although it must?

The rows of `tests/mutations`, each put to several libraries: the project is filled with results, edited on disk as the
row says, and every analysis is called again in a new interpreter. The same is done once without any library, which
tells what the answers should have been.

    python -m benchmarks.bench_invalidation [--library joblib ...] [--only TEXT] [--every N] [--rows] [--jobs 2]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from queue import SimpleQueue

from tqdm import tqdm

from benchmarks.peers.edits import Row, edits
from benchmarks.peers.scores import Outcomes, Table, by_kind, by_row, by_verdict
from benchmarks.peers.trials import OURS, Lane, Outcome

# What is installed for each.
DISTRIBUTIONS: Mapping[str, tuple[str, ...]] = {
    OURS: ("artifact-store",),
    "joblib": ("joblib",),
    "cachier": ("cachier",),
    "charmonium": ("charmonium.cache", "charmonium.freeze"),
    "checkpointer": ("checkpointer",),
}

# In memory, if the system offers that: every row copies and removes the project once for each library.
MEMORY = Path("/dev/shm")


def measure(
    chosen: Sequence[Row], libraries: tuple[str, ...], jobs: int = 2
) -> Outcomes:
    """What each library makes of each of these rows, so many at once."""
    free: SimpleQueue[Lane] = SimpleQueue()

    def carry_out(row: Row) -> list[Outcome]:
        lane = free.get()
        try:
            return lane.outcomes(row)
        finally:
            free.put(lane)

    with (
        tempfile.TemporaryDirectory(
            dir=MEMORY if MEMORY.is_dir() else None
        ) as directory,
        ThreadPoolExecutor(jobs) as threads,
    ):
        roots = (Path(directory, str(number)) for number in range(jobs))
        for lane in threads.map(lambda root: Lane.laid(root, libraries), roots):
            free.put(lane)
        found = threads.map(carry_out, chosen)
        bar = tqdm(found, total=len(chosen), unit="row", file=sys.stderr)
        return dict(zip(chosen, list(bar)))


def versions(libraries: Sequence[str]) -> str:
    """What is compared, in words."""
    try:
        named = [
            f"{one} {version(one)}" for of in libraries for one in DISTRIBUTIONS[of]
        ]
    except PackageNotFoundError as error:
        raise SystemExit(
            f"{error.name} is not installed: pip install -e '.[bench]', or choose with --library."
        ) from None
    return ", ".join(named)


def main() -> str:
    """What is compared, and the tables of all rows."""
    return report(edits(), tuple(DISTRIBUTIONS))


def report(
    kinds: Mapping[Row, str],
    libraries: tuple[str, ...],
    tables: Sequence[Table] = (by_verdict, by_kind),
    jobs: int = 2,
) -> str:
    """What is compared, and these tables of these rows."""
    named = versions(libraries)
    outcomes = measure(tuple(kinds), libraries, jobs)
    return "\n\n".join(
        [named, *(table(outcomes, kinds, libraries) for table in tables)]
    )


def command_line() -> str:
    """The tables of the rows and libraries that were asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--library", action="append", choices=DISTRIBUTIONS, help="may be repeated"
    )
    parser.add_argument(
        "--only", default="", metavar="TEXT", help="rows with TEXT in their title"
    )
    parser.add_argument(
        "--every", type=int, default=1, metavar="N", help="a row of N, as a sample"
    )
    parser.add_argument("--rows", action="store_true", help="print every row as well")
    parser.add_argument("--jobs", type=int, default=2, help="how many rows at once")
    options = parser.parse_args()

    found = [(row, kind) for row, kind in edits().items() if options.only in row.title]
    return report(
        dict(found[:: options.every]),
        tuple(options.library or DISTRIBUTIONS),
        (by_row, by_verdict, by_kind) if options.rows else (by_verdict, by_kind),
        options.jobs,
    )


if __name__ == "__main__":
    print(command_line())
