"""Why a call hit or missed, in words.

    call, nearest entry ──► *causes* ──► *Explanation*

A miss is explained against the entry that is nearest to the call: of the same
analysis and inputs, with the fewest differences, then the newest.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from html import escape
from typing import Any, Literal, TypeAlias

from artifact_store.calls import Call, closure_in_words, parts_of, versions_of
from artifact_store.errors import ArtifactStoreError
from artifact_store.manifests import Manifest
from artifact_store.params import inputs_in

Kind: TypeAlias = Literal[
    "never computed",
    "code",
    "constant",
    "param",
    "input",
    "declaration",
    "corrupt",
    "removed",
]

HUNK = re.compile(r"^@@ -(\d+)(,\d+)? \+(\d+)(,\d+)? @@$")


@dataclass(frozen=True, slots=True)
class Cause:
    """One reason for a miss: what differs, and how it was and is."""

    kind: Kind
    what: str
    detail: str = ""

    def __str__(self) -> str:
        return (
            self.what if not self.detail else f"{self.what}\n{_indented(self.detail)}"
        )


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a call would hit or miss; `str()` for people.

    Attributes
    ----------
    causes
        Of a miss; none for a hit.
    depends_on
        Everything that decided the key, one line each.
    drift
        What is recorded but not part of the key, and has changed since: versions of installed packages.
    """

    call: str
    key: str
    hit: bool
    causes: tuple[Cause, ...]
    depends_on: tuple[str, ...]
    drift: tuple[str, ...]

    def __str__(self) -> str:
        verdict = "hit" if self.hit else "miss"
        lines = [f"{self.call}: {verdict} (key {self.key[:12]})"]
        lines += [str(cause) for cause in self.causes]
        if self.hit:
            lines += [
                "It is the answer because none of this has changed:",
                *map(_indented, self.depends_on),
            ]
        lines += [f"drift, not part of the key: {one}" for one in self.drift]
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """The same, for JSON."""
        return asdict(self)

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"


class History:
    """The manifests of one store, read once, so that explaining a whole run reads each only once."""

    def __init__(self, manifests: Iterable[Manifest]) -> None:
        self._by_analysis: dict[str, list[Manifest]] = {}
        for manifest in manifests:
            self._by_analysis.setdefault(manifest.analysis, []).append(manifest)

    def of(self, analysis: str) -> Sequence[Manifest]:
        """Every manifest of an analysis."""
        return self._by_analysis.get(analysis, ())


def explain(call: Call) -> Explanation:
    """Why `call` would hit or miss now."""
    try:
        entry = call.store.find(call.key)
    except ArtifactStoreError as error:
        return _explanation(
            call, False, (Cause("corrupt", f"the entry is corrupt: {error}"),), ()
        )
    if entry is None:
        history = History(call.store.manifests(call.key.analysis))
        return _explanation(call, False, causes_of_miss(call, history), ())
    return _explanation(call, True, (), tuple(drift_of(entry.manifest, call)))


def _explanation(
    call: Call, hit: bool, causes: tuple[Cause, ...], drift: tuple[str, ...]
) -> Explanation:
    return Explanation(
        describe(call),
        call.key.digest.hex,
        hit,
        causes,
        tuple(_depends_on(call)),
        drift,
    )


def describe(call: Call) -> str:
    """A call, as its author would write it."""
    inputs = [one.label for one in call.inputs]
    params = [f"{name}={record.shown}" for name, record in call.params.items()]
    return f"{call.key.analysis}({', '.join(inputs + params)})"


def causes_of_miss(call: Call, history: History) -> tuple[Cause, ...]:
    """Why there is no entry for `call`, against the nearest one there is."""
    known = history.of(call.key.analysis)
    labels, digests = _labels(call.inputs), [one.digest for one in call.inputs]
    same = [one for one in known if _labels(one.provenance.inputs) == labels]
    same = same or [
        one for one in known if [i.digest for i in one.provenance.inputs] == digests
    ]
    if not same:
        return (Cause("never computed", "never computed"),)
    return tuple(_differences(_nearest(same, call), call))


