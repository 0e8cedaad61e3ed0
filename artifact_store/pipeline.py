"""`AnalysisPipeline`: analyses along the checkpoints of a run.

    run, analyses ──► plan ──► each checkpoint with all its analyses ──► *Outcome*

A checkpoint is opened once for all its analyses, and analyses that call one
another share what they have in common, so one forward pass serves them all.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor
from typing import Any

from artifact_store.artifacts import Artifact
from artifact_store.errors import (
    ArtifactStoreError,
    MissingArtifacts,
    PipelineFailed,
    PipelineInterrupted,
)
from artifact_store.executors import EVERYTHING, Everything, Shard
from artifact_store.markup import dim, whole
from artifact_store.memoize import Analysis
from artifact_store.modes import modes_of
from artifact_store.offers import Chosen, chosen
from artifact_store.outcomes import Done, Outcome
from artifact_store.plans import Plan, impossible, seconds_of, step_of
from artifact_store.progress import Progress, shown
from artifact_store.runs import Run
from artifact_store.stores.base import Store
from artifact_store.stores.places import places_here
from artifact_store.units import Unit, all_done, closures_of, foreseen, input_of


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
        for unit in foreseen(self._units(analyses, epochs)):
            try:
                given = input_of(unit)
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
        executor: Executor | None = None,
        shard: Shard | Everything = EVERYTHING,
    ) -> Outcome:
        """Compute what is missing, checkpoint by checkpoint.

        Parameters
        ----------
        analyses
            Decorated functions, or their names as `module:function`; if not given, all that installed packages offer.
        epochs
            Which checkpoints; all if not given.
        n_jobs
            Workers, as joblib counts them: processes, or what `joblib.parallel_config` chooses.
        progress
            Who is told of each artifact as it is done: a terminal or a notebook, or `unseen`.
        executor
            Whose workers do it, in place of joblib's: any executor of `concurrent.futures`, as that of a dask client.
        shard
            Which part of the work is done here, while other jobs do the others; analyses of the whole run are left
            to a run without.

        Raises
        ------
        PipelineFailed
            Some could not be computed. The others were: the error has the outcome.
        PipelineInterrupted
            A `KeyboardInterrupt` that says how much was done; all of that is kept.
        """
        every = list(self._units(analyses, epochs))
        along = sorted({unit.epoch for unit in every if unit.epoch is not None})
        place: dict[int | None, int] = {epoch: at for at, epoch in enumerate(along)}
        units = [unit for unit in every if shard.has(place.get(unit.epoch))]
        totals = Counter(one.__name__ for unit in units for one in unit.analyses)
        run, done = self.run_of_checkpoints.name, list[Done]()
        try:
            with progress(run, totals) as tell:
                for together in all_done(units, n_jobs, executor):
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

    def _units(self, analyses: Chosen, epochs: Iterable[int] | None) -> Iterator[Unit]:
        wanted, run = chosen(analyses), self.run_of_checkpoints
        places = places_here()
        modes = modes_of([one.declaration.mode for one in wanted])
        along = tuple(one for one in wanted if not one.takes_run)
        of_run = tuple(one for one in wanted if one.takes_run)
        if along:
            closures = closures_of(along)
            for epoch in run.epochs if epochs is None else _known(run, epochs):
                yield Unit(run, epoch, along, closures, places, modes, os.getpid())
        if of_run and epochs is None:
            closures = closures_of(of_run)
            yield Unit(run, None, of_run, closures, places, modes, os.getpid())

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


def _known(run: Run, epochs: Iterable[int]) -> list[int]:
    """`epochs`, provided that the run has them all: a slip is told before hours of work."""
    wanted = list(epochs)
    for epoch in wanted:
        if epoch not in run:
            run[epoch]  # It knows how to say what is amiss.
    return wanted
