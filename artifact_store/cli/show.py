"""`show`: everything about one entry."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artifact_store.cli.arguments import Verbs, add_place, add_verb
from artifact_store.cli.printing import (
    age,
    as_dict,
    duration,
    labels,
    line,
    near,
    out,
    print_json,
    shape,
    size,
    table,
    text,
)
from artifact_store.layout import Layout
from artifact_store.lookup import doors_of, entry_meant
from artifact_store.manifests import Manifest
from artifact_store.stores.locate import group_at, store_at

if TYPE_CHECKING:
    from rich.table import Table

_RULE = (
    "What it can reach outside the standard library and site-packages, and the package it stands in; "
    "of other installed packages the version is recorded."
)


def add_to(verbs: Verbs) -> None:
    """How to ask for it."""
    parser = add_verb(verbs, "show", "say everything about one entry", show)
    ways = "the beginning of its key, its door, or ANALYSIS@LABEL"
    parser.add_argument("entry", metavar="ENTRY", help=ways)
    add_place(parser)


def show(arguments: argparse.Namespace) -> int:
    """Carry it out."""
    is_path = group_at(Path(arguments.entry)) is not None
    store = store_at(Path(arguments.entry) if is_path else arguments.run)
    manifest = entry_meant(store, arguments.entry)
    closure = store.detail("closures", manifest.provenance.closure)
    group = Layout(store.location).group(manifest.output)
    doors = [str(door) for door in doors_of(store, manifest)]
    if arguments.json:
        more = {"group": group, "doors": doors, "members": closure}
        print_json(as_dict(manifest) | more)
        return 0

    paths = [("group", near(group)), *(("door", near(door)) for door in doors)]
    out(text((f"{manifest.analysis}@{labels(manifest)}", "bold")))
    for name, fact in (*_facts(manifest), *paths):
        out(line((f"  {name:<10}", "dim"), fact))
    out("", _arrays(manifest))
    _print_closure(closure)
    return 0


def _facts(manifest: Manifest) -> Iterator[tuple[str, str]]:
    made = manifest.provenance
    versions = (f"{name} {version}" for name, version in made.versions.items())
    yield "key", manifest.key
    yield "output", manifest.output
    when = f"{made.created[:19].replace('T', ' ')} UTC ({age(made.created)} ago)"
    yield "made", f"{when} on {made.host}, in {duration(made.seconds)}"
    yield "with", ", ".join([f"python {made.python}", made.platform, *versions])
    yield "function", made.function
    yield "closure", made.closure
    yield "declared", made.environment
    for one in made.inputs:
        yield "input", f"{one.name} = {one.label} {one.digest}"
    for name, record in made.params.items():
        yield "param", f"{name} = {record.shown}"
    for name, shown in made.ignored.items():
        yield "ignored", f"{name} = {shown}"


def _arrays(manifest: Manifest) -> Table:
    rows = table("array", "dims", "shape", "dtype", "codec", ">size", indent=2)
    for one in manifest.arrays:
        dims = ", ".join(one.dims)
        cells = (dims, *shape(one), one.codec, size(one.size))
        rows.add_row("  " + one.name, *cells)
    return rows


def _print_closure(closure: Any) -> None:
    if not isinstance(closure, list):
        out("", "The code that made it is not recorded any more.")
        return
    members, constants = table("code", "", indent=2), table(
        "constant", "used by", indent=2
    )
    for member in closure:
        members.add_row(
            "  " + member["name"], near(f"{member['file']}:{member['line']}")
        )
        for kind, spelled, _, shown in member["references"]:
            if kind == "constant":
                constants.add_row(f"  {spelled} = {shown}", member["name"])
    out("", members, text((_RULE, "dim")))
    if constants.row_count:
        out("", constants)
