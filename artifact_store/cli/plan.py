"""`plan`: what `run` would do, and why."""

from __future__ import annotations

import argparse

from artifact_store.cli.arguments import (
    add_analyses,
    add_epochs,
    add_run,
    analyses_in,
    begin,
    epochs_in,
    run_at,
)
from artifact_store.cli.printing import causes, out, print_json, table, takes, text
from artifact_store.pipeline import AnalysisPipeline
from artifact_store.plans import epochs_in_words
from artifact_store.quantities import count


def add_to(parser: argparse.ArgumentParser) -> None:
    """How to ask for it."""
    begin(parser, plan)
    add_run(parser)
    add_analyses(parser)
    add_epochs(parser)


def plan(arguments: argparse.Namespace) -> int:
    """Carry it out."""
    run = run_at(arguments.run, arguments.pattern)
    epochs = epochs_in(run, arguments.epochs)
    planned = AnalysisPipeline(run).plan(analyses_in(arguments), epochs)
    if arguments.json:
        print_json(planned.as_dict())
        return 0

    does = count(len(planned.misses), "artifact") + takes(planned.seconds)
    waits = f", {len(planned.pending)} wait for them" if planned.pending else ""
    found = f"  {len(planned.hits)} stored, {does} to compute{waits}"
    steps = table("analysis", ">stored", ">to compute", ">pending", "at")
    for name, of in planned.by_analysis().items():
        misses = [step.epoch for step in of if not step.hits]
        where = epochs_in_words(misses) if misses else ""
        pending = sum(step.state == "pending" for step in of)
        hits = len(of) - len(misses)
        computed = text((str(len(misses) - pending), "yellow"))
        steps.add_row(name, str(hits), computed, str(pending or "-"), where)
    out(text((run.name, "bold"), found), "", steps, *causes(planned))
    return 0
