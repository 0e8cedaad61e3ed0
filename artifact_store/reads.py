"""Reads: what a computation asked of its inputs, and what it was told.

    function ──► question ──► answer, noted by its *Recorder*

What was asked and answered decides the result of a pure function, and nothing
else of its inputs does: equal answers to the same questions give one entry.
"""

from __future__ import annotations

import base64
import itertools
import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextvars import Context
from typing import Annotated, Final, Literal, TypeAlias

import msgspec

from artifact_store.digests import Digest, Hex, digest_of
from artifact_store.encoding import encode

# The answer where there is no such tensor, epoch or input.
ABSENT: Final = "absent"

Kind: TypeAlias = Literal[
    "tensor",
    "shape",
    "dtype",
    "names",
    "has",
    "metadata",
    "epochs",
    "next",
    "label",
    "content",
    "call",
]

# Their answers are no part of what an input is, so the input alone does not stand for them.
OUTSIDE: Final = frozenset({"metadata", "label"})


class Question(msgspec.Struct, frozen=True, array_like=True):
    """What can be asked.

    Attributes
    ----------
    of
        Which input, by its place among all of a call: `0`; `0/500` is epoch 500 of a run, `@2` what read 2 called. Of a
        `call`, which of the analyses in the closure.
    name
        Of the tensor or label; of the analysis called; the epoch before the `next` one.
    given
        The arguments of a call, in canonical bytes and base64; inputs in them are places.
    """

    kind: Kind
    of: str
    name: str = ""
    given: str = ""

    def __str__(self) -> str:
        match self.kind:
            case "tensor" | "label":
                return f"{self.kind} {self.name}"
            case "call":
                return f"result of {self.name}"
            case "has":
                return f"whether there is {self.name}"
            case "content" | "metadata" | "epochs":
                return self.kind
            case "names":
                return "names of all tensors"
            case "next":
                return (
                    f"the epoch after {self.name}" if self.name else "the first epoch"
                )
            case _:
                return f"{self.kind} of {self.name}"


class Read(msgspec.Struct, frozen=True, array_like=True):
    """A question and its answer."""

    question: Question
    answer: str


class Recorder:
    """Notes the reads of one computation, each once, in the order in which they first came.

    Attributes
    ----------
    is_strict
        Whether labels are refused.
    untold
        Why the reads do not tell everything the function saw, if they do not.
    fleeting
        Why the result may not be kept, if it may not: it depends on what may be otherwise at any time.
    flags
        What it did that a pure function would not.
    context
        In which the computation runs.
    """

    def __init__(self, calls: Sequence[object] = (), *, is_strict: bool) -> None:
        self.is_strict = is_strict
        self.untold: str | None = None
        self.fleeting: str | None = None
        self.flags: dict[str, None] = {}
        self.context: Context | None = None
        self._calls = {id(one): str(number) for number, one in enumerate(calls)}
        self._answers: dict[Question, str] = {}
        self._numbers: dict[Question, int] = {}
        self._outside: list[Read] = []
        self._places: dict[int, tuple[str, object]] = {}
        self._lock, self._process = threading.Lock(), os.getpid()

    def note(
        self,
        question: Question,
        answer: str,
        result: object = None,
        *,
        is_outside: bool = False,
    ) -> None:
        """Note a read; `result` is what a call of another analysis gave, which may be passed on."""
        if os.getpid() != self._process:
            raise RuntimeError(
                f"{question} was read in a forked process, where reads cannot be noted. Pass checkpoints to other "
                "processes as arguments, or read them before."
            )
        with self._lock:
            # A pure function is told the same twice; what changed in between is for others to find.
            if question not in self._answers:
                self._numbers[question] = len(self._answers)
                self._answers[question] = answer
                if is_outside or question.kind in OUTSIDE:
                    self._outside.append(Read(question, answer))
            number = self._numbers[question]
        if result is not None:
            self.place(result, f"@{number}")

    def knows(self, question: Question) -> bool:
        """Whether it was asked before."""
        return question in self._answers

    def flag(self, what: str) -> None:
        """Note what a pure function would not do."""
        self.flags[what] = None

    def number_of(self, analysis: object) -> str | None:
        """Which of the analyses in the closure this is, if it is one."""
        return self._calls.get(id(analysis))

    def place(self, value: object, place: str) -> None:
        """Note where a value comes from that may be passed on."""
        # The value is kept, for as long as its address stands for it.
        self._places[id(value)] = place, value

    def place_of(self, value: object) -> str | None:
        """Where a value comes from, if it is of this computation."""
        if getattr(value, "recorder", None) is self:
            return str(value.place) or None  # type: ignore[attr-defined]
        return self._places.get(id(value), (None, None))[0]

    @property
    def outside(self) -> tuple[Read, ...]:
        """The reads that no key of the computation tells."""
        return tuple(self._outside)

    @property
    def reads(self) -> tuple[Read, ...]:
        """All reads so far."""
        with self._lock:
            return tuple(
                Read(question, answer) for question, answer in self._answers.items()
            )


class Ask(msgspec.Struct, frozen=True, tag="ask"):
    """What a computation asks next: parts of its inputs, or the result of one other analysis."""

    questions: Annotated[tuple[Question, ...], msgspec.Meta(min_length=1)]


class Found(msgspec.Struct, frozen=True, tag="found"):
    """The key of an entry that was made from just these reads."""

    key: Hex
    reads: tuple[Read, ...]


Step: TypeAlias = Ask | Found


def steps_of(start: Digest, reads: Iterable[Read], key: str) -> dict[str, Step]:
    """What the computations that begin at `start` do next, after each group of their reads."""
    steps: dict[str, Step] = {}
    node, every = start, tuple(reads)
    for some in _grouped(every):
        steps[node.hex] = Ask(tuple(read.question for read in some))
        node = after(node, some)
    steps[node.hex] = Found(key, every)
    return steps


def node_of(start: Digest, reads: Iterable[Read]) -> Digest:
    """Where the steps of a computation are after these reads."""
    for some in _grouped(reads):
        start = after(start, some)
    return start


# What follows a call may have to be computed first; and a longer run goes on where a shorter one has nothing next.
_ALONE: Final = frozenset({"call", "next"})


def _grouped(reads: Iterable[Read]) -> Iterator[list[Read]]:
    """Reads that are asked together."""
    for is_alone, group in itertools.groupby(
        reads, lambda read: read.question.kind in _ALONE
    ):
        yield from ([one] for one in group) if is_alone else [list(group)]


def after(node: Digest, reads: Iterable[Read]) -> Digest:
    """The digest of having read `reads` after what `node` stands for."""
    parts = [
        part.encode("utf-8", "surrogatepass")
        for read in reads
        for part in (*msgspec.structs.astuple(read.question), read.answer)
    ]
    return digest_of("reads", bytes(node), *parts)


def in_text(canonical: bytes) -> str:
    """Canonical bytes as they stand in a question."""
    return base64.b64encode(canonical).decode()


def from_text(text: str) -> bytes:
    """The inverse of `in_text`."""
    return base64.b64decode(text)


def answer_of(value: object) -> str:
    """The digest of a value that has canonical bytes, as an answer."""
    return digest_of("answer", encode(value)).hex
