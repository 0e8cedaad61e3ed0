"""`gc`: remove what nothing needs, and keep a store within its budget."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from artifact_store.cli.arguments import add_place, begin
from artifact_store.cli.printing import (
    command,
    near,
    out,
    print_json,
    size,
    table,
    text,
)
from artifact_store.errors import BadSetting
from artifact_store.eviction import Budget, Eviction, Held, Weight, eviction, weight_of
from artifact_store.garbage import Garbage, quarantined, removed, unneeded
from artifact_store.layout import Layout
from artifact_store.listing import number_of_entries
from artifact_store.progress import bar
from artifact_store.settings import amount, settings_of
from artifact_store.stores.base import Store
from artifact_store.stores.locate import store_at

if TYPE_CHECKING:
    from rich.table import Table

_WORDS: Final = {
    "data": "data that no entry names",
    "record": "records that no entry names",
    "door": "doors to data that are gone",
    "stage": "left behind by writers that died",
    "quarantine": "set aside as corrupt",
}
_REASONS: Final = {
    "newest": "newest of an analysis for its checkpoint",
    "pinned": "pinned",
    "being computed": "being computed",
}


def add_to(parser: argparse.ArgumentParser) -> None:
    """How to ask for it."""
    more = (
        "Nothing that an entry needs goes, nor anything that is younger than an hour. Entries go only where there is "
        "a budget: first what is cheapest to compute again per byte, and longest unused. What is pinned, being "
        "computed, or the newest of an analysis for its checkpoint stays."
    )
    begin(parser, gc, more)
    add_place(parser)
    add = parser.add_argument
    add("--dry-run", action="store_true", help="say what would go, and remove nothing")
    aside = "what was set aside as corrupt, too"
    add("--quarantined", action="store_true", help=aside)
    most = "evict entries until the store takes no more, such as 10GB"
    add("--max-bytes", type=_amount, metavar="SIZE", help=most)
    files = "evict entries until the store has no more files"
    add("--max-files", type=_amount, metavar="N", help=files)


def _amount(text: str) -> int:
    try:
        return amount(text, "")
    except BadSetting as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error.problem}") from None


def gc(arguments: argparse.Namespace) -> int:
    """Carry it out."""
    store = store_at(arguments.run)
    budget = _budget(arguments, store)
    found, aside = _unneeded(store), quarantined(store)
    if arguments.quarantined:
        found, aside = found + aside, []
    evicted = _evicted(store, budget, found)
    if not arguments.dry_run:
        with bar("gc", len(found), "file") as advance:
            found = removed(store, found, advance)
        store.remove(evicted.keys)
    if arguments.json:
        _print_json(arguments, found, evicted, budget)
    else:
        _print(arguments, store, found, evicted, aside)
        _print_excess(evicted, budget)
    return int(evicted.left.exceeds(budget))


def _budget(arguments: argparse.Namespace, store: Store) -> Budget:
    given = {"max_bytes": arguments.max_bytes, "max_files": arguments.max_files}
    return Budget(*(one.value for one in settings_of(store.location, given)))


def _evicted(store: Store, budget: Budget, found: Sequence[Garbage]) -> Eviction:
    """What goes besides garbage."""
    if budget == Budget():
        return Eviction((), Weight(), ())
    total = weight_of(store.location)
    for one in found:
        total = total - weight_of(one.path)
    return eviction(store, budget, total)


def _print_json(
    arguments: argparse.Namespace,
    found: Sequence[Garbage],
    evicted: Eviction,
    budget: Budget,
) -> None:
    nbytes = sum(one.nbytes for one in found) + evicted.freed.nbytes
    document = {
        "removed": not arguments.dry_run,
        "garbage": [asdict(one) for one in found],
        "evicted": [str(key) for key in evicted.keys],
        "nbytes": nbytes,
        "budget": asdict(budget),
        "left": None if budget == Budget() else asdict(evicted.left),
    }
    print_json(document)


def _print(
    arguments: argparse.Namespace,
    store: Store,
    found: Sequence[Garbage],
    evicted: Eviction,
    aside: Sequence[Garbage],
) -> None:
    nbytes = sum(one.nbytes for one in found) + evicted.freed.nbytes
    frees = "Would free" if arguments.dry_run else "Freed"
    is_any = found or evicted.evicted
    what = f"{frees} {size(nbytes)} of" if is_any else "Nothing to remove in"
    rows = _table(found)
    for analysis, held in sorted(_by_analysis(evicted).items()):
        entries = sum(len(one.keys) for one in held)
        freed = size(sum(one.weight.nbytes for one in held))
        rows.add_row(f"  entries of {analysis}", f"{entries:,}", freed)
    out(f"{what} {near(store.location)}.", rows)
    if aside:
        kept = f"Kept: {len(aside):,} set aside as corrupt, {_size(aside)}."
        out(kept, command("remove them too", "gc", arguments.run, "--quarantined"))


def _by_analysis(evicted: Eviction) -> dict[str, list[Held]]:
    found: dict[str, list[Held]] = {}
    for held in evicted.evicted:
        found.setdefault(held.keys[0].analysis, []).append(held)
    return found


def _print_excess(evicted: Eviction, budget: Budget) -> None:
    """What keeps a store from its budget, if anything does."""
    if not evicted.left.exceeds(budget):
        return
    left = f"{size(evicted.left.nbytes)} in {evicted.left.files:,} files"
    allowed = [
        *([size(budget.max_bytes)] if budget.max_bytes is not None else []),
        *([f"{budget.max_files:,} files"] if budget.max_files is not None else []),
    ]
    over = f"Over budget: {left} are left, and {' and '.join(allowed)} allowed. Kept:"
    rows = table("", ">", ">", indent=2)
    for reason, words in _REASONS.items():
        held = [one for one in evicted.kept if one.protected == reason]
        if held:
            entries = sum(len(one.keys) for one in held)
            kept = size(sum(one.weight.nbytes for one in held))
            rows.add_row(f"  {words}", f"{entries:,}", kept)
    out("", text((over, "red")), rows)


def _unneeded(store: Store) -> list[Garbage]:
    # Of each entry, its manifest is looked at, and then its door.
    steps = 2 * number_of_entries(Layout(store.location))
    with bar("gc", steps, "entry") as advance:
        return unneeded(store, advance)


def _table(found: Sequence[Garbage]) -> Table:
    rows = table("", ">", ">", indent=2)
    for kind, words in _WORDS.items():
        of_kind = [one for one in found if one.kind == kind]
        if of_kind:
            rows.add_row(f"  {words}", f"{len(of_kind):,}", _size(of_kind))
    return rows


def _size(found: Sequence[Garbage]) -> str:
    return size(sum(one.nbytes for one in found))
