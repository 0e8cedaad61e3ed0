"""`status`: what of a run is stored and up to date, what is not, and what to type next."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING

from artifact_store.cli.arguments import (
    add_analyses,
    add_run,
    analyses_in,
    begin,
    run_at,
)
from artifact_store.cli.printing import (
    STYLES,
    causes,
    command,
    out,
    print_json,
    table,
    takes,
    text,
)
from artifact_store.errors import MissingStore
from artifact_store.layout import Layout
from artifact_store.listing import briefs, listed_analyses
from artifact_store.pipeline import AnalysisPipeline
from artifact_store.plans import STATES, Plan, count_of, epochs_in_words
from artifact_store.quantities import count
from artifact_store.runs import DEFAULT_PATTERN, Run
from artifact_store.stores.locate import store_at

if TYPE_CHECKING:
    from rich.text import Text


def add_to(parser: argparse.ArgumentParser) -> None:
    """How to ask for it."""
    begin(parser, status, "Exit status 1 if not all is.")
    add_run(parser)
    add_analyses(parser)


def status(arguments: argparse.Namespace) -> int:
    """Carry it out."""
    run = run_at(arguments.run, arguments.pattern)
    plan = AnalysisPipeline(run).status(analyses_in(arguments))
    if arguments.json:
        print_json(plan.as_dict())
        return _code(plan)

    span = f"  {epochs_in_words(run.epochs)}"
    counts = table("analysis", *(f">{state}" for state in STATES))
    for name, steps in plan.by_analysis().items():
        numbers = [(str(count_of(steps, state)), STYLES[state]) for state in STATES]
        cells = [text(("-", "dim") if n == "0" else (n, style)) for n, style in numbers]
        counts.add_row(name, *cells)
    out(text((run.name, "bold"), span), "", counts, *causes(plan), "")
    if plan.twins:
        out(text((plan.same_weights(), "dim")))
    out(*_next(plan, arguments), *_unseen(run, plan))
    return _code(plan)


def _code(plan: Plan) -> int:
    return 1 if plan.misses or plan.pending else 0


def _next(plan: Plan, arguments: argparse.Namespace) -> Iterator[Text]:
    """What to type now."""
    if not plan.misses and not plan.pending:
        yield text(("Everything is up to date.", "green"))
        return
    run, named = arguments.run, arguments.analysis or ()
    pattern = ("--pattern", arguments.pattern)
    given = pattern if arguments.pattern != DEFAULT_PATTERN else ()
    which = ("--analysis", ",".join(named)) if named else ()
    more = f", and up to {len(plan.pending)} that wait for them" if plan.pending else ""
    does = f"compute {count(len(plan.misses), 'artifact')}{more}{takes(plan.seconds)}"
    yield command(does, "run", run, *which, *given)
    stale = next((step for step in plan.misses if step.state == "stale"), None)
    if stale is not None:
        same = [one for one in named if one.rpartition(":")[2] == stale.analysis]
        epoch = () if stale.epoch is None else ("--epoch", str(stale.epoch))
        asked = (*(same or [stale.analysis]), *epoch)
        yield command("see what changed", "why", run, *asked, *given)


def _unseen(run: Run, plan: Plan) -> Iterator[Text]:
    """What else is stored: analyses that nobody offers are looked at only if they are named."""
    seen = plan.by_analysis()
    with suppress(MissingStore):
        layout = Layout(store_at(run.path).location)
        others = [name for name in listed_analyses(layout) if name not in seen]
        # Of each, the function of any one entry.
        firsts = [brief for name in others for brief in islice(briefs(layout, name), 1)]
        if firsts:
            functions = ", ".join(one.provenance.function for one in firsts)
            yield text("")
            yield text((f"Also stored, and not looked at: {functions}", "dim"))
