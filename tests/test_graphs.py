"""A plan tells what will be computed: over random graphs of analyses, random runs, and random edits of both."""

from __future__ import annotations

import importlib
import itertools
import linecache
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from graphs import (
    COMPUTED,
    DEFAULT,
    OPTIONAL,
    PLACES,
    SIZE,
    WANTED,
    Call,
    Epochs,
    Graph,
    Helper,
    Kind,
    Node,
    Reading,
    Statement,
    Weights,
    source_of,
)
from histories import History
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from artifact_store import AnalysisPipeline, Run, files
from artifact_store.events import Event, Published, listening
from artifact_store.memoize import Analysis
from artifact_store.plans import Step

RANKS: dict[Kind, int] = {"checkpoint": 0, "list": 1, "run": 2}
TENSORS = ("embed", "inner", "outer")
EPOCHS = (0, WANTED, 1000, 1500)
PARAMS: list[str | int] = [DEFAULT, COMPUTED, 1, 2]

small = st.integers(0, 3)
places = st.integers(0, 11)


# What is drawn


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Analyses on four levels, each of which calls one on the level below, and perhaps others."""
    middle: list[Kind] = draw(
        st.lists(st.sampled_from(list(RANKS)), min_size=2, max_size=2)
    )
    top: Kind = draw(st.sampled_from(["checkpoint", "run", "run"]))
    kinds = sorted([*middle, top], key=lambda one: RANKS[one])
    if kinds[-1] == "list":
        kinds[-1] = "run"
    nodes: list[Node] = []
    below: list[str | int] = []
    for level, kind in enumerate(["checkpoint", *kinds]):
        level_begins = len(nodes)
        for _ in range(draw(st.integers(1, 2 if level < 2 else 1))):
            first = draw(st.sampled_from(below or list(TENSORS)))
            nodes.append(draw(_nodes(kind, first, nodes[:level_begins])))
        below = list(range(level_begins, len(nodes)))
    return Graph(tuple(nodes), (Helper(1), Helper(draw(small) + 1)))


@st.composite
def _nodes(
    draw: st.DrawFn, kind: Kind, first: str | int, known: Sequence[Node]
) -> Node:
    others: list[str | int] = [*TENSORS, OPTIONAL, *range(len(known))]
    wanted: list[str | int] = [first]
    wanted += draw(st.lists(st.sampled_from(others), max_size=2))
    statements = []
    for number, what in enumerate(wanted):
        called = known[what].kind if isinstance(what, int) else "checkpoint"
        place = draw(st.sampled_from(list(PLACES[kind, called])))
        param = draw(st.sampled_from(PARAMS))
        is_branch = number > 0 and draw(st.booleans())
        statements.append(Statement(what, place, param, is_branch))
    helper, constant, modulus = draw(st.tuples(st.integers(0, 1), st.integers(1, 3), st.integers(2, 7)))  # fmt: skip
    return Node(kind, tuple(statements), helper, constant, modulus)


@st.composite
def runs(draw: st.DrawFn) -> Epochs:
    """Two to four checkpoints, some of which share tensors, or all of them."""
    chosen = draw(st.sets(st.sampled_from(EPOCHS), min_size=2, max_size=4))
    pool = draw(st.lists(_weights(), min_size=1, max_size=3))
    return tuple((one, draw(st.sampled_from(pool))) for one in sorted(chosen))


@st.composite
def _weights(draw: st.DrawFn) -> Weights:
    held = [*TENSORS, OPTIONAL] if draw(st.booleans()) else TENSORS
    return tuple((name, draw(small)) for name in held)


# Edits


@dataclass(frozen=True)
class World:
    """The code and the checkpoints, as they are at one time."""

    graph: Graph
    epochs: Epochs


@dataclass(frozen=True)
class Edit:
    """A verb of `VERBS`, and two numbers that say where and how; any numbers do."""

    verb: str
    at: int
    how: int


def _with_node(world: World, at: int, **changes: Any) -> World:
    nodes = list(world.graph.nodes)
    nodes[at % len(nodes)] = replace(nodes[at % len(nodes)], **changes)
    return replace(world, graph=replace(world.graph, nodes=tuple(nodes)))


def _node(world: World, at: int) -> Node:
    return world.graph.nodes[at % len(world.graph.nodes)]


def _with_helper(world: World, at: int, **changes: Any) -> World:
    helpers = list(world.graph.helpers)
    helpers[at % len(helpers)] = replace(helpers[at % len(helpers)], **changes)
    return replace(world, graph=replace(world.graph, helpers=tuple(helpers)))


def _helper(world: World, at: int) -> Helper:
    return world.graph.helpers[at % len(world.graph.helpers)]


def _with_epochs(world: World, epochs: dict[int, Weights]) -> World:
    return replace(world, epochs=tuple(sorted(epochs.items())))


def _set_tensor(world: World, at: int, how: int) -> World:
    epoch, weights = world.epochs[at % len(world.epochs)]
    name = TENSORS[how % len(TENSORS)]
    changed = dict(weights) | {name: (dict(weights)[name] + 1 + how // 3) % 4}
    return _with_epochs(world, dict(world.epochs) | {epoch: tuple(changed.items())})


def _toggle_tensor(world: World, at: int, how: int) -> World:
    epoch, weights = world.epochs[at % len(world.epochs)]
    held = dict(weights)
    if held.pop(OPTIONAL, None) is None:
        held[OPTIONAL] = how % 4
    return _with_epochs(world, dict(world.epochs) | {epoch: tuple(held.items())})


def _copy_epoch(world: World, at: int, how: int) -> World:
    epoch, _ = world.epochs[at % len(world.epochs)]
    _, weights = world.epochs[how % len(world.epochs)]
    return _with_epochs(world, dict(world.epochs) | {epoch: weights})


def _add_epoch(world: World, at: int, how: int) -> World:
    _, weights = world.epochs[how % len(world.epochs)]
    return _with_epochs(world, {EPOCHS[at % len(EPOCHS)]: weights} | dict(world.epochs))


def _remove_epoch(world: World, at: int, how: int) -> World:
    epochs = dict(world.epochs)
    if len(epochs) > 1:
        del epochs[list(epochs)[at % len(epochs)]]
    return _with_epochs(world, epochs)


def _turn_branch(world: World, at: int, how: int) -> World:
    statements = list(_node(world, at).statements)
    one = how % len(statements)
    statements[one] = replace(statements[one], is_branch=not statements[one].is_branch)
    return _with_node(world, at, statements=tuple(statements))


VERBS: dict[str, Callable[[World, int, int], World]] = {
    "other constant": lambda world, at, how: _with_node(world, at, constant=how + 1),
    "other modulus": lambda world, at, how: _with_node(world, at, modulus=how + 2),
    "other default": lambda world, at, how: _with_node(world, at, default=how),
    "other factor": lambda world, at, how: _with_helper(world, at, factor=how + 1),
    "rewrite": lambda world, at, how: _with_node(
        world, at, rewritten=_node(world, at).rewritten + 1
    ),
    "rewrite helper": lambda world, at, how: _with_helper(
        world, at, rewritten=_helper(world, at).rewritten + 1
    ),
    "remark": lambda world, at, how: _with_node(world, at, remarks=how),
    "turn branch": _turn_branch,
    "reorder": lambda world, at, how: replace(
        world, graph=replace(world.graph, is_backwards=not world.graph.is_backwards)
    ),
    "set tensor": _set_tensor,
    "toggle tensor": _toggle_tensor,
    "copy epoch": _copy_epoch,
    "add epoch": _add_epoch,
    "remove epoch": _remove_epoch,
}

# These are no matter of the world alone.
UNDO, EVICT = "undo", "evict"


@dataclass(frozen=True)
class Turn:
    """Some edits, after which everything is computed, or one analysis alone."""

    edits: list[Edit]
    only: int | None


edits = st.builds(Edit, st.sampled_from([*VERBS, UNDO, EVICT, EVICT]), places, places)
turns = st.builds(Turn, st.lists(edits, min_size=1, max_size=3), st.none() | places)


# The project on disk


class Project:
    """A world on disk, with a store that remembers all worlds before."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stamps = itertools.count(1_600_000_000)
        self._written: dict[Path, object] = {}
        (folder / "run/checkpoints").mkdir(parents=True)

    def become(self, world: World) -> None:
        """Write what differs from what is there, and import the analyses anew."""
        self._write_checkpoints(dict(world.epochs))
        self.module = self._imported("worked_on", source_of(world.graph))
        self.plain = self._imported("plain", source_of(world.graph, is_plain=True))
        self.run = Run(self._folder / "run")
        self.pipeline = AnalysisPipeline(self.run)
        self._epoch_of = {weights: epoch for epoch, weights in world.epochs}

    def analysis(self, number: int) -> Analysis[..., Any]:
        found = getattr(self.module, f"f{number}")
        assert isinstance(found, Analysis)
        return found

    def key(self, call: Call) -> str:
        """The key of a call, in hex."""
        given = {} if call.param is None else {"k": call.param}
        called = self.analysis(call.number).key(self._input(call.given), **given)
        return called.digest.hex

    def evict(self, call: Call) -> None:
        """Remove the entry of a call from the store."""
        made = self.analysis(call.number).call(self._input(call.given))
        made.store.remove([made.key])

    def _input(self, given: Any) -> Any:
        if given in self._epoch_of:
            return self.run[self._epoch_of[given]]
        is_run = isinstance(given[0][0], int)
        return self.run if is_run else [self._input(one) for one in given]

    def _write_checkpoints(self, epochs: dict[int, Weights]) -> None:
        folder = self._folder / "run/checkpoints"
        paths = {folder / f"checkpoint_epoch_{one:05d}.safetensors": one for one in epochs}  # fmt: skip
        for gone in set(folder.iterdir()) - set(paths):
            gone.unlink()
            del self._written[gone]
        for path, epoch in paths.items():
            if self._written.get(path) != epochs[epoch]:
                tensors = {name: np.full(SIZE, value) for name, value in epochs[epoch]}
                save_file(tensors, path)
                self._stamp(path)
                self._written[path] = epochs[epoch]

    def _imported(self, name: str, source: str) -> ModuleType:
        path = self._folder / f"{name}.py"
        path.write_text(source)
        self._stamp(path)
        sys.modules.pop(name, None)
        linecache.checkcache()
        importlib.invalidate_caches()
        return importlib.import_module(name)

    def _stamp(self, path: Path) -> None:
        # No two contents share a stamp, however soon one follows the other.
        os.utime(path, (stamp := next(self._stamps), stamp))


