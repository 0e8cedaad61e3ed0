"""`status`: what of a run is stored and up to date, what is not, and what to type next."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Final

from artifact_store.cli.arguments import (
    add_analyses,
    add_run,
    analyses_in,
    begin,
    run_at,
)
from artifact_store.cli.printing import (
    STYLES,
    command,
    near,
    out,
    print_json,
    table,
    takes,
    text,
)
from artifact_store.errors import MissingStore, StoreInBucket
from artifact_store.layout import Layout
from artifact_store.listing import briefs, listed_analyses
from artifact_store.pipeline import AnalysisPipeline
from artifact_store.plans import (
    STATES,
    Plan,
    State,
    count_of,
    epochs_in_words,
)
from artifact_store.quantities import count
from artifact_store.runs import DEFAULT_PATTERN, Run
from artifact_store.stores.locate import store_at

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text


_MEANINGS: Final[Mapping[State, str]] = {
    "drift": "used, though installed packages have changed since.",
    "pending": "they hit if what they call, once computed, is what it was before.",
    "stale": "stored, but made in another way than they would be now.",
    "missing": "not computed yet.",
    "corrupt": "stored, but not as it was written. Never used: it is computed again.",
}


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

    out(_title(run, plan), "", _counts(plan), "")
    sections = [block for state in STATES for block in _section(plan, state)]
    out(*sections, *_twins(plan), *_next(plan, arguments), *_unseen(run, plan))
    return _code(plan)


def _title(run: Run, plan: Plan) -> Text:
    number, hits = len(plan.steps), len(plan.hits)
    stored = "all" if hits == number else f"{hits} of"
    facts = f"{epochs_in_words(run.epochs)}: {stored} {count(number, 'artifact')} up to date"
    return text((run.name, "bold"), f"  {facts}")


def _counts(plan: Plan) -> Table:
    """How many artifacts of each analysis are in each state that there is."""
    states = [one for one in STATES if one == "fresh" or count_of(plan.steps, one)]
    counts = table("analysis", *(f">{state}" for state in states))
    for name, steps in plan.by_analysis().items():
        numbers = [(str(count_of(steps, state)), STYLES[state]) for state in states]
        cells = [text(("-", "dim") if n == "0" else (n, style)) for n, style in numbers]
        counts.add_row(name, *cells)
    return counts


def _section(plan: Plan, state: State) -> Iterator[RenderableType]:
    """What is in one state that is not fresh: what that means, which, and why."""
    if state not in _MEANINGS or not count_of(plan.steps, state):
        return
    yield text((state.capitalize(), STYLES[state]), f": {_MEANINGS[state]}")
    rows, last = table("", "", "", indent=2), ""
    for name, cause, epochs in plan.reasons(state):
        first = f"  {name}" if name != last else ""
        shown = "" if cause.startswith("never computed") else near(cause)
        rows.add_row(first, epochs_in_words(epochs), shown)
        last = name
    yield from (rows, "")


def _twins(plan: Plan) -> Iterator[RenderableType]:
    if plan.twins:
        yield from (text((plan.same_weights(), "dim")), "")


def _code(plan: Plan) -> int:
    return 1 if plan.misses or plan.pending else 0


def _next(plan: Plan, arguments: argparse.Namespace) -> Iterator[Text]:
    """What to type now."""
    named, run = arguments.analysis or (), arguments.run
    is_default = arguments.pattern == DEFAULT_PATTERN
    given = () if is_default else ("--pattern", arguments.pattern)
    which = ("--analysis", ",".join(named)) if named else ()
    if not plan.misses and not plan.pending:
        yield text(("Everything is up to date.", "green"))
    else:
        wait = len(plan.pending)
        more = f", and up to {wait} that wait for them" if wait else ""
        does = count(len(plan.misses), "artifact") + more + takes(plan.seconds)
        yield command(f"compute {does}", "run", run, *which, *given)
    stale = next((step for step in plan.steps if step.state == "stale"), None)
    if stale is not None:
        same = [one for one in named if one.rpartition(":")[2] == stale.analysis]
        epoch = () if stale.epoch is None else ("--epoch", str(stale.epoch))
        asked = (*(same or [stale.analysis]), *epoch)
        yield command("see what changed", "why", run, *asked, *given)


def _unseen(run: Run, plan: Plan) -> Iterator[Text]:
    """What else is stored: analyses that nobody offers are looked at only if they are named."""
    seen = plan.by_analysis()
    with suppress(MissingStore, StoreInBucket):
        layout = Layout(store_at(run.path).location)
        others = [name for name in listed_analyses(layout) if name not in seen]
        # Of each, the function of any one entry.
        firsts = [brief for name in others for brief in islice(briefs(layout, name), 1)]
        if firsts:
            functions = ", ".join(one.provenance.function for one in firsts)
            yield text("")
            yield text((f"Also stored, and not looked at: {functions}", "dim"))
