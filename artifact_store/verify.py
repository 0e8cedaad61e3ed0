"""Whether everything in a store is what was published.

    key ──► manifest ──► digest of the data now ──► *Check*

Nothing is repaired and nothing is written: what is wrong is set aside, and
computed again, by the next call that needs it.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, replace
from threading import Lock

import msgspec

from artifact_store.arrays import StoredArray, digest_group
from artifact_store.descriptors import refuse_links
from artifact_store.digests import digest_of
from artifact_store.errors import ArtifactStoreError, CorruptArtifact
from artifact_store.keys import Key
from artifact_store.layout import Layout
from artifact_store.lookup import read_manifest
from artifact_store.manifests import Manifest
from artifact_store.recent import Recent
from artifact_store.stores.base import Store

# Digesting leaves the interpreter's lock, and one thread keeps up with no fast disk.
THREADS = 4
# Entries whose manifest has been read while their data wait for a thread; each array counts as one more.
AHEAD = 2000
# Of so many results it is known what was found, for entries that share them.
RESULTS = 1 << 16
# A compressed array of more bytes is looked at beside no other such one.
LARGE = 64 << 20

_unfolding = Lock()


@dataclass(frozen=True, slots=True)
class Check:
    """What was found of one entry; `problem` is empty if it is what was published."""

    key: Key
    path: str
    labels: tuple[str, ...] = ()
    problem: str = ""


def verify(store: Store, keys: Iterable[Key]) -> Iterator[Check]:
    """Check the manifest and every byte of data of each entry, in the order of `keys`."""
    pool = ThreadPoolExecutor(THREADS)
    known: Recent[str, Future[str]] = Recent(RESULTS)
    ahead: deque[tuple[Check, Future[str] | None, int]] = deque()
    waiting = 0
    try:
        for key in keys:
            found = _examined(store, key)
            if isinstance(found, Check):
                ahead.append((found, None, 1))
            else:
                # Equal results share their data, which are read once.
                same = _digest_of(found)
                problem = known.get(same)
                if problem is None:
                    problem = pool.submit(_problem, store, found.output, found.arrays)
                    known.put(same, problem)
                weight = 1 + len(found.arrays)
                ahead.append((_unread(store, key, found), problem, weight))
            waiting += ahead[-1][2]
            while waiting > AHEAD:
                check, problem, weight = ahead.popleft()
                waiting -= weight
                yield _finished(check, problem)
        for check, problem, _ in ahead:
            yield _finished(check, problem)
    finally:
        pool.shutdown(cancel_futures=True)


def _digest_of(manifest: Manifest) -> str:
    """Of what decides what is found of data: their name, and what the manifest says of them."""
    stored = msgspec.json.encode(manifest.arrays)
    return digest_of("data", manifest.output.encode(), stored).hex


def _unread(store: Store, key: Key, manifest: Manifest) -> Check:
    labels = tuple(one.label for one in manifest.provenance.inputs)
    return Check(key, Layout(store.location).group(manifest.output), labels)


def _finished(check: Check, problem: Future[str] | None) -> Check:
    return check if problem is None else replace(check, problem=problem.result())


def _examined(store: Store, key: Key) -> Manifest | Check:
    path = Layout(store.location).manifest(key)
    try:
        return read_manifest(store, key)
    except CorruptArtifact as error:
        return Check(key, path, problem=error.problem)
    except ArtifactStoreError as error:
        return Check(key, path, problem=str(error))


def _problem(store: Store, output: str, arrays: tuple[StoredArray, ...]) -> str:
    group = Layout(store.location).group(output)
    # What unfolds to gigabytes does so one at a time.
    is_large = any(one.codec != "raw" and one.nbytes > LARGE for one in arrays)
    with _unfolding if is_large else nullcontext():
        return _problem_of(store, group, output, arrays)


def _problem_of(
    store: Store, group: str, output: str, arrays: tuple[StoredArray, ...]
) -> str:
    try:
        refuse_links(os.path.dirname(group), store.location)
        found = digest_group(group, arrays)
    except CorruptArtifact as error:
        return f"{error.path.removeprefix(group).lstrip('/') or 'it'} {error.problem}"
    except (ArtifactStoreError, OSError) as error:
        return str(error)
    if found.hex != output:
        return "holds other data than were published under its name"
    return ""
