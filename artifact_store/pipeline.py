"""`AnalysisPipeline`: analyses along the checkpoints of a run.

    run, analyses ──► plan ──► each checkpoint with all its analyses ──► *Outcome*

A checkpoint is opened once for all its analyses, and analyses that call one
another share what they have in common, so one forward pass serves them all.
"""

from __future__ import annotations

import os
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from artifact_store.artifacts import Artifact
from artifact_store.errors import (
    ArtifactStoreError,
    MissingArtifacts,
    PipelineFailed,
    PipelineInterrupted,
    WorkerDiffers,
)
from artifact_store.events import Event, Published, listening
from artifact_store.executors import each
from artifact_store.markup import dim, whole
from artifact_store.memoize import Analysis
from artifact_store.modes import MODE_VARIABLE, Modes, as_there, modes_of
from artifact_store.offers import Chosen, chosen
from artifact_store.outcomes import Done, Ending, Outcome
from artifact_store.plans import Plan, impossible, seconds_of, step_of
from artifact_store.progress import Progress, shown
from artifact_store.runs import Run
from artifact_store.stores.base import Store
from artifact_store.stores.places import (
    SHARED_VARIABLE,
    STORE_VARIABLE,
    Places,
    as_meant,
    places_here,
)


@dataclass(frozen=True, slots=True)
class _Unit:
    """The work on one checkpoint (or, with the epoch `None`, on the run), as it travels to a worker."""

    run: Run
    epoch: int | None
    analyses: tuple[Analysis[..., Any], ...]
    closures: tuple[str, ...]
    places: Places
    modes: Modes
    caller: int


class AnalysisPipeline:
    """Analyses along the checkpoints of a run.

    Parameters
    ----------
    run
        A run, or the path of one.
    """

    def __init__(self, run: Run | str | os.PathLike[str]) -> None:
        self.run_of_checkpoints = run if isinstance(run, Run) else Run(run)

    def plan(
        self, analyses: Chosen = None, epochs: Iterable[int] | None = None
    ) -> Plan:
        """What `run` would find and what it would compute, and why; computes nothing."""
        stores: dict[str, Store] = {}
        steps = []
        weights: dict[int, str] = {}
        for unit in self._units(analyses, epochs):
            try:
                given = _input_of(unit)
            except ArtifactStoreError as error:
                steps += [
                    impossible(analysis.__name__, unit.epoch, error)
                    for analysis in unit.analyses
                ]
                continue
            for analysis in unit.analyses:
                try:
                    call = analysis.call(given)
                except ArtifactStoreError as error:
                    steps.append(impossible(analysis.__name__, unit.epoch, error))
                    continue
                stores[call.store.location] = call.store
                steps.append(step_of(call, unit.epoch))
                if unit.epoch is not None:
                    weights[unit.epoch] = call.inputs[0].digest
        seconds = seconds_of(steps, stores.values())
        name = self.run_of_checkpoints.name
        return Plan(name, tuple(steps), seconds, tuple(_twins(weights)))

    def status(self, analyses: Chosen = None) -> Plan:
        """The state of every analysis at every epoch: fresh, stale (and why), missing, drift or corrupt."""
        return self.plan(analyses)

    def run(
        self,
        analyses: Chosen = None,
        epochs: Iterable[int] | None = None,
        n_jobs: int = 1,
        progress: Progress = shown,
    ) -> Outcome:
        """Compute what is missing, checkpoint by checkpoint.

        Parameters
        ----------
        analyses
            Decorated functions, or their names as `module:function`; if not given, all that installed packages offer.
        epochs
            Which checkpoints; all if not given.
        n_jobs
            Worker processes, as joblib counts them.
        progress
            Who is told of each artifact as it is done: a terminal or a notebook, or `unseen`.

        Raises
        ------
        PipelineFailed
            Some could not be computed. The others were: the error has the outcome.
        PipelineInterrupted
            A `KeyboardInterrupt` that says how much was done; all of that is kept.
        """
        units = list(self._units(analyses, epochs))
        totals = Counter(one.__name__ for unit in units for one in unit.analyses)
        run, done = self.run_of_checkpoints.name, list[Done]()
        try:
            with progress(run, totals) as tell:
                for together in _all_done(units, n_jobs):
                    done += together
                    tell(together)
        except KeyboardInterrupt as interrupt:
            total, so_far = totals.total(), Outcome(run, tuple(done))
            raise PipelineInterrupted(so_far, len(done), total) from interrupt
        order = {unit.epoch: number for number, unit in enumerate(units)}
        done.sort(key=lambda one: order[one.epoch])
        outcome = Outcome(run, tuple(done))
        if outcome.failures:
            failed = [(one.analysis, one.epoch, one.error) for one in outcome.failures]
            raise PipelineFailed(run, tuple(failed), outcome)
        return outcome

    def load(
        self, analysis: Analysis[..., Any] | str, epoch: int | None = None
    ) -> Artifact:
        """The stored artifact of an analysis at an epoch, or of the whole run; never computes.

        Raises
        ------
        MissingArtifacts
            There is none.
        """
        (one,), run = chosen([analysis]), self.run_of_checkpoints
        found = one.find(run if epoch is None else run[epoch])
        if found is None:
            raise MissingArtifacts(
                one.__name__, self.run_of_checkpoints.name, (epoch,), 1
            )
        return found

    def _units(self, analyses: Chosen, epochs: Iterable[int] | None) -> Iterator[_Unit]:
        wanted, run = chosen(analyses), self.run_of_checkpoints
        places = places_here()
        modes = modes_of([one.declaration.mode for one in wanted])
        along = tuple(one for one in wanted if not one.takes_run)
        of_run = tuple(one for one in wanted if one.takes_run)
        if along:
            closures = _closures(along)
            for epoch in run.epochs if epochs is None else _known(run, epochs):
                yield _Unit(run, epoch, along, closures, places, modes, os.getpid())
        if of_run and epochs is None:
            closures = _closures(of_run)
            yield _Unit(run, None, of_run, closures, places, modes, os.getpid())

    def __repr__(self) -> str:
        return f"AnalysisPipeline({self.run_of_checkpoints!r})"

    def _repr_html_(self) -> str:
        return whole(dim("pipeline along"), self.run_of_checkpoints._repr_html_())


