"""What does it cost to look along a run: one neuron over all epochs, or one epoch?

The activations of 512 neurons at p = 113, 26 MB per epoch, through `Run.series`. First 95 epochs, 2.5 GB: one neuron of
all of them, beside plain zarr through the doors, and every file read whole. *Asked* and *fetched* bytes are told apart
as in `bench_partial_read`. Then 300 epochs, 7.8 GB, in new processes: opening, and the memory at its peak while a
single epoch or neuron is summed. Then 310: what was there is compared file by file, by what `stat` tells.

Needs 9 GB of disk for half a minute. All but one element of the activations are zeros, which nobody who reads them
knows. Left out is the drawing itself, and its memory.

    python -m benchmarks.bench_series
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from safetensors.numpy import save_file

from artifact_store import Checkpoint, Run, analysis
from benchmarks.measure import Timing, elsewhere, in_words, race
from benchmarks.report import Answer, Bar, Line, Plot
from benchmarks.typical import Array
from benchmarks.usage import asked, drop, held, peak
from benchmarks.workloads import LARGE, RACY_SECONDS

FEW, MANY, MORE = 95, 300, 310
ROOM, SMALL_BYTES = 9 << 30, 1 << 20
BYTES_LIMIT, NEURON_LIMIT, OPEN_LIMIT, PEAK_LIMIT = 0.05, 50e-3, 1.0, 300e6

Neuron = Callable[[int], Array]


@analysis(dims={"activations": ("neuron", "a", "b")}, depends_on=(type(LARGE),))
def activations(checkpoint: Checkpoint) -> Any:
    """Zeros, and one element that says which checkpoint."""
    found = np.zeros(LARGE.shape, np.float32)
    found[1, 2, 3] = checkpoint["w"][0]
    return {"activations": found}


@dataclass(frozen=True, slots=True)
class Seen:
    """What a process took that opened a series and then looked at a part of it."""

    opened: float
    looked: float
    peak: int


def extend(path: Path, first: int, last: int) -> Run:
    """A run of the epochs before `last`, of which those from `first` on are new and computed."""
    (path / "checkpoints").mkdir(parents=True, exist_ok=True)
    for epoch in range(first, last):
        name = f"checkpoints/checkpoint_epoch_{epoch:05d}.safetensors"
        save_file({"w": np.full(4, epoch, np.float32)}, path / name)
    # So that their digests are remembered.
    time.sleep(RACY_SECONDS)
    run = Run(path)
    for epoch in range(first, last):
        activations.artifact(run[epoch])
    return run


def files(run: Run) -> list[Path]:
    """The data of every epoch."""
    doors = sorted((run.path / "artifacts/activations").iterdir())
    return [door.resolve() / "activations/c.0.0.0" for door in doors]


def ways_along(run: Run) -> dict[str, Neuron]:
    """One neuron of every epoch: ours first, and those of others."""
    series, data = run.series(activations), files(run)
    doors = [str(one.parent.parent) for one in data]
    return {
        "`Run.series`": lambda neuron: series.isel(neuron=neuron).to_numpy(),
        "`zarr.open` of each door": lambda neuron: np.stack(
            [_zarr(door)[neuron] for door in doors]
        ),
        "each file read whole": lambda neuron: np.stack(
            [_whole(one)[neuron] for one in data]
        ),
    }


def _zarr(door: str) -> Any:
    return zarr.open(door, mode="r")["activations"]  # type: ignore[index]


def _whole(file: Path) -> Array:
    elements = LARGE.nbytes // 4
    return np.fromfile(file, np.float32, elements).reshape(LARGE.shape)


def bytes_of(way: Neuron, data: Sequence[Path]) -> tuple[float, float]:
    """Shares of all data that one neuron is asked for, and fetched, of files that the system has forgotten."""
    whole = len(data) * LARGE.nbytes
    for file in data:
        drop(file)
    start = asked()
    way(LARGE.shape[0] // 2)
    return (asked() - start) / whole, sum(map(held, data)) / whole


def _seen(path: Path, part: dict[str, int]) -> Seen:
    """Open the series of a run, and look at a part of it."""
    # What importing takes is `bench_import`'s to say.
    import artifact_store.stacks  # noqa: F401

    for file in files(Run(path)):
        drop(file)
    started = time.perf_counter()
    series = Run(path).series(activations)
    opened = time.perf_counter() - started
    assert not any(map(held, files(Run(path)))), "opening has read data"
    started = time.perf_counter()
    total = series.isel(part).to_numpy().sum()
    looked = time.perf_counter() - started
    assert total == part.get("epoch", 0)
    return Seen(opened, looked, peak())


@dataclass(frozen=True, slots=True)
class State:
    """What tells whether somebody has written to a file or replaced it; with what is in it, if that is little."""

    stat: tuple[int, ...]
    content: bytes

    @classmethod
    def of(cls, path: Path) -> State:
        told = os.lstat(path)
        is_small = told.st_size < SMALL_BYTES and not path.is_symlink()
        stat = told.st_ino, told.st_size, told.st_mtime_ns, told.st_ctime_ns
        return cls(stat, path.read_bytes() if is_small else b"")

    def became(self, now: State) -> str:
        """What was done to it since."""
        if self.stat == now.stat:
            return "kept"
        is_longer = now.content.startswith(self.content) and self.content != b""
        return "appended to" if is_longer and self.stat[0] == now.stat[0] else "rewritten"  # fmt: skip


def states(run: Path) -> dict[Path, State]:
    """Of every file of a run."""
    paths = (one for one in run.rglob("*") if one.is_symlink() or not one.is_dir())
    return {path: State.of(path) for path in paths}


def main() -> Answer:
    """Tables and bars."""
    with tempfile.TemporaryDirectory() as directory:
        if shutil.disk_usage(directory).free < ROOM:
            raise SystemExit(f"{directory}: 9 GB of disk are needed; set TMPDIR.")
        path = Path(directory, "run")
        run = extend(path, 0, FEW)
        ways = ways_along(run)
        expected = np.zeros((FEW, *LARGE.shape[1:]), np.float32)
        expected[:, 2, 3] = range(FEW)
        for name, way in ways.items():
            np.testing.assert_array_equal(way(1), expected, err_msg=name)
        shares = {name: bytes_of(way, files(run)) for name, way in ways.items()}
        timings = race(ways, rounds=5)

        extend(path, FEW, MANY)
        parts = {"epoch": {"epoch": 150}, "neuron": {"neuron": 150}}
        # What was written must not be on its way to the disk while something else is measured.
        os.sync()
        seen = {name: elsewhere(_seen, path, part) for name, part in parts.items()}
        before = states(path)
        extend(path, MANY, MORE)
        after = states(path)
    became = Counter(then.became(after[one]) for one, then in before.items())
    return answer(timings, shares, seen, became)


def answer(
    timings: Sequence[Timing],
    shares: dict[str, tuple[float, float]],
    seen: dict[str, Seen],
    became: Counter[str],
) -> Answer:
    """What was found, in words."""
    lines = [
        f"| one neuron over {FEW} epochs | warm | asked for | fetched, cold |",
        "|---|---|---|---|",
    ]
    for one in timings:
        times = " | ".join(f"{share:.2%}" for share in shares[one.name])
        lines.append(f"| {one.name} | {in_words(one.median)} | {times} |")
    lines += [
        "",
        f"| {MANY} epochs, cold, in a new process | opened in | looked at in | memory at its peak |",
        "|---|---|---|---|",
    ]
    for name, one_seen in seen.items():
        times = f"{in_words(one_seen.opened)} | {in_words(one_seen.looked)}"
        lines.append(f"| one {name} | {times} | {one_seen.peak / 1e6:.0f} MB |")
    rewritten = became["rewritten"]
    lines += [
        "",
        f"When {MANY} epochs became {MORE}, {rewritten} of {sum(became.values()):,} files were rewritten, "
        f"and {became['appended to']} appended to.",
    ]

    ours, share = timings[0], shares[timings[0].name]
    opened = max(one.opened for one in seen.values())
    bars = [
        Bar(f"one neuron over {FEW} epochs: bytes asked for / of the whole", share[0], BYTES_LIMIT),  # fmt: skip
        Bar(f"one neuron over {FEW} epochs: bytes fetched / of the whole", share[1], BYTES_LIMIT),  # fmt: skip
        Bar(f"one neuron over {FEW} epochs, warm", ours.median, NEURON_LIMIT, "s"),
        Bar(f"opening a series of {MANY} epochs", opened, OPEN_LIMIT, "s", "below"),
    ]
    for name, one_seen in seen.items():
        what = f"peak memory with one {name} of {MANY} epochs"
        bars.append(Bar(what, one_seen.peak, PEAK_LIMIT, "B", "below"))
    what = f"existing files rewritten when {MANY} epochs become {MORE}"
    bars.append(Bar(what, rewritten, 0))
    names = tuple(one.name.strip("`") for one in timings)
    line = Line("median", tuple(one.median for one in timings))
    plot = Plot(f"One neuron over {FEW} epochs, warm", "", "seconds", names, (line,))
    return Answer((__doc__ or "").splitlines()[0], "\n".join(lines), tuple(bars), (plot,))  # fmt: skip


if __name__ == "__main__":
    print(main())
