"""`ls`: the entries of a store."""

from __future__ import annotations

import argparse
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Final

import msgspec

from artifact_store.cli.arguments import (
    add_place,
    begin,
    goes_by,
    split_names,
)
from artifact_store.cli.printing import (
    age,
    as_dict,
    as_json,
    command,
    labels,
    line,
    near,
    out,
    print_json,
    shape,
    table,
    text,
)
from artifact_store.cli.selection import check_names, folders_of
from artifact_store.layout import Layout
from artifact_store.listing import Brief, briefs, number_of_entries
from artifact_store.manifests import Manifest
from artifact_store.pins import pinned
from artifact_store.progress import bar
from artifact_store.quantities import count, size
from artifact_store.stores.base import Store
from artifact_store.stores.local import open_store
from artifact_store.stores.locate import store_at
from artifact_store.stores.quarantine import Quarantined, quarantined

# More lines than anyone reads: above it, entries are summed up by call, and calls by analysis.
LINES: Final = 1000


@dataclass(slots=True)
class _Sum:
    """How many entries there are of one kind, and when the newest was made."""

    entries: int = 0
    newest: str = ""

    def add(self, brief: Brief) -> None:
        """Count one more."""
        self.entries += 1
        self.newest = max(self.newest, brief.provenance.created)


@dataclass(slots=True)
class _Found:
    """Entries, each for itself while they are few, and in sums; however many there are, that is not more in memory."""

    entries: int = 0
    each: list[Brief] = field(default_factory=list)
    by_call: dict[str, _Sum] = field(default_factory=dict)
    by_analysis: dict[str, _Sum] = field(default_factory=dict)

    def add(self, brief: Brief) -> None:
        """Take one more."""
        self.entries += 1
        if self.entries <= LINES:
            self.each.append(brief)
        if len(self.by_call) <= LINES:
            self.by_call.setdefault(_call(brief), _Sum()).add(brief)
        self.by_analysis.setdefault(brief.analysis, _Sum()).add(brief)


def add_to(parser: argparse.ArgumentParser) -> None:
    """How to ask for it."""
    more = f"More than {LINES:,} entries are summed up."
    begin(parser, ls, more)
    add_place(parser)
    add = parser.add_argument
    mine = "only of these analyses"
    add("--analysis", action="extend", type=split_names, metavar="NAME,...", help=mine)
    add("--label", metavar="WORDS", help="only of inputs whose label contains this")
    aside = "what was set aside as corrupt instead, and why"
    add("--quarantined", action="store_true", help=aside)


def ls(arguments: argparse.Namespace) -> int:
    """Carry it out."""
    # What lies in shared stores below it is not of this one: no other verb shows, checks or removes it here.
    store = open_store(store_at(arguments.run).location)
    if arguments.quarantined:
        _print_quarantined(arguments, list(quarantined(Layout(store.location))))
        return 0
    check_names(arguments.analysis or [], store)
    if arguments.json:
        _print_json(arguments, store)
        return 0
    found = _Found()
    for brief in _briefs(arguments, store):
        found.add(brief)
    if not found.entries:
        out("Nothing stored goes by that.")
    elif found.entries > LINES:
        _print_sums(found)
    else:
        _print_each(found.each, pinned(store.location))
    return 0


def _print_quarantined(arguments: argparse.Namespace, found: list[Quarantined]) -> None:
    """What was set aside, each with its cause."""
    if arguments.json:
        print_json([msgspec.to_builtins(one) for one in found])
        return
    if not found:
        out("Nothing was set aside as corrupt.")
        return
    for one in found:
        analysis, _, digest = one.key.partition(":")
        made = age(one.when) if one.when else ""
        head = text((analysis or "?", "bold"), (f"  {digest[:8]}", "cyan"), f"  {made}")
        cause = near(one.cause) or "nobody noted why"
        out(head, text("  ", (cause, "red")), line("  ", (near(one.aside), "dim")))
    out(
        "",
        f"{len(found):,} set aside as corrupt.",
        command("remove them", "gc", arguments.run, "--quarantined"),
    )


def _print_json(arguments: argparse.Namespace, store: Store) -> None:
    """Print one document, entry by entry."""
    begin, folders = "[", folders_of(arguments.analysis)
    for manifest in chain.from_iterable(map(store.manifests, folders)):
        if _is_asked_for(arguments, manifest):
            entry = as_json(as_dict(manifest))
            print(begin, entry.replace("\n", "\n  "), sep="\n  ", end="")
            begin = ","
    print("[]" if begin == "[" else "\n]")


def _briefs(arguments: argparse.Namespace, store: Store) -> Iterator[Brief]:
    layout = Layout(store.location)
    for analysis in folders_of(arguments.analysis):
        with bar("ls", number_of_entries(layout, analysis), "entry") as advance:
            for brief in briefs(layout, analysis, advance):
                if _is_asked_for(arguments, brief):
                    yield brief


def _is_asked_for(arguments: argparse.Namespace, entry: Manifest | Brief) -> bool:
    words = arguments.label or ""
    return goes_by(entry, arguments.analysis) and words in labels(entry)


def _print_each(found: Iterable[Brief], stays: Container[str]) -> None:
    """A line for each entry, below what was called."""
    kinds: dict[tuple[str, str], list[Brief]] = {}
    for brief in found:
        kinds.setdefault((_call(brief), _arrays(brief)), []).append(brief)
    for number, ((call, arrays), alike) in enumerate(kinds.items()):
        alike.sort(key=lambda one: (labels(one), one.provenance.created))
        rows = table("", ">", ">", "")
        for one in alike:
            name = text(("  " + one.analysis + "@", "dim"), labels(one))
            made = age(one.provenance.created)
            key = text((one.key[:8], "cyan"))
            if one.key in stays:
                key.append("  pinned", "yellow")
            rows.add_row(name, size(one.nbytes), made, key)
        title = text((call, "bold"), "  ", arrays)
        if number > 0:
            out("")
        out(title, rows)


def _print_sums(found: _Found) -> None:
    """A line for each call, or if there are too many of these for each analysis."""
    sums = found.by_call if len(found.by_call) <= LINES else found.by_analysis
    rows = table("", ">entries", ">newest")
    for name, one in sorted(sums.items()):
        rows.add_row(name, f"{one.entries:,}", age(one.newest))
    entries = count(found.entries, "entry")
    out(rows, "", f"{entries}: to list them, narrow it by --analysis and --label.")


def _call(brief: Brief) -> str:
    params = brief.provenance.params.items()
    given = ", ".join(f"{name}={record.shown}" for name, record in params)
    return f"{brief.analysis}({given})" if given else brief.analysis


def _arrays(brief: Brief) -> str:
    named = ((one.name, *shape(one)) for one in brief.arrays)
    return ", ".join(f"{name} {dtype} {sides}" for name, sides, dtype in named)
