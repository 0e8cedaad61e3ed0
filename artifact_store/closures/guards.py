"""Noticing that what a closure was made of is no longer what its names mean.

A closure takes milliseconds to make and is made once; every later call asks
its guard, in microseconds, whether each name still holds the same object and
each mutable object still the same content.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import CellType, FunctionType, ModuleType
from typing import Any

import numpy as np

from artifact_store.encoding import encode

MISSING = object()


@dataclass(slots=True)
class Guard:
    """What a closure read, as it was then."""

    _names: list[tuple[Callable[[str, object], object], str, object]] = field(
        default_factory=list
    )
    _cells: list[tuple[CellType, object]] = field(default_factory=list)
    _functions: list[tuple[FunctionType, tuple[object, ...]]] = field(
        default_factory=list
    )
    _contents: list[tuple[Any, bytes]] = field(default_factory=list)

    def name(self, namespace: Mapping[str, Any], name: str) -> Any:
        """Look `name` up, and hold from now on that it means this; `MISSING` if it is not there."""
        value = namespace.get(name, MISSING)
        self._names.append((namespace.get, name, value))
        return value

    def cell(self, cell: CellType) -> Any:
        """Read a closure cell, likewise."""
        value = _content(cell)
        self._cells.append((cell, value))
        return value

    def function(self, function: FunctionType) -> None:
        """Hold that a function keeps its code and defaults."""
        self._functions.append((function, _changeable(function)))

    def content(self, value: Any) -> None:
        """Hold that a value keeps its content, if that can change at all."""
        if not _is_immutable(value):
            self._contents.append((value, _shallow(value)))

    def holds(self) -> bool:
        """Whether nothing changed since."""
        for get, name, value in self._names:
            if get(name, MISSING) is not value:
                return False
        for cell, value in self._cells:
            if _content(cell) is not value:
                return False
        for function, parts in self._functions:
            if _changeable(function) != parts:
                return False
        for changeable, before in self._contents:
            if _shallow(changeable) != before:
                return False
        return True


def _content(cell: CellType) -> object:
    try:
        return cell.cell_contents
    except ValueError:
        return MISSING


def _changeable(function: FunctionType) -> tuple[object, ...]:
    keywords = function.__kwdefaults__
    return (
        function.__code__,
        id(function.__defaults__),
        tuple(map(id, keywords.values())) if keywords else None,
    )


_IMMUTABLE = (
    type(None),
    bool,
    int,
    float,
    complex,
    str,
    bytes,
    Enum,
    np.generic,
    np.dtype,
    type,
    FunctionType,
    ModuleType,
)


def _is_immutable(value: object) -> bool:
    if isinstance(value, tuple | frozenset):
        return all(map(_is_immutable, value))
    return isinstance(value, _IMMUTABLE)


def _shallow(value: object) -> bytes:
    """The content of a value, in which functions, classes and foreign objects stand for themselves."""
    return encode(value, _as_itself)


def _as_itself(value: Any) -> bytes:
    state = getattr(value, "__dict__", None)
    own = (
        b""
        if state is None or isinstance(value, type | FunctionType | ModuleType)
        else _shallow(state)
    )
    return b"%d:%b" % (id(value), own)
