"""What a value that code refers to is, in canonical bytes.

Constants are their content. Functions and classes of the user are their number
in the closure, everything installed is its name, and what is neither is refused.
"""

from __future__ import annotations

import functools
import logging
import operator
import struct
import sys
import types
import typing
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from enum import Enum
from types import FunctionType, ModuleType
from typing import Any, Protocol

import msgspec
import numpy as np

from artifact_store.closures.guards import is_dispatched, slots_of, value_of
from artifact_store.closures.installed import installed_name
from artifact_store.closures.origins import FirstParty, is_compiled
from artifact_store.closures.resolve import Label
from artifact_store.encoding import encode, has_encoding, type_name
from artifact_store.errors import Unencodable

DECLARE = (
    "Declare what decides the result: @analysis(depends_on=(function, value, ...))."
)
NAME_OR_DECLARE = f"Name what is used, as in module.function. Or: {DECLARE}"
MAKE_PLAIN = (
    "Make it of plain values (of a path, File(path) is the content and str(path) the name), or build it inside "
    "the function. Or declare values that decide as it does: @analysis(depends_on=(value, ...))."
)


class Book(Protocol):
    """Numbers the user's code, names everybody else's, and notes what cannot be known."""

    @property
    def ours(self) -> FirstParty: ...
    def number(self, code: Any) -> int: ...
    def external(self, module: str, name: str) -> bytes: ...
    def analysis(self, analysis: Any) -> int: ...
    def unresolved(self, place: str, what: str, advice: str) -> bytes: ...
    def remembers(self, cache: Any) -> None: ...


def is_analysis(value: Any) -> bool:
    """Whether a value is an analysis, which has a closure of its own."""
    return hasattr(type(value), "__analysis__")