def _labels(inputs: Iterable[Any]) -> list[tuple[str, str]]:
    return [(one.name, one.label) for one in inputs]


def _nearest(known: Sequence[Manifest], call: Call) -> Manifest:
    newest_first = sorted(known, key=lambda one: one.provenance.created, reverse=True)
    return min(newest_first, key=lambda one: _differ(one, call))


def _differ(manifest: Manifest, call: Call) -> tuple[bool, ...]:
    """Which parts of a key are not as they were; the more a part has to do with what was asked, the earlier."""
    then, inputs = manifest.provenance, [one.digest for one in call.inputs]
    return (
        [one.digest for one in then.inputs] != inputs,
        then.params != call.params,
        then.closure != call.closure.digest.hex,
        then.environment != call.declaration.environment,
    )


def _differences(manifest: Manifest, call: Call) -> Iterator[Cause]:
    then = manifest.provenance
    if then.closure != call.closure.digest.hex:
        yield from _code_changes(
            call.store.detail("closures", then.closure), closure_in_words(call.closure)
        )
    yield from _param_changes(then.params, call.params)
    yield from _input_changes(manifest, call)
    if then.environment != call.declaration.environment:
        detail = f"- {then.environment}\n+ {call.declaration.environment}"
        yield Cause(
            "declaration",
            f"the decorator of {call.key.analysis} declares something else",
            detail,
        )
    if manifest.key == call.key.digest.hex:
        yield Cause("removed", "the entry was there a moment ago and is not any more")
    elif not any(_differ(manifest, call)):
        yield Cause(
            "input",
            "nothing recorded differs from the nearest entry: inputs are passed in another form (by another name, as "
            "a tuple and not a list), or another release made it",
        )


def _code_changes(then: Any, now: list[dict[str, Any]]) -> Iterator[Cause]:
    if not isinstance(then, list):
        yield Cause(
            "code",
            "the code it reaches has changed; the old source is no longer recorded",
        )
        return
    before = _by_name(then)
    after = _by_name(now)
    found = list(_changed_members(before, after))
    found += [
        _cause(after[name], "is reached now, and was not")
        for name in sorted(after.keys() - before.keys())
    ]
    found += [
        _cause(before[name], "is no longer reached")
        for name in sorted(before.keys() - after.keys())
    ]
    yield from found or [Cause("code", "the same functions are reached in another way")]


