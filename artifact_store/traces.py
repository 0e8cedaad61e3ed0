"""Finding what is stored: under its key, or under the reads of an earlier computation.

    call ──► key ──► entry, if nothing at all has changed
         └─► start ──► ask ──► answers ──► ask … ──► found: nothing has changed that was read

A pure function that is told the same asks the same next. So the answers of
today, asked in the order of then, lead to the entry that a computation would make.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

import msgspec

from artifact_store.artifacts import Artifact
from artifact_store.calls import Call, inputs_of
from artifact_store.digests import Digest
from artifact_store.encoding import decode
from artifact_store.equivalence import is_equivalent, starts_of
from artifact_store.errors import ArtifactStoreError
from artifact_store.inputs import stranger_at
from artifact_store.keys import Key
from artifact_store.manifests import Manifest
from artifact_store.reads import (
    ABSENT,
    Found,
    Question,
    Read,
    after,
    from_text,
    node_of,
)
from artifact_store.stores.base import Entry, Store


class Pending(msgspec.Struct, frozen=True):
    """Whether a call hits depends on another one, whose result has to be computed first."""

    upstream: Call


T = TypeVar("T")

# Gives the entry of a call that another one made of an analysis, or says that there is none to be had.
Upstream: TypeAlias = Callable[[Any, Call], Entry | Pending | None]


def find(call: Call) -> Entry | None:
    """The entry under the key of `call`.

    Raises
    ------
    CorruptArtifact
        There is one that must not be used.
    """
    entry = call.store.find(call.key)
    return entry if entry is not None and _stands(entry.manifest, call) else None


def peek(call: Call) -> Entry | Pending | None:
    """What `call` would find now, computing nothing."""
    return find(call) or follow(call, _peeked)


def _peeked(analysis: Any, call: Call) -> Entry | Pending:
    try:
        return peek(call) or Pending(call)
    except ArtifactStoreError:
        return Pending(call)  # A corrupt entry is computed again.


def follow(
    call: Call, upstream: Upstream, told: Sequence[Read] = ()
) -> Entry | Pending | None:
    """The entry that was made from what `call` would read now.

    Parameters
    ----------
    told
        What it would read first, and be told, if that is known.
    """
    if told:
        ends = _ends_from(node_of(call.start, told), call, upstream, len(told))
    else:
        ends = _ends(call, upstream)
    for node, end in ends:
        if isinstance(end, Pending):
            return end
        entry = _found(call, node, end)
        if entry is not None:
            return entry
    return None


def follow_part(call: Call, upstream: Upstream) -> Entry | None:
    """The entry of the longest part of a run whose reads are the first that `call` would make now."""
    ended: list[Digest] = []
    for _ in _ends_from(call.start, call, upstream, ended=ended):
        pass
    for node in reversed(ended):
        for step in call.store.steps(node):
            entry = _found(call, node, step) if isinstance(step, Found) else None
            if entry is not None:
                return entry
    return None


def reached(call: Call) -> Iterator[Key]:
    """The keys of all that was computed from what `call` would read now, whether there still is an entry or not."""
    for _, end in _ends(call, _peeked):
        if isinstance(end, Found):
            yield Key(call.key.analysis, Digest("blake3", end.key))


def _ends(call: Call, upstream: Upstream) -> Iterator[tuple[Digest, Found | Pending]]:
    """Where the reads of `call` lead: one end of each start, unless computations branched on what they had read."""
    for start in starts_of(call):
        yield from _ends_from(start, call, upstream)


def _ends_from(
    start: Digest,
    call: Call,
    upstream: Upstream,
    count: int = 0,
    ended: list[Digest] | None = None,
) -> Iterator[tuple[Digest, Found | Pending]]:
    """Where the reads lead that begin at `start`, after `count` others.

    Parameters
    ----------
    ended
        Gets what would have been read on the way of a run that was over sooner.
    """
    inputs, results = inputs_of(call.arguments), dict[int, Artifact]()
    # The newest step is taken first.
    ahead = [(start, count, step) for step in call.store.steps(start)]
    while ahead:
        node, count, step = ahead.pop()
        if isinstance(step, Found):
            yield node, step
            continue
        if step.questions[0].kind == "call":
            answer = _answer(call, step.questions[0], inputs, results, upstream)
            if isinstance(answer, Pending):
                yield node, answer
                return
            if answer is None:
                continue
            results[count] = Artifact(answer)
            told = [answer.manifest.told.hex]
        else:
            told = [_told(one, inputs, results) for one in step.questions]
        if ended is not None and step.questions[0].kind == "next":
            ended.append(after(node, [Read(step.questions[0], ABSENT)]))
        reads = list(map(Read, step.questions, told))
        then = after(node, reads)
        ahead += [(then, count + len(reads), one) for one in call.store.steps(then)]


class Anew(msgspec.Struct, frozen=True):
    """A read of then, and the answer of now: `None` if it has to be computed first, or cannot be asked any more."""

    read: Read
    answer: str | None
    call: Call | None = None


def asked_anew(call: Call, reads: Iterable[Read]) -> Iterator[Anew]:
    """What `call` would be told now, asking what was asked then."""
    inputs, results = inputs_of(call.arguments), dict[int, Artifact]()
    for number, read in enumerate(reads):
        if read.question.kind != "call":
            yield Anew(read, _told(read.question, inputs, results))
            continue
        nested = _answer(
            call, read.question, inputs, results, lambda analysis, nested: nested
        )
        found = None if nested is None else _or_none(nested)
        told = None if found is None else found.manifest.told.hex
        # Of another result, what was done with it then says nothing.
        if found is not None and told == read.answer:
            results[number] = Artifact(found)
        yield Anew(read, told, nested)


def _or_none(call: Call) -> Entry | None:
    try:
        found = peek(call)
    except ArtifactStoreError:
        return None
    return found if isinstance(found, Entry) else None


def as_of(call: Call, found: Entry) -> Entry:
    """An entry that was found by its reads, as the entry of `call`."""
    if found.key == call.key:
        return found
    made = found.manifest
    manifest = msgspec.structs.replace(
        made,
        key=call.key.digest.hex,
        provenance=msgspec.structs.replace(made.provenance, inputs=call.inputs),
        first=made.first or made.key,
    )
    return msgspec.structs.replace(found, key=call.key, manifest=manifest)


def _found(call: Call, node: Digest, step: Found) -> Entry | None:
    try:
        entry = call.store.find(Key(call.key.analysis, Digest("blake3", step.key)))
    except ArtifactStoreError:
        return None  # Whoever asks for that entry learns why.
    return entry if entry is not None and entry.manifest.reads == node.hex else None


def _answer(
    call: Call,
    question: Question,
    inputs: list[Any],
    results: Mapping[int, Artifact],
    upstream: Callable[[Any, Call], T],
) -> T | None:
    try:
        analysis: Any = _called(call, question)
        passed = decode(
            from_text(question.given),
            lambda place: _at(place.decode(), inputs, results),
        )
        nested = analysis.call_with(dict(passed))
    except (ArtifactStoreError, ValueError, LookupError, TypeError):
        # The call cannot be made any more: whoever computes `call` learns why, if it still makes it.
        return None
    return upstream(analysis, nested)


def _called(call: Call, question: Question) -> Any:
    """The analysis that a question is about: by its number, or by its name where another closure numbered it."""
    number, calls = int(question.of), call.closure.calls
    named = [one for one in calls if one.__name__ == question.name]
    if number < len(calls) and (calls[number] in named or not named):
        return calls[number]
    (analysis,) = named
    return analysis


def _told(
    question: Question, inputs: list[Any], results: Mapping[int, Artifact]
) -> str:
    try:
        return str(_at(question.of, inputs, results).answer(question))
    except (
        *(ArtifactStoreError, OSError, LookupError),
        *(ValueError, AttributeError, TypeError),
    ):
        # There is no such thing now; or the store is a stranger's, and asks nonsense.
        return ABSENT


def _at(place: str, inputs: list[Any], results: Mapping[int, Artifact]) -> Any:
    """The input at a place: one of the call, a checkpoint of a run, or what another analysis returned."""
    if place.startswith("@"):
        return results[int(place[1:])]
    if ":" in place:
        return stranger_at(place)
    number, _, epoch = place.partition("/")
    return inputs[int(number)].digested[int(epoch)] if epoch else inputs[int(number)]


def _stands(manifest: Manifest, call: Call) -> bool:
    """Whether what no key tells is as it was: labels that were read, and that another closure is as good."""
    if manifest.provenance.closure != call.closure.digest.hex:
        if not is_equivalent(manifest, call):
            return False
    outside = manifest.outside
    if not outside:
        return True
    if any(map(_passes_on, outside)):
        # What another analysis was given then has to be asked for first.
        outside = reads_of(manifest, call.store) or outside
    return all(one.answer == one.read.answer for one in asked_anew(call, outside))


def _passes_on(read: Read) -> bool:
    return read.question.kind == "call" and b"@" in from_text(read.question.given)


def reads_of(manifest: Manifest, store: Store) -> tuple[Read, ...] | None:
    """What an entry depends on of its inputs; `None` for all of them."""
    if manifest.reads is None:
        return None
    for step in store.steps(Digest("blake3", manifest.reads)):
        if isinstance(step, Found):
            return step.reads
    return None
