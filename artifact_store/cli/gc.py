"""`gc`: remove what nothing needs, and keep a store within its budget."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from artifact_store.bucket_garbage import delete, superfluous
from artifact_store.cli.arguments import add_place, begin
from artifact_store.cli.printing import command, near, out, print_json, table, text
from artifact_store.errors import BadSetting
from artifact_store.eviction import (
    Eviction,
    Held,
    evicted,
    eviction,
)
from artifact_store.garbage import Garbage, quarantined, removed, unneeded
from artifact_store.layout import Layout
from artifact_store.listing import number_of_entries
from artifact_store.modes import refuse_changes
from artifact_store.progress import bar
from artifact_store.quantities import count, size
from artifact_store.settings import amount, settings_of, whole_number
from artifact_store.stores.base import Store
from artifact_store.stores.locate import home_meant, store_at
from artifact_store.stores.remote import RemoteStore
from artifact_store.urls import UrlPath
from artifact_store.weights import Budget, Weight, weight_of

if TYPE_CHECKING:
    from rich.table import Table

_WORDS: Final = {
    "data": "data that no entry names",
    "record": "records that nothing needs",
    "door": "doors to data that are gone",
    "stage": "left behind by writers that died",
    "quarantine": "set aside as corrupt",
    "note": "notes of why it was",
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
    add("--max-files", type=_number, metavar="N", help=files)


def _amount(text: str) -> int:
    return _read(amount, text)


def _number(text: str) -> int:
    return _read(whole_number, text)


def _read(read: Callable[[str, str], int], text: str) -> int:
    try:
        return read(text, "")
    except BadSetting as error:
        problem = f"{text!r}: {error.problem}. {error.advice}"
        raise argparse.ArgumentTypeError(problem) from None


def gc(arguments: argparse.Namespace) -> int:
    """Carry it out."""
    if isinstance(arguments.run, UrlPath):
        return _gc_of_bucket(arguments)
    store = store_at(arguments.run)
    if not arguments.dry_run:
        refuse_changes(store.location)
    budget = _budget(arguments, store)
    found, aside = _unneeded(store), quarantined(store)
    if arguments.quarantined:
        found, aside = found + aside, []
    going = _going(store, budget, found)
    records = _needed_by(store, going, found)
    if not arguments.dry_run:
        found = _removed(store, found)
        planned, going = going, evicted(store, going)
        # If some stay after all, so do the records that they may need.
        records = _removed(store, records) if going.keys == planned.keys else []
    found += records
    weight = Weight(sum(one.nbytes for one in records), len(records))
    going = replace(going, left=going.left - weight)
    if arguments.json:
        _print_json(arguments, found, going, budget)
    else:
        _print(arguments, store, found, going, aside)
        _print_excess(arguments.run, going, budget)
    return int(going.left.exceeds(budget))


def _gc_of_bucket(arguments: argparse.Namespace) -> int:
    store = home_meant(arguments.run)
    assert isinstance(store, RemoteStore)
    for asked in ("quarantined", "max_bytes", "max_files"):
        if getattr(arguments, asked):
            option = f"--{asked.replace('_', '-')}"
            arguments.parser.error(f"{option} is of stores in directories")
    if not arguments.dry_run:
        refuse_changes(store.location)
    found = superfluous(store)
    if not arguments.dry_run:
        delete(store, found)
    nbytes = sum(one.nbytes for one in found)
    if arguments.json:
        print_json({"store": store.location, "data": len(found), "nbytes": nbytes})
        return 0
    does = "would remove" if arguments.dry_run else "removed"
    what = f"{count(len(found), 'group')} of data that nothing names, {size(nbytes)}"
    out(f"{does.capitalize()} {what}, from {store.location}.")
    return 0


def _budget(arguments: argparse.Namespace, store: Store) -> Budget:
    given = {"max_bytes": arguments.max_bytes, "max_files": arguments.max_files}
    return Budget(*(one.value for one in settings_of(store.location, given)))


def _going(store: Store, budget: Budget, found: Sequence[Garbage]) -> Eviction:
    """What goes besides garbage."""
    if budget == Budget():
        return Eviction((), Weight(), ())
    total = weight_of(os.path.realpath(store.location))
    for one in found:
        total = total - weight_of(one.path)
    return eviction(store, budget, total)


def _needed_by(
    store: Store, going: Eviction, found: Sequence[Garbage]
) -> list[Garbage]:
    """The records that only entries need that go."""
    if not going.evicted:
        return []
    then = unneeded(store, without=going.keys)
    known = {one.path for one in found}
    return [one for one in then if one.kind == "record" and one.path not in known]


def _removed(store: Store, found: Sequence[Garbage]) -> list[Garbage]:
    with bar("gc", len(found), "file") as advance:
        return removed(store, found, advance)


def _print_json(
    arguments: argparse.Namespace,
    found: Sequence[Garbage],
    going: Eviction,
    budget: Budget,
) -> None:
    nbytes = sum(one.nbytes for one in found) + going.freed.nbytes
    document = {
        "removed": not arguments.dry_run,
        "garbage": [_as_dict(one) for one in found],
        "evicted": [str(key) for key in going.keys],
        "nbytes": nbytes,
        "budget": asdict(budget),
        "left": None if budget == Budget() else asdict(going.left),
    }
    print_json(document)


def _as_dict(one: Garbage) -> dict[str, object]:
    return {"kind": one.kind, "path": one.path, "nbytes": one.nbytes}


def _print(
    arguments: argparse.Namespace,
    store: Store,
    found: Sequence[Garbage],
    going: Eviction,
    aside: Sequence[Garbage],
) -> None:
    nbytes = sum(one.nbytes for one in found) + going.freed.nbytes
    frees = "Would free" if arguments.dry_run else "Freed"
    is_any = found or going.evicted
    what = f"{frees} {size(nbytes)} of" if is_any else "Nothing to remove in"
    rows = _table(found)
    for analysis, held in sorted(_by_analysis(going).items()):
        entries = sum(len(one.keys) for one in held)
        freed = size(sum(one.weight.nbytes for one in held))
        rows.add_row(f"  entries of {analysis}", f"{entries:,}", freed)
    out(f"{what} {near(store.location)}.", rows)
    if aside:
        things = sum(one.kind == "quarantine" for one in aside)
        notes = count(len(aside) - things, "note")
        kept = f"Kept: {things:,} set aside as corrupt, with {notes}; {_size(aside)}."
        out(kept, command("remove them too", "gc", arguments.run, "--quarantined"))


def _by_analysis(going: Eviction) -> dict[str, list[Held]]:
    found: dict[str, list[Held]] = {}
    for held in going.evicted:
        found.setdefault(held.keys[0].analysis, []).append(held)
    return found


def _print_excess(run: Path, going: Eviction, budget: Budget) -> None:
    """What keeps a store from its budget, if anything does, and what may go all the same."""
    if not going.left.exceeds(budget):
        return
    over = " and ".join(_excess(going.left, budget))
    left = f"{size(going.left.nbytes)} in {going.left.files:,} files are left. Kept:"
    rows = table("", ">entries", ">size", indent=2)
    for reason, words in _REASONS.items():
        held = [one for one in going.kept if one.protected == reason]
        if held:
            entries = sum(len(one.keys) for one in held)
            kept = size(sum(one.weight.nbytes for one in held))
            rows.add_row(f"  {words}", f"{entries:,}", kept)
    beside = going.left - sum((one.weight for one in going.kept), Weight())
    rows.add_row("  everything else", "", size(max(0, beside.nbytes)))
    stale = command(
        "what is of other code, or of checkpoints that were replaced",
        *("rm", run, "--all", "--stale"),
    )
    out("", text((f"Over budget by {over}: ", "red"), left), rows, "", stale)


def _excess(left: Weight, budget: Budget) -> list[str]:
    """By how much a store is over its budget, in words."""
    found = []
    if budget.max_bytes is not None and left.nbytes > budget.max_bytes:
        found.append(size(left.nbytes - budget.max_bytes))
    if budget.max_files is not None and left.files > budget.max_files:
        found.append(count(left.files - budget.max_files, "file"))
    return found


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