class Describer(msgspec.Struct):
    """Describes one value and everything in it; `place` is where it is referred to, `spelled` how."""

    book: Book
    place: str
    spelled: str
    _open: list[int] = msgspec.field(default_factory=list)
    _libraries: int = 0

    def describe(self, value: Any) -> bytes:
        """Canonical bytes of `value`; what has none is noted in the book."""
        named = Label("sys", "modules") if value is sys.modules else value
        try:
            return encode(named, self._beyond_plain)
        except Unencodable as error:
            return self._opaque(error.found)

    def _beyond_plain(self, value: Any) -> bytes | None:
        """What an analysis, code, a wrapper or an instance is; `None` for what has an encoding of its own."""
        if is_analysis(value):
            return b"analysis %d" % self.book.analysis(value)
        if isinstance(value, Label):
            return self._external(value.package, value.name)
        if isinstance(value, ModuleType):
            return self._module(value)
        if isinstance(value, type):
            return self._class(value)
        if isinstance(value, FunctionType):
            return self._function(value)
        if self.book.ours.has(type(value)):
            return self._instance(value)
        return self._of_a_library(value)

    def _module(self, value: ModuleType) -> bytes:
        if not self.book.ours.has(value):
            return self._external(value.__name__, "")
        if is_compiled(value.__name__):
            return self._compiled(value.__name__)
        return self._unresolved(
            f"uses the module {value.__name__} as a value, so anything in it may be reached",
            NAME_OR_DECLARE,
        )

    def _class(self, value: type) -> bytes:
        if not self.book.ours.has(value):
            name = installed_name(value, self.book.ours.has_module)
            if name is not None or not value.__flags__ & _HEAP:
                return self._external(*name or (value.__module__, value.__qualname__))
            # Made at run time by an installed package, for someone who asked for just this class.
        elif is_compiled(value.__module__):
            return self._compiled(value.__module__)
        return self._number(value)

    def _function(self, value: FunctionType) -> bytes:
        if self.book.ours.has(value):
            return self._number(value)
        if is_dispatched(value):
            registry = vars(value)["registry"].items()
            return self._parts("dispatch", sorted(registry, key=_by_name))
        name = installed_name(value, self.book.ours.has_module)
        if name is not None:
            return self._external(*name)
        # Made by an installed package at run time, as decorators do: what it is, and what it was made with.
        module = str(value.__globals__.get("__name__"))
        code = self._external(module, value.__code__.co_qualname)
        cells = zip(value.__code__.co_freevars, value.__closure__ or (), strict=True)
        held = [(name, cell.cell_contents) for name, cell in cells if _is_set(cell)]
        kept = vars(value).get("__wrapped__")
        return self._made_of(
            "function", [code, kept, *held, value.__defaults__, value.__kwdefaults__]
        )

    def _of_a_library(self, value: Any) -> bytes | None:
        """An instance of an installed class; `None` if it has an encoding."""
        if isinstance(value, functools.cached_property):
            self.book.remembers(value)
        for kind, parts in _WRAPPERS.items():
            if isinstance(value, kind):
                return self._parts(kind.__name__, parts(value))
        if has_encoding(value):
            return None
        if isinstance(value, logging.Logger):
            return self._external("logging", "Logger")
        module = str(getattr(value, "__module__", ""))
        if is_compiled(module) and self.book.ours.has_module(module):
            return self._compiled(module)
        name = installed_name(value, self.book.ours.has_module)
        if name is not None:
            return self._external(*name)
        if isinstance(value, _METHODS) and not isinstance(value.__self__, ModuleType):
            return self._parts(
                "method", [value.__self__, getattr(value, "__func__", value.__name__)]
            )
        if isinstance(value, _DESCRIPTORS):
            return self._parts("descriptor", [value.__objclass__, value.__name__])
        if type(value).__module__ in _TYPING or typing.get_origin(value) is not None:
            return self._type_expression(value)
        return self._wrapper(value)

    def _type_expression(self, value: Any) -> bytes:
        origin, args = typing.get_origin(value), typing.get_args(value)
        if origin is not None:
            return self._parts("type", [origin, args])
        if hasattr(value, "__value__"):
            return self._parts("alias", [value.__value__])
        if isinstance(value, typing.NewType):
            return self._parts("new type", [value.__name__, value.__supertype__])
        if isinstance(value, typing.TypeVar):
            bounds = [value.__bound__, value.__constraints__]
            return self._parts("type variable", [value.__name__, *bounds])
        return b"type " + repr(value).encode()

    def _wrapper(self, value: Any) -> bytes:
        """What an installed class made of first-party code is known by what it holds; anything else is refused."""
        kind = self._external(type(value).__module__, type(value).__qualname__)
        if type(value) is object:
            return kind
        if isinstance(value, functools._lru_cache_wrapper):
            self.book.remembers(value)
            made_with = value.cache_parameters()
            return self._parts("wrapper", [kind, made_with, value.__wrapped__])
        # What was traced keeps the branches and constants of that moment, out of sight.
        is_traced = type(value).__module__.partition(".")[0::2] == ("torch", "jit")
        held = {} if is_traced else _attributes(value)
        if held and (self._libraries or any(map(self._is_our_code, held.values()))):
            return self._made_of("object", [kind, *sorted(held.items())])
        return self._opaque(type_name(value))

    def _made_of(self, kind: str, parts: Iterable[Any]) -> bytes:
        """What a library made of `parts`; of its own objects among them, only attributes can be known."""
        if self._libraries > 20:
            return self._opaque("web of objects")
        self._libraries += 1
        try:
            return self._parts(kind, parts)
        finally:
            self._libraries -= 1

    def _instance(self, value: Any) -> bytes:
        """An instance of a class of the user's: the class, and what it holds now."""
        if id(value) in self._open:
            return b"cycle %d" % self._open.index(id(value))
        self._open.append(id(value))
        try:
            if isinstance(value, Enum):
                return self._parts("instance", [type(value), value.name, value.value])
            held = [_attributes(value), *self._content(value)]
            return self._parts("instance", [type(value), *held])
        finally:
            self._open.pop()

    def _content(self, value: Any) -> Iterator[Any]:
        """What an instance holds as one of a built-in or installed class, from which its own class derives."""
        for base, plain in _CONTENTS.items():
            if isinstance(value, base):
                yield plain(value)
                return
        if has_encoding(value) and not hasattr(type(value), "__dataclass_fields__"):
            yield encode(value)

    def _external(self, module: str, name: str) -> bytes:
        if f"{module}.{name}" in _DYNAMIC:
            return self._unresolved("can reach any name there is", DECLARE)
        return self.book.external(module, name)

    def _number(self, code: Any) -> bytes:
        return b"member %d" % self.book.number(code)

    def _parts(self, kind: str, parts: Iterable[Any]) -> bytes:
        return encode((kind, *parts), self._beyond_plain)

    def _is_our_code(self, value: Any) -> bool:
        return isinstance(value, FunctionType | type) and self.book.ours.has(value)

    def _compiled(self, module: str) -> bytes:
        return self._unresolved(
            f"is of {module}, which is compiled and has no source", DECLARE
        )

    def _opaque(self, kind: str) -> bytes:
        return self._unresolved(
            f"holds a {kind}, whose content is not known", MAKE_PLAIN
        )

    def _unresolved(self, problem: str, advice: str) -> bytes:
        return self.book.unresolved(self.place, f"`{self.spelled}` {problem}", advice)


