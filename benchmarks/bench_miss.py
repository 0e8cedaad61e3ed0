"""What does keeping a result cost, beyond computing it?

A miss is a call with a param that nobody has asked for, in a store that has some entries already, and nobody waits for
the disk. What the function takes by itself, called plainly with the same params, is subtracted. `np.save` is given the
array and the name of a file, to write over it, as a script does that is run again; beside it, a new name each time,
which is cheaper for small files: those of ext4 are flushed when they are cut off to be written again. The bars are
those of the design, whose `np.save` took 165 µs: that is over a file. No entry is removed while this is timed, but
between calls the content of what has been kept is thrown away, if it is large (see `empty`).

Left out: what a full disk or a slow one would add. The rivals note neither which code made a result nor what it read
of the checkpoint, and digest nothing of what they write.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from benchmarks.baselines import save_npy, with_diskcache, with_joblib, with_npz
from benchmarks.measure import Timing, Way, race, warmups
from benchmarks.report import Answer, Bar
from benchmarks.tables import Rows, of_each, plot, ratio, table
from benchmarks.typical import Array, Body, body, kept, typical
from benchmarks.workloads import LARGE, MEDIUM, RACY_SECONDS, SMALL, Workload, write_run

SIZES = (SMALL, MEDIUM, LARGE)
OVER, NEW = "np.save over a file", "np.save to a new one"
# How many results are there already.
ENTRIES = 25
# How many are kept in a row, where that is a matter of milliseconds: see `race`.
BURST = 5
# Smaller ones do not matter to who has to find memory.
LARGE_FILE = 1 << 16

# At most, by rival and size, of the time that the rival takes.
LIMITS: Mapping[str, Mapping[str, float]] = {
    OVER: {"1 KB": 3, "1 MB": 1.6, "26 MB": 1.6},
    "joblib.Memory": {"1 KB": 1, "1 MB": 1, "26 MB": 1},
}


def main() -> Answer:
    """The table and the bars."""
    rows = of_each(SIZES, measure)
    return Answer(
        "What does keeping a result cost, beyond computing it?",
        table("miss overhead", rows),
        tuple(bars(rows)),
        (plot("Keeping a result, beyond computing it", rows, "size of the result"),),
    )


def bars(rows: Rows) -> Iterator[Bar]:
    """What was promised of misses."""
    for rival, limits in LIMITS.items():
        of = rival if rival == OVER else f"that of {rival}"
        for size, limit in limits.items():
            yield Bar(f"miss overhead of {size} / {of}", ratio(rows[size], rival), limit)  # fmt: skip


def measure(workload: Workload, directory: Path) -> list[Timing]:
    """Overheads of one size, ours first."""
    (path,) = write_run(directory / "run", 1)
    time.sleep(RACY_SECONDS)
    keepers = {
        "artifact_store": kept,
        "joblib.Memory": with_joblib(body, directory / "joblib"),
        "diskcache": with_diskcache(body, directory / "diskcache"),
    }
    for layer in range(-ENTRIES, 0):
        check(keepers, path, layer, workload)
    ways = {name: of_new_params(keep, path, workload) for name, keep in keepers.items()}
    array = body(path, 0, 0.5, workload.name)
    over, new = directory / "over.npy", to_new_names(directory / "saved", array)
    bare = of_new_params(body, path, workload)
    rounds, burst = rounds_of(workload)
    ours, *theirs, written, saved, alone = race(
        {**ways, OVER: lambda _: save_npy(over, array), NEW: new, "body": bare},
        rounds,
        burst=burst,
        before=lambda: empty(directory, workload.nbytes),
    )
    expected = ENTRIES + (rounds + warmups(rounds)) * burst
    assert count_entries(path, workload) == expected
    overheads = (one.without(alone) for one in theirs)
    hand = by_hand(workload, directory, path)
    return [ours.without(alone), written, saved, *overheads, hand]


def rounds_of(workload: Workload) -> tuple[int, int]:
    """In how many rounds it is kept, and how often in each."""
    return (15, 1) if workload.nbytes >= LARGE.nbytes else (workload.rounds, BURST)


def by_hand(workload: Workload, directory: Path, path: str) -> Timing:
    """The overhead of compressing it, apart and seldom, because it takes a hundred times as long."""
    keep = with_npz(body, directory / "npz")
    check({"npz": keep}, path, -1, workload)
    ways = {"npz": keep, "body": body}
    npz, alone = race(
        {name: of_new_params(way, path, workload) for name, way in ways.items()},
        3,
        before=lambda: empty(directory, workload.nbytes),
    )
    return npz.without(alone)


def empty(directory: Path, nbytes: int) -> None:
    """Take the content of all results that are stored, so that the next are of the same memory.

    A virtual machine has its host find each page that it uses for the first time, which takes ten times as long as
    writing it: `np.save` of 26 MB takes 5 ms or 80. Which file is made of new pages would be chance. Nobody looks at
    results that nobody asks for.
    """
    if nbytes < LARGE_FILE:
        return
    for folder, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(folder, name)
            is_result = not name.startswith(("checkpoint_", "cache.db"))
            if is_result and os.lstat(path).st_size >= LARGE_FILE:
                os.truncate(path, 0)


def check(
    keepers: Mapping[str, Body], path: str, layer: int, workload: Workload
) -> None:
    """Have everybody keep a result, and see that what they give is right."""
    expected = body(path, layer, 0.5, workload.name)
    for name, keep in keepers.items():
        found = keep(path, layer, 0.5, workload.name)
        np.testing.assert_array_equal(found, expected, err_msg=name)


def of_new_params(call: Body, path: str, workload: Workload) -> Way:
    """The call with a layer that it was never called with, each time."""
    layers = itertools.count()
    return lambda _: call(path, next(layers), 0.5, workload.name)


def to_new_names(directory: Path, array: Array) -> Way:
    """`np.save` to a file that is not there, each time."""
    directory.mkdir()
    numbers = itertools.count()
    return lambda _: save_npy(directory / f"{next(numbers)}.npy", array)


def count_entries(path: str, workload: Workload) -> int:
    """How many results our store holds: one for each call, if all were misses."""
    store = typical.call(path, 0, 0.5, workload.name).store  # type: ignore[arg-type]
    return sum(1 for _ in store.keys())


if __name__ == "__main__":
    print(main())
