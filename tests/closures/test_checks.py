"""Checks pass until something is another object, even an equal one."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from artifact_store.closures.checks import MISSING, Checks


def _passes(passed: Callable[[], bool]) -> bool:
    """A check may raise instead of saying no."""
    try:
        return passed()
    except ValueError:
        return False


def test_a_name_that_means_something_else_is_noticed() -> None:
    space: dict[str, Any] = {"a": 1}
    checks = Checks()
    checks.name(space, "a", 1)
    checks.name(space, "b", MISSING)
    passed = checks.compiled()

    assert passed()
    space["a"] = True
    assert not passed()
    space["a"], space["b"] = 1, 2
    assert not passed()


@pytest.mark.parametrize("name", ["plain", "class", "two words", "it's"])
def test_an_attribute_of_any_name_is_noticed(name: str) -> None:
    owner = SimpleNamespace()
    checks = Checks()
    checks.attribute(owner, name, MISSING)
    passed = checks.compiled()

    assert passed()
    setattr(owner, name, 1)
    assert not passed()


@pytest.mark.parametrize("size", [0, 1, 32, 33, 1000])
def test_an_item_that_is_only_equal_is_noticed(size: int) -> None:
    items = [object() for _ in range(size)]
    checks = Checks()
    checks.items(items)
    passed = checks.compiled()

    assert passed()
    for position in {0, size // 2, size - 1} & set(range(size)):
        before, items[position] = items[position], object()
        assert not passed()
        items[position] = before
    assert passed()
    items.append(object())
    assert not _passes(passed)


@pytest.mark.parametrize("size", [2, 100])
def test_no_item_may_pass_from_one_collection_to_the_next(size: int) -> None:
    one, other = list(range(size)), [-1] * size
    checks = Checks()
    checks.items(one)
    checks.items(other)
    passed = checks.compiled()

    other.insert(0, one.pop())
    assert not _passes(passed)


def test_of_many_collections_each_is_checked() -> None:
    rows = [[number] for number in range(1000)]
    checks = Checks()
    for row in rows:
        checks.items(row)
    passed = checks.compiled()

    assert passed()
    for row in (rows[0], rows[500], rows[-1]):
        row.append(1)
        assert not _passes(passed)
        row.pop()


def test_without_checks_nothing_can_fail() -> None:
    assert Checks().compiled()()
