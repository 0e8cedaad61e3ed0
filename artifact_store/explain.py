"""Why a call hit or missed, in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, TypeAlias

from artifact_store.calls import Call, inputs_of, parts_of, versions_of
from artifact_store.causes import (
    SHORT,
    Cause,
    causes_of_miss,
    corrupt,
    indented,
    waits,
)
from artifact_store.closures.reach import Closure
from artifact_store.edits import name_in_words
from artifact_store.equivalence import blessings
from artifact_store.errors import ArtifactStoreError
from artifact_store.keys import Key
from artifact_store.manifests import InputRecord, Manifest
from artifact_store.markup import (
    Html,
    coloured,
    dim,
    element,
    facts,
    folded,
    listing,
    mono,
    title_of,
    whole,
)
from artifact_store.reads import Question, Read
from artifact_store.stores.base import Entry
from artifact_store.terminals import visible
from artifact_store.traces import asked_anew, peek, reads_of

State: TypeAlias = Literal["hit", "miss", "pending"]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a call would hit or miss; `str()` for people.

    Attributes
    ----------
    state
        `pending`: whether it hits depends on another analysis, which has to be computed first.
    causes
        Of a miss; none for a hit.
    depends_on
        Everything that decides the result, one line each.
    drift
        What is recorded but not part of the key, and has changed since: versions of installed packages.
    flags
        What the function did that a pure one would not.
    found
        How an entry was found that was not computed as this call: what it was computed as, or which statement counts.
    """

    call: str
    key: str
    state: State
    causes: tuple[Cause, ...]
    depends_on: tuple[str, ...]
    drift: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    found: tuple[str, ...] = ()

    @property
    def hit(self) -> bool:
        """Whether the stored result is the answer."""
        return self.state == "hit"

    def __str__(self) -> str:
        lines = [f"{self.call}: {self.state} (key {self.key[:SHORT]})"]
        lines += [str(cause) for cause in self.causes]
        if self.hit:
            lines += [
                *self.found,
                "It is the answer because none of this has changed:",
                *map(indented, self.depends_on),
            ]
        lines += [f"drift, not part of the key: {one}" for one in self.drift]
        lines += [f"not pure: {one}" for one in self.flags]
        return visible("\n".join(lines))

    def as_dict(self) -> dict[str, Any]:
        """The same, for JSON."""
        return asdict(self) | {"hit": self.hit}

    def __repr__(self) -> str:
        return visible(f"<Explanation of {self.call}: {self.state}>")

    def _repr_html_(self) -> str:
        title = title_of(self.call, coloured(self.state, self.state), dim("key ", mono(self.key[:SHORT])))  # fmt: skip
        beside = {"drift, not part of the key": self.drift, "not pure": self.flags}
        told = {about: listing(said) for about, said in beside.items() if said}
        depends = listing(self.depends_on)
        answer = "It is the answer because none of this has changed"
        return whole(
            title,
            *map(_cause, self.causes),
            *(element("div", one) for one in self.found),
            folded(answer if self.hit else "Everything that decides it", depends),
            facts(told) if told else "",
        )


_DIFF: Final = {"-": "failed", "+": "computed"}


def _cause(cause: Cause) -> Html:
    """A cause, with its diff and what is beneath it."""
    lines = [
        coloured(one, _DIFF[one[0]]) if one[:1] in _DIFF else dim(one)
        for one in cause.detail.splitlines()
    ]
    beneath = [listing(lines) if lines else "", *map(_cause, cause.because)]
    inside = element("div", *beneath, style="margin-left:1.2em")
    return element("div", cause.what, inside, style="margin:.3em 0")


def explain(call: Call) -> Explanation:
    """Why `call` would hit or miss now."""
    name, key = str(call), call.key.digest.hex
    try:
        found = peek(call)
    except ArtifactStoreError as error:
        bad = corrupt(error)
        return Explanation(name, key, "miss", (bad,), tuple(_depends_on(call)))
    if isinstance(found, Entry):
        manifest = found.manifest
        return Explanation(
            name,
            key,
            "hit",
            (),
            tuple(_depends_on(call, manifest)),
            tuple(drift_of(manifest, call)),
            manifest.flags,
            tuple(_found(manifest, call)),
        )
    state: State = "miss" if found is None else "pending"
    causes = causes_of_miss(call) if found is None else (waits_for(found.upstream),)
    return Explanation(name, key, state, causes, tuple(_depends_on(call)))


def waits_for(upstream: Call) -> Cause:
    """The cause of a call that cannot be told before another one is computed."""
    return waits(upstream, causes_of_miss(upstream))


