"""What a store must know, by what was ever computed in it: another implementation of what hits, misses and waits.

Reading ──► History.state ──────► hit, miss or pending, before anything runs
        └─► History.materialize ► what then runs
"""

from __future__ import annotations

from collections import defaultdict
from typing import Literal, TypeAlias

from graphs import Call, Reading, Told

State: TypeAlias = Literal["hit", "miss", "pending"]
Key: TypeAlias = object

# What calls have in common that are told the same as long as they ask the same; and what they asked and were told.
Start: TypeAlias = object
Trace: TypeAlias = tuple[tuple[object, object], ...]


class History:
    """Every computation that a store ever saw, and which of their entries it still has.

    Attributes
    ----------
    entries
        What each entry was made from, by all that may have decided it.
    """

    def __init__(self) -> None:
        self.entries: dict[Key, tuple[Start, Trace]] = {}
        self._traces: dict[Start, set[Trace]] = defaultdict(set)

    def state(self, reading: Reading, call: Call) -> State:
        """Whether a call finds its entry, for certain; `pending` if one that it makes has to be computed first."""
        if key_of(reading, call) in self.entries:
            return "hit"
        told, start = reading.told(call), start_of(reading, call)
        for number, (_, _, nested) in enumerate(told):
            if not self._went_on(start, trace_of(told[:number])):
                return "miss"
            if nested is not None and self.state(reading, nested) != "hit":
                return "pending"
        return "hit" if self._lives(start, trace_of(told)) else "miss"

    def is_new(self, reading: Reading, call: Call) -> bool:
        """Whether no entry was made by a computation that was told what this one is."""
        return not self._lives(start_of(reading, call), trace_of(reading.told(call)))

    def materialize(self, reading: Reading, call: Call) -> list[Call]:
        """The calls that run where this one is asked for, in order; from now on they have entries."""
        key = key_of(reading, call)
        if key in self.entries:
            return []
        told, start = reading.told(call), start_of(reading, call)
        ran = [
            one
            for _, _, nested in told
            if nested is not None
            for one in self.materialize(reading, nested)
        ]
        trace = trace_of(told)
        if not self._lives(start, trace):
            ran.append(call)
            self._traces[start].add(trace)
        self.entries[key] = start, trace
        return ran

    def forget(self, reading: Reading, call: Call) -> None:
        """The entry of a call is removed."""
        self.entries.pop(key_of(reading, call), None)

    def _went_on(self, start: Start, begun: Trace) -> bool:
        """Whether a computation was once told this to begin with."""
        return any(trace[: len(begun)] == begun for trace in self._traces[start])

    def _lives(self, start: Start, trace: Trace) -> bool:
        return (start, trace) in self.entries.values()


def key_of(reading: Reading, call: Call) -> Key:
    """All that may decide the result of a call."""
    whole = reading.graph.whole(call.number)
    return call.number, whole, reading.param(call), call.given


def start_of(reading: Reading, call: Call) -> Start:
    """What decides its result beside what it is told."""
    is_list = reading.graph.nodes[call.number].kind == "list"
    code, form = reading.graph.code(call.number), len(call.given) if is_list else None
    return call.number, code, reading.param(call), form


def trace_of(told: tuple[Told, ...]) -> Trace:
    """Questions and answers alone."""
    return tuple((question, answer) for question, answer, _ in told)
