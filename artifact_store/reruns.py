"""Whether stored results come out again: some of them computed once more, in fresh processes.

    entry ──► analysis, input, params ──► *Task* ──► fresh process, twice ──► *Rerun*

A fresh process has another hash seed, another time, other random numbers and none of the state of the process of
then; by the second time, what a first computation leaves behind shows too. What an analysis asks of another one is
read from the store, so a difference is the doing of the analysis where it is found. Nothing is written.
"""

from __future__ import annotations

import ast
import os
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from multiprocessing import get_context
from typing import Any, Final, Literal, TypeAlias

import numpy as np

from artifact_store.digests import digest_of
from artifact_store.errors import ArtifactStoreError, NotKept, OnlyComputed
from artifact_store.keys import Key, key_told
from artifact_store.lookup import key_of, read_manifest
from artifact_store.manifests import Manifest
from artifact_store.memoize import Analysis
from artifact_store.modes import mode
from artifact_store.offers import analysis_named
from artifact_store.params import encode_param
from artifact_store.results import SINGLE
from artifact_store.runs import Run
from artifact_store.stores.base import Store

State: TypeAlias = Literal["same", "differs", "fails", "skipped"]

_SEED_VARIABLE: Final = "PYTHONHASHSEED"
# Of a hash seed; 0 would turn randomness off.
_SEEDS: Final = range(1, 1 << 32)


@dataclass(frozen=True, slots=True)
class Difference:
    """How an array of now differs from that of then.

    Attributes
    ----------
    elements
        How many differ in any bit; 0 where shape or dtype do.
    absolute, relative
        The largest difference, in the unit of the array and in that of the stored value.
    what
        The difference in words.
    """

    array: str
    what: str
    elements: int = 0
    absolute: float = 0.0
    relative: float = 0.0


@dataclass(frozen=True, slots=True)
class Rerun:
    """What became of an entry that was to be computed again.

    Attributes
    ----------
    why
        Of what was skipped, the reason; of what fails, the error.
    flags
        What the function was seen to do, when the entry was made, that a pure one would not.
    """

    key: Key
    labels: tuple[str, ...]
    state: State
    why: str = ""
    differences: tuple[Difference, ...] = ()
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Task:
    """An entry, and how it is computed again; it travels to a fresh process."""

    manifest: Manifest
    run: Run
    epoch: int | None


def sampled(keys: Iterable[Key], wanted: str, seed: int) -> list[Key]:
    """Some of the keys: `5%` of them but one at least, a number, or `all`; the same for the same seed."""
    known = sorted(keys, key=str)
    if wanted == "all":
        return known
    count = len(known) * float(wanted[:-1]) / 100 if wanted[-1] == "%" else int(wanted)
    number = min(len(known), max(1, ceil(count)))
    return random.Random(seed).sample(known, number)


def rerun(store: Store, run: Run, keys: Sequence[Key], n_jobs: int) -> Iterator[Rerun]:
    """Compute each entry again that can be, in a process of its own; in the order in which they are ready."""
    epochs = {run[epoch].identify(store).hex: epoch for epoch in run}
    tasks = []
    for key in keys:
        try:
            manifest = read_manifest(store, key)
        except ArtifactStoreError as error:
            yield Rerun(key, (), "skipped", f"its manifest cannot be used: {error}")
            continue
        tasks.append(Task(manifest, run, _epoch_of(manifest, epochs)))
    with _another_hash_seed():
        context = get_context("spawn")
        pool = ProcessPoolExecutor(n_jobs, context, max_tasks_per_child=1)
        try:
            for done in as_completed([pool.submit(_rerun, task) for task in tasks]):
                yield done.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _epoch_of(manifest: Manifest, epochs: Mapping[str, int]) -> int | None:
    inputs = manifest.provenance.inputs
    return epochs.get(inputs[0].digest) if len(inputs) == 1 else None


@contextmanager
def _another_hash_seed() -> Iterator[None]:
    """Have processes that are started hash words in another order than this one, and than by default."""
    before = os.environ.get(_SEED_VARIABLE)
    os.environ[_SEED_VARIABLE] = str(random.SystemRandom().choice(_SEEDS))
    try:
        yield
    finally:
        if before is None:
            del os.environ[_SEED_VARIABLE]
        else:
            os.environ[_SEED_VARIABLE] = before


class _Unable(Exception):
    """Why an entry cannot be computed again."""


