"""Finding what is stored: under its key, or under the reads of an earlier computation.

    call ──► key ──► entry, if nothing at all has changed
         └─► start ──► ask ──► answers ──► ask … ──► found: nothing has changed that was read

A pure function that is told the same asks the same next. So the answers of
today, asked in the order of then, lead to the entry that a computation would make.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import msgspec

from artifact_store.artifacts import Artifact
from artifact_store.calls import Call, inputs_of
from artifact_store.digests import Digest
from artifact_store.encoding import decode
from artifact_store.errors import ArtifactStoreError
from artifact_store.keys import Key
from artifact_store.reads import ABSENT, Found, Question, Read, Step, after, from_text
from artifact_store.stores.base import Entry


@dataclass(frozen=True, slots=True)
class Pending:
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
    return entry if entry is not None and _stands(entry, call) else None


def peek(call: Call) -> Entry | Pending | None:
    """What `call` would find now, computing nothing."""
    return find(call) or follow(call, _peeked)


def _peeked(analysis: Any, call: Call) -> Entry | Pending:
    return peek(call) or Pending(call)


def follow(call: Call, upstream: Upstream) -> Entry | Pending | None:
    """The entry that was made from what `call` would read now."""
    inputs, results = inputs_of(call.arguments), dict[int, Artifact]()
    ahead = [(call.start, 0, step) for step in _steps(call, call.start)]
    while ahead:
        node, count, step = ahead.pop()
        if isinstance(step, Found):
            entry = _found(call, node, step)
            if entry is not None:
                return entry
            continue
        if step.questions[0].kind == "call":
            answer = _answer(call, step.questions[0], inputs, results, upstream)
            if isinstance(answer, Pending):
                return answer
            if answer is None:
                continue
            results[count] = Artifact(answer)
            told = [answer.manifest.told.hex]
        else:
            told = [_told(one, inputs, results) for one in step.questions]
        reads = list(map(Read, step.questions, told))
        then = after(node, reads)
        ahead += [(then, count + len(reads), one) for one in _steps(call, then)]
    return None


def as_of(call: Call, found: Entry) -> Entry:
    """An entry that was found by its reads, as the entry of `call`."""
    made = found.manifest
    manifest = msgspec.structs.replace(
        made,
        key=call.key.digest.hex,
        provenance=msgspec.structs.replace(made.provenance, inputs=call.inputs),
        first=made.first or made.key,
    )
    return Entry(call.key, manifest, found.directory, found.files)


def asked_again(call: Call, question: Question) -> Any:
    """The answer of today to a question about the inputs of `call`; the call, if it is one of another analysis."""
    inputs = inputs_of(call.arguments)
    if question.kind != "call":
        return _told(question, inputs, {})
    return _answer(call, question, inputs, {}, lambda analysis, nested: nested)


def _steps(call: Call, node: Digest) -> Iterator[Step]:
    """What computations did next: one thing, unless they branched on what they had read."""
    return reversed(call.store.steps(node))


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
        analysis: Any = call.closure.calls[int(question.of)]
        passed = decode(
            from_text(question.given),
            lambda place: _at(place.decode(), inputs, results),
        )
        nested = analysis.call_with(dict(passed))
    except (ArtifactStoreError, ValueError, LookupError, TypeError):
        # The call cannot be made any more: whoever computes `call` learns why, if it still makes it.
        return None
    return upstream(analysis, nested)


def _told(
    question: Question, inputs: list[Any], results: Mapping[int, Artifact]
) -> str:
    try:
        return str(_at(question.of, inputs, results).answer(question))
    except LookupError:
        return ABSENT


def _at(place: str, inputs: list[Any], results: Mapping[int, Artifact]) -> Any:
    """The input at a place: one of the call, a checkpoint of a run, or what another analysis returned."""
    if place.startswith("@"):
        return results[int(place[1:])]
    number, _, epoch = place.partition("/")
    return inputs[int(number)].digested[int(epoch)] if epoch else inputs[int(number)]


def _stands(entry: Entry, call: Call) -> bool:
    """Whether what no key tells is as it was: labels that were read."""
    if not entry.manifest.outside:
        return True
    inputs = inputs_of(call.arguments)
    return all(
        _told(read.question, inputs, {}) == read.answer
        for read in entry.manifest.outside
    )
