"""Whether stored results come out again: some of them computed once more, in fresh processes.

    entry ──► analysis, inputs, params ──► *Task* ──► fresh process, twice ──► *Rerun*

A fresh process has another hash seed, another time, other random numbers and none of the state of the process of
then; by the second time, what a first computation leaves behind shows too. What an analysis asks of another one is
read from the store, so a difference is the doing of the analysis where it is found. Nothing is written.
"""

from __future__ import annotations

import ast
import platform
import random
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from math import ceil
from typing import Any, Final, Literal, TypeAlias

from artifact_store.artifacts import Artifact
from artifact_store.calls import Call, versions_of
from artifact_store.differences import Difference, differences
from artifact_store.digests import digest_of
from artifact_store.errors import (
    ArtifactStoreError,
    CorruptArtifact,
    KeepRefused,
    NotKept,
    OnlyComputed,
)
from artifact_store.keys import Key, key_told
from artifact_store.lookup import key_of, read_manifest
from artifact_store.manifests import InputRecord, Manifest, Provenance
from artifact_store.memoize import Analysis
from artifact_store.modes import mode
from artifact_store.offers import analysis_named
from artifact_store.params import encode_param
from artifact_store.processes import Ended, in_fresh_processes
from artifact_store.results import SINGLE
from artifact_store.runs import Run
from artifact_store.stores.around import ReadOnlyStore
from artifact_store.stores.base import Store

State: TypeAlias = Literal["same", "differs", "fails", "corrupt", "skipped"]

# What of an entry is not as it ought to be.
FINDINGS: Final = frozenset[State]({"differs", "fails", "corrupt"})

# A release of ours that computes other numbers would say so, and changes keys.
_OURS: Final = "artifact_store"

# By the digest of each input of a run: the epochs that hold it, by label; of the run itself, none.
Places: TypeAlias = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class Rerun:
    """What became of an entry that was to be computed again.

    Attributes
    ----------
    why
        Of what was skipped, the reason; of what fails or is corrupt, the error.
    hints
        Of what differs or fails: what may be the cause.
    """

    key: Key
    labels: tuple[str, ...]
    state: State
    why: str = ""
    differences: tuple[Difference, ...] = ()
    hints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Task:
    """An entry, and where its inputs are now; it travels to a fresh process."""

    manifest: Manifest
    run: Run
    places: Places


def sampled(keys: Iterable[Key], wanted: str, seed: int) -> list[Key]:
    """Some of the keys: `5%` of them but one at least, a number, or `all`; the same for the same seed."""
    known = sorted(keys, key=str)
    if wanted == "all":
        return known
    count = len(known) * float(wanted[:-1]) / 100 if wanted[-1] == "%" else int(wanted)
    number = min(len(known), max(1, ceil(count)))
    return random.Random(seed).sample(known, number)


def rerun(
    store: Store, run: Run, keys: Sequence[Key], trusted: Container[str], n_jobs: int
) -> Iterator[Rerun]:
    """Compute each entry again that can be; in the order in which they are ready.

    Parameters
    ----------
    trusted
        The functions that may be imported, as `module:function`: a store may come from a stranger, who names any.
    """
    places = _places(store, run) if keys else {}
    tasks = []
    for key in keys:
        try:
            manifest = read_manifest(store, key)
        except CorruptArtifact as error:
            yield Rerun(key, (), "corrupt", f"its manifest {error.problem}")
        except ArtifactStoreError as error:
            yield Rerun(key, (), "skipped", str(error))
        else:
            function = manifest.provenance.function
            if function not in trusted:
                why = _untrusted(function)
                yield replace(_named(manifest), state="skipped", why=why)
                continue
            inputs = {one.digest for one in manifest.provenance.inputs}
            known = {one: places[one] for one in inputs & places.keys()}
            # Not the run that was digested, which has every checkpoint travel with it.
            tasks.append(Task(manifest, Run(run.path, run.pattern), known))
    for task, found in in_fresh_processes(_rerun, tasks, _kind_of, n_jobs):
        if isinstance(found, Ended):
            why = f"the process that computed it {found.how}"
            found = _finding(task.manifest, "fails", why)
        yield found


def _untrusted(function: str) -> str:
    """Why a function is not imported."""
    if function.startswith("__main__:"):
        return f"{function} is of a script or notebook, which cannot be imported"
    return f"{function} is imported only if it is named: --analysis {function}"


def _kind_of(task: Task) -> str:
    return task.manifest.provenance.function


def _named(manifest: Manifest) -> Rerun:
    labels = tuple(one.label for one in manifest.provenance.inputs)
    return Rerun(key_of(manifest), labels, "same")


def _finding(
    manifest: Manifest,
    state: State,
    why: str = "",
    found: tuple[Difference, ...] = (),
    hints: Iterable[str] = (),
) -> Rerun:
    """What is not as it ought to be, with all that is known of how it was made and may be the cause."""
    made = manifest.provenance
    seen = [f"when it was made, it {flag}" for flag in manifest.flags]
    now = {**versions_of(made.versions), "python": platform.python_version()}
    then = {**made.versions, "python": made.python, _OURS: now[_OURS]}
    drift = [
        f"it was made with {name} {version}, and this is {now[name]}"
        for name, version in then.items()
        if now[name] != version
    ]
    every = (*seen, *drift, *hints)
    return replace(
        _named(manifest), state=state, why=why, differences=found, hints=every
    )


