"""Why there is no entry for a call: what differs from the nearest one there is.

    call, nearest entry ──► code, params, reads, declaration ──► *Cause*

The nearest entry is one of the same analysis and inputs, with the fewest differences, then the newest.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from artifact_store.calls import Call, closure_in_words, inputs_of, parts_of
from artifact_store.checkpoints import Checkpoint
from artifact_store.edits import edits_between, line_of, value_diff
from artifact_store.errors import ArtifactStoreError, CorruptArtifact
from artifact_store.keys import Key
from artifact_store.layout import Layout
from artifact_store.manifests import InputRecord, Manifest, ParamRecord
from artifact_store.reads import ABSENT, Read
from artifact_store.runs import Run
from artifact_store.stores.base import Entry, Store
from artifact_store.stores.quarantine import quarantined
from artifact_store.traces import Anew, asked_anew, peek, reached, reads_of

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
    "refresh",
]

# How much of a digest people are shown.
SHORT = 12

# More than these are not named one by one.
_FEW = 3


@dataclass(frozen=True, slots=True)
class Cause:
    """One reason for a miss.

    Attributes
    ----------
    what
        What differs, in one line.
    detail
        How it was and is: a diff.
    because
        What made it so, where that is a miss of another call.
    """

    kind: Kind
    what: str
    detail: str = ""
    because: tuple[Cause, ...] = ()

    def __str__(self) -> str:
        beneath = [self.detail, *map(str, self.because)]
        return "\n".join([self.what, *map(indented, filter(None, beneath))])


def indented(text: str) -> str:
    """Some lines, a level further in."""
    return "\n".join("    " + line for line in text.splitlines())


def causes_of_miss(call: Call) -> tuple[Cause, ...]:
    """Why there is no entry for `call`, against the nearest one there is."""
    known, has_been = call.store.kin(call.key, call.kinship)
    lost = _lost(call, has_been)
    if lost is not None:
        return (lost,)
    if not known:
        return (_never(call),)
    return tuple(_differences(_nearest(known, call), call))


def _lost(call: Call, has_been: bool) -> Cause | None:
    """What became of the entry of a call that was computed, under its key or from the same reads."""
    for key in (call.key, *reached(call)):
        try:
            entry = call.store.find(key)
        except ArtifactStoreError as error:
            return corrupt(error)
        if entry is None and (has_been or key != call.key):
            return _removed(key, call.store)
    return None


def corrupt(error: ArtifactStoreError) -> Cause:
    """The cause of a call whose entry is there, and must not be used."""
    if not isinstance(error, CorruptArtifact):
        return Cause("corrupt", "its entry cannot be used", str(error))
    what = "its entry is corrupt: the next call sets it aside and computes it again"
    return Cause("corrupt", what, f"{error.path}: {error.problem}")


def _removed(key: Key, store: Store) -> Cause:
    for aside in quarantined(Layout(store.location)):
        if aside.key == str(key):
            what = "it was computed, and its entry was found corrupt and set aside"
            return Cause("corrupt", what, aside.cause or aside.aside)
    what = "it was computed, and its entry was evicted or deleted since"
    return Cause("evicted", what)


def _never(call: Call) -> Cause:
    # Its doors are there as long as it has entries; to list those would take a look at each.
    if not os.path.isdir(Layout(call.store.location).door(call.key.analysis, "")):
        return Cause("never computed", "never computed")
    new = ", ".join(one.label for one in call.inputs[:_FEW]) or "it"
    beside = f"{new} is new to {call.key.analysis}, which has results for others"
    what = "never computed for this input" if call.inputs else "never computed"
    return Cause("never computed", what, beside)


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
    elif manifest.key == call.key.digest.hex:
        what = "what is there is to be computed again, as by recompute or in the mode refresh"
        yield Cause("refresh", what)
    else:
        yield Cause(
            "input",
            "nothing recorded differs from the nearest entry: inputs are passed in another form (by another name, as "
            f"a tuple and not a list), or another release made it ({then.versions.get('artifact_store', '?')})",
        )


def _own_differences(manifest: Manifest, call: Call) -> Iterator[Cause]:
    then = manifest.provenance
    if then.closure != call.closure.digest.hex:
        recorded = call.store.detail("closures", then.closure)
        yield from code_changes(recorded, closure_in_words(call.closure))
    yield from _param_changes(then.params, call)
    reads = reads_of(manifest, call.store)
    yield from _input_changes(manifest, call, reads)
    if reads is not None:
        yield from _upstream_changes(call, reads)
    yield from _declared_changes(then.environment, call)


def code_changes(then: Any, now: list[dict[str, Any]]) -> Iterator[Cause]:
    """What was edited between two closures; `then` is as the store has it, if it still does."""
    if not isinstance(then, list):
        what = "the code it reaches has changed; the old source is no longer recorded"
        yield Cause("code", what)
        return
    edits = edits_between(then, now)
    for edit in edits:
        yield Cause(edit.kind, edit.what, edit.diff)
    if not edits:
        yield Cause("code", "the same functions are reached in another way")


def _param_changes(then: Mapping[str, ParamRecord], call: Call) -> Iterator[Cause]:
    now = call.params
    for name in sorted(now.keys() | then.keys()):
        was, is_now = then.get(name), now.get(name)
        if was is None and is_now is not None:
            yield Cause("param", f"parameter {name} is new", f"+ {is_now.shown}")
        elif was is not None and is_now is None:
            yield Cause("param", f"parameter {name} is gone", f"- {was.shown}")
        elif was is not None and is_now is not None and was.digest != is_now.digest:
            yield _param_change(name, was, is_now, call)


def _param_change(
    name: str, was: ParamRecord, is_now: ParamRecord, call: Call
) -> Cause:
    diff = value_diff(was.shown, is_now.shown)
    if was.is_default and is_now.is_default:
        root = call.closure.members[0]
        place = f"{root.file}:{root.line + line_of(name, root.source)}"
        what = f"the default of parameter {name} of {call.key.analysis} changed"
        return Cause("default", f"{what} ({place})", diff)
    if was.shown == is_now.shown:
        what = f"parameter {name} is not that of the nearest entry"
        return Cause("param", what, diff)
    what = f"parameter {name} is {is_now.shown}; the nearest entry has {was.shown}"
    return Cause("param", what)


@dataclass(frozen=True, slots=True)
class _Input:
    """One input of a call and of the nearest entry: the digests of its named parts, if it has any and they are known.

    Attributes
    ----------
    noun
        What a part of it is.
    """

    label: str
    noun: str
    before: Mapping[str, str] | None
    after: Mapping[str, str]


def _input_changes(
    manifest: Manifest, call: Call, reads: Sequence[Read] | None
) -> Iterator[Cause]:
    then, now = manifest.provenance.inputs, call.inputs
    if len(then) != len(now):
        yield _other_inputs(then, now)
        return
    asked = () if reads is None else _changed_reads(call, reads)
    values = inputs_of(call.arguments)
    for number, (was, is_now, value) in enumerate(zip(then, now, values, strict=True)):
        if was.digest == is_now.digest and not manifest.outside:
            continue
        one = _compared(was, is_now, value, call.store)
        if reads is None:
            yield _content_change(one)
        else:
            of = [anew for anew in asked if _number_of(anew.read) == str(number)]
            yield from _answer_changes(one, of)


def _other_inputs(then: Sequence[InputRecord], now: Sequence[InputRecord]) -> Cause:
    before, after = [one.label for one in then], [one.label for one in now]
    new = [one for one in after if one not in before]
    gone = [one for one in before if one not in after]
    counted = f"{len(now)} inputs; the nearest entry has {len(then)}"
    which = ((new, "new"), (gone, "gone"))
    said = [f"{_some('input', some)} {_is(some)} {how}" for some, how in which if some]
    what = ": ".join([counted, *([" and ".join(said)] if said else [])])
    lines = [f"- {one}" for one in gone] + [f"+ {one}" for one in new]
    return Cause("input", what, "\n".join(lines))


def _compared(
    was: InputRecord, is_now: InputRecord, value: Any, store: Store
) -> _Input:
    moved = was.label != is_now.label
    label = is_now.label + (f", which was {was.label}," if moved else "")
    recorded = store.detail("inputs", was.digest)
    before = _named(recorded) if isinstance(recorded, dict) else None
    return _Input(label, _noun(value), before, _named(parts_of(value)))


def _named(parts: Mapping[str, str]) -> dict[str, str]:
    """Parts of an input by what stands behind the noun: of a run, the epoch alone."""
    return {name.removeprefix("epoch "): digest for name, digest in parts.items()}


def _noun(value: Any) -> str:
    if isinstance(value, Run):
        return "checkpoint"
    return "tensor" if isinstance(value, Checkpoint) else "part"


def _number_of(read: Read) -> str:
    return read.question.of.partition("/")[0]


def _changed_reads(call: Call, reads: Sequence[Read]) -> list[Anew]:
    """What was read of the inputs and is otherwise now."""
    of_inputs = (one for one in reads if one.question.kind != "call" and _number_of(one).isdecimal())  # fmt: skip
    return [one for one in asked_anew(call, of_inputs) if one.answer != one.read.answer]


def _answer_changes(one: _Input, changed: Iterable[Anew]) -> Iterator[Cause]:
    """What was read of an input and is otherwise now; of a run, checkpoint by checkpoint."""
    places: dict[str, list[Anew]] = {}
    for anew in changed:
        places.setdefault(anew.read.question.of.partition("/")[2], []).append(anew)
    for epoch, found in places.items():
        if epoch and epoch not in one.after:
            continue  # That it is gone says it all.
        of = f"epoch {epoch} of {one.label}" if epoch else one.label
        kinds = {anew.read.question.kind for anew in found}
        if "content" in kinds and not epoch:
            yield _content_change(one)
            continue
        tensors = [anew for anew in found if anew.read.question.kind == "tensor"]
        if tensors:
            yield _tensor_change(of, tensors)
        if kinds & {"epochs", "next", "names"} and not epoch:
            yield _content_change(one, by_name=True)
        yield from _word_changes(of, found)


def _tensor_change(of: str, tensors: Sequence[Anew]) -> Cause:
    read = {one.read.question.name: one.read.answer for one in tensors}
    now = {one.read.question.name: str(one.answer) for one in tensors}
    before = {name: answer for name, answer in read.items() if answer != ABSENT}
    after = {name: answer for name, answer in now.items() if answer != ABSENT}
    return _part_change(of, "tensor", before, after)


def _word_changes(of: str, found: Sequence[Anew]) -> Iterator[Cause]:
    """What is neither a tensor nor follows from one that changed."""
    tensors = {one.read.question.name for one in found if one.read.question.kind == "tensor"}  # fmt: skip
    for one in found:
        question, answer = one.read.question, str(one.answer)
        if question.kind in ("shape", "dtype", "has"):
            if question.name not in tensors:
                diff = value_diff(one.read.answer, answer)
                yield Cause("input", f"{question} of {of} changed", diff)
        elif question.kind in ("label", "metadata", "content"):
            # Of these only digests are known.
            yield Cause("input", f"{question} of {of} changed")


def _content_change(one: _Input, *, by_name: bool = False) -> Cause:
    """The cause that an input of which everything was read, or every name, is another now."""
    if one.before is None or one.noun == "part":
        return Cause("input", f"the content of {one.label} changed")
    then, now = one.before, one.after
    before = {name: then[name] for name in then if now.get(name) != then[name]}
    after = {name: now[name] for name in now if then.get(name) != now[name]}
    if by_name:
        both = before.keys() & after.keys()
        before = {name: before[name] for name in before.keys() - both}
        after = {name: after[name] for name in after.keys() - both}
    if not before and not after:
        return Cause("input", f"the content of {one.label} changed")
    return _part_change(one.label, one.noun, before, after)


def _part_change(
    of: str, noun: str, before: Mapping[str, str], after: Mapping[str, str]
) -> Cause:
    """The cause that some parts of an input changed, came or went; `before` and `after` have their digests."""
    names = sorted({*before, *after}, key=lambda name: (len(name), name))
    how = "changed" if before and after else f"{_is(names)} {'gone' if before else 'new'}"  # fmt: skip
    lines = [f"- {name} {before[name][:SHORT]}" for name in names if name in before]
    lines += [f"+ {name} {after[name][:SHORT]}" for name in names if name in after]
    return Cause("input", f"{_some(noun, names)} of {of} {how}", "\n".join(lines))


def _some(noun: str, names: Sequence[str]) -> str:
    """Few things by name, many by number."""
    if not 0 < len(names) <= _FEW:
        return f"{len(names)} {noun}s"
    return f"{noun}{'s' if len(names) > 1 else ''} {', '.join(names)}"


def _is(names: Sequence[str]) -> str:
    return "are" if len(names) > 1 else "is"


def _upstream_changes(call: Call, reads: Sequence[Read]) -> Iterator[Cause]:
    """The first call of another analysis that gives something else now; what comes after it may not be asked again."""
    for one in asked_anew(call, reads):
        if one.read.question.kind == "call" and one.answer != one.read.answer:
            if one.call is not None:
                yield _upstream_change(one.call, one.read.answer)
            return


def _upstream_change(nested: Call, told: str) -> Cause:
    try:
        found = peek(nested)
    except ArtifactStoreError as error:
        return waits(nested, (corrupt(error),))
    if not isinstance(found, Entry):
        return waits(nested, causes_of_miss(nested))
    known, _ = nested.store.kin(nested.key, nested.kinship)
    before = next((one for one in known if one.told.hex == told), None)
    what = f"the output of {nested} changed"
    if before is None:
        return Cause("upstream", what)
    outputs = before.output[:SHORT], found.manifest.output[:SHORT]
    because = tuple(_own_differences(before, nested))
    return Cause("upstream", what, value_diff(*outputs), because)


def waits(upstream: Call, because: tuple[Cause, ...]) -> Cause:
    """The cause of a call that cannot be told before another one is computed."""
    what = f"{upstream} has to be computed first"
    return Cause("upstream", what, because=because)


def _declared_changes(then: str, call: Call) -> Iterator[Cause]:
    now, name = call.declaration.environment, call.key.analysis
    if then == now:
        return
    (dims, versions), (dims_now, versions_now) = _declared(then), _declared(now)
    if dims != dims_now:
        what = f"the decorator of {name} declares other dims"
        yield Cause("declaration", what, value_diff(dims, dims_now))
    if versions.keys() != versions_now.keys():
        what = f"the decorator of {name} counts other versions"
        counted = (", ".join(one) or "none" for one in (versions, versions_now))
        yield Cause("declaration", what, value_diff(*counted))
    for package in sorted(versions.keys() & versions_now.keys()):
        was, is_now = versions[package], versions_now[package]
        if was != is_now:
            what = f"package {package} is {is_now}; the nearest entry was made with {was}, and {name} counts it"
            diff = value_diff(f"{package} {was}", f"{package} {is_now}")
            yield Cause("version", what, diff)


def _declared(environment: str) -> tuple[str, dict[str, str]]:
    """The dimensions and the counted versions of a declaration in words."""
    dims, _, versions = environment.rpartition(" versions=")
    try:
        return dims.removeprefix("dims="), dict(ast.literal_eval(versions))
    except (ValueError, SyntaxError, TypeError):
        return environment, {}  # A stranger wrote it.
