"""Why there is no entry for a call: what differs from the nearest one there is.

    call, nearest entry ──► code, params, reads, declaration ──► *Cause*

The nearest entry is one of the same analysis and inputs, with the fewest differences, then the newest.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from artifact_store.calls import Call, closure_in_words, inputs_of, parts_of
from artifact_store.digests import Digest
from artifact_store.errors import ArtifactStoreError
from artifact_store.manifests import Manifest, ParamRecord
from artifact_store.reads import Found, Read
from artifact_store.stores.base import Entry, Store
from artifact_store.traces import asked_again, peek

Kind: TypeAlias = Literal[
    "never computed",
    "code",
    "constant",
    "param",
    "default",
    "input",
    "upstream",
    "declaration",
    "version",
    "corrupt",
    "evicted",
]

HUNK = re.compile(r"^@@ -(\d+)(,\d+)? \+(\d+)(,\d+)? @@$")


@dataclass(frozen=True, slots=True)
class Cause:
    """One reason for a miss: what differs, and how it was and is."""

    kind: Kind
    what: str
    detail: str = ""

    def __str__(self) -> str:
        return self.what if not self.detail else f"{self.what}\n{indented(self.detail)}"


def indented(text: str) -> str:
    """Some lines, a level further in."""
    return "\n".join("    " + line for line in text.splitlines())


def describe(call: Call) -> str:
    """A call, as its author would write it."""
    inputs = [one.label for one in call.inputs]
    params = [f"{name}={record.shown}" for name, record in call.params.items()]
    return f"{call.key.analysis}({', '.join(inputs + params)})"


def causes_of_miss(call: Call) -> tuple[Cause, ...]:
    """Why there is no entry for `call`, against the nearest one there is."""
    known, has_been = call.store.kin(call.key, call.kinship)
    if has_been:
        gone = "its entry was removed since: evicted, deleted, or set aside as corrupt"
        return (Cause("evicted", f"it was computed, and {gone}"),)
    if not known:
        return (Cause("never computed", "never computed"),)
    return tuple(_differences(_nearest(known, call), call))


def _nearest(known: Sequence[Manifest], call: Call) -> Manifest:
    return min(known, key=lambda one: _differ(one, call))


def _differ(manifest: Manifest, call: Call) -> tuple[bool, ...]:
    """Which parts of a key are not as they were; the more a part has to do with what was asked, the earlier."""
    then, inputs = manifest.provenance, call.inputs
    return (
        [one.label for one in then.inputs] != [one.label for one in inputs],
        [one.digest for one in then.inputs] != [one.digest for one in inputs],
        _digests(then.params) != _digests(call.params),
        then.closure != call.closure.digest.hex,
        then.environment != call.declaration.environment,
    )


def _digests(params: Mapping[str, ParamRecord]) -> dict[str, str]:
    return {name: record.digest for name, record in params.items()}


def _differences(manifest: Manifest, call: Call) -> Iterator[Cause]:
    then, found = manifest.provenance, False
    for cause in _own_differences(manifest, call):
        found = True
        yield cause
    if found:
        return
    if then.whole != call.whole.hex:
        yield Cause("upstream", "the analyses that it calls reach other code")
    else:
        yield Cause(
            "input",
            "nothing recorded differs from the nearest entry: inputs are passed in another form (by another name, as "
            f"a tuple and not a list), or another release made it ({then.versions['artifact_store']})",
        )


def _own_differences(manifest: Manifest, call: Call) -> Iterator[Cause]:
    then = manifest.provenance
    if then.closure != call.closure.digest.hex:
        recorded = call.store.detail("closures", then.closure)
        yield from code_changes(recorded, closure_in_words(call.closure))
    yield from _param_changes(then.params, call.params)
    reads = reads_of(manifest, call.store)
    yield from _input_changes(manifest, call, reads)
    if reads is not None:
        yield from _upstream_changes(call, reads)
    yield from _declared_changes(then.environment, call)


def reads_of(manifest: Manifest, store: Store) -> tuple[Read, ...] | None:
    """What an entry depends on of its inputs; `None` for all of them."""
    if manifest.reads is None:
        return None
    for step in store.steps(Digest("blake3", manifest.reads)):
        if isinstance(step, Found):
            return step.reads
    return None


def _param_changes(
    then: Mapping[str, ParamRecord], now: Mapping[str, ParamRecord]
) -> Iterator[Cause]:
    for name in sorted(now.keys() | then.keys()):
        was, is_now = then.get(name), now.get(name)
        if was is None or is_now is None:
            gone = "new" if was is None else "gone"
            yield Cause("param", f"parameter {name} is {gone}")
        elif was.digest == is_now.digest:
            continue
        elif was.is_default and is_now.is_default:
            yield Cause(
                "default",
                f"the default of parameter {name} changed",
                f"- {was.shown}\n+ {is_now.shown}",
            )
        else:
            yield Cause(
                "param",
                f"parameter {name} is {is_now.shown}; the nearest entry has {was.shown}",
            )


def _input_changes(
    manifest: Manifest, call: Call, reads: Sequence[Read] | None
) -> Iterator[Cause]:
    then, now, values = manifest.provenance.inputs, call.inputs, inputs_of(call.arguments)  # fmt: skip
    if len(then) != len(now):
        before, after = [one.label for one in then], [one.label for one in now]
        lines = [f"new: {one}" for one in after if one not in before]
        lines += [f"gone: {one}" for one in before if one not in after]
        what = f"{len(now)} inputs; the nearest entry has {len(then)}"
        yield Cause("input", what, "\n".join(lines))
        return
    for number, (was, is_now, value) in enumerate(zip(then, now, values, strict=True)):
        if was.digest == is_now.digest and not manifest.outside:
            continue
        read = None if reads is None else _asked_of(number, reads)
        parts = call.store.detail("inputs", was.digest)
        changed = _part_changes(parts, parts_of(value), read)
        changed += [f"changed: {one}" for one in _others(call, number, reads)]
        label = is_now.label if was.label == is_now.label else f"{is_now.label}, which was {was.label},"  # fmt: skip
        if changed or reads is None:
            what = f"the content of {label} changed"
            yield Cause("input", what, "\n".join(changed))


def _asked_of(number: int, reads: Sequence[Read]) -> set[str] | None:
    """The parts of an input that were read; `None` for all."""
    of = [read.question for read in reads if read.question.of.partition("/")[0] == str(number)]  # fmt: skip
    if any(one.kind == "content" for one in of):
        return None
    tensors = {one.name for one in of if one.kind in ("tensor", "shape", "dtype")}
    epochs = {one.of.partition("/")[2] for one in of if "/" in one.of}
    is_all = any(one.kind == "epochs" for one in of)
    return tensors | {f"epoch {one}" for one in epochs} | ({"epoch"} if is_all else set())  # fmt: skip


def _part_changes(then: Any, now: dict[str, str], read: set[str] | None) -> list[str]:
    if not isinstance(then, dict):
        return []

    def counts(name: str) -> bool:
        return read is None or name in read or name.partition(" ")[0] in read

    both = sorted(now.keys() & then.keys())
    lines = [f"changed: {n}" for n in both if now[n] != then[n] and counts(n)]
    lines += [f"new: {n}" for n in sorted(now.keys() - then.keys()) if counts(n)]
    return lines + [f"gone: {n}" for n in sorted(then.keys() - now.keys()) if counts(n)]


def _others(call: Call, number: int, reads: Sequence[Read] | None) -> Iterator[str]:
    """What was read of an input and is no part of it: names of tensors, metadata, labels."""
    for read in reads or ():
        question = read.question
        if question.of == str(number) and question.kind in ("names", "has", "metadata", "label"):  # fmt: skip
            if asked_again(call, question) != read.answer:
                yield str(question)


def _upstream_changes(call: Call, reads: Sequence[Read]) -> Iterator[Cause]:
    """The first call of another analysis that gives something else now; what comes after it may not be asked again."""
    for read in reads:
        if read.question.kind != "call":
            continue
        nested = asked_again(call, read.question)
        if not isinstance(nested, Call):
            return
        try:
            found = peek(nested)
        except ArtifactStoreError as error:
            yield Cause("upstream", f"{describe(nested)} is corrupt", str(error))
            return
        if not isinstance(found, Entry):
            why = "\n".join(map(str, causes_of_miss(nested)))
            yield Cause("upstream", f"{describe(nested)} has to be computed first", why)
            return
        if found.manifest.told.hex != read.answer:
            what = f"the output of {describe(nested)} changed"
            yield Cause("upstream", what, _why_changed(nested, read.answer))
            return


def _why_changed(nested: Call, told: str) -> str:
    known, _ = nested.store.kin(nested.key, nested.kinship)
    before = [one for one in known if one.told.hex == told]
    causes = _own_differences(before[0], nested) if before else ()
    return "\n".join(map(str, causes))


def _declared_changes(then: str, call: Call) -> Iterator[Cause]:
    now = call.declaration.environment
    if then == now:
        return
    before, after = then.partition(" versions="), now.partition(" versions=")
    if before[0] == after[0]:
        what = "a package that the decorator counts has another version"
        yield Cause("version", what, f"- {before[2]}\n+ {after[2]}")
    else:
        what = f"the decorator of {call.key.analysis} declares something else"
        yield Cause("declaration", what, f"- {then}\n+ {now}")


def code_changes(then: Any, now: list[dict[str, Any]]) -> Iterator[Cause]:
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
