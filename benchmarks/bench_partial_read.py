"""What does one row cost of a result that is much larger?

One neuron of the activations of 512 at p = 113: 51 KB of 26 MB, through `artifact["activations"][neuron]`, with every
element summed. Beside it numpy's own map of the same array, the whole file read, and plain zarr, which reads the inner
chunk of 1 MB that has the row.

Time is that of a warm file. Bytes are counted in two ways: those that a reader *asks* the system for, which the bar is
about; and those that the system *fetches* for it from the disk if it holds none of the file: whole pages of 4 KB, and
what it reads ahead. A map asks for nothing, and a page that is touched fetches all around it, which counts instead.
Left out is what the disk itself does with a page.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import zarr

from artifact_store import Checkpoint, analysis
from benchmarks.baselines import load_npy
from benchmarks.measure import Timing, in_words, race
from benchmarks.report import Answer, Bar, Line, Plot
from benchmarks.usage import asked, drop, held
from benchmarks.workloads import LARGE, RACY_SECONDS, write_checkpoint

ROW_BYTES = LARGE.nbytes // LARGE.shape[0]
BYTES_LIMIT, SECONDS_LIMIT = 1.05, 100e-6
# Far apart, so that none profits from what the system read ahead for another; not the first, where it always does.
ROWS = tuple(range(1, LARGE.shape[0], 37))

Sum = Callable[[int], float]


@analysis(dims={"activations": ("neuron", "a", "b")})
def grid(checkpoint: Checkpoint) -> Any:
    """What is read in part."""
    return {"activations": np.random.default_rng(0).random(LARGE.shape, np.float32)}


@dataclass(frozen=True, slots=True)
class Way:
    """One way to the sum of a row, and the file that it reads."""

    sum: Sum
    file: Path


def ways_to(directory: Path) -> dict[str, Way]:
    """Ours first, and those of others."""
    name = "run/checkpoints/checkpoint_epoch_00500.safetensors"
    path = write_checkpoint(directory / name)
    artifact, saved = grid.artifact(path), directory / "saved.npy"  # type: ignore[arg-type]
    np.save(saved, artifact["activations"][...])
    ours, door = artifact["activations"], artifact.path
    time.sleep(RACY_SECONDS)

    def from_call(row: int) -> float:
        found = grid.find(path)  # type: ignore[arg-type]
        assert found is not None
        return float(found["activations"][row].sum())

    file = door / "activations/c.0.0.0"
    return {
        "`artifact[name][row]`": Way(lambda row: float(ours[row].sum()), file),
        "`analysis.find(path)[name][row]`": Way(from_call, file),
        "`np.load(mmap_mode='r')[row]`": Way(
            lambda row: float(np.load(saved, mmap_mode="r")[row].sum()), saved
        ),
        "`np.load()[row]`": Way(lambda row: float(load_npy(saved)[row].sum()), saved),
        "`zarr.open(door)[name][row]`": Way(
            lambda row: float(np.sum(_zarr(door)[row])), file
        ),
    }


def _zarr(door: Path) -> Any:
    return zarr.open(door, mode="r")["activations"]  # type: ignore[index]


@dataclass(frozen=True, slots=True)
class Bytes:
    """What one way takes of a row: medians over rows."""

    asked: float
    fetched: float

    @property
    def read(self) -> float:
        """What the bar is about: what was asked for, or of a map, which asks for nothing, what was fetched."""
        return self.asked if self.asked >= ROW_BYTES else self.fetched


def bytes_of(way: Way) -> Bytes:
    """Bytes asked for and fetched, each row read of a file that the system has forgotten."""
    found = [(_asked(way, row), _fetched(way, row)) for row in ROWS]
    return Bytes(*map(median, zip(*found, strict=True)))


def _asked(way: Way, row: int) -> int:
    # Asking itself reads a little.
    before, start = asked(), asked()
    way.sum(row)
    return asked() - start - (start - before)


def _fetched(way: Way, row: int) -> int:
    drop(way.file)
    way.sum(row)
    return held(way.file)


def main() -> Answer:
    """The table, and the bars."""
    with tempfile.TemporaryDirectory() as directory:
        ways = ways_to(Path(directory))
        sums = {name: [way.sum(row) for row in ROWS] for name, way in ways.items()}
        assert len(set(map(tuple, sums.values()))) == 1, "they do not read the same"
        counted = {name: bytes_of(way) for name, way in ways.items()}
        rows = {name: _nth_row(way.sum) for name, way in ways.items()}
        timings = race(rows, rounds=60, burst=3)
    return answer(timings, counted)


def _nth_row(of: Sum) -> Callable[[int], object]:
    return lambda number: of(ROWS[number % len(ROWS)])


def answer(timings: list[Timing], counted: Mapping[str, Bytes]) -> Answer:
    """What was found, in words."""
    lines = [
        "| a row of 51 KB | warm | asked for | fetched, cold |",
        "|---|---|---|---|",
    ]
    for one in timings:
        found = counted[one.name]
        times = (f"{count / ROW_BYTES:.3g}×" for count in (found.asked, found.fetched))
        lines.append(" | ".join([f"| {one.name}", in_words(one.median), *times]) + " |")
    ours = timings[0]
    bars = (
        Bar("one row of 26 MB: bytes read / of the row", counted[ours.name].read / ROW_BYTES, BYTES_LIMIT),  # fmt: skip
        Bar("one row of 26 MB through Artifact[...]", ours.median, SECONDS_LIMIT, "s"),
    )
    names = tuple(one.name.strip("`") for one in timings)
    line = Line("median", tuple(one.median for one in timings))
    plot = Plot("One row of 26 MB", "", "seconds", names, (line,))
    return Answer((__doc__ or "").splitlines()[0], "\n".join(lines), bars, (plot,))


if __name__ == "__main__":
    print(main())