def _places(store: Store, run: Run) -> Places:
    """Where there is what, in a run."""
    memo, found = ReadOnlyStore(store), dict[str, dict[str, int]]()
    for epoch in run:
        # What is made of one that cannot be read now is not computed again, and said so.
        with suppress(ArtifactStoreError, OSError):
            one = run[epoch]
            found.setdefault(one.identify(memo).hex, {})[one.label] = epoch
    with suppress(ArtifactStoreError, OSError):
        found[run.identify(memo).hex] = {}
    return found


class _Unable(Exception):
    """Why an entry cannot be computed again."""


def _rerun(task: Task) -> Rerun:
    """Compute an entry again, twice, and compare; in a fresh process."""
    manifest = task.manifest
    with mode("ro"):
        try:
            analysis = _analysis_of(manifest.provenance)
            call = analysis.call_with(_arguments(task, analysis))
            then = _stored(call, manifest)
        except _Unable as unable:
            return replace(_named(manifest), state="skipped", why=str(unable))
        except CorruptArtifact as corrupt:
            why = f"{corrupt.path} {corrupt.problem}"
            return replace(_named(manifest), state="corrupt", why=why)
        except Exception as error:
            why = f"it cannot be called as then ({_told(error)})"
            return replace(_named(manifest), state="skipped", why=why)
        try:
            return _compared(manifest, then, analysis, call)
        except _Unable as unable:
            return replace(_named(manifest), state="skipped", why=str(unable))
        except KeepRefused as refused:
            why = f"it needs an artifact that is not stored: {refused.call}"
            return replace(_named(manifest), state="skipped", why=why)
        except NotKept as fleeting:
            return _finding(manifest, "fails", fleeting.cause)
        except Exception as error:
            return _finding(manifest, "fails", f"it fails now: {_told(error)}")


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _compared(
    manifest: Manifest,
    then: Mapping[str, Any],
    analysis: Analysis[..., Any],
    call: Call,
) -> Rerun:
    """Whether two computations of now give what was stored, and if not, what both together tell."""
    first, second = (_computed(analysis, call) for _ in range(2))
    found = tuple(differences(then, first)) or tuple(differences(then, second))
    if not found:
        return _named(manifest)
    if any(differences(first, second)):
        hint = (
            "two computations in one process differ: a clock, random numbers, a counter"
        )
    else:
        hint = "two computations in one process agree: it depends on the process, a file or the machine"
    return _finding(manifest, "differs", "", found, [hint])


def _analysis_of(made: Provenance) -> Analysis[..., Any]:
    try:
        analysis = analysis_named(made.function)
    except (ArtifactStoreError, ImportError, AttributeError) as error:
        raise _Unable(f"{made.function} cannot be imported ({error})") from None
    if analysis.closure.digest.hex != made.closure:
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
    for one in made.inputs:
        if one.name in given:
            raise _Unable(f"several inputs were given as {one.name}")
        given[one.name] = _input(task, one)
    return given


def _input(task: Task, one: InputRecord) -> Any:
    if one.digest not in task.places:
        raise _Unable(f"{task.run.name} has nothing that holds what {one.label} held")
    epochs = task.places[one.digest]
    if not epochs:
        return task.run
    # Of several with the same content, that which went by the same name.
    return task.run[epochs.get(one.label, next(iter(epochs.values())))]


def _param(name: str, shown: str, digest: str) -> Any:
    try:
        value = ast.literal_eval(shown)
        if digest_of("param", encode_param(value)).hex == digest:
            return value
    except (ValueError, SyntaxError, RecursionError, MemoryError, ArtifactStoreError):
        pass
    raise _Unable(f"its param {name}={shown} cannot be read back")


def _stored(call: Call, manifest: Manifest) -> Mapping[str, Any]:
    """The arrays of an entry, provided that this call means just it."""
    key = key_of(manifest)
    if key not in (call.key, key_told(call.key, manifest.outside)):
        raise _Unable("the same call means another entry now")
    entry = call.store.find(key)
    if entry is None:
        raise _Unable("it is not in the store that this call goes to")
    return _by_name(Artifact(entry).numpy())


def _computed(analysis: Analysis[..., Any], call: Call) -> Mapping[str, Any]:
    args, kwargs = call.signature.unbind(call.arguments.passed)
    try:
        analysis.recompute(*args, **kwargs)
    except OnlyComputed as made:
        if made.key != call.key:
            raise _Unable(f"it needs an artifact that is not stored: {made.call}")
        return _by_name(made.result)
    raise AssertionError("a store was written to that is not to be")


def _by_name(result: Any) -> Mapping[str, Any]:
    return result if isinstance(result, Mapping) else {SINGLE: result}
