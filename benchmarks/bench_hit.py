"""How long does one wait for a result that is already there?

A hit is the decorated call as a user writes it: the path of a checkpoint and three params in, a verified read-only
array out, of an analysis of ten functions and five constants that reads two tensors. Beside it `np.load`, which is
given the file's name and checks nothing, and the caches that people use, which go by the checkpoint's name and never
open it. Where we map a file they read it; so the same is asked with every element summed.

*again*: the same call repeated in one process, as a cell of a notebook does. The bars are about this. Calls are timed
in bursts of five (see `race`): alone, each finds the processor's caches full of what zarr and np.load did before it,
and takes several times as long. That is shown beside.
*first*: results of many checkpoints that another process has stored, each asked for once, as a loop over epochs does.

Left out: a file system that has to fetch what it is asked for. All files were written just before.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.baselines import (
    load_npy,
    load_zarr,
    with_diskcache,
    with_joblib,
    with_npz,
)
from benchmarks.measure import Timing, Way, elsewhere, race, warmups
from benchmarks.report import Answer, Bar
from benchmarks.tables import Rows, of_each, plot, ratio, table
from benchmarks.typical import Array, Body, body, kept
from benchmarks.workloads import (
    HUGE,
    LARGE,
    MEDIUM,
    RACY_SECONDS,
    WORKLOADS,
    Workload,
    write_run,
)

SIZE = "size of the result"
BURST = 5
# So much takes seconds with zlib, and half a second with zarr.
TOO_LARGE = (HUGE,)

# From the path of a checkpoint to the result.
Hit = Callable[[str], Array]

# At most, by rival and size, of the time that the rival takes; of diskcache, less than 1.
LIMITS: Mapping[str, Mapping[str, float]] = {
    "np.load": {"1 KB": 0.40, "100 KB": 0.40, "1 MB": 0.50, "26 MB": 0.10, "256 MB": 0.01},  # fmt: skip
    "joblib.Memory": {"1 KB": 0.15, "100 KB": 0.16, "1 MB": 0.22, "26 MB": 0.04, "256 MB": 0.01},  # fmt: skip
}
SUMMED_LIMITS = {"1 MB": 0.70, "26 MB": 0.50, "256 MB": 0.30}
# Of what `np.load` takes, for zarr-python to read our 26 MB.
ZARR_LIMIT = 6


def keepers(workload: Workload, directory: Path) -> dict[str, Body]:
    """Everybody who keeps results of this size in a folder."""
    found = {
        "artifact_store": kept,
        "joblib.Memory": with_joblib(body, directory / "joblib"),
        "diskcache": with_diskcache(body, directory / "diskcache"),
    }
    if workload not in TOO_LARGE:
        found["npz"] = with_npz(body, directory / "npz")
    return found


def store(workload: Workload, directory: Path, paths: list[str]) -> None:
    """Have everybody keep the results of these checkpoints."""
    everybody = keepers(workload, directory).values()
    for path in paths:
        np.save(saved(directory, path), body(path, 7, 0.5, workload.name))
        for keep in everybody:
            keep(path, 7, 0.5, workload.name)


def saved(directory: Path, path: str) -> Path:
    """Where `np.save` puts the result of a checkpoint."""
    return directory / f"{Path(path).stem}.npy"


def hits(workload: Workload, directory: Path) -> dict[str, Hit]:
    """The ways to what `store` has stored, ours first."""
    found: dict[str, Hit] = {
        name: partial(_asked, keep, workload.name)
        for name, keep in keepers(workload, directory).items()
    }
    ours = {"artifact_store": found.pop("artifact_store")}
    return {**ours, "np.load": lambda path: load_npy(saved(directory, path)), **found}


def _asked(keep: Body, kind: str, path: str) -> Array:
    return keep(path, 7, 0.5, kind)


def check(ways: Mapping[str, Hit], workload: Workload, path: str) -> None:
    """Whether all give the result of this checkpoint."""
    expected = body(path, 7, 0.5, workload.name)
    for name, way in ways.items():
        np.testing.assert_array_equal(way(path), expected, err_msg=name)


def again(workload: Workload, directory: Path) -> tuple[list[Timing], list[Timing]]:
    """The same call, many times: in bursts, and one by one."""
    (path,) = paths = write_run(directory / "run", 1)
    store(workload, directory, paths)
    (door,) = (directory / "run/artifacts/typical").iterdir()
    found = hits(workload, directory)
    if workload not in TOO_LARGE:
        found["zarr.open"] = lambda _: load_zarr(door, "value")
    check(found, workload, path)
    time.sleep(RACY_SECONDS)
    ways = {name: partial(_once, way, path) for name, way in found.items()}
    return race(ways, workload.rounds, burst=BURST), race(ways, workload.rounds)


def _once(way: Hit, path: str, _: int) -> Array:
    return way(path)


def summed(workload: Workload, directory: Path) -> list[Timing]:
    """The same call and the sum of all elements, beside that of what `np.load` gives."""
    (path,) = write_run(directory / "run", 1)
    file, expected = saved(directory, path), body(path, 7, 0.5, workload.name)
    np.save(file, expected)
    ways: dict[str, Way] = {
        "artifact_store": lambda _: kept(path, 7, 0.5, workload.name).sum(),
        "np.load": lambda _: load_npy(file).sum(),
    }
    assert all(way(0) == expected.sum() for way in ways.values())
    time.sleep(RACY_SECONDS)
    return race(ways, workload.rounds, burst=BURST)


def first(workload: Workload, directory: Path) -> list[Timing]:
    """Each call once, of what another process has stored."""
    rounds = workload.epochs // BURST
    count = (rounds + warmups(rounds)) * BURST
    *paths, checked = write_run(directory / "run", count + 1)
    time.sleep(RACY_SECONDS)
    elsewhere(store, workload, directory, [*paths, checked])
    found = hits(workload, directory)
    check(found, workload, checked)
    ways = {name: partial(_next, way, iter(paths)) for name, way in found.items()}
    return race(ways, rounds, burst=BURST)


def _next(way: Hit, paths: Iterator[str], _: int) -> Array:
    return way(next(paths))


def main() -> Answer:
    """All tables and bars."""
    repeated = of_each(WORKLOADS, again)
    bursts, alone = ({size: both[at] for size, both in repeated.items()} for at in (0, 1))  # fmt: skip
    sums = of_each((MEDIUM, LARGE, HUGE), summed)
    others = of_each([one for one in WORKLOADS if one.epochs], first)
    tables = (
        table("*again*", bursts),
        table("*again*, and the sum", sums),
        table("*first*", others),
        table("*again*, not in bursts", alone),
    )
    return Answer(
        "How long does one wait for a result that is already there?",
        "\n\n".join(tables),
        tuple(bars(bursts, sums)),
        (
            plot("The same call again", bursts, SIZE),
            plot("The first call for each checkpoint", others, SIZE),
        ),
    )


def bars(repeated: Rows, sums: Rows) -> Iterator[Bar]:
    """What was promised of hits."""
    for rival, limits in LIMITS.items():
        for size, limit in limits.items():
            found = ratio(repeated[size], rival)
            yield Bar(f"hit of {size} / {rival}", found, limit)
    for size in repeated:
        found = ratio(repeated[size], "diskcache")
        yield Bar(f"hit of {size} / diskcache", found, 1, sense="below")
    for size, limit in SUMMED_LIMITS.items():
        found = ratio(sums[size], "np.load")
        yield Bar(f"hit of {size} and its sum / np.load and its sum", found, limit)
    of_zarr = ratio(repeated["26 MB"], "np.load", "zarr.open")
    yield Bar("zarr.open(door)[...] of 26 MB / np.load", of_zarr, ZARR_LIMIT)


if __name__ == "__main__":
    print(main())
