"""Noticing that what a closure was made of is no longer what its names mean.

A closure takes milliseconds to make and is made once; every later call asks
its guard, in microseconds, whether each name still holds the same object and
each mutable object still the same content. All is compared by identity, since
`1 == 1.0 == True`: what is new but equal costs a new closure, and no wrong key.
"""

from __future__ import annotations

import collections
import functools
import types
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextvars import ContextVar
from enum import Enum
from operator import is_, itemgetter
from types import CellType, FunctionType
from typing import Any

import numpy as np

from artifact_store.encoding import encode
from artifact_store.errors import Unencodable

MISSING = object()

_Check = tuple[Callable[[Any], Iterable[Any]], Mapping[str, Any], tuple[Any, ...]]
_SEQUENCES = (list, tuple, set, frozenset, collections.deque)
_MAPPINGS = (dict, types.MappingProxyType)


class Guard:
    """What a closure read, as it was then.

    It holds on to objects of this process; where a pickle of it arrives nothing was read, so nothing can differ.
    """

    def __init__(self) -> None:
        self._names: dict[int, tuple[Mapping[str, Any], dict[str, Any]]] = {}
        self._checks: list[_Check] | None = None
        self._cells: list[tuple[CellType, object]] = []
        self._functions: list[tuple[FunctionType, object, object, object]] = []
        self._items: list[tuple[Collection[Any], tuple[Any, ...]]] = []
        self._contents: list[tuple[Callable[[], object], object]] = []
        self._watched: dict[int, Any] = {}

    def __reduce__(self) -> tuple[type[Guard], tuple[()]]:
        return Guard, ()

    def name(self, namespace: Mapping[str, Any], name: str) -> Any:
        """Look `name` up, and hold from now on that it means this; `MISSING` if it is not there."""
        value = namespace.get(name, MISSING)
        self._names.setdefault(id(namespace), (namespace, {}))[1][name] = value
        self._checks = None
        return value

    def cell(self, cell: CellType) -> Any:
        """Read a closure cell, likewise."""
        value = _content(cell)
        self._cells.append((cell, value))
        return value

    def function(self, function: FunctionType) -> None:
        """Hold that a function keeps its code and defaults."""
        parts = function.__code__, function.__defaults__, function.__kwdefaults__
        self._functions.append((function, *parts))
        self._items += [(view, tuple(view)) for view in _views(function.__kwdefaults__)]

    def cls(self, cls: type) -> None:
        """Hold that a class keeps its bases and attributes: no other, no more, no fewer."""
        self._items += [(view, tuple(view)) for view in _views(vars(cls))]
        self._contents.append((lambda: cls.__bases__, cls.__bases__))

    def content(self, value: Any, is_ours: Callable[[type], bool]) -> None:
        """Hold that a value, and every value in it, keeps its content, as far as that can change at all."""
        if value is None or isinstance(value, str | bytes | int | float | complex) or id(value) in self._watched:  # fmt: skip
            return
        self._watched[id(value)] = value
        for part in self._parts(value, is_ours):
            self.content(part, is_ours)

    def holds(self) -> bool:
        """Whether nothing changed since."""
        if self._checks is None:
            self._checks = [check for one in self._names.values() for check in _checks(*one)]  # fmt: skip
        try:
            for get, namespace, values in self._checks:
                if not all(map(is_, get(namespace), values)):
                    return False
        except KeyError:
            return False
        for function, code, positional, named in self._functions:
            if not (function.__code__ is code and function.__defaults__ is positional and function.__kwdefaults__ is named):  # fmt: skip  # noqa: E501
                return False
        for items, then in self._items:
            if len(items) != len(then) or not all(map(is_, items, then)):
                return False
        return all(_content(cell) is then for cell, then in self._cells) and all(
            read() == then for read, then in self._contents
        )

    def _parts(self, value: Any, is_ours: Callable[[type], bool]) -> Iterator[Any]:
        """What a value is made of, watched for change."""
        if isinstance(value, Enum):
            yield value.value
        elif isinstance(value, np.ndarray):
            self._watch(lambda: (value.shape, value.dtype))
            self._watch(value.tobytes)
        elif isinstance(value, bytearray) or hasattr(type(value), "__dlpack__"):
            self._watch(lambda: encode(value))
        elif isinstance(value, ContextVar):
            self._contents.append((lambda: (value.get(None),), (value.get(None),)))
            yield value.get(None)
        elif isinstance(value, functools.partial | functools.partialmethod):
            yield from (value.func, value.args, value.keywords)
        elif isinstance(value, types.MethodType):
            yield value.__self__
        elif isinstance(value, FunctionType):
            yield from [vars(value)["registry"]] if is_dispatched(value) else []
        elif not isinstance(value, type | types.ModuleType):
            yield from self._collected(value)
            if is_ours(type(value)):
                yield from self._state(value)

    def _collected(self, value: Any) -> Iterator[Any]:
        collections_ = _views(value) if isinstance(value, _MAPPINGS) else [value] if isinstance(value, _SEQUENCES) else []  # fmt: skip  # noqa: E501
        for items in collections_:
            if not isinstance(items, tuple | frozenset):
                self._items.append((items, tuple(items)))
            yield from tuple(items)

    def _state(self, value: Any) -> Iterator[Any]:
        yield from self._collected(getattr(value, "__dict__", None))
        for name in slots_of(type(value)):
            held = getattr(value, name, MISSING)
            self._contents.append((lambda n=name, h=held: getattr(value, n, MISSING) is h, True))  # type: ignore[misc]  # fmt: skip  # noqa: E501
            yield held

    def _watch(self, read: Callable[[], object]) -> None:
        try:
            self._contents.append((read, read()))
        except Unencodable:
            pass  # Whoever describes it refuses it.


def is_dispatched(function: FunctionType) -> bool:
    """Whether a function is one of `functools.singledispatch`."""
    return {"register", "dispatch", "registry"} <= vars(function).keys()


def slots_of(cls: type) -> list[str]:
    """The names of the slots of a class and its bases."""
    declared = [vars(kind).get("__slots__", ()) for kind in cls.__mro__]
    names = [one for slots in declared for one in ([slots] if isinstance(slots, str) else slots)]  # fmt: skip
    return [name for name in names if not name.startswith("__")]


def _views(mapping: Mapping[str, Any] | None) -> list[Collection[Any]]:
    return [] if mapping is None else [mapping.keys(), mapping.values()]


def _checks(namespace: Mapping[str, Any], names: dict[str, Any]) -> Iterator[_Check]:
    there = [name for name, value in names.items() if value is not MISSING]
    if there:
        # `itemgetter` of a single name gives no tuple, so the first is there twice.
        there.append(there[0])
        yield itemgetter(*there), namespace, tuple(names[name] for name in there)
    gone = tuple(name for name, value in names.items() if value is MISSING)
    if gone:
        yield lambda now: [name in now for name in gone], namespace, (False,) * len(gone)  # fmt: skip


def _content(cell: CellType) -> object:
    try:
        return cell.cell_contents
    except ValueError:
        return MISSING
