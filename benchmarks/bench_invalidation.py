"""After an edit, what is computed for nothing, and what is not computed although it must?

The rows of `tests/mutations`, each put to several libraries: the project is filled with results, edited on disk as the
row says, and every analysis is called again in a new interpreter. The same is done once without any library, which
tells what the answers should have been. `make bench` takes a row of eighteen, as a sample; all of them take 13 minutes.

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
from benchmarks.peers.trials import OURS, Lane, Outcome, Verdict
from benchmarks.report import Answer, Line, Plot

# What is installed for each.
DISTRIBUTIONS: Mapping[str, tuple[str, ...]] = {
    OURS: ("artifact-store",),
    "joblib": ("joblib",),
    "cachier": ("cachier",),
    "charmonium": ("charmonium.cache", "charmonium.freeze"),
    "checkpointer": ("checkpointer",),
}

# A row of so many is what `make bench` has time for.
SAMPLE = 18

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


def main() -> Answer:
    """What is compared, and the tables of a sample of the rows."""
    return answer(every(SAMPLE, edits()), tuple(DISTRIBUTIONS), (by_verdict,))


def every(step: int, kinds: Mapping[Row, str]) -> Mapping[Row, str]:
    """A row of so many, as a sample."""
    return dict(list(kinds.items())[::step])


def answer(
    kinds: Mapping[Row, str],
    libraries: tuple[str, ...],
    tables: Sequence[Table] = (by_verdict, by_kind),
    jobs: int = 2,
) -> Answer:
    """What is compared, and these tables of these rows."""
    told = f"{len(kinds)} of {len(edits())} rows: {versions(libraries)}."
    outcomes = measure(tuple(kinds), libraries, jobs)
    drawn = (table(outcomes, kinds, libraries) for table in tables)
    return Answer(
        "After an edit, what is computed for nothing, and what is not computed although it must?",
        "\n\n".join([told, *drawn]),
        plots=(plot(outcomes, libraries),),
    )


def plot(outcomes: Outcomes, libraries: tuple[str, ...]) -> Plot:
    """The shares that are right, of edits that matter and of others."""
    lines = []
    for name, matters in (("that matter", True), ("that do not", False)):
        rows = [found for row, found in outcomes.items() if bool(row.computed) is matters]  # fmt: skip
        columns = zip(*rows, strict=True)
        shares = (
            100 * sum(one.verdict is Verdict.RIGHT for one in column) / len(column)
            for column in columns
        )
        lines.append(Line(f"edits {name}", tuple(shares)))
    return Plot(
        "Edits after which just what must be is computed",
        "",
        "% of edits",
        libraries,
        tuple(line for line in lines if line.values),
        is_logarithmic=False,
    )


def command_line() -> Answer:
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

    found = {row: kind for row, kind in edits().items() if options.only in row.title}
    return answer(
        every(options.every, found),
        tuple(options.library or DISTRIBUTIONS),
        (by_row, by_verdict, by_kind) if options.rows else (by_verdict, by_kind),
        options.jobs,
    )


if __name__ == "__main__":
    print(command_line())
