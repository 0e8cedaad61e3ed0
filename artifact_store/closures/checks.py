"""Checks that things are what they were, compiled into one function: 5 times as fast as loops over them (bench_key)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from operator import is_
from typing import Any, cast

MISSING = object()

# A collection of more items is compared in a loop: to compile a check takes some 10 µs an item.
_UNPACKED = 32


class Checks:
    """The source of a function that compares by identity, and the objects that it names."""

    def __init__(self) -> None:
        self._terms: dict[str, None] = {}
        self._statements: list[str] = []
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
        self._add(f"len({self._the(collection)}) == {len(collection)}")

    def items(self, collection: Collection[Any]) -> None:
        """`collection` keeps its items, in their order."""
        then = tuple(collection)
        if len(then) > _UNPACKED:
            self.size(collection)
            compared = ", ".join(map(self._the, (is_, collection, then)))
            self._add(f"all(map({compared}))")
            return
        names = [f"x{number}" for number in range(len(then))]
        # Another number of items is a ValueError.
        self._statements.append(f"[{', '.join(names)}] = {self._the(collection)}")
        if then:
            same = [
                f"{x} is {self._the(one)}" for x, one in zip(names, then, strict=True)
            ]
            self._statements.append(f"if not ({' and '.join(same)}): return False")

    def call(self, check: Callable[[], bool]) -> None:
        """`check` says yes."""
        self._add(f"{self._the(check)}()")

    def compiled(self) -> Callable[[], bool]:
        """Whether all checks pass; may raise if not."""
        terms = " and ".join(self._terms) or "True"
        lines = [
            "def passed():",
            f"if not ({terms}): return False",
            *self._statements,
            "return True",
        ]
        exec("\n ".join(lines), self._objects)
        return cast(Callable[[], bool], self._objects["passed"])

    def _add(self, term: str) -> None:
        self._terms[term] = None

    def _the(self, one: object) -> str:
        name = f"_{id(one)}"
        self._objects[name] = one
        return name