def _by_name(members: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Members by name; of several with one name (lambdas), each with its number."""
    named: dict[str, dict[str, Any]] = {}
    for member in members:
        name, number = member["name"], 2
        while name in named:
            name, number = f"{member['name']} ({number})", number + 1
        named[name] = member
    return named


def _changed_members(before: dict[str, Any], after: dict[str, Any]) -> Iterator[Cause]:
    for name in sorted(after.keys() & before.keys()):
        was, is_now = before[name], after[name]
        if was["digest"] != is_now["digest"]:
            line, diff = source_diff(was, is_now)
            yield Cause("code", f"{name} changed ({is_now['file']}:{line})", diff)
        yield from _changed_references(name, was, is_now)


def _changed_references(
    name: str, was: dict[str, Any], is_now: dict[str, Any]
) -> Iterator[Cause]:
    before = {
        spelled: (kind, digest, text)
        for kind, spelled, digest, text in was["references"]
    }
    for kind, spelled, digest, text in is_now["references"]:
        old_kind, old_digest, old_text = before.get(spelled, (kind, digest, text))
        # Code is numbered within its closure, so its digest may differ where only its neighbours changed.
        if old_digest != digest and (kind, old_kind) != ("code", "code"):
            yield Cause(
                "constant",
                f"{spelled}, which {name} uses, changed",
                f"- {old_text}\n+ {text}",
            )
        elif old_text != text and (kind, old_kind) == ("code", "code"):
            yield Cause(
                "code",
                f"{spelled}, which {name} uses, is something else",
                f"- {old_text}\n+ {text}",
            )


def _cause(member: dict[str, Any], what: str) -> Cause:
    return Cause("code", f"{member['name']} {what} ({member['file']}:{member['line']})")


def source_diff(was: dict[str, Any], is_now: dict[str, Any]) -> tuple[int, str]:
    """The first line of a file that differs, and a unified diff with the line numbers of the files."""
    old, new = was["source"].splitlines(), is_now["source"].splitlines()
    names = was["file"], is_now["file"]
    diff = list(difflib.unified_diff(old, new, *names, lineterm="", n=1))
    changes = difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    first = next((start for tag, _, _, start, _ in changes if tag != "equal"), 0)
    shifted = [_shifted(line, was["line"] - 1, is_now["line"] - 1) for line in diff[2:]]
    return is_now["line"] + first, "\n".join(shifted)


def _shifted(line: str, old: int, new: int) -> str:
    found = HUNK.match(line)
    if found is None:
        return line
    start, length, new_start, new_length = found.groups(default="")
    return f"@@ -{int(start) + old}{length} +{int(new_start) + new}{new_length} @@"


def _param_changes(then: dict[str, Any], now: dict[str, Any]) -> Iterator[Cause]:
    for name in sorted(now.keys() | then.keys()):
        was, is_now = then.get(name), now.get(name)
        if was is None or is_now is None:
            yield Cause(
                "param", f"parameter {name} is {'new' if was is None else 'gone'}"
            )
        elif was.digest != is_now.digest:
            yield Cause(
                "param",
                f"parameter {name} is {is_now.shown}; the nearest entry has {was.shown}",
            )


def _input_changes(manifest: Manifest, call: Call) -> Iterator[Cause]:
    values = [
        one for value in call.arguments.inputs.values() for one in inputs_in(value)
    ]
    then = manifest.provenance.inputs
    if len(then) != len(values):
        yield Cause("input", f"{len(values)} inputs; the nearest entry has {len(then)}")
        return
    for was, is_now, value in zip(then, call.inputs, values, strict=True):
        if was.digest != is_now.digest:
            parts = call.store.detail("inputs", was.digest)
            yield Cause(
                "input",
                f"the content of {is_now.label} changed",
                _part_changes(parts, parts_of(value)),
            )


def _part_changes(then: Any, now: dict[str, str]) -> str:
    if not isinstance(then, dict):
        return ""
    lines = [
        f"changed: {name}"
        for name in sorted(now.keys() & then.keys())
        if now[name] != then[name]
    ]
    lines += [f"new: {name}" for name in sorted(now.keys() - then.keys())]
    lines += [f"gone: {name}" for name in sorted(then.keys() - now.keys())]
    return "\n".join(lines)


def drift_of(manifest: Manifest, call: Call) -> Iterator[str]:
    """Installed packages that are not of the version an entry was made with."""
    now = versions_of(call.closure.packages)
    for name, version in manifest.provenance.versions.items():
        if now.get(name, version) != version:
            yield f"{name} {version} then, {now[name]} now"


def _depends_on(call: Call) -> Iterator[str]:
    for one in call.inputs:
        yield f"input {one.name}: {one.label} {one.digest[:12]}"
    for name, record in call.params.items():
        yield f"param {name} = {record.shown}"
    yield f"declared {call.declaration.environment}"
    for member in call.closure.members:
        yield f"code {member.name} {member.digest.short} ({member.file}:{member.line})"
        for reference in member.references:
            if reference.kind == "constant":
                yield f"  constant {reference.spelled} = {reference.shown}"


def _indented(text: str) -> str:
    return "\n".join("    " + line for line in text.splitlines())
