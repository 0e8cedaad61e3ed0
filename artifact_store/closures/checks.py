"""Checks that things are what they were, compiled into one function: several times as fast as loops over them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from itertools import chain
from operator import is_
from typing import Any, cast

MISSING = object()

# Unpacking a collection is 3 times as fast as a loop over it, but takes 30 µs to compile: for a few small ones.
_SMALL, _FEW = 32, 200
# Stands behind each collection that is looped over, and in none, so that no item can pass to the next.
_END = (object(),)


class Checks:
    """The source of a function that compares by identity, and the objects that it names."""

    def __init__(self) -> None:
        self._terms: dict[str, None] = {}
        self._statements: list[str] = []
        self._now: list[Collection[Any]] = []
        self._then: list[object] = []
        self._objects: dict[str, object] = {}

    def name(self, namespace: Mapping[str, Any], name: str, value: object) -> None:
        """`namespace` has `value` under this name, or nothing if that is `MISSING`."""
        space = self._the(namespace)
        if value is MISSING:
            self._add(f"{name!r} not in {space}")
        else:
            self._add(f"{space}[{name!r}] is {self._the(value)}")

    def attribute(self, owner: object, name: str, value: object) -> None:
        """`owner` has `value` as this attribute, or no such attribute if that is `MISSING`."""
        one, missing = self._the(owner), self._the(MISSING)
        self._add(f"getattr({one}, {name!r}, {missing}) is {self._the(value)}")

    def part(self, owner: object, name: str) -> None:
        """`owner` keeps an attribute that its type always has, under a fixed name: faster to look up."""
        value = getattr(owner, name)
        self._add(f"{self._the(owner)}.{name} is {self._the(value)}")

    def size(self, collection: Collection[Any]) -> None:
        """`collection` keeps its size."""
        the = self._the(collection)
        self._add(f"len({the}) == {len(collection)}" if collection else f"not {the}")

    def items(self, collection: Collection[Any]) -> None:
        """`collection` keeps its items, in their order."""
        then = tuple(collection)
        if len(then) > _SMALL or len(self._statements) >= _FEW:
            self._now += [collection, _END]
            self._then += [*then, *_END]
            return
        names = [f"x{number}" for number in range(len(then))]
        same = [f"{x} is {self._the(one)}" for x, one in zip(names, then, strict=True)]
        # Another number of items is a ValueError.
        self._statements += [
            f"[{', '.join(names)}] = {self._the(collection)}",
            f"if not ({' and '.join(same) or 'True'}): return False",
        ]

    def call(self, check: Callable[[], bool]) -> None:
        """`check` says yes."""
        self._add(f"{self._the(check)}()")

    def compiled(self) -> Callable[[], bool]:
        """Whether all checks pass."""
        if self._now:
            self.call(lambda: all(map(is_, chain.from_iterable(self._now), self._then)))
        terms = " and ".join(self._terms) or "True"
        checks = [f"if not ({terms}): return False", *self._statements, "return True"]
        lines = [
            "def passed():",
            " try:",
            *(f"  {check}" for check in checks),
            # What cannot be read any more is not what it was.
            " except Exception: return False",
        ]
        exec("\n".join(lines), self._objects)
        return cast(Callable[[], bool], self._objects["passed"])

    def _add(self, term: str) -> None:
        self._terms[term] = None

    def _the(self, one: object) -> str:
        name = f"_{id(one)}"
        self._objects[name] = one
        return name
