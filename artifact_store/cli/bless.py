"""`bless`: state that a change of code changes no result, list such statements, take one back."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from artifact_store.calls import closure_in_words
from artifact_store.causes import Cause, code_changes
from artifact_store.cli.arguments import (
    begin,
    import_from_here,
    place,
)
from artifact_store.cli.printing import age, line, near, out, print_json, table, text
from artifact_store.equivalence import Blessing, bless, blessings, unbless
from artifact_store.errors import NothingToBless
from artifact_store.layout import Layout
from artifact_store.listing import listed_analyses
from artifact_store.manifests import Manifest
from artifact_store.memoize import Analysis
from artifact_store.modes import refuse_changes
from artifact_store.offers import analysis_named
from artifact_store.quantities import count
from artifact_store.stores.base import Store
from artifact_store.stores.locate import store_at

_DIFF_STYLES = {"-": "red", "+": "green", "@": "cyan"}


def add_to(parser: argparse.ArgumentParser) -> None:
    """How to ask for it."""
    more = (
        "Entries of the code that an analysis had last are then found by the code that it has now, without "
        "computing them again. States nothing without --yes."
    )
    begin(parser, carry_out, more)
    add = parser.add_argument
    add("run", type=place, metavar="RUN", help="a run, one of its checkpoints, a store")
    name = "module:function, or an offered name"
    add("analysis", metavar="ANALYSIS", nargs="*", help=name)
    add("--note", default="", metavar="TEXT", help="why it is the same")
    add("--yes", action="store_true", help="do state it")
    add("--list", action="store_true", help="list what was stated")
    add("--undo", metavar="ID", help="take a statement back, by its name in the list")


def carry_out(arguments: argparse.Namespace) -> int:
    """Carry it out."""
    store = store_at(arguments.run)
    if arguments.yes or arguments.undo:
        refuse_changes(store.location)
    names = listed_analyses(Layout(store.location))
    stated = [one for name in names for one in blessings(store, name)]
    if arguments.undo:
        return _undo(store, stated, arguments)
    if arguments.list:
        return _list(stated, arguments)
    if not arguments.analysis:
        arguments.parser.error("name an ANALYSIS, or ask for the --list")
    import_from_here(arguments.analysis)
    analyses = [analysis_named(name) for name in arguments.analysis]
    pairs = [(one, _newest_of_other_code(store, one)) for one in analyses]
    for analysis, was in pairs:
        _state(store, analysis, was, arguments)
    if arguments.yes or arguments.json:
        return 0
    out("", text(("Nothing was stated: add --yes if no result can differ.", "yellow")))
    return 1


def _newest_of_other_code(store: Store, analysis: Analysis[..., Any]) -> Manifest:
    now = analysis.closure.digest.hex
    every = list(store.manifests(analysis.__name__))
    others = [one for one in every if one.provenance.closure != now]
    if not others:
        raise NothingToBless(analysis.__name__, len(every))
    return max(others, key=lambda one: one.provenance.created)


def _state(
    store: Store,
    analysis: Analysis[..., Any],
    was: Manifest,
    arguments: argparse.Namespace,
) -> None:
    before, name = was.provenance.closure, analysis.__name__
    now = analysis.closure.digest.hex
    of = [one for one in store.manifests(name) if one.provenance.closure == before]
    stated = bless(store, name, before, now, arguments.note) if arguments.yes else None
    if arguments.json:
        facts = {"analysis": name, "was": before, "now": now, "entries": len(of)}
        print_json(facts | {"name": stated.name if stated else None})
        return
    done = ("blessed as " + stated.name, "green") if stated else ("to bless", "yellow")
    out(text((name, "bold"), f": {count(len(of), 'entry')}, ", done))
    recorded = store.detail("closures", before)
    for cause in code_changes(recorded, closure_in_words(analysis.closure)):
        out(*_lines(cause))


def _lines(cause: Cause) -> Iterator[Any]:
    yield text("  ", near(cause.what))
    for words in cause.detail.splitlines():
        yield line("    ", (words, _DIFF_STYLES.get(words[:1], "dim")))


def _list(stated: list[Blessing], arguments: argparse.Namespace) -> int:
    if arguments.json:
        print_json([{"name": one.name, **_as_dict(one)} for one in stated])
        return 0
    if not stated:
        out(text(("No code was blessed.", "dim")))
        return 0
    rows = table("name", "analysis", "was", "now", "by", ">ago", "note")
    for one in stated:
        codes = (one.was[:12], one.now[:12])
        cells = (one.name, one.analysis, *codes, one.who, age(one.created), one.note)
        rows.add_row(*cells)
    out(rows)
    return 0


def _as_dict(one: Blessing) -> dict[str, str]:
    return {name: getattr(one, name) for name in one.__struct_fields__}


def _undo(store: Store, stated: list[Blessing], arguments: argparse.Namespace) -> int:
    found = [one for one in stated if one.name == arguments.undo]
    if not found:
        arguments.parser.error(f"nothing was blessed as {arguments.undo}: see --list")
    for one in found:
        unbless(store, one)
        out(f"{one.analysis}: {one.name} is taken back; what it covered is stale.")
    return 0