def _rerun(task: Task) -> Rerun:
    """Compute an entry again, twice, and compare; in a fresh process."""
    manifest = task.manifest
    labels = tuple(one.label for one in manifest.provenance.inputs)
    flags = manifest.flags
    key = key_of(manifest)
    try:
        with mode("ro"):
            analysis = _analysis_of(manifest)
            given = _arguments(task, analysis)
            then = _stored(analysis, given, manifest)
            for _ in range(2):
                found = tuple(_differences(then, _computed(analysis, given)))
                if found:
                    return Rerun(key, labels, "differs", "", found, flags)
    except _Unable as unable:
        return Rerun(key, labels, "skipped", str(unable))
    except NotKept as fleeting:
        return Rerun(key, labels, "fails", fleeting.cause, (), flags)
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
        return Rerun(key, labels, "fails", why, (), flags)
    return Rerun(key, labels, "same")


def _analysis_of(manifest: Manifest) -> Analysis[..., Any]:
    function = manifest.provenance.function
    try:
        analysis = analysis_named(function)
    except (ArtifactStoreError, ImportError, AttributeError) as error:
        raise _Unable(f"{function} cannot be imported ({error})") from None
    if analysis.closure.digest.hex != manifest.provenance.closure:
        raise _Unable("it is of other code than today's")
    return analysis


def _arguments(task: Task, analysis: Analysis[..., Any]) -> dict[str, Any]:
    """The arguments of then, by name."""
    made = task.manifest.provenance
    given = {
        name: _param(name, record.shown, record.digest)
        for name, record in made.params.items()
        if not record.is_default
    }
    if len(made.inputs) > 1:
        raise _Unable("it was made of several inputs")
    for one in made.inputs:
        if task.epoch is None and not analysis.takes_run:
            raise _Unable(
                f"{task.run.name} has no checkpoint with what {one.label} held"
            )
        given[one.name] = task.run if task.epoch is None else task.run[task.epoch]
    return given


def _param(name: str, shown: str, digest: str) -> Any:
    try:
        value = ast.literal_eval(shown)
        if digest_of("param", encode_param(value)).hex == digest:
            return value
    except (ValueError, SyntaxError, ArtifactStoreError):
        pass
    raise _Unable(f"its param {name}={shown} cannot be read back")


def _stored(
    analysis: Analysis[..., Any], given: Mapping[str, Any], manifest: Manifest
) -> Mapping[str, Any]:
    """The arrays of an entry, provided that these arguments mean just it."""
    call = analysis.call_with(given)
    keys = {call.key, key_told(call.key, manifest.outside)}
    if key_of(manifest) not in keys:
        raise _Unable("the same call means another entry now")
    artifact = analysis.find(**given)
    if artifact is None or artifact.entry.manifest.output != manifest.output:
        raise _Unable("its data are not there, or corrupt")
    return _by_name(artifact.numpy())


def _computed(
    analysis: Analysis[..., Any], given: Mapping[str, Any]
) -> Mapping[str, Any]:
    try:
        analysis.recompute(**given)
    except NotKept:
        raise
    except OnlyComputed as made:
        return _by_name(made.result)
    raise AssertionError("a store was written to that is not to be")


def _by_name(result: Any) -> Mapping[str, Any]:
    return result if isinstance(result, Mapping) else {SINGLE: result}


def _differences(
    then: Mapping[str, Any], now: Mapping[str, Any]
) -> Iterator[Difference]:
    for name in sorted(then.keys() | now.keys()):
        if name not in now or name not in then:
            yield Difference(name, "is new" if name in now else "is gone")
            continue
        was, found = np.asarray(then[name]), np.asarray(now[name])
        if (was.shape, was.dtype) != (found.shape, found.dtype):
            kinds = [f"{one.dtype} of shape {one.shape}" for one in (was, found)]
            yield Difference(name, f"was {kinds[0]}, and is {kinds[1]}")
        elif was.tobytes() != found.tobytes():
            yield _difference(name, was, found)


def _difference(name: str, was: Any, found: Any) -> Difference:
    """The largest difference between two arrays of one shape and dtype that are not the same bits."""
    bytes_each = (-1, was.dtype.itemsize)
    bits = [
        np.ascontiguousarray(one).view(np.uint8).reshape(bytes_each)
        for one in (np.atleast_1d(was), np.atleast_1d(found))
    ]
    elements = int((bits[0] != bits[1]).any(axis=1).sum())
    with np.errstate(all="ignore"):
        wide = complex if was.dtype.kind == "c" else np.longdouble
        gap = np.abs(found.astype(wide) - was.astype(wide)).reshape(-1)
        share = gap / np.abs(was.astype(wide)).reshape(-1)
    absolute = float(np.nanmax(gap)) if not np.isnan(gap).all() else float("nan")
    relative = float(np.nanmax(share)) if not np.isnan(share).all() else float("nan")
    what = (
        f"differs in {elements:,} of {was.size:,} elements, by {absolute:.3g} at most"
    )
    return Difference(
        name, f"{what} ({relative:.2g} of its value)", elements, absolute, relative
    )
