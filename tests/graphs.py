"""Random graphs of analyses, as values: what they are as source, and what they read and return.

Graph ──► source_of ──► a module, with `@analysis` or without
      └─► Reading ───► result and reads of each call      (shares no code with `artifact_store`)
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal, TypeAlias

Kind: TypeAlias = Literal["checkpoint", "list", "run"]

# A checkpoint: its tensors by name, each of three equal numbers. A run: checkpoints by epoch.
Weights: TypeAlias = tuple[tuple[str, int], ...]
Epochs: TypeAlias = tuple[tuple[int, Weights], ...]
Input: TypeAlias = Any

SIZE: Final = 3

# The tensor that not every checkpoint has, and the epoch that some analyses look for.
OPTIONAL: Final = "spare"
WANTED: Final = 500

# How a body reaches what it reads or passes on: by its own kind and that of the analysis it calls.
PLACES: Final[Mapping[tuple[Kind, Kind], Mapping[str, str]]] = {
    ("checkpoint", "checkpoint"): {"itself": "[given]"},
    ("list", "checkpoint"): {"each": "given", "first": "given[:1]"},
    ("list", "list"): {"itself": "[given]", "backwards": "[given[::-1]]"},
    ("run", "checkpoint"): {
        "each": "given.values()",
        "wanted": f"[given[{WANTED}]] if {WANTED} in given else []",
    },
    ("run", "list"): {
        "all": "[[given[epoch] for epoch in given]]",
        "backwards": "[[given[epoch] for epoch in reversed(given.epochs)]]",
    },
    ("run", "run"): {"itself": "[given]"},
}

# Of a `Statement`: what stands for no param at all, and for one that depends on what was read before.
DEFAULT: Final = "default"
COMPUTED: Final = "computed"

ANNOTATIONS: Final = {"checkpoint": "Checkpoint", "list": "list[Checkpoint]", "run": "Run"}  # fmt: skip

HEAD: Final = """\
from __future__ import annotations

from typing import Any

import numpy as np

from artifact_store import Checkpoint, Run, analysis
"""
PLAIN: Final = "\n\ndef analysis(function: Any) -> Any:\n    return function\n"


@dataclass(frozen=True)
class Statement:
    """What a body adds to its total: a tensor, or the result of another analysis.

    Attributes
    ----------
    what
        The name of a tensor, or the number of an analysis.
    place
        One of `PLACES`.
    param
        What the analysis called is given.
    is_branch
        Whether it happens only if the total so far is odd.
    """

    what: str | int
    place: str
    param: str | int = DEFAULT
    is_branch: bool = False


@dataclass(frozen=True)
class Node:
    """An analysis: it adds up what its statements give, and returns that, scaled by a helper, modulo a small number.

    Attributes
    ----------
    rewritten
        How often its code was written in another way that means the same.
    remarks
        How often it was edited in a way that is no code.
    """

    kind: Kind
    statements: tuple[Statement, ...]
    helper: int
    constant: int
    modulus: int
    default: int = 1
    rewritten: int = 0
    remarks: int = 0


@dataclass(frozen=True)
class Helper:
    """A function that several analyses share, and that itself calls the one before it."""

    factor: int
    rewritten: int = 0


@dataclass(frozen=True)
class Graph:
    """Analyses, each of which calls such before it; `is_backwards` if the file has the last one first."""

    nodes: tuple[Node, ...]
    helpers: tuple[Helper, ...]
    is_backwards: bool = False

    def code(self, number: int) -> object:
        """All that decides what an analysis does with what it is told."""
        node = self.nodes[number]
        # Neither the default of its param nor remarks are its code.
        own = node.kind, node.statements, node.constant, node.modulus, node.rewritten
        return own, self.helpers[: node.helper + 1]

    def called(self, number: int) -> tuple[int, ...]:
        """The analyses that one may call."""
        found = [one.what for one in self.nodes[number].statements]
        return tuple(dict.fromkeys(one for one in found if isinstance(one, int)))

    def whole(self, number: int) -> object:
        """All code and defaults that an analysis and those that it calls can reach."""
        below = tuple(
            (one, self.nodes[one].default, self.whole(one))
            for one in self.called(number)
        )
        return self.code(number), below


def source_of(graph: Graph, *, is_plain: bool = False) -> str:
    """The module of a graph: `f0`, `f1` and so on; of plain functions, on request."""
    parts = [_helper(graph, number) for number in range(len(graph.helpers))]
    nodes = [_node(graph, number) for number in range(len(graph.nodes))]
    parts += reversed(nodes) if graph.is_backwards else nodes
    return "\n\n".join([HEAD + PLAIN * is_plain, *parts])


def _helper(graph: Graph, number: int) -> str:
    helper = graph.helpers[number]
    inner = f"helper{number - 1}(x)" if number else "x"
    ones = " * 1" * helper.rewritten
    return f"def helper{number}(x: int) -> int:\n    return {inner} * {helper.factor}{ones} + 1\n"


def _node(graph: Graph, number: int) -> str:
    node = graph.nodes[number]
    lines = [
        f"# Remark {node.remarks}.",
        "@analysis",
        f"def f{number}(given: {ANNOTATIONS[node.kind]}, k: int = {node.default}) -> Any:",
        f'    """Remark {node.remarks}."""' + "\n" * node.remarks,
        "    total = k",
    ]
    for statement in node.statements:
        lines.append(textwrap.indent(_statement(graph, node, statement), "    "))
    ones = " * 1" * node.rewritten
    lines.append(
        f"    return np.int64(helper{node.helper}(total * C{number}{ones}) % {node.modulus})"
    )
    return f"C{number} = {node.constant}\n\n\n" + "\n".join(lines) + "\n"


def _statement(graph: Graph, node: Node, statement: Statement) -> str:
    what, place = statement.what, statement.place
    if isinstance(what, str):
        loop = f"for one in {PLACES[node.kind, 'checkpoint'][place]}:"
        body = f'total += int(one["{what}"].sum())'
        if what == OPTIONAL:
            body = f'if "{what}" in one:\n' + textwrap.indent(body, "    ")
    else:
        param = {DEFAULT: "", COMPUTED: ", k=total % 3"}.get(
            str(statement.param), f", k={statement.param}"
        )
        loop = f"for one in {PLACES[node.kind, graph.nodes[what].kind][place]}:"
        body = f"total += int(f{what}(one{param}))"
    text = loop + "\n" + textwrap.indent(body, "    ")
    return (
        "if total % 2:\n" + textwrap.indent(text, "    ")
        if statement.is_branch
        else text
    )


@dataclass(frozen=True)
class Call:
    """An analysis, its input, and its param; `None` if it is not given."""

    number: int
    given: Input
    param: int | None = None


# A question and its answer; where an analysis is called, the call.
Told: TypeAlias = tuple[object, object, Call | None]


class Reading:
    """What the calls of a graph return, and what they are told on the way, by its definition."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._known: dict[Call, tuple[int, tuple[Told, ...]]] = {}

    def result(self, call: Call) -> int:
        """What a call returns."""
        return self._read(call)[0]

    def told(self, call: Call) -> tuple[Told, ...]:
        """What a call is told, in order."""
        return self._read(call)[1]

    def param(self, call: Call) -> int:
        """The param of a call, given or not."""
        default = self.graph.nodes[call.number].default
        return default if call.param is None else call.param

    def _read(self, call: Call) -> tuple[int, tuple[Told, ...]]:
        if call not in self._known:
            body = _Body(self, call)
            self._known[call] = body.result, tuple(body.told)
        return self._known[call]