# Known by their name alone, these would hide what they lead to.
_DYNAMIC = frozenset({
    "builtins.eval", "builtins.exec", "builtins.globals", "builtins.__import__", "builtins.help", "sys.modules",
    "sys._getframe", "sys._current_frames", "gc.get_objects", "gc.get_referrers",
    "importlib.import_module", "importlib.__import__", "importlib.reload", "importlib.util.module_from_spec",
    "importlib._bootstrap.module_from_spec", "pkgutil.resolve_name", "pydoc.locate", "inspect.getmodule",
    "runpy.run_path", "runpy.run_module",
    "inspect.currentframe", "inspect.stack", "inspect.getsource", "inspect.getsourcelines", "inspect.findsource",
    "inspect.getcomments", "inspect.getdoc", "inspect.get_annotations", "typing.get_type_hints",
    "ctypes.CDLL", "ctypes.PyDLL", "ctypes.cdll.LoadLibrary", "ctypes.pydll.LoadLibrary",
    "numpy.ctypeslib.load_library", "numpy.ctypeslib._ctypeslib.load_library",
    "torch.utils.cpp_extension.load", "torch.utils.cpp_extension.load_inline",
})  # fmt: skip

_TYPING = ("typing", "typing_extensions", "types")
_LABELS = frozenset(
    {"__module__", "__qualname__", "__doc__", "__annotations__", "__type_params__"}
)
_HEAP = 1 << 9  # Set in `__flags__` of types that were made at run time.
_DESCRIPTORS = (types.MethodDescriptorType, types.WrapperDescriptorType)
_METHODS = (types.MethodType, types.BuiltinMethodType, types.MethodWrapperType)

# What the standard library wraps code in, and what that was made of.
_WRAPPERS: dict[type, Callable[[Any], Iterable[Any]]] = {
    functools.partial: lambda v: (v.func, v.args, sorted(v.keywords.items()), *sorted(vars(v).items())),
    functools.partialmethod: lambda v: (v.func, v.args, sorted(v.keywords.items())),
    functools.cached_property: lambda v: (v.func,),
    functools.singledispatchmethod: lambda v: sorted(v.dispatcher.registry.items(), key=_by_name),
    staticmethod: lambda v: (v.__func__,),
    classmethod: lambda v: (v.__func__,),
    property: lambda v: (v.fget, v.fset, v.fdel),
    np.finfo: lambda v: (v.dtype,),
    np.iinfo: lambda v: (v.dtype,),
    struct.Struct: lambda v: (v.format,),
    operator.itemgetter: lambda v: v.__reduce__()[1],
    operator.attrgetter: lambda v: v.__reduce__()[1],
    # With keywords, the first of these is a partial that has all of it.
    operator.methodcaller: lambda v: v.__reduce__(),
    ContextVar: lambda v: (v.name, value_of(v)),
}  # fmt: skip

# The content of an instance of a class derived from a built-in one, whatever methods it overrides.
_CONTENTS: dict[type, Callable[[Any], Any]] = {
    int: int.__index__,
    float: float.__float__,
    complex: complex.__complex__,
    str: str.__str__,
    bytes: bytes.__bytes__,
    bytearray: lambda v: bytes(memoryview(v)),
    tuple: lambda v: list(tuple.__iter__(v)),
    list: lambda v: list(list.__iter__(v)),
    dict: lambda v: list(dict.items(v)),
    set: lambda v: set(set.__iter__(v)),
    frozenset: lambda v: set(frozenset.__iter__(v)),
    deque: lambda v: [v.maxlen, *deque.__iter__(v)],
    BaseException: lambda v: v.args,
    np.ndarray: np.asarray,
}


def _attributes(value: Any) -> dict[str, Any]:
    """The attributes an instance holds, but those that it computed from the others and keeps."""
    held = {
        name: getattr(value, name)
        for name in slots_of(type(value))
        if hasattr(value, name)
    }
    held |= _without_labels(getattr(value, "__dict__", {}))
    return {
        name: held[name] for name in sorted(held) if not _is_cached(type(value), name)
    }


def _without_labels(held: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes but those that `update_wrapper` copies and that decide nothing, as they do not of a function."""
    return {name: held[name] for name in held if name not in _LABELS}


def _is_cached(cls: type, name: str) -> bool:
    return isinstance(getattr(cls, name, None), functools.cached_property)


def _by_name(registered: tuple[type, Any]) -> tuple[str, str]:
    return registered[0].__qualname__, registered[0].__module__


def _is_set(cell: types.CellType) -> bool:
    return cell != types.CellType()
