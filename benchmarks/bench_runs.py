"""Do many runs cost more in one store for all of them than each in a store of its own?

The same entries twice, 100 for each run: in one store, as `ARTIFACT_STORE` makes it, and in one beside each run. Timed
is what takes a moment: `find` of keys far apart, each for the first time in the process (in a store that was not opened
before, where each run has one); a key that is not there; and publishing one more. Of a thousand calls each, the median
and what one in a hundred exceeds; beside them those of the store of a single run. Then what looks at everything: all
briefs, which `ls`, `du`, `gc` and `rm` are made of; and what all lies in: bytes in blocks and inodes. A sample of both
is verified byte by byte before. The files are as `large_stores.py` makes them, and in the memory of the system.

    python -m benchmarks.bench_runs [--runs 10000] [--directory /tmp]        (ten minutes and 15 GB for 10,000)
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from artifact_store.arrays import normalize
from artifact_store.digests import digest_of
from artifact_store.keys import Key
from artifact_store.layout import Layout
from artifact_store.listing import briefs
from artifact_store.manifests import Manifest
from artifact_store.stores.base import Publication
from artifact_store.stores.local import LocalStore, open_store
from artifact_store.verify import verify
from benchmarks.bench_scale import run_with
from benchmarks.large_stores import fill, fill_one_of_many, key_of
from benchmarks.measure import elsewhere, in_words, without_garbage_collection
from benchmarks.report import Answer

RUNS, EACH, TRIES = 200, 100, 1_000
ALONE, CENTRAL, BESIDE = "one run", "one store", "a store each"


@dataclass(frozen=True, slots=True)
class Found:
    """What was found of one way to keep entries: seconds of each try, seconds to look at all, and what it takes."""

    tries: Mapping[str, Sequence[float]]
    listing: float
    entries: int
    nbytes: int
    inodes: int


@dataclass(frozen=True, slots=True)
class Kept:
    """Stores, the first of which has the entries from 0 on, and each of them as many."""

    roots: tuple[str, ...]
    each: int
    like: Manifest

    @property
    def entries(self) -> int:
        return self.each * len(self.roots)

    def places(self, tries: int) -> Iterator[tuple[str, Key]]:
        """Entries far apart, and where they are."""
        for number in range(tries):
            chosen = number * 7919 % self.entries
            yield self.roots[chosen // self.each], key_of(chosen)


def measured(kept: Kept, tries: int) -> Found:
    """All figures of one way."""
    check(kept, min(tries, 100))
    started, counted = time.perf_counter(), 0
    for root in kept.roots:
        counted += sum(1 for _ in briefs(Layout(root)))
    listing = time.perf_counter() - started
    sizes = [_on_disk(root) for root in kept.roots]
    nbytes, inodes = (sum(column) for column in zip(*sizes, strict=True))
    taken = {
        "find": timed(kept, tries, _find),
        "miss": timed(kept, tries, _miss),
        "publish": timed(kept, tries, _publish(kept.like)),
    }
    return Found(taken, listing, counted, nbytes, inodes)


def check(kept: Kept, sample: int) -> None:
    """Make sure that what was written is what a publication writes."""
    for root, key in kept.places(sample):
        (one,) = verify(open_store(root), [key])
        assert not one.problem, one
        found = LocalStore(root).find(key)
        assert found is not None and found.key == key


def timed(
    kept: Kept, tries: int, way: Callable[[LocalStore, Key], object]
) -> list[float]:
    """Seconds of each try, each with another key."""
    seconds = []
    shared = {kept.roots[0]: LocalStore(kept.roots[0])} if len(kept.roots) == 1 else {}
    with without_garbage_collection():
        for root, key in kept.places(min(tries, kept.entries)):
            started = time.perf_counter()
            way(shared.get(root) or LocalStore(root), key)
            seconds.append(time.perf_counter() - started)
    return seconds


def _find(store: LocalStore, key: Key) -> None:
    assert store.find(key) is not None


def _miss(store: LocalStore, key: Key) -> None:
    assert store.find(_other(key)) is None


def _other(key: Key) -> Key:
    return Key(key.analysis, digest_of("benchmark", b"another", key.digest.hex.encode()))  # fmt: skip


def _publish(like: Manifest) -> Callable[[LocalStore, Key], object]:
    def publish(store: LocalStore, key: Key) -> object:
        content = np.frombuffer(bytes(key.digest), np.uint8).copy()
        made = Publication(
            arrays=normalize({"value": content}),
            single=False,
            codec="raw",
            durable=False,
            details={},
            provenance=like.provenance,
            label=key.digest.short,
            kinship=key.digest.short,
        )
        return store.publish(_other(key), made)

    return publish


def _on_disk(root: str) -> tuple[int, int]:
    """Bytes in blocks, and files, links and folders."""
    nbytes = inodes = 0
    for folder, _, names in os.walk(root):
        for path in (folder, *(f"{folder}/{name}" for name in names)):
            nbytes += os.lstat(path).st_blocks * 512
            inodes += 1
        for one in os.scandir(folder):
            if one.is_symlink() and one.name not in names:
                inodes += 1  # A door leads to a folder, and is none.
    return nbytes, inodes


def main() -> Answer:
    """The answer for as many as take half a minute."""
    return measure(RUNS, TRIES)


def measure(runs: int, tries: int, place: Path | None = None) -> Answer:
    """The answer for so many runs."""
    found: dict[str, Found] = {}
    with tempfile.TemporaryDirectory(dir=place) as name, run_with(Path(name), 0) as run:
        like = next(open_store(f"{run}/artifacts").manifests())
        for way, roots in _ways(Path(name), runs).items():
            each = EACH if way != CENTRAL else EACH * runs
            for number, root in enumerate(roots):
                numbers = range(number * each, (number + 1) * each)
                if way == CENTRAL:
                    fill(root, like, each)
                else:
                    fill_one_of_many(root, like, numbers)
            found[way] = elsewhere(measured, Kept(roots, each, like), tries)
    return answer(runs, found)


def _ways(directory: Path, runs: int) -> dict[str, tuple[str, ...]]:
    return {
        ALONE: (f"{directory}/alone/artifacts",),
        CENTRAL: (f"{directory}/central",),
        BESIDE: tuple(f"{directory}/runs/{one:05d}/artifacts" for one in range(runs)),
    }


def answer(runs: int, found: Mapping[str, Found]) -> Answer:
    """Two tables."""
    lines = ["| " + " | ".join(["", *(f"{way} | 1 % over" for way in found)]) + " |"]
    lines.append("|---" * (1 + 2 * len(found)) + "|")
    for what in ("find", "miss", "publish"):
        cells = [what]
        for one in found.values():
            ordered = sorted(one.tries[what])
            last = ordered[-1 - len(ordered) // 100]
            cells += [in_words(statistics.median(ordered)), in_words(last)]
        lines.append("| " + " | ".join(cells) + " |")
    head = (
        "| | stores | entries | all looked at | per entry | bytes each | inodes each |"
    )
    lines += ["", head, "|---" * 7 + "|"]
    for way, one in found.items():
        stores = runs if way == BESIDE else 1
        each = in_words(one.listing / one.entries)
        cells = [way, f"{stores:,}", f"{one.entries:,}", in_words(one.listing), each]
        cells += [f"{one.nbytes / one.entries:,.0f}", f"{one.inodes / one.entries:.2f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return Answer((__doc__ or "").splitlines()[0], "\n".join(lines))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--directory", type=Path)
    given = parser.parse_args()
    print(measure(given.runs, TRIES, given.directory))
