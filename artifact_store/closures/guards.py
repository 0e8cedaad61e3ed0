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
from types import CellType, CodeType, FunctionType
from typing import Any

import numpy as np

from artifact_store.closures.checks import MISSING, Checks
from artifact_store.closures.classes import registered
from artifact_store.closures.names import mangled
from artifact_store.encoding import PLAIN, encode
from artifact_store.errors import Unencodable
from artifact_store.recent import cached_property

_SEQUENCES = (list, tuple, set, frozenset, collections.deque)
_MAPPINGS = (dict, types.MappingProxyType)


class Guard:
    """What a closure read, as it was then.

    It holds on to objects of this process; where a pickle of it arrives nothing was read, so nothing can differ.
    """

    def __init__(self) -> None:
        self.codes: list[CodeType] = []
        self.caches: list[Any] = []
        self._checks = Checks()
        self._watched: dict[int, Any] = {}

    def __reduce__(self) -> tuple[type[Guard], tuple[()]]:
        return Guard, ()

    def name(self, namespace: Mapping[str, Any], name: str) -> Any:
        """Look `name` up, and hold from now on that it means this; `MISSING` if it is not there."""
        value = namespace.get(name, MISSING)
        self._checks.name(namespace, name, value)
        return value

    def attribute(self, owner: object, name: str) -> Any:
        """Read an attribute, likewise."""
        value = getattr(owner, name, MISSING)
        self._checks.attribute(owner, name, value)
        return value

    def cell(self, cell: CellType) -> Any:
        """Read a closure cell, likewise."""
        if cell == CellType():
            self._checks.call(lambda: cell == CellType())
            return MISSING
        self._checks.part(cell, "cell_contents")
        return cell.cell_contents

    def function(self, function: FunctionType) -> None:
        """Hold that a function keeps its code, and the defaults of such parameters as it has."""
        code = function.__code__
        self.codes.append(code)
        self._checks.part(function, "__code__")
        if code.co_argcount:
            self._checks.part(function, "__defaults__")
        if code.co_kwonlyargcount:
            self._checks.part(function, "__kwdefaults__")
            for view in _views(function.__kwdefaults__):
                self._checks.items(view)

    def attributes(self, owner: FunctionType | type) -> None:
        """Hold that a function or class keeps its attributes: no other, no more, no fewer."""
        attributes = vars(owner)
        self._checks.size(attributes)
        for name in attributes:
            self.name(attributes, name)

    def cls(self, cls: type) -> None:
        """Hold that a class keeps its bases, and its attributes."""
        self.attributes(cls)
        if "_abc_impl" in vars(cls):
            now = registered(cls)
            self._checks.call(lambda: registered(cls) == now)
        self._checks.part(cls, "__bases__")

    def content(self, value: Any, is_ours: Callable[[type], bool]) -> None:
        """Hold that a value, and every value in it, keeps its content, as far as that can change at all."""
        if type(value) in PLAIN or id(value) in self._watched:
            return
        self._watched[id(value)] = value
        for part in self._parts(value, is_ours):
            self.content(part, is_ours)

    @cached_property
    def holds(self) -> Callable[[], bool]:
        """Whether nothing changed since: a function, compiled when it is first asked for."""
        return self._checks.compiled()

    def _parts(self, value: Any, is_ours: Callable[[type], bool]) -> Iterator[Any]:
        """What a value is made of, watched for change."""
        if isinstance(value, Enum):
            yield value.value
        elif isinstance(value, bytearray) or hasattr(type(value), "__dlpack__"):
            self._checks.call(_keeps(value))
        elif isinstance(value, ContextVar):
            current = value_of(value)
            self._checks.call(lambda: value_of(value) is current)
            yield current
        elif isinstance(value, functools.partial | functools.partialmethod):
            yield from (value.func, value.args, value.keywords)
        elif isinstance(value, types.MethodType):
            yield value.__self__
        elif isinstance(value, FunctionType):
            yield from [vars(value)["registry"]] if is_dispatched(value) else []
        elif not isinstance(value, type | types.ModuleType):
            yield from self._collected(value)
            if _has_state(value, is_ours):
                yield from self._state(value)

    def _collected(self, value: Any) -> Iterator[Any]:
        collections_ = (
            _views(value)
            if isinstance(value, _MAPPINGS)
            else [value] if isinstance(value, _SEQUENCES) else []
        )
        for items in collections_:
            if not isinstance(items, tuple | frozenset):
                self._checks.items(items)
            yield from tuple(items)

    def _state(self, value: Any) -> Iterator[Any]:
        yield from self._collected(getattr(value, "__dict__", None))
        for name in slots_of(type(value)):
            yield self.attribute(value, name)


def value_of(variable: ContextVar[Any]) -> Any:
    """The value of a context variable here and now; `MISSING` if it has none."""
    try:
        return variable.get()
    except LookupError:
        return MISSING


def is_dispatched(function: FunctionType) -> bool:
    """Whether a function is one of `functools.singledispatch`."""
    return {"register", "dispatch", "registry"} <= vars(function).keys()


def slots_of(cls: type) -> list[str]:
    """The names of the slots of a class and its bases, as attributes of an instance."""
    found = []
    for kind in cls.__mro__:
        slots = vars(kind).get("__slots__", ())
        names = [slots] if isinstance(slots, str) else slots
        found += [mangled(name, kind.__name__) for name in names]
    return [name for name in found if name not in ("__dict__", "__weakref__")]


def _has_state(value: Any, is_ours: Callable[[Any], bool]) -> bool:
    """Whether a value is known by its attributes: of the user's, a namespace, or what a library made of code of his."""
    if is_ours(type(value)) or type(value) is types.SimpleNamespace:
        return True
    held = getattr(value, "__dict__", {}).values()
    return any(isinstance(one, FunctionType | type) and is_ours(one) for one in held)


def _views(mapping: Mapping[str, Any] | None) -> list[Collection[Any]]:
    return [] if mapping is None else [mapping.keys(), mapping.values()]


def _keeps(value: Any) -> Callable[[], bool]:
    """A check that bytes, an array or a tensor still hold what they hold now.

    No flag says that memory cannot change (an array made read-only may have an older view that is not), so all of it
    is compared: in place, in half the time of a copy (bench_key).
    """
    read = _in_place(value)
    if read is not None:
        layout, content = _layout(read()), read().tobytes()

        def is_kept() -> bool:
            array = read()
            return _layout(array) == layout and content.startswith(array)

        return is_kept
    try:
        encoded = encode(value)
    except Unencodable:
        return lambda: True  # Whoever describes it refuses it.
    return lambda: encode(value) == encoded


def _in_place(value: Any) -> Callable[[], Any] | None:
    """A way to see the memory of an array or tensor as one piece in C order, if it is that."""
    ways: list[Callable[[], Any]] = [lambda: value.detach().numpy()]
    if isinstance(value, np.ndarray):
        ways = [lambda: value, lambda: value.T]
    for read in ways:
        try:
            if read().flags.c_contiguous:
                return read
        except (AttributeError, TypeError, RuntimeError):
            pass  # It is of another device, dtype or library.
    return None


def _layout(array: np.ndarray[Any, Any]) -> tuple[object, ...]:
    return array.shape, array.strides, array.dtype
