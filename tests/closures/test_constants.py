"""What a value is: its content, a number, or a name; whatever else is noted as unresolved."""

from __future__ import annotations

import functools
import math
import operator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch

from artifact_store.closures.constants import Describer
from artifact_store.closures.origins import FirstParty


class Notes:
    """A book that remembers what was written into it."""

    ours = FirstParty(frozenset({"tests"}))

    def __init__(self) -> None:
        self.met: list[Any] = []
        self.named: list[str] = []
        self.problems: list[str] = []

    def number(self, code: Any) -> int:
        if code not in self.met:
            self.met.append(code)
        return self.met.index(code)

    def external(self, module: str, name: str) -> bytes:
        self.named.append(f"{module}:{name}")
        return self.named[-1].encode()

    def analysis(self, analysis: Any) -> int:
        return self.number(analysis)

    def remembers(self, cache: Any) -> None: ...

    def unresolved(self, place: str, what: str, advice: str) -> bytes:
        self.problems.append(what)
        return b"unresolved"


class Thing:
    def __init__(self, **held: Any) -> None:
        vars(self).update(held)

    @functools.cached_property
    def derived(self) -> int:
        return 1

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


class Name(str):
    def __str__(self) -> str:
        return "overridden"


def helper(*_: Any) -> Any: ...


@pytest.fixture
def notes() -> Notes:
    return Notes()


def describe(notes: Notes, value: Any) -> bytes:
    return Describer(notes, "file:1", "NAME").describe(value)


@pytest.mark.parametrize(
    ("value", "names"),
    [
        (np.add, "numpy:add"),
        (np.linalg.norm, "numpy.linalg:norm"),
        (math.sin, "math:sin"),
        (len, "builtins:len"),
        (str.upper, "builtins:str.upper"),
        (dict.fromkeys, "builtins:dict.fromkeys"),
        (torch.sin, "torch:sin"),
        (torch.nn.functional.relu, "torch.nn.functional:relu"),
        (torch.nn.functional.max_pool2d, "torch:max_pool2d"),
        (torch.nn.Linear, "torch.nn.modules.linear:Linear"),
        (np, "numpy:"),
        (functools.partial(len), "builtins:len"),
        (int, "builtins:int"),
    ],
)  # fmt: skip
def test_what_is_installed_is_known_by_its_name(
    notes: Notes, value: Any, names: str
) -> None:
    describe(notes, value)

    assert notes.named == names.split() and not notes.problems


@pytest.mark.parametrize(
    "value",
    [
        helper,
        [helper],
        {"a": (helper,)},
        functools.partial(helper),
        functools.lru_cache(helper),
        functools.cached_property(helper),
        property(helper),
        staticmethod(helper),
        np.vectorize(helper),
        torch.no_grad()(helper),
        contextmanager(helper),
    ],
)
def test_what_is_made_of_code_of_the_user_leads_to_it(notes: Notes, value: Any) -> None:
    describe(notes, value)

    assert notes.met == [helper] and not notes.problems


def test_code_is_numbered_as_it_is_met(notes: Notes) -> None:
    assert describe(notes, [Thing, helper, Thing]).count(b"member 0") == 2


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Thing(x=1), Thing(x=2)),
        (Thing(x=1), Thing(y=1)),
        (Thing(x=Thing(x=1)), Thing(x=Thing(x=2))),
        (Name("a"), Name("b")),
        (functools.partial(helper, 1), functools.partial(helper, 2)),
        (operator.itemgetter(1), operator.itemgetter(2)),
        (operator.methodcaller("f", 1), operator.methodcaller("f", 2)),
        (functools.lru_cache(1)(helper), functools.lru_cache(2)(helper)),
        ("a".join, "b".join),
        ([].append, [1].append),
        (Thing(x=helper), Thing(x=Thing)),
    ],
)
def test_other_content_is_something_else(notes: Notes, one: Any, other: Any) -> None:
    assert describe(notes, one) != describe(notes, other)


def test_the_order_in_which_attributes_were_set_does_not_matter(notes: Notes) -> None:
    assert describe(notes, Thing(x=1, y=2)) == describe(notes, Thing(y=2, x=1))


def test_what_an_instance_computed_from_itself_does_not_matter(notes: Notes) -> None:
    thing = Thing(x=1)
    before = describe(notes, thing)

    assert thing.derived and describe(notes, thing) == before


def test_instances_that_hold_one_another_have_an_end(notes: Notes) -> None:
    one, other = Thing(), Thing()
    one.other, other.other = other, one  # type: ignore[attr-defined]

    assert describe(notes, one) and not notes.problems


def test_a_wrapper_that_bears_the_name_of_something_else_is_not_it(
    notes: Notes,
) -> None:
    @functools.wraps(np.sin)
    def sin(x: Any) -> Any: ...

    wrapped: Any = np.vectorize(sin)
    wrapped.__module__, wrapped.__name__ = "numpy", "sin"

    assert describe(notes, wrapped) != describe(notes, np.sin)
    assert sin in notes.met


@pytest.mark.parametrize(
    ("value", "mentioned"),
    [
        (np.random.default_rng(0), "numpy.random._generator.Generator"),
        ([{"a": np.random.default_rng(0)}], "Generator"),
        (torch.nn.Linear(1, 1), "Linear"),
        (np.array([None]), "array of Python objects"),
        (Thing(x=np.random.default_rng(0)), "Generator"),
        (iter([]), "list_iterator"),
    ],
)
def test_what_has_no_content_is_noted_by_its_type(
    notes: Notes, value: Any, mentioned: str
) -> None:
    describe(notes, value)

    (problem,) = notes.problems
    assert problem.startswith("`NAME` holds a ") and mentioned in problem