def drift_of(manifest: Manifest, call: Call) -> Iterator[str]:
    """Installed packages that are not of the version an entry was made with."""
    now = versions_of(call.closure.packages)
    for name, version in manifest.provenance.versions.items():
        if now.get(name, version) != version:
            yield f"{name} {version} then, {now[name]} now"


def _found(manifest: Manifest, call: Call) -> Iterator[str]:
    """How an entry came to stand for `call` that was computed as another one."""
    first, closure = manifest.first or manifest.key, manifest.provenance.closure
    if first != call.key.digest.hex:
        yield f"What it reads is what was read before: it was computed under key {first[:SHORT]}."
    if closure == call.closure.digest.hex:
        return
    stated = [one for one in blessings(call.store, call.key.analysis) if closure in (one.was, one.now)]  # fmt: skip
    for one in stated:
        note = f" ({one.note})" if one.note else ""
        yield f"Its code is another, which {one.who} blessed as the same: {one.name}{note}."
    if not stated:
        was = ", ".join(f"{n}={v!r}" for n, v in call.declaration.was.items())
        yield f"Its code is another, which is the same with was: {was}."


def _depends_on(call: Call, manifest: Manifest | None = None) -> Iterator[str]:
    if manifest is not None:
        yield from _inputs_read(call, manifest)
    else:
        yield from (_input(one) for one in call.inputs)
    for name, record in call.params.items():
        yield f"param {name} = {record.shown}"
    yield f"declared {call.declaration.environment}"
    yield from _code(call.closure)


def _input(one: InputRecord) -> str:
    return f"input {one.name}: {one.label} {one.digest[:SHORT]}"


def _inputs_read(call: Call, manifest: Manifest) -> Iterator[str]:
    """Every input and what of it counts, then every result of another analysis."""
    reads = reads_of(manifest, call.store)
    values = inputs_of(call.arguments)
    for number, (one, value) in enumerate(zip(call.inputs, values, strict=True)):
        if reads is None:
            lost = "what it read of that is no longer recorded"
            yield f"{_input(one)}, {'of which all counts' if manifest.reads is None else lost}"
            parts = parts_of(value).items()
            yield from (f"  {name} = {digest[:SHORT]}" for name, digest in parts)
        else:
            of = [read for read in reads if _place(read.question) == str(number)]
            yield f"{_input(one)}, of which it read{'' if of else ' nothing'}"
            yield from (f"  {_line(read)}" for read in of)
    yield from _results(call, reads or (), set())


def _results(call: Call, reads: Iterable[Read], told: set[Key]) -> Iterator[str]:
    """Every result of another analysis, and below it what that read, once."""
    for one in asked_anew(call, reads):
        if one.read.question.kind != "call":
            continue
        if one.call is None:
            yield " = ".join(in_words(one.read))
            continue
        answer = one.read.answer[:SHORT]
        again = ", as above" if one.call.key in told else ""
        yield f"result of {one.call} = {answer}{again}"
        if not again:
            told.add(one.call.key)
            yield from (f"  {line}" for line in _read_by(one.call, told))


def _read_by(call: Call, told: set[Key]) -> Iterator[str]:
    try:
        found = peek(call)
    except ArtifactStoreError:
        return  # It is corrupt, or evicted: what it read is no longer known.
    reads = reads_of(found.manifest, call.store) if isinstance(found, Entry) else None
    for read in reads or ():
        if read.question.kind != "call":
            yield _line(read)
    yield from _results(call, reads or (), told)


def _place(question: Question) -> str:
    """Which input a question is about; nothing if it is about another analysis."""
    return "" if question.kind == "call" else question.of.partition("/")[0]


def in_words(read: Read) -> tuple[str, str]:
    """A question and its answer as people see them: of a digest, its beginning."""
    is_said = read.question.kind in ("shape", "dtype", "has", "next")
    return str(read.question), read.answer if is_said else read.answer[:SHORT]


def _line(read: Read) -> str:
    question, answer = in_words(read)
    epoch = read.question.of.partition("/")[2]
    return f"read {question}{f' of epoch {epoch}' if epoch else ''} = {answer}"


def _code(closure: Closure) -> Iterator[str]:
    for member in closure.members:
        yield f"code {member.name} {member.digest.short} ({member.file}:{member.line})"
        for reference in member.references:
            if reference.kind == "constant":
                name = name_in_words(reference.spelled, member.source)
                kind = "" if name.startswith("default ") else "constant "
                yield f"  {kind}{name} = {reference.shown}"
