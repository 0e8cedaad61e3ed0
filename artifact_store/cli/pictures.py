"""`why` of a picture: what it was drawn from, and whether a run still has that."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

from artifact_store.causes import SHORT, Cause
from artifact_store.cli.arguments import import_from_here, run_at
from artifact_store.cli.printing import (
    cause_lines,
    line,
    near,
    out,
    print_json,
    table,
    text,
)
from artifact_store.errors import MissingFile
from artifact_store.memoize import Analysis
from artifact_store.offers import analysis_named, offered_functions
from artifact_store.pictures import MAX_PICTURE
from artifact_store.quantities import count, duration
from artifact_store.stamps import Stamp, StampedArtifact, StampedMember, read_stamp
from artifact_store.standing import Standing, State, standings

if TYPE_CHECKING:
    from rich.console import RenderableType

_SUFFIXES: Final = (".svg", ".png", ".html")

_STATES: Final[Mapping[State, tuple[str, str]]] = {
    "same": ("the same", "green"),
    "other": ("another result", "yellow"),
    "none": ("none up to date", "yellow"),
    "unknown": ("not known", "cyan"),
}

# What was drawn, and what there is of it today.
_Beside: TypeAlias = tuple[StampedArtifact, Standing | None]


def is_picture(path: Path) -> bool:
    """Whether a path is meant as one of a picture."""
    return path.suffix.lower() in _SUFFIXES and not path.is_dir()


def why_picture(arguments: argparse.Namespace) -> int:
    """Carry it out."""
    if arguments.epoch is not None or arguments.param:
        arguments.parser.error("a picture has its own epoch and params")
    stamp = _stamp_in(arguments.run)
    found: Sequence[Standing | None] = [None] * len(stamp.artifacts)
    if arguments.asked:
        where, *named = arguments.asked
        run = run_at(Path(where), arguments.pattern)
        found = standings(stamp.artifacts, run, _analyses(stamp, named))
    drawn = list(zip(stamp.artifacts, found, strict=True))
    if arguments.json:
        print_json(_as_dict(stamp, drawn))
    else:
        _print(stamp, drawn)
    return int(any(one is not None and one.state != "same" for one in found))


def _stamp_in(path: Path) -> Stamp:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_PICTURE + 1)
    except FileNotFoundError:
        raise MissingFile(path, "does not exist") from None
    return read_stamp(content, str(path))


def _analyses(stamp: Stamp, named: Sequence[str]) -> dict[str, Analysis[..., Any]]:
    """The analyses that a picture names and that may be imported: those offered, and those that were typed."""
    import_from_here(named)
    typed = {one.declaration.function: one for one in map(analysis_named, named)}
    drawn = {one.function for one in stamp.artifacts}
    offered = (drawn & offered_functions()) - typed.keys()
    return typed | {function: analysis_named(function) for function in offered}


def _as_dict(stamp: Stamp, drawn: Sequence[_Beside]) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(stamp)
    for one, (_, standing) in zip(plain["artifacts"], drawn, strict=True):
        if standing is not None:
            one["today"] = standing.as_dict()
    return plain


def _print(stamp: Stamp, drawn: Sequence[_Beside]) -> None:
    out(text((stamp.title, "bold")))
    out(*(line((f"  {name:<10}", "dim"), fact) for name, fact in _shown(stamp)))
    for group in _alike(drawn):
        out(*_group(group, stamp.code))
    if stamp.below:
        out("", text("Computed from:"))
    for group in _alike([(one, None) for one in stamp.below]):
        out(*_group(group, stamp.code))


def _shown(stamp: Stamp) -> Iterator[tuple[str, str]]:
    yield "view", stamp.view
    yield "run", stamp.run
    yield "epoch", "all" if stamp.epoch is None else str(stamp.epoch)
    for name, shown in stamp.params.items():
        yield "param", f"{name} = {shown}"


def _alike(drawn: Iterable[_Beside]) -> list[list[_Beside]]:
    """Artifacts of one analysis, code and params together, in the order in which they first come."""
    groups: dict[tuple[str, ...], list[_Beside]] = {}
    for one, standing in drawn:
        params = [f"{name}={param.shown}" for name, param in one.params.items()]
        alike = (one.function, one.closure, *params)
        groups.setdefault(alike, []).append((one, standing))
    return list(groups.values())


def _group(
    group: Sequence[_Beside], code: Mapping[str, Sequence[StampedMember]]
) -> Iterator[RenderableType]:
    first, standing = group[0]
    name = str(first) if len(group) == 1 else first.analysis
    many = "" if len(group) == 1 else f": {count(len(group), 'artifact')}"
    yield text("")
    yield text((name, "bold"), many)
    facts = _facts(first) if len(group) == 1 else _common(first)
    yield from (line((f"  {name:<10}", "dim"), fact) for name, fact in facts)
    if len(group) > 1:
        yield text("")
        yield _rows(group)
    elif standing is not None:
        words, style = _STATES[standing.state]
        today = f"  {standing.output[:SHORT]}" if standing.output else ""
        yield line(("  today     ", "dim"), (words, style), (today, "dim"))
    yield from _code(code.get(first.closure, ()))
    yield from _causes(group)


def _facts(one: StampedArtifact) -> Iterator[tuple[str, str]]:
    yield "key", one.key
    yield "output", one.output
    yield "made", f"{_moment(one)} UTC, in {duration(one.seconds)}"
    for given in one.inputs:
        yield "input", f"{given.name} = {given.label} {given.digest[:SHORT]}"
    yield from _common(one)


def _common(one: StampedArtifact) -> Iterator[tuple[str, str]]:
    for name, param in one.params.items():
        yield "param", f"{name} = {param.shown}"
    yield "function", one.function
    yield "with", ", ".join(f"{name} {of}" for name, of in one.versions.items())


def _rows(group: Sequence[_Beside]) -> RenderableType:
    has_today = group[0][1] is not None
    heads = ("of", "key", "output", "made, UTC", *(("today",) if has_today else ()))
    rows = table(*heads, indent=2)
    for one, standing in group:
        labels = ", ".join(given.label for given in one.inputs) or "-"
        cells = [f"  {labels}", one.key[:SHORT], one.output[:SHORT], _moment(one)]
        today = () if standing is None else (text(_STATES[standing.state]),)
        rows.add_row(*map(text, cells), *today)
    return rows


def _moment(one: StampedArtifact) -> str:
    return one.created[:19].replace("T", " ")


def _code(members: Sequence[StampedMember]) -> Iterator[RenderableType]:
    if not members:
        yield text(("  The code that made it is not recorded any more.", "dim"))
        return
    yield text("")
    rows = table("code", "", "", indent=2)
    for one in members:
        place, digest = text(f"{one.file}:{one.line}"), text((one.digest[:SHORT], "dim"))  # fmt: skip
        rows.add_row(text(f"  {one.name}"), place, digest)
    yield rows


def _causes(group: Sequence[_Beside]) -> Iterator[RenderableType]:
    """Why artifacts are not what there is today: each reason once, with how many it holds for."""
    reasons: dict[Cause | str, int] = {}
    for _, standing in group:
        for one in () if standing is None else standing.causes or (standing.why,):
            reasons[one] = reasons.get(one, 0) + 1
    reasons.pop("", None)
    for reason, number in reasons.items():
        of = "" if number == len(group) else f" (of {number} of {len(group)})"
        yield text("")
        if isinstance(reason, Cause):
            yield from cause_lines(replace(reason, what=reason.what + of), "  ")
        else:
            yield line("  ", near(reason), of)
