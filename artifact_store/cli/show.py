"""`show`: everything about one entry."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artifact_store.causes import SHORT
from artifact_store.cli.arguments import add_place, begin
from artifact_store.cli.printing import (
    age,
    as_dict,
    labels,
    line,
    near,
    out,
    print_json,
    shape,
    table,
    text,
)
from artifact_store.closures.origins import origins_of
from artifact_store.edits import name_in_words
from artifact_store.equivalence import Blessing, blessings
from artifact_store.explain import in_words
from artifact_store.layout import Layout
from artifact_store.lookup import doors_of, entry_meant
from artifact_store.manifests import Manifest
from artifact_store.quantities import duration, size
from artifact_store.reads import Question, Read
from artifact_store.stores.base import Store
from artifact_store.stores.locate import group_at, store_at
from artifact_store.traces import reads_of

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

_RULE = (
    "What it can reach outside the standard library and site-packages, and the package it stands in; "
    "of other installed packages the version is recorded."
)
_ALL_COUNTS = "All of its inputs counts: what it read does not tell all that it saw."
_LOST = "What it read is no longer recorded."


def add_to(parser: argparse.ArgumentParser) -> None:
    """How to ask for it."""
    begin(parser, show)
    ways = "the beginning of its key, its door, or ANALYSIS@LABEL"
    parser.add_argument("entry", metavar="ENTRY", help=ways)
    add_place(parser)


def show(arguments: argparse.Namespace) -> int:
    """Carry it out."""
    is_path = group_at(Path(arguments.entry)) is not None
    store = store_at(Path(arguments.entry) if is_path else arguments.run)
    manifest = entry_meant(store, arguments.entry)
    if arguments.json:
        print_json(as_dict(manifest) | _beside(store, manifest))
        return 0

    out(text((f"{manifest.analysis}@{labels(manifest)}", "bold")))
    facts = (*_facts(manifest), *_statements(store, manifest), *_paths(store, manifest))
    out(*(line((f"  {name:<10}", "dim"), fact) for name, fact in facts))
    out("", _arrays(manifest), "", _reads(store, manifest))
    out(*_code(store.detail("closures", manifest.provenance.closure)))
    return 0


def _beside(store: Store, manifest: Manifest) -> dict[str, Any]:
    """What the store knows of an entry and is not in its manifest, for JSON."""
    reads = reads_of(manifest, store)
    closure = store.detail("closures", manifest.provenance.closure)
    return {
        "group": Layout(store.location).group(manifest.output),
        "doors": [str(door) for door in doors_of(store, manifest)],
        "read": None if reads is None else list(map(_plain, reads)),
        "blessings": [one.name for one in _blessed(store, manifest)],
        "first_party": [
            {"package": package, "folder": folder}
            for package, folder in _origins(closure)
        ],
        "members": closure,
    }


def _plain(read: Read) -> dict[str, str]:
    asked = read.question
    return {"kind": asked.kind, "of": asked.of, "name": asked.name, "answer": read.answer}  # fmt: skip


def _facts(manifest: Manifest) -> Iterator[tuple[str, str]]:
    made = manifest.provenance
    versions = (f"{name} {version}" for name, version in made.versions.items())
    yield "key", manifest.key
    yield "output", manifest.output
    when = f"{made.created[:19].replace('T', ' ')} UTC ({age(made.created)} ago)"
    yield "made", f"{when} on {made.host}, in {duration(made.seconds)}"
    yield "with", ", ".join([f"python {made.python}", made.platform, *versions])
    yield "function", made.function
    if manifest.first:
        yield "first", f"{manifest.first}: it was computed under this key, from the same reads"
    yield "closure", made.closure
    yield "declared", made.environment
    for one in made.inputs:
        yield "input", f"{one.name} = {one.label} {one.digest[:SHORT]}"
    for name, record in made.params.items():
        yield "param", f"{name} = {record.shown}"
    for name, shown in made.ignored.items():
        yield "ignored", f"{name} = {shown}"


def _statements(store: Store, manifest: Manifest) -> Iterator[tuple[str, str]]:
    """What was said of its code, and what the function did that a pure one would not."""
    for one in _blessed(store, manifest):
        other = one.now if manifest.provenance.closure == one.was else one.was
        note = f" ({one.note})" if one.note else ""
        yield "blessed", f"{one.name} by {one.who}: as good as closure {other[:SHORT]}{note}"  # fmt: skip
    for flag in manifest.flags:
        yield "not pure", near(flag)


def _blessed(store: Store, manifest: Manifest) -> list[Blessing]:
    """The statements about the code that made it."""
    closure = manifest.provenance.closure
    every = blessings(store, manifest.analysis)
    return [one for one in every if closure in (one.was, one.now)]


def _paths(store: Store, manifest: Manifest) -> Iterator[tuple[str, str]]:
    yield "group", near(Layout(store.location).group(manifest.output))
    for door in doors_of(store, manifest):
        yield "door", near(str(door))


def _arrays(manifest: Manifest) -> Table:
    rows = table("array", "dims", "shape", "dtype", "codec", ">size", indent=2)
    for one in manifest.arrays:
        dims = ", ".join(one.dims)
        cells = (dims, *shape(one), one.codec, size(one.size))
        rows.add_row("  " + one.name, *cells)
    return rows


def _reads(store: Store, manifest: Manifest) -> RenderableType:
    """What it depends on of its inputs."""
    reads = reads_of(manifest, store)
    if reads is None:
        lost = manifest.reads is not None
        return text((_LOST if lost else _ALL_COUNTS, "dim"))
    asked = table("read", "of", "answer", indent=2)
    inputs = [one.label for one in manifest.provenance.inputs]
    for one in reads:
        question, answer = in_words(one)
        asked.add_row(f"  {question}", near(_place(one.question, inputs)), answer)
    return asked


def _place(question: Question, inputs: Sequence[str]) -> str:
    """Which input a question is about, and which epoch of a run."""
    number, _, epoch = question.of.partition("/")
    if question.kind == "call":
        return ""
    named = {str(place): label for place, label in enumerate(inputs)}
    if number not in named:
        return question.of
    return f"{named[number]}, epoch {epoch}" if epoch else named[number]


def _origins(closure: Any) -> list[tuple[str, str]]:
    """Every package that was followed, and where it was."""
    members = closure if isinstance(closure, list) else []
    return origins_of((one["name"], one["file"]) for one in members)


def _code(closure: Any) -> Iterator[RenderableType]:
    yield text("")
    if not isinstance(closure, list):
        yield text("The code that made it is not recorded any more.")
        return
    packages, members = table("first-party", "", indent=2), table("code", "", indent=2)
    constants = table("constant", "used by", indent=2)
    for package, folder in _origins(closure):
        packages.add_row(f"  {package}", near(folder))
    for member in closure:
        place = near(f"{member['file']}:{member['line']}")
        members.add_row(f"  {member['name']}", place)
        for kind, spelled, _, shown in member["references"]:
            if kind == "constant":
                name = name_in_words(spelled, member["source"])
                constants.add_row(f"  {name} = {shown}", member["name"])
    yield from (packages, text((_RULE, "dim")), text(""), members)
    if constants.row_count:
        yield from (text(""), constants)