@contextmanager
def project() -> Iterator[Project]:
    """A project of its own, from which modules are imported."""
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(files, "RACY_NS", 0)
        patch.setattr(sys, "dont_write_bytecode", True)
        patch.syspath_prepend(folder)
        try:
            yield Project(Path(folder))
        finally:
            for name in ("worked_on", "plain"):
                sys.modules.pop(name, None)


# What has to hold


def calls_of(world: World, only: int | None = None) -> list[Call]:
    """What a pipeline asks for, in its order: each epoch with all analyses of a checkpoint, then those of the run.

    With `only`, what it asks for that was given one analysis.
    """
    kinds = {
        number: node.kind
        for number, node in enumerate(world.graph.nodes)
        if node.kind != "list"
    }
    numbers = list(kinds) if only is None else [list(kinds)[only % len(kinds)]]
    return [
        *(
            Call(number, weights)
            for _, weights in world.epochs
            for number in numbers
            if kinds[number] == "checkpoint"
        ),
        *(Call(number, world.epochs) for number in numbers if kinds[number] == "run"),
    ]


def state_of(step: Step) -> str:
    if step.hits:
        return "hit"
    return "pending" if step.state == "pending" else "miss"


def check(
    project: Project, world: World, history: History, only: int | None = None
) -> None:
    """A plan is made and carried out, and everything is as it should be."""
    reading, calls = Reading(world.graph), calls_of(world, only)
    chosen = [project.analysis(one) for one in dict.fromkeys(one.number for one in calls)]  # fmt: skip
    keys = [project.key(one) for one in calls]
    seen: list[Event] = []
    with listening(seen.append):
        plan = project.pipeline.plan(chosen)
        status = project.pipeline.status(chosen)
        assert not seen
        states = {project.key(one): history.state(reading, one) for one in calls}
        news = {project.key(one) for one in calls if history.is_new(reading, one)}
        project.pipeline.run(chosen)
    ran = [event.key.digest.hex for event in seen if isinstance(event, Published)]

    assert status.steps == plan.steps and [one.key for one in plan.steps] == keys
    assert [state_of(one) for one in plan.steps] == [states[one] for one in keys]

    expected = [one for call in calls for one in history.materialize(reading, call)]
    assert sorted(ran) == sorted(map(project.key, expected))
    for step, call in zip(plan.steps, calls, strict=True):
        match state_of(step):
            case "hit":
                assert step.key not in ran
            case "miss":
                assert step.key in ran or made_in(project, call) in ran
            case "pending" if step.key in news:
                assert step.key in ran or made_in(project, call) in ran
            case "pending":
                assert step.key not in ran

    for call in calls:
        check_result(project, reading, call)
    after = project.pipeline.plan(chosen)
    assert {one.state for one in after.steps} == {"fresh"}
    assert project.pipeline.status(chosen).steps == after.steps


