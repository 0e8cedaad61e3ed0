"""`run`: compute what is missing."""

from __future__ import annotations

import argparse
from pathlib import Path

from artifact_store.cli.arguments import (
    add_analyses,
    add_epochs,
    add_run,
    analyses_in,
    begin,
    epochs_in,
    run_at,
)
from artifact_store.cli.printing import (
    duration,
    near,
    out,
    print_json,
    size,
    table,
    text,
)
from artifact_store.errors import PipelineFailed
from artifact_store.layout import home_of_group
from artifact_store.pipeline import AnalysisPipeline, Outcome
from artifact_store.plans import epochs_in_words
from artifact_store.runs import Run


def add_to(parser: argparse.ArgumentParser) -> None:
    """How to ask for it."""
    more = "Exit status 1 if some could not be; all others are kept."
    begin(parser, run, more)
    add_run(parser)
    add_analyses(parser)
    add_epochs(parser)
    does = "worker processes; -1 for one on each core (default: 1)"
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help=does)


def run(arguments: argparse.Namespace) -> int:
    """Carry it out."""
    along = run_at(arguments.run, arguments.pattern)
    epochs = epochs_in(along, arguments.epochs)
    pipeline = AnalysisPipeline(along)
    try:
        outcome = pipeline.run(analyses_in(arguments), epochs, arguments.jobs)
    except PipelineFailed as failed:
        assert isinstance(failed.outcome, Outcome)
        outcome = failed.outcome
    if arguments.json:
        print_json(outcome.as_dict())
    else:
        _print(outcome, along)
    return 1 if outcome.failures else 0


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
        doors = str(home_of_group(Path(group)) / name) if group else ""
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
