"""Units: all that is to be done with one checkpoint, wherever that is.

    unit ──► this process, or a worker ──► is its code ours? ──► call by call ──► *Done*

A worker that would run other code than the process that sent it the work does nothing, and says what its code is: that
costs nothing where they are the same, and names the function where they are not. What it reads may differ: its results
are then those of what it read, and kept under keys of their own.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, Literal

from artifact_store.errors import ArtifactStoreError, WorkerDiffers, WorkerLost
from artifact_store.events import Event, Published, listening
from artifact_store.executors import Lost, each, each_by
from artifact_store.keys import Key
from artifact_store.layout import home_of_run
from artifact_store.memoize import Analysis
from artifact_store.modes import MODE_VARIABLE, Modes, as_there
from artifact_store.outcomes import Done, Ending
from artifact_store.runs import Run
from artifact_store.stores.base import Store
from artifact_store.stores.locate import chosen_store
from artifact_store.stores.places import (
    SHARED_VARIABLE,
    STORE_VARIABLE,
    Places,
    as_meant,
)

# How many units are looked up together: as many requests as are under way at once, some times over.
_FORESEEN: Final = 64


@dataclass(frozen=True, slots=True)
class Unit:
    """The work on one checkpoint (or, with the epoch `None`, on the run), as it travels to a worker.

    Attributes
    ----------
    closures
        The digest of all that each analysis reaches, where the run was asked for.
    """

    run: Run
    epoch: int | None
    analyses: tuple[Analysis[..., Any], ...]
    closures: tuple[str, ...]
    places: Places
    modes: Modes
    caller: int


@dataclass(frozen=True, slots=True)
class _Skewed:
    """What a worker found instead of the code that it was to run: the digest of each member, by its name."""

    unit: Unit
    analysis: str
    members: Mapping[str, str]


def all_done(
    units: list[Unit], n_jobs: int, executor: Executor | None
) -> Iterator[list[Done]]:
    """What becomes of each call, as soon as that is known here: of a worker, when it is done with a checkpoint."""
    if executor is not None:
        return map(_told, each_by(executor, _work, units))
    if n_jobs == 1:
        return ([one] for unit in foreseen(units) for one in _worked(unit))
    return map(_told, each(_work, units, n_jobs, _memory(units)))


def _memory(units: Iterable[Unit]) -> Literal["own", "shared"]:
    """Where the code of all units is what it is here: in workers, only if they can import it."""
    # What a notebook defines travels by value, but the modules that it imported do not, and may differ there.
    every = {one for unit in units for one in unit.analyses}
    return "own" if all(one.is_imported for one in every) else "shared"


def closures_of(analyses: tuple[Analysis[..., Any], ...]) -> tuple[str, ...]:
    """The digest of all that each analysis reaches."""
    return tuple(map(_closure, analyses))


def _closure(analysis: Analysis[..., Any]) -> str:
    try:
        return analysis.whole.hex
    except ArtifactStoreError:
        return (
            ""  # The call itself will say what is amiss, and the other analyses go on.
        )


def input_of(unit: Unit) -> Any:
    """What the analyses of a unit are given."""
    return unit.run if unit.epoch is None else unit.run[unit.epoch]


def foreseen(units: Iterable[Unit]) -> Iterator[Unit]:
    """The same units, the keys of some of which at a time are looked up together where each look is a round trip."""
    left = iter(units)
    while some := list(islice(left, _FORESEEN)):
        for store, keys in _keys_of(some).items():
            # Each call then learns for itself what is amiss.
            with suppress(ArtifactStoreError, OSError):
                store.foresee(keys)
        yield from some


def _keys_of(units: Iterable[Unit]) -> dict[Store, list[Key]]:
    """The keys of all calls of some units, by the store that they are far away in."""
    found: dict[Store, list[Key]] = {}
    for unit in units:
        for analysis in unit.analyses:
            # Whoever makes the call learns why it cannot be made.
            with suppress(ArtifactStoreError, OSError):
                if not _is_far(unit, analysis):
                    continue
                call = analysis.call(input_of(unit))
                found.setdefault(call.store, []).append(call.key)
    return found


def _is_far(unit: Unit, analysis: Analysis[..., Any]) -> bool:
    store = chosen_store(analysis.declaration.store, home_of_run(unit.run.path))
    return store is not None and store.is_far


def _work(unit: Unit) -> list[Done] | _Skewed:
    if os.getpid() != unit.caller:
        # A worker may have been started before the caller set these, or unset them.
        _set(STORE_VARIABLE, unit.places.store)
        _set(SHARED_VARIABLE, unit.places.shared)
        _set(MODE_VARIABLE, unit.modes.environment)
        for analysis, closure in zip(unit.analyses, unit.closures, strict=True):
            if _closure(analysis) != closure:
                return _Skewed(unit, analysis.__name__, _members(analysis))
    with as_there(unit.modes), as_meant(unit.places):
        list(foreseen([unit]))
    return list(_worked(unit))


def _set(variable: str, value: str | None) -> None:
    if value:
        os.environ[variable] = value
    else:
        os.environ.pop(variable, None)


def _members(analysis: Analysis[..., Any]) -> dict[str, str]:
    """The digest of each function and class that an analysis and those it calls reach, with what it refers to."""
    return {
        name: " ".join((digest, *references))
        for name, (digest, references, _) in _described(analysis).items()
    }


def _described(
    analysis: Analysis[..., Any],
) -> dict[str, tuple[str, tuple[str, ...], str]]:
    try:
        return {
            member.name: (
                member.digest.hex,
                tuple(f"{one.spelled}={one.digest.hex}" for one in member.references),
                f"{member.file}:{member.line}",
            )
            for closure in analysis.closures
            for member in closure.members
        }
    except ArtifactStoreError:
        return {}


def _told(answer: list[Done] | _Skewed | Lost[Unit]) -> list[Done]:
    """What a worker did; of one that did nothing, why."""
    if isinstance(answer, Lost):
        lost = WorkerLost(_named(answer.item), answer.how)
        return [failed(one, answer.item.epoch, lost) for one in answer.item.analyses]
    if isinstance(answer, _Skewed):
        unit = answer.unit
        (mine,) = (one for one in unit.analyses if one.__name__ == answer.analysis)
        error = WorkerDiffers(answer.analysis, _difference(mine, answer.members))
        return [failed(one, unit.epoch, error) for one in unit.analyses]
    return answer


def _named(unit: Unit) -> str:
    return "the whole run" if unit.epoch is None else f"epoch {unit.epoch}"


def _difference(analysis: Analysis[..., Any], there: Mapping[str, str]) -> str:
    """The first function, class or constant that is another one there, as people look for it."""
    for name, (digest, references, place) in _described(analysis).items():
        found, *referred = there.get(name, "").split(" ")
        if not found:
            return f"{name} ({place}) is not reached there"
        if found != digest:
            return f"{name} ({place}) is another one there"
        for one, other in zip(references, referred, strict=False):
            if one != other:
                return f"{one.partition('=')[0]}, of which {name} ({place}) makes use, is another one there"
    return "what was declared of it, or the version of a package that it names, is another one there"


def _worked(unit: Unit) -> Iterator[Done]:
    """All analyses of one checkpoint; one that fails does not stop the others."""
    published: dict[str, Published] = {}

    def note(event: Event) -> None:
        if isinstance(event, Published):
            published[event.key.digest.hex] = event

    try:
        given = input_of(unit)
    except Exception as error:
        yield from (failed(one, unit.epoch, error) for one in unit.analyses)
        return
    for one in unit.analyses:
        # None may be set while the caller has the word.
        with as_there(unit.modes), as_meant(unit.places), listening(note):
            done = _attempt(one, given, unit.epoch, published)
        yield done


def _attempt(
    analysis: Analysis[..., Any],
    given: Any,
    epoch: int | None,
    published: Mapping[str, Published],
) -> Done:
    try:
        call = analysis.call(given)
        artifact = analysis.materialize(call)
        call.store.label(artifact.entry, call.label, call.kinship)
    except Exception as error:
        return failed(analysis, epoch, error)
    made = published.get(artifact.key.digest.hex)
    state: Ending = "hit" if made is None else "computed"
    seconds = 0.0 if made is None else made.seconds
    return Done(
        analysis.__name__,
        epoch,
        state,
        seconds,
        artifact.nbytes,
        artifact.entry.directory,
    )


def failed(analysis: Analysis[..., Any], epoch: int | None, error: Exception) -> Done:
    """An analysis that could not be carried out."""
    text = f"{type(error).__name__}: {error}"
    trace = "".join(traceback.format_exception(error))
    return Done(analysis.__name__, epoch, "failed", error=text, trace=trace)
