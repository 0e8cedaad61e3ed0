"""What does a call cost whose results are in object storage: in requests, bytes and time?

One analysis with one array, along checkpoints on disk; moto's server on this machine, behind a line that counts
requests and keeps each waiting for 20 ms, about a round trip to a bucket in the same region.

*first miss*: nobody has computed the analysis. *miss*: others of the run are there. *hit*: by a process that has seen
nothing of it, which reads the array. *hit again*: by the same process. *near*: through a tier that has kept it.
*zarr*: the same array, opened and read by plain zarr, by its path. *looked up*: 100 manifests, one by one and together.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from artifact_store import AnalysisPipeline, Checkpoint, Run, analysis, storing_in, tier
from artifact_store.buckets import Bucket, open_bucket
from artifact_store.stores.remote import RemoteStore
from benchmarks.measure import in_words
from benchmarks.object_storage import Line, clients_of, line_to, moto
from benchmarks.report import Answer, Bar

ROUNDS, SECONDS, MANY = 20, 0.02, 100
SIDE = 512  # One array of 2 MB.


@analysis
def outer(checkpoint: Checkpoint) -> Any:
    return np.outer(checkpoint["w"], checkpoint["w"])


def main() -> Answer:
    """The table and the bars."""
    return measure(ROUNDS, SECONDS, MANY)


def measure(rounds: int, seconds: float, many: int) -> Answer:
    """The same, of so many rounds and manifests, on a line that takes so long."""
    with tempfile.TemporaryDirectory() as directory, moto() as server:
        with line_to(server) as line, clients_of(server, line.url):
            server.make_bucket("bench")
            line.seconds = seconds
            rows = _rows(Path(directory), line, rounds)
            one_by_one, together = _looked_up(Path(directory), line, many)
    cells = [
        f"| {name} | {requests} | {received:,} | {in_words(took)} |"
        for name, (requests, received, took) in rows.items()
    ]
    head = [
        f"| medians of {rounds}; 2 MB | requests | bytes received | time |",
        "|---|---|---|---|",
    ]
    ahead = (
        f"{many} keys of a run looked up: one by one {in_words(one_by_one)}, together {in_words(together)} "
        f"({one_by_one / together:.0f} times as quick)."
    )
    return Answer(
        "What does a call cost whose results are in object storage: in requests, bytes and time?",
        "\n".join([*head, *cells]) + f"\n\n{ahead}",
        (
            Bar("requests of a hit", rows["hit"][0], 2),
            Bar("requests of a first miss", rows["first miss, find"][0], 1),
            Bar("hit / plain zarr", rows["hit"][2] / rows["zarr"][2], 1),
        ),
    )


def _rows(
    folder: Path, line: Line, rounds: int
) -> dict[str, tuple[float, float, float]]:
    rng, taken = np.random.default_rng(0), dict[str, list[tuple[int, int, float]]]()

    @contextmanager
    def noted(name: str) -> Iterator[None]:
        with line.noting() as requests:
            started = time.perf_counter()
            yield
            took = time.perf_counter() - started
        received = sum(one.received for one in requests)
        taken.setdefault(name, []).append((len(requests), received, took))

    for number in range(rounds):
        url = f"s3://bench/{number}"
        paths = [
            _checkpoint(folder, f"{number}-{one}", rng.normal(size=SIDE))
            for one in "ab"
        ]
        store = RemoteStore(Bucket(url))
        with storing_in(store):
            with noted("first miss, find"):
                assert store.find(outer.key(paths[0])) is None
            with noted("first miss, computed and published"):
                outer(paths[0])
            with noted("miss, computed and published"):
                outer(paths[1])
        fresh = RemoteStore(Bucket(url))
        with storing_in(fresh):
            with noted("hit"):
                found = outer(paths[0])
            with noted("hit again"):
                outer(paths[0])
            made = outer.artifact(paths[0])
            with noted("one row of a hit"):
                made[made.keys()[0]][7]
        near = tier(str(folder / f"near{number}"), url)
        with storing_in(near):
            with noted("hit through a tier"):
                outer(paths[0])
            with noted("near"):
                outer(paths[0])
        with noted("zarr"):
            same = _by_zarr(url, made.place)
        assert np.array_equal(found, same)
    middle: Callable[[Any], float] = statistics.median
    return {
        name: (
            middle(one[0] for one in some),
            int(middle(one[1] for one in some)),
            middle(one[2] for one in some),
        )
        for name, some in taken.items()
    }


def _checkpoint(folder: Path, name: str, values: Any) -> Any:
    path = folder / name / "checkpoints/checkpoint_epoch_00000.safetensors"
    path.parent.mkdir(parents=True)
    save_file({"w": values}, path)
    return path


def _by_zarr(url: str, place: str) -> Any:
    import zarr
    from zarr.storage import ObjectStore

    store = ObjectStore(Bucket(url).opened, read_only=True)
    group: Any = zarr.open_group(store, path=place.removeprefix(f"{url}/"), mode="r")
    return group["value"][...]


def _looked_up(folder: Path, line: Line, many: int) -> tuple[float, float]:
    """Seconds for the manifests of a run, one by one and together."""
    store = RemoteStore(open_bucket("s3://bench/many"))
    run = folder / "run/checkpoints"
    run.mkdir(parents=True)
    for epoch in range(many):
        save_file(
            {"w": np.full(3, float(epoch))},
            run / f"checkpoint_epoch_{epoch:05d}.safetensors",
        )
    line_seconds, line.seconds = line.seconds, 0.0
    with storing_in(store):
        AnalysisPipeline(Run(run.parent)).run([outer])
    line.seconds = line_seconds
    keys = list(store.keys())
    assert len(keys) == many
    started = time.perf_counter()
    assert all(store.find(key) for key in keys)
    one_by_one = time.perf_counter() - started
    started = time.perf_counter()
    store.foresee(keys)
    assert all(store.find(key) for key in keys)
    return one_by_one, time.perf_counter() - started


if __name__ == "__main__":
    print(main())