def _twins(weights: dict[int, str]) -> Iterator[tuple[int, int]]:
    """Each epoch with the weights of an earlier one, and that one."""
    first: dict[str, int] = {}
    for epoch, digest in weights.items():
        if first.setdefault(digest, epoch) != epoch:
            yield epoch, first[digest]


def _memory(units: Iterable[_Unit]) -> Literal["own", "shared"]:
    """Where the code of all units is what it is here: in workers, only if they can import it."""
    # What a notebook defines travels by value, but the modules that it imported do not, and may differ there.
    every = {one for unit in units for one in unit.analyses}
    return "own" if all(one.is_imported for one in every) else "shared"


def _known(run: Run, epochs: Iterable[int]) -> list[int]:
    """`epochs`, provided that the run has them all: a slip is told before hours of work."""
    wanted = list(epochs)
    for epoch in wanted:
        if epoch not in run:
            run[epoch]  # It knows how to say what is amiss.
    return wanted


def _closures(analyses: tuple[Analysis[..., Any], ...]) -> tuple[str, ...]:
    return tuple(map(_closure, analyses))


def _closure(analysis: Analysis[..., Any]) -> str:
    try:
        return analysis.whole.hex
    except ArtifactStoreError:
        return (
            ""  # The call itself will say what is amiss, and the other analyses go on.
        )


def _input_of(unit: _Unit) -> Any:
    return unit.run if unit.epoch is None else unit.run[unit.epoch]


def _all_done(units: list[_Unit], n_jobs: int) -> Iterator[list[Done]]:
    """What becomes of each call, as soon as that is known here: of a worker, when it is done with a checkpoint."""
    if n_jobs == 1:
        return ([one] for unit in units for one in _worked(unit))
    return each(_work, units, n_jobs, _memory(units))


def _work(unit: _Unit) -> list[Done]:
    return list(_worked(unit))


def _worked(unit: _Unit) -> Iterator[Done]:
    """All analyses of one checkpoint; one that fails does not stop the others."""
    if os.getpid() != unit.caller:
        # A worker may have been started before the caller set these, or unset them.
        _set(STORE_VARIABLE, unit.places.store)
        _set(SHARED_VARIABLE, unit.places.shared)
        _set(MODE_VARIABLE, unit.modes.environment)
        if differing := _differing(unit):
            error = WorkerDiffers(differing)
            yield from (_failed(one, unit.epoch, error) for one in unit.analyses)
            return
    published: dict[str, Published] = {}

    def note(event: Event) -> None:
        if isinstance(event, Published):
            published[event.key.digest.hex] = event

    try:
        given = _input_of(unit)
    except Exception as error:
        yield from (_failed(one, unit.epoch, error) for one in unit.analyses)
        return
    for one in unit.analyses:
        # Neither may be set while the caller has the word.
        with as_there(unit.modes), as_meant(unit.places), listening(note):
            done = _attempt(one, given, unit.epoch, published)
        yield done


def _differing(unit: _Unit) -> str:
    """The first analysis that reaches other code here than where the run was asked for."""
    for analysis, closure in zip(unit.analyses, unit.closures, strict=True):
        if _closure(analysis) != closure:
            return analysis.__name__
    return ""


def _set(variable: str, value: str | None) -> None:
    if value:
        os.environ[variable] = value
    else:
        os.environ.pop(variable, None)


def _attempt(
    analysis: Analysis[..., Any],
    given: Any,
    epoch: int | None,
    published: dict[str, Published],
) -> Done:
    try:
        call = analysis.call(given)
        artifact = analysis.materialize(call)
        call.store.label(artifact.entry, call.label, call.kinship)
    except Exception as error:
        return _failed(analysis, epoch, error)
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


def _failed(analysis: Analysis[..., Any], epoch: int | None, error: Exception) -> Done:
    text = f"{type(error).__name__}: {error}"
    trace = "".join(traceback.format_exception(error))
    return Done(analysis.__name__, epoch, "failed", error=text, trace=trace)
