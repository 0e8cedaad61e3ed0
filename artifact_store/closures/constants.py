"""What a value that code refers to is, in canonical bytes.

Constants are their content. Functions and classes of the user are their number
in the closure, everything installed is its name, and what is neither is refused.
"""

from __future__ import annotations

import functools
import logging
import operator
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any, Protocol

from artifact_store.encoding import encode, type_name
from artifact_store.errors import Unencodable, UnresolvedDependency

_TYPE_EXPRESSIONS = (types.GenericAlias, types.UnionType, typing.TypeVar, type(typing.List[int]), type(typing.Union[int, str]), type(typing.Any))  # fmt: skip  # noqa: E501
_GETTERS = (operator.itemgetter, operator.attrgetter, operator.methodcaller)
_DESCRIPTORS = (staticmethod, classmethod)
_SINGLE_DISPATCH = frozenset({"register", "dispatch", "registry"})


class Book(Protocol):
    """Numbers the user's code and names everybody else's."""

    def number(self, code: Any) -> int: ...
    def is_ours(self, code: Any) -> bool: ...
    def external(self, module: str, name: str) -> bytes: ...


@dataclass(slots=True)
class Describer:
    """Describes one value and everything in it; `place` is where it is referred to."""

    book: Book
    place: str
    _open: list[int] = field(default_factory=list)

    def describe(self, value: Any) -> bytes:
        """Canonical bytes of `value`.

        Raises
        ------
        UnresolvedDependency
            It, or something in it, has no canonical form.
        """
        try:
            return encode(value, self._beyond_plain)
        except Unencodable as error:
            raise UnresolvedDependency(self.place, f"it depends on a {error.found}, whose content is not known",
                "Make it a plain constant, build it inside the function, or declare what decides the result with "
                "@analysis(depends_on=(...,)).") from None  # fmt: skip

    def _beyond_plain(self, value: Any) -> bytes | None:
        """What an analysis, code, a wrapper or an instance is; `None` for what has an encoding or is refused."""
        if hasattr(type(value), "__closure_parts__"):
            return self._parts("analysis", value.__closure_parts__())
        if isinstance(value, FunctionType):
            return self._function(value)
        if isinstance(value, type):
            return (
                self._number(value) if self.book.is_ours(value) else self._named(value)
            )
        if isinstance(value, ModuleType):
            return self._module(value)
        return self._wrapper(value) or self._instance(value)

    def _function(self, value: FunctionType) -> bytes:
        if self.book.is_ours(value):
            return self._number(value)
        module = str(value.__globals__.get("__name__", ""))
        name = self.book.external(module, value.__code__.co_qualname)
        if _SINGLE_DISPATCH <= vars(value).keys():
            registry = value.registry  # type: ignore[attr-defined]
            return self._parts(
                "dispatch",
                [
                    part
                    for kind in _by_name(registry)
                    for part in (kind, registry[kind])
                ],
            )
        # A decorator of an installed package: what it wraps, and the plain values it was made with.
        wrapped = [vars(value)["__wrapped__"]] if "__wrapped__" in vars(value) else []
        held = [cell.cell_contents for cell in value.__closure__ or () if _is_set(cell)]
        followed = [one for one in held if self._is_our_code(one) or _is_plain(one)]
        return (
            self._parts("function", [name, *wrapped, *followed])
            if wrapped or followed
            else name
        )

    def _wrapper(self, value: Any) -> bytes | None:
        if isinstance(value, functools.partial):
            return self._parts(
                "partial",
                [value.func, value.args, tuple(sorted(value.keywords.items()))],
            )
        if isinstance(value, MethodType):
            return self._parts("method", [value.__self__, value.__func__])
        if isinstance(value, _DESCRIPTORS):
            return self._parts(type(value).__name__, [value.__func__])
        if isinstance(value, property):
            return self._parts("property", [value.fget, value.fset, value.fdel])
        if isinstance(value, functools.cached_property):
            return self._parts("cached_property", [value.func])
        if isinstance(value, functools.partialmethod):
            return self._parts(
                "partialmethod",
                [value.func, value.args, tuple(sorted(value.keywords.items()))],
            )
        if isinstance(value, _GETTERS):
            return self._parts(type(value).__name__, [*value.__reduce__()[1]])
        if isinstance(value, types.MappingProxyType):
            return self._parts("mappingproxy", [dict(value)])
        if callable(value) and hasattr(value, "__wrapped__"):
            made_with = (
                value.cache_parameters() if hasattr(value, "cache_parameters") else None
            )
            return self._parts(type_name(value), [made_with, value.__wrapped__])
        return None

    def _instance(self, value: Any) -> bytes | None:
        if type(value) is object:
            return b"object"
        if isinstance(value, _TYPE_EXPRESSIONS):
            return b"type " + repr(value).encode()
        if isinstance(value, logging.Logger):
            return self.book.external("logging", "Logger")
        if self.book.is_ours(type(value)):
            return self._state(value)
        return self._named(value)

    def _state(self, value: Any) -> bytes:
        """An instance of a class of the user's: the class, and the attributes it holds now."""
        if id(value) in self._open:
            return b"cycle %d" % self._open.index(id(value))
        self._open.append(id(value))
        try:
            return self._parts("instance", [type(value), *_attributes(value)])
        finally:
            self._open.pop()

    def _named(self, value: Any) -> bytes | None:
        """Whatever an installed module holds under its own name is known by that name."""
        name = getattr(value, "__qualname__", None) or getattr(value, "__name__", None)
        module = getattr(value, "__module__", None) or type(value).__module__
        if isinstance(name, str) and (
            isinstance(value, type | BuiltinFunctionType) or callable(value)
        ):
            return self.book.external(str(module), name)
        return None

    def _module(self, value: ModuleType) -> bytes:
        if self.book.is_ours(value):
            raise UnresolvedDependency(
                self.place,
                f"it uses the module {value.__name__} as a value, so anything in it may be reached",
                "Name what is used, as in module.function, or declare it with @analysis(depends_on=(...,)).",
            )
        return self.book.external(value.__name__, "")

    def _number(self, code: Any) -> bytes:
        return b"member %d" % self.book.number(code)

    def _parts(self, kind: str, parts: Iterable[Any]) -> bytes:
        return encode((kind, *parts), self._beyond_plain)

    def _is_our_code(self, value: Any) -> bool:
        return isinstance(value, FunctionType | type) and self.book.is_ours(value)


def _attributes(value: Any) -> list[Any]:
    if isinstance(value, Enum):
        return [value.name, value.value]
    if isinstance(value, tuple):
        return list(value)
    slots = [
        name
        for kind in type(value).__mro__
        for name in _names(vars(kind).get("__slots__", ()))
    ]
    held = {
        name: getattr(value, name)
        for name in slots
        if hasattr(value, name) and not name.startswith("__")
    }
    items = (
        value.items()
        if isinstance(value, Mapping)
        else value if isinstance(value, list | set | frozenset) else ()
    )
    return [dict(sorted((held | getattr(value, "__dict__", {})).items())), list(items)]


def _names(slots: str | Iterable[str]) -> list[str]:
    return [slots] if isinstance(slots, str) else list(slots)


def _by_name(registry: Mapping[type, Any]) -> list[type]:
    return sorted(registry, key=lambda kind: (kind.__module__, kind.__qualname__))


def _is_set(cell: types.CellType) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False


def _is_plain(value: Any) -> bool:
    return isinstance(value, bool | int | float | complex | str | bytes)