def made_in(project: Project, call: Call) -> str:
    """The key that the entry of a call was computed under, if that was another."""
    found = project.analysis(call.number).find(project._input(call.given))
    assert found is not None
    return found.entry.manifest.first


def check_result(project: Project, reading: Reading, call: Call) -> None:
    """What is stored is what the plain functions return, and what the graph says."""
    given = project._input(call.given)
    found = project.analysis(call.number).find(given)
    assert found is not None
    plain = getattr(project.plain, f"f{call.number}")(given)
    assert found.numpy() == plain == reading.result(call)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(graphs(), runs(), st.lists(turns, min_size=3, max_size=6))
def test_what_runs_after_any_edit_is_what_the_plan_says(
    graph: Graph, epochs: Epochs, chosen: list[Turn]
) -> None:
    history, worlds = History(), [World(graph, epochs)]
    with project() as on_disk:
        on_disk.become(worlds[-1])
        check(on_disk, worlds[-1], history)
        for turn in chosen:
            for edit in turn.edits:
                if edit.verb == EVICT:
                    evict(on_disk, worlds[-1], history, edit.at)
                elif edit.verb == UNDO:
                    worlds.append(worlds[edit.at % len(worlds)])
                else:
                    worlds.append(VERBS[edit.verb](worlds[-1], edit.at, edit.how))
                on_disk.become(worlds[-1])
            check(on_disk, worlds[-1], history, turn.only)


def evict(project: Project, world: World, history: History, at: int) -> None:
    """Remove one of the entries that the calls of today have."""
    reading, calls = Reading(world.graph), calls_of(world)
    call = calls[at % len(calls)]
    project.evict(call)
    history.forget(reading, call)
