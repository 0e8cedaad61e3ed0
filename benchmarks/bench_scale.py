"""Does a store with very many entries answer as an empty one does?

A hit, as a user writes it, is timed in a store that holds nothing else and in one with all those entries beside; and
finding any of the entries, each for the first time, in that one and in one with a hundredth of them. Then what one
waits for `ls`, `du` and `gc`, typed at a prompt: each in a process of its own, with its memory at its peak. *Per entry*
is of the time that it had a processor, which others may want too, and without what it takes to start, which the empty
store tells. `gc` finds and removes a percent of the data, which no entry names. For these no limit was promised; that
they are linear is held to the one for hits.

The stores are real (`large_stores.py` says how they are made): 4 analyses, 1,000 labels, as many params as it takes, a
door for each entry, and data that 20 entries share. They lie in memory if that has room: a disk adds its own time. Left
out are the records that publishing leaves beside the entries, of which `du` only adds up the sizes.

    python -m benchmarks.bench_scale [--entries 1000000]        (five minutes and 7 GB for a million)
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from artifact_store import Checkpoint, analysis
from artifact_store.keys import Key
from artifact_store.stores.local import open_store
from benchmarks.large_stores import fill, key_of, orphans
from benchmarks.measure import Timing, Way, elsewhere, in_words, race
from benchmarks.report import Answer, Bar, Line, Plot
from benchmarks.workloads import RACY_SECONDS

ENTRIES = 200_000
CHECKPOINTS = 100
LIMIT = 1.5
# In memory, if the system offers that and has room for files of this size in blocks.
MEMORY, BYTES, FILES = Path("/dev/shm"), 8_000, 3
VERBS = ("ls", "du", "gc")
# What the command is, and then its memory.
TYPED = """
import sys, time
from artifact_store.cli import main
from benchmarks.usage import peak
status = main()
print(peak(), time.process_time(), file=sys.stderr)
raise SystemExit(status)
"""


@analysis
def measured(checkpoint: Checkpoint) -> float:
    """What is hit."""
    return float(checkpoint["w"].sum())


@dataclass(frozen=True, slots=True)
class Spent:
    """What one command took: seconds, those of them that it had a processor, and bytes of memory at its peak."""

    seconds: float
    worked: float
    peak: int


@contextmanager
def run_with(directory: Path, entries: int) -> Iterator[Path]:
    """A run whose store has `entries` beside those of its checkpoints; gone afterwards."""
    run = directory / f"run_{entries}"
    (run / "checkpoints").mkdir(parents=True)
    for epoch in range(CHECKPOINTS):
        path = run / f"checkpoints/checkpoint_epoch_{epoch:05d}.safetensors"
        save_file({"w": np.full(256, epoch, np.float32)}, path)
    # So that their digests are remembered.
    time.sleep(RACY_SECONDS)
    for path in checkpoints(run):
        measured(path)
    store = f"{run}/artifacts"
    if entries:
        fill(store, next(open_store(store).manifests()), entries)
    yield run
    # Three times as fast as `shutil.rmtree`.
    subprocess.run(["rm", "-r", str(run)], check=True)


def checkpoints(run: Path) -> list[Any]:
    """The paths of those of a run."""
    return sorted(map(str, (run / "checkpoints").iterdir()))


def again(empty: Path, few: Path, full: Path) -> list[Timing]:
    """Hits in a process that has had them before, and finding other entries for the first time."""
    nth = {run: cycle(checkpoints(run)) for run in (empty, full)}
    others = {run: (open_store(f"{run}/artifacts"), keys(run)) for run in (few, full)}

    def found(run: Path) -> object:
        store, others_of_it = others[run]
        return store.find(next(others_of_it))

    ways: dict[str, Way] = {
        "hit, empty": lambda _: measured(next(nth[empty])),
        "hit, full": lambda _: measured(next(nth[full])),
        "find, few": lambda _: found(few),
        "find, full": lambda _: found(full),
    }
    assert all(way(0) is not None for way in ways.values())
    return race(ways, 100, burst=5)


def keys(run: Path) -> Iterator[Key]:
    """Those of the other entries of a run, each once, far apart."""
    entries = int(run.name.removeprefix("run_"))
    return (key_of(number * 7919 % entries) for number in range(entries))


def first(empty: Path, full: Path) -> list[Timing]:
    """The first hit of each checkpoint in a new process."""
    runs = {"first, empty": empty, "first, full": full}
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(4):
        for name in list(runs) if number % 2 else reversed(list(runs)):
            taken[name] += elsewhere(_first, runs[name])
    return [Timing(name, tuple(seconds)) for name, seconds in taken.items()]


def _first(run: Path) -> list[float]:
    seconds = []
    for path in checkpoints(run):
        started = time.perf_counter()
        measured(path)
        seconds.append(time.perf_counter() - started)
    return seconds


def spent(verb: str, run: Path, entries: int) -> Spent:
    """What a verb takes of a run, in a process of its own, once it has said what it should."""
    command = [sys.executable, "-c", TYPED, verb, str(run)]
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds = time.perf_counter() - started
    assert said(verb, entries) in done.stdout, done.stdout
    memory, worked = done.stderr.split()
    return Spent(seconds, float(worked), int(memory))


def said(verb: str, entries: int) -> str:
    """What a verb says that has looked at everything."""
    if verb == "gc":
        return f" {orphans(entries):,} " if entries else "Nothing to remove"
    is_listed = verb == "ls" and not entries
    return "checkpoint_epoch_00099" if is_listed else f"{entries + CHECKPOINTS:,}"


def main() -> Answer:
    """The answer for as many as take a minute."""
    return measure(ENTRIES)


def measure(entries: int) -> Answer:
    """The answer for so many entries."""
    place = MEMORY if _has_room(MEMORY, entries) else None
    with (
        tempfile.TemporaryDirectory(dir=place) as name,
        run_with(Path(name), 0) as empty,
        run_with(Path(name), entries // 100) as few,
    ):
        directory, verbs = Path(name), {}
        verbs[0] = {verb: spent(verb, empty, 0) for verb in VERBS}
        verbs[entries // 100] = {
            verb: spent(verb, few, entries // 100) for verb in VERBS
        }
        with run_with(directory, entries // 10) as many:
            verbs[entries // 10] = {
                verb: spent(verb, many, entries // 10) for verb in VERBS
            }
        with run_with(directory, entries) as full:
            timings = again(empty, few, full) + first(empty, full)
            verbs[entries] = {verb: spent(verb, full, entries) for verb in VERBS}
    return answer(entries, {one.name: one.median for one in timings}, verbs)


def _has_room(place: Path, entries: int) -> bool:
    if not place.is_dir():
        return False
    free = os.statvfs(place)
    is_large = free.f_bavail * free.f_frsize > entries * BYTES
    return is_large and free.f_favail > entries * FILES


def answer(
    entries: int,
    medians: Mapping[str, float],
    verbs: Mapping[int, Mapping[str, Spent]],
) -> Answer:
    """Tables, bars and a plot."""
    few, many = f"{entries // 100:,}", f"{entries:,}"
    rows = [
        ("a hit", "none", medians["hit, empty"], medians["hit, full"]),
        ("the first hit in a process", "none", medians["first, empty"], medians["first, full"]),
        ("`find` of any other entry", few, medians["find, few"], medians["find, full"]),
    ]  # fmt: skip
    lines = [f"| | other entries | | {many} | ratio |", "|---|---|---|---|---|"]
    for what, others, before, after in rows:
        ratio = f"{after / before:.2f}"
        lines.append(f"| {what} | {others} | {in_words(before)} | {in_words(after)} | {ratio} |")  # fmt: skip
    bars = [
        Bar(f"{what.replace('`', '')}, beside {many} entries / beside {others}", after / before, LIMIT)  # fmt: skip
        for what, others, before, after in rows
    ]
    each = {verb: [_each(verbs, size, verb) for size in (entries // 10, entries)] for verb in VERBS}  # fmt: skip
    bars += [
        Bar(f"{verb} of {many} entries / of a tenth, per entry", whole / tenth, LIMIT)
        for verb, (tenth, whole) in each.items()
    ]
    sizes = [size for size in verbs if size]
    drawn = [Line(verb, tuple(verbs[size][verb].seconds for size in sizes)) for verb in VERBS]  # fmt: skip
    plot = Plot("All of a store", "entries", "seconds", tuple(map(float, sizes)), tuple(drawn))  # fmt: skip
    text = "\n".join([*lines, "", *_table(verbs)])
    return Answer((__doc__ or "").splitlines()[0], text, tuple(bars), (plot,))


def _each(verbs: Mapping[int, Mapping[str, Spent]], entries: int, verb: str) -> float:
    """Seconds of a processor per entry, without what it takes to start."""
    return (verbs[entries][verb].worked - verbs[0][verb].worked) / entries


def _table(verbs: Mapping[int, Mapping[str, Spent]]) -> Iterator[str]:
    """A row per size; of each verb the time, that of one entry, and the memory."""
    yield "| entries | " + " | ".join(f"{verb} | per entry | memory" for verb in VERBS) + " |"  # fmt: skip
    yield "|---" * (1 + 3 * len(VERBS)) + "|"
    for entries, found in verbs.items():
        cells = []
        for verb, one in found.items():
            each = in_words(_each(verbs, entries, verb)) if entries else ""
            cells.append(f"{in_words(one.seconds)} | {each} | {one.peak / 1e6:.0f} MB")
        yield f"| {entries:,} | " + " | ".join(cells) + " |"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--entries", type=int, default=ENTRIES)
    print(measure(parser.parse_args().entries))
