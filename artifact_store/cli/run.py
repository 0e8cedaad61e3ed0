"""`run`: compute what is missing."""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout, suppress
from dataclasses import asdict
from typing import Any, Final, TextIO

from artifact_store.cli.arguments import (
    add_analyses,
    add_epochs,
    add_run,
    analyses_in,
    begin,
    epochs_in,
    run_at,
)
from artifact_store.cli.printing import near, out, print_json, table, text
from artifact_store.errors import BadShard, PipelineFailed, PipelineInterrupted
from artifact_store.executors import EVERYTHING, Shard
from artifact_store.layout import home_of_group
from artifact_store.outcomes import ENDINGS, Done, Outcome
from artifact_store.pipeline import AnalysisPipeline
from artifact_store.plans import epochs_in_words
from artifact_store.progress import Progress, Tell, shown, unseen
from artifact_store.quantities import duration, size
from artifact_store.runs import Run
from artifact_store.tallies import Tally
from artifact_store.terminals import visible
from artifact_store.urls import located


def add_to(parser: argparse.ArgumentParser) -> None:
    """How to ask for it."""
    more = "Exit status 1 if some could not be; all others are kept."
    begin(parser, run, more)
    add_run(parser)
    add_analyses(parser)
    add_epochs(parser)
    does = "worker processes; -1 for one on each core (default: 1)"
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help=does)
    does = "do one of n parts, of which other jobs do the others: --shard $SLURM_ARRAY_TASK_ID/8"
    parser.add_argument(
        "--shard", type=_shard, default=EVERYTHING, metavar="I/N", help=does
    )
    does = "auto: bars on a terminal, else a line now and then; json: a line on standard output for each artifact"
    parser.add_argument("--progress", choices=_WAYS, default="auto", help=does)


def _shard(text: str) -> Shard:
    try:
        return Shard.parse(text)
    except BadShard as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def run(arguments: argparse.Namespace) -> int:
    """Carry it out."""
    as_lines = arguments.progress == "json"
    if arguments.json and as_lines:
        arguments.parser.error("--json and --progress json both are standard output")
    along = run_at(arguments.run, arguments.pattern)
    epochs, analyses = epochs_in(along, arguments.epochs), analyses_in(arguments)
    progress, pipeline = _WAYS[arguments.progress], AnalysisPipeline(along)
    try:
        outcome = pipeline.run(
            analyses, epochs, arguments.jobs, progress, shard=arguments.shard
        )
    except PipelineFailed as failed:
        assert isinstance(failed.outcome, Outcome)
        outcome = failed.outcome
    except PipelineInterrupted as interrupted:
        assert isinstance(interrupted.outcome, Outcome)
        if as_lines:
            _end(interrupted.outcome, interrupted.total, "interrupted")
        raise
    if as_lines:
        _end(outcome, len(outcome.done), "failed" if outcome.failures else "complete")
    elif arguments.json:
        print_json(outcome.as_dict())
    else:
        _print(outcome, along)
        if arguments.shard != EVERYTHING:
            out(
                "Analyses of the whole run are left to `artifact-store run` without --shard, when all parts are done."
            )
    return 1 if outcome.failures else 0


@contextmanager
def _in_json(run: str, totals: Mapping[str, int]) -> Iterator[Tell]:
    """Print a line for each artifact, for programs that watch."""
    tally = Tally(totals)
    with _stdout_alone() as alone:
        _line(alone, event="begin", run=run, total=tally.total, analyses=tally.totals)

        def tell(together: Sequence[Done]) -> None:
            before = tally.done
            tally.add(together)
            left = tally.seconds_left
            for done, one in enumerate(together, start=before + 1):
                standing = {"done": done, "total": tally.total, "seconds_left": left}
                _line(alone, event="artifact", **standing, **asdict(one))

        yield tell


@contextmanager
def _stdout_alone() -> Iterator[TextIO]:
    """Standard output for nobody else: what an analysis prints, here or in a worker, is on standard error meanwhile."""
    with ExitStack() as undone:
        alone, undo = sys.stdout, undone.callback
        with suppress(
            io.UnsupportedOperation
        ):  # It is no file: we are called by a program.
            number = sys.stdout.fileno()
            alone = undone.enter_context(open(os.dup(number), "w", encoding="utf-8"))
            undo(os.dup2, alone.fileno(), number)
            os.dup2(sys.stderr.fileno(), number)
        undone.enter_context(redirect_stdout(sys.stderr))
        yield alone


def _end(outcome: Outcome, total: int, state: str) -> None:
    counts = {ending: outcome.count(ending) for ending in ENDINGS}
    standing = {"done": len(outcome.done), "total": total}
    _line(sys.stdout, event="end", run=outcome.run, state=state, **standing, counts=counts)  # fmt: skip


def _line(to: TextIO, **facts: Any) -> None:
    print(visible(json.dumps(facts, ensure_ascii=False)), file=to, flush=True)


_WAYS: Final[Mapping[str, Progress]] = {
    "auto": shown,
    "json": _in_json,
    "none": unseen,
}


def _print(outcome: Outcome, run: Run) -> None:
    made = table("analysis", ">computed", ">hit", ">failed", ">time", ">size", "where")
    for name in dict.fromkeys(one.analysis for one in outcome.done):
        done = [one for one in outcome.done if one.analysis == name]
        computed, hit, failed = (
            str(outcome.count(state, name)) for state in ("computed", "hit", "failed")
        )
        seconds = sum(one.seconds for one in done)
        nbytes = sum(one.nbytes for one in done)
        group = next((one.path for one in done if one.path), "")
        doors = str(home_of_group(located(group)) / name) if group else ""
        made.add_row(
            name,
            computed,
            hit,
            text((failed, "red" if failed != "0" else "")),
            duration(seconds) if seconds else "",
            size(nbytes) if group else "",
            near(doors),
        )
    out(made)
    failures: dict[tuple[str, str], list[int | None]] = {}
    for one in outcome.failures:
        path = run.path if one.epoch is None else run[one.epoch].path
        # So that one cause at many epochs is told once.
        error = one.error.replace(str(path), "the checkpoint")
        failures.setdefault((one.analysis, error), []).append(one.epoch)
    for (name, error), epochs in failures.items():
        out("", text((name, "bold"), " failed at ", epochs_in_words(epochs)))
        out(text((near(error), "red")))