class _Body:
    """One execution of the body of an analysis."""

    def __init__(self, reading: Reading, call: Call) -> None:
        self._reading, self._given = reading, call.given
        self._node = reading.graph.nodes[call.number]
        self.told: list[Told] = []
        self._total = reading.param(call)
        for statement in self._node.statements:
            if self._total % 2 or not statement.is_branch:
                self._execute(statement)

    @cached_property
    def result(self) -> int:
        """What it returns."""
        scaled = self._total * self._node.constant
        for helper in self._reading.graph.helpers[: self._node.helper + 1]:
            scaled = scaled * helper.factor + 1
        return scaled % self._node.modulus

    def _execute(self, statement: Statement) -> None:
        for place, one in self._reached(statement.place):
            if isinstance(statement.what, int):
                self._call(statement.what, place, one, self._param(statement.param))
            else:
                self._tensor(statement.what, place, dict(one))

    def _reached(self, place: str) -> Iterator[tuple[object, Input]]:
        """What a place stands for; what has to be asked to know that is noted."""
        given, is_run = self._given, self._node.kind == "run"
        match place:
            case "itself":
                yield "itself", given
            case "first":
                yield 0, given[0]
            case "wanted":
                self._note(("has", WANTED), WANTED in dict(given))
                if WANTED in dict(given):
                    yield WANTED, dict(given)[WANTED]
            case "each":
                yield from self._epochs() if is_run else enumerate(given)
            case _:
                pairs = self._epochs() if is_run else list(enumerate(given))
                ordered = pairs if place == "all" else pairs[::-1]
                yield tuple(number for number, _ in ordered), tuple(
                    one for _, one in ordered
                )

    def _epochs(self) -> list[tuple[int, Weights]]:
        self._note("epochs", tuple(epoch for epoch, _ in self._given))
        return list(self._given)

    def _param(self, param: str | int) -> int | None:
        if isinstance(param, int):
            return param
        return self._total % 3 if param == COMPUTED else None

    def _call(self, number: int, place: object, one: Input, param: int | None) -> None:
        call = Call(number, one, param)
        result = self._reading.result(call)
        self._note(("call", number, place, param), result, call)
        self._total += result

    def _tensor(self, name: str, place: object, weights: dict[str, int]) -> None:
        if name == OPTIONAL:
            self._note(("has", place, name), name in weights)
        if name in weights:
            self._note(("tensor", place, name), weights[name])
            self._total += weights[name] * SIZE

    def _note(self, question: object, answer: object, call: Call | None = None) -> None:
        self.told.append((question, answer, call))
