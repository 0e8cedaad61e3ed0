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
from collections.abc import Callable, Collection, Iterator, Mapping
from contextvars import ContextVar
from enum import Enum
from itertools import chain
from operator import is_
from types import CellType, FunctionType
from typing import Any, cast

import numpy as np

from artifact_store.encoding import encode
from artifact_store.errors import Unencodable

MISSING = object()

_SEQUENCES = (list, tuple, set, frozenset, collections.deque)
_MAPPINGS = (dict, types.MappingProxyType)


class Guard:
    """What a closure read, as it was then.

    It holds on to objects of this process; where a pickle of it arrives nothing was read, so nothing can differ.
    """

    def __init__(self) -> None:
        self._names: dict[int, tuple[Mapping[str, Any], dict[str, Any]]] = {}
        self._cells: list[tuple[CellType, object]] = []
        self._attributes: list[tuple[object, str, object]] = []
        self._sizes: list[tuple[Mapping[str, Any], int]] = []
        self._items: list[tuple[Collection[Any], tuple[Any, ...]]] = []
        self._contents: list[tuple[Callable[[], object], object]] = []
        self._watched: dict[int, Any] = {}

    def __reduce__(self) -> tuple[type[Guard], tuple[()]]:
        return Guard, ()

    def name(self, namespace: Mapping[str, Any], name: str) -> Any:
        """Look `name` up, and hold from now on that it means this; `MISSING` if it is not there."""
        value = namespace.get(name, MISSING)
        self._names.setdefault(id(namespace), (namespace, {}))[1][name] = value
        return value

    def attribute(self, owner: object, name: str) -> Any:
        """Read an attribute, likewise."""
        value = getattr(owner, name, MISSING)
        self._attributes.append((owner, name, value))
        return value

    def cell(self, cell: CellType) -> Any:
        """Read a closure cell, likewise."""
        value = _content(cell)
        self._cells.append((cell, value))
        return value

    def function(self, function: FunctionType) -> None:
        """Hold that a function keeps its code and defaults."""
        for part in ("__code__", "__defaults__", "__kwdefaults__"):
            self.attribute(function, part)
        self._items += [(view, tuple(view)) for view in _views(function.__kwdefaults__)]

    def cls(self, cls: type) -> None:
        """Hold that a class keeps its bases and attributes: no other, no more, no fewer."""
        attributes = vars(cls)
        self._sizes.append((attributes, len(attributes)))
        for name in attributes:
            self.name(attributes, name)
        self.attribute(cls, "__bases__")

    def content(self, value: Any, is_ours: Callable[[type], bool]) -> None:
        """Hold that a value, and every value in it, keeps its content, as far as that can change at all."""
        if (
            value is None
            or isinstance(value, str | bytes | int | float | complex)
            or id(value) in self._watched
        ):
            return
        self._watched[id(value)] = value
        for part in self._parts(value, is_ours):
            self.content(part, is_ours)

    def holds(self) -> bool:
        """Whether nothing changed since."""
        try:
            if not self._unmoved():
                return False
        except (KeyError, AttributeError):
            return False
        collections_, lengths, held_then = self._collections
        if list(map(len, collections_)) != lengths:
            return False
        if not all(map(is_, chain.from_iterable(collections_), held_then)):
            return False
        for cell, held in self._cells:
            if _content(cell) is not held:
                return False
        for read, before in self._contents:
            if read() != before:
                return False
        return True

    @functools.cached_property
    def _collections(self) -> tuple[list[Collection[Any]], list[int], list[Any]]:
        """All mutable collections, their lengths, and all they held, one after the other: compared in one sweep."""
        then = [held for _, held in self._items]
        watched = [items for items, _ in self._items]
        return watched, list(map(len, then)), list(chain.from_iterable(then))

    @functools.cached_property
    def _unmoved(self) -> Callable[[], bool]:
        """Whether names and functions mean what they meant: one expression, which is 5 times as fast as a loop."""
        held: list[object] = []

        def the(value: object) -> str:
            held.append(value)
            return f"_{len(held) - 1}"

        terms = ["True"]
        for namespace, names in self._names.values():
            space = the(namespace)
            terms += [
                f"{name!r} not in {space}" if value is MISSING else f"{space}[{name!r}] is {the(value)}"
                for name, value in names.items()
            ]  # fmt: skip
        terms += [f"len({the(space)}) == {size}" for space, size in self._sizes]
        terms += [
            f"not hasattr({the(one)}, {name!r})" if value is MISSING else f"{the(one)}.{name} is {the(value)}"
            for one, name, value in self._attributes
        ]  # fmt: skip
        known = {f"_{number}": value for number, value in enumerate(held)}
        return cast(Callable[[], bool], eval("lambda: " + " and ".join(terms), known))

    def _parts(self, value: Any, is_ours: Callable[[type], bool]) -> Iterator[Any]:
        """What a value is made of, watched for change."""
        if isinstance(value, Enum):
            yield value.value
        elif isinstance(value, np.ndarray):
            self._watch(lambda: (value.shape, value.dtype, value.tobytes()))
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
            if is_ours(type(value)) or type(value) is types.SimpleNamespace:
                yield from self._state(value)

    def _collected(self, value: Any) -> Iterator[Any]:
        collections_ = (
            _views(value)
            if isinstance(value, _MAPPINGS)
            else [value] if isinstance(value, _SEQUENCES) else []
        )
        for items in collections_:
            if not isinstance(items, tuple | frozenset):
                self._items.append((items, tuple(items)))
            yield from tuple(items)

    def _state(self, value: Any) -> Iterator[Any]:
        yield from self._collected(getattr(value, "__dict__", None))
        for name in slots_of(type(value)):
            yield self.attribute(value, name)

    def _watch(self, read: Callable[[], object]) -> None:
        try:
            self._contents.append((read, read()))
        except Unencodable:
            pass  # Whoever describes it refuses it.


def is_dispatched(function: FunctionType) -> bool:
    """Whether a function is one of `functools.singledispatch`."""
    return {"register", "dispatch", "registry"} <= vars(function).keys()


def slots_of(cls: type) -> list[str]:
    """The names of the slots of a class and its bases, as attributes of an instance."""
    found = []
    for kind in cls.__mro__:
        slots = vars(kind).get("__slots__", ())
        for name in [slots] if isinstance(slots, str) else slots:
            is_private = name.startswith("__") and not name.endswith("__")
            prefix = "_" + kind.__name__.lstrip("_") if is_private else ""
            found.append(prefix + name)
    return [name for name in found if name not in ("__dict__", "__weakref__")]


def _views(mapping: Mapping[str, Any] | None) -> list[Collection[Any]]:
    return [] if mapping is None else [mapping.keys(), mapping.values()]


def _content(cell: CellType) -> object:
    try:
        return cell.cell_contents
    except ValueError:
        return MISSING
