"""What a live class consists of, apart from what Python and its decorators add by themselves."""

from __future__ import annotations

import abc
import dataclasses
import functools
import inspect
import types
from collections import namedtuple
from collections.abc import Callable
from enum import EnumMeta
from types import FunctionType
from typing import Any

# What follows from the body, the bases and the other attributes.
_GENERATED = (
    types.MemberDescriptorType,
    types.GetSetDescriptorType,
    type(vars(namedtuple("_Pair", "one"))["one"]),
)
_MECHANICS = frozenset(
    {
        "_abc_impl",
        "_is_protocol",
        "_is_runtime_protocol",
        "__non_callable_proto_members__",
    }
)
_TELLING = frozenset(
    {"__slots__", "__match_args__", "__hash__", "__array_priority__", "__array_ufunc__"}
)


def attributes_of(
    cls: type, is_ours: Callable[[Any], bool]
) -> list[tuple[str, object]]:
    """The attributes of a class that its author wrote or set, by name, and its bases."""
    # What a call made has no body that names it.
    found: list[tuple[str, object]] = [("__name__", cls.__name__)]
    bases = [base for base in (*cls.__bases__, type(cls)) if base not in (object, type)]
    found += [(f"base {base.__qualname__}", base) for base in bases]
    if isinstance(cls, EnumMeta):
        members = [(name, one.value) for name, one in cls.__members__.items()]  # type: ignore[var-annotated]
        found.append(("members", members))
    if "__dataclass_fields__" in vars(cls):
        found.append(("fields", _fields(cls)))
    if "_abc_impl" in vars(cls):
        found.append(("registered", registered(cls)))
    found += [
        (name, vars(cls)[name])
        for name in sorted(vars(cls))
        if _decides(cls, name, is_ours)
    ]
    return found


def registered(cls: type) -> list[type]:
    """The classes that `register` made virtual subclasses of an abstract one, by name."""
    references = abc._get_dump(cls)[0]  # type: ignore[attr-defined]
    alive = [
        one for one in (reference() for reference in references) if one is not None
    ]
    return sorted(alive, key=lambda one: (one.__qualname__, one.__module__))


def plain_function(value: Any) -> Any:
    """The function behind a method of any kind."""
    if isinstance(value, staticmethod | classmethod):
        return value.__func__
    if isinstance(value, property):
        return value.fget
    if isinstance(value, functools.partialmethod | functools.cached_property):
        return value.func
    return value


def _decides(cls: type, name: str, is_ours: Callable[[Any], bool]) -> bool:
    value = vars(cls)[name]
    if isinstance(value, _GENERATED) or name in _MECHANICS:
        return False
    function = plain_function(value)
    if isinstance(function, FunctionType) and _is_completed(cls):
        # Methods that a library writes have no file.
        written = inspect.unwrap(function)
        return is_ours(written) and written.__code__.co_filename != "<string>"
    if isinstance(cls, EnumMeta) and not isinstance(function, FunctionType):
        return not (name.startswith("_") or name in cls.__members__)
    if name.startswith("__") and name.endswith("__"):
        return callable(function) or name in _TELLING
    return True


def _is_completed(cls: type) -> bool:
    """Whether a library adds methods to a class by itself."""
    return (
        "__dataclass_fields__" in vars(cls)
        or isinstance(cls, EnumMeta)
        or hasattr(cls, "_is_protocol")
        or (issubclass(cls, tuple) and hasattr(cls, "_fields"))
    )


def _fields(cls: Any) -> list[tuple[object, ...]]:
    params = cls.__dataclass_params__
    made = params.frozen, params.order, params.eq, params.unsafe_hash
    return [made] + [
        (one.name, one.type, _or_none(one.default), _or_none(one.default_factory), one.init, one.compare, one.hash,
         one.kw_only)
        for one in dataclasses.fields(cls)
    ]  # fmt: skip


def _or_none(value: object) -> tuple[object, ...]:
    return () if value is dataclasses.MISSING else (value,)
