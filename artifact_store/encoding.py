"""Canonical bytes of a value, or a refusal.

Shared by params and by the constants of a closure. Every item is a tag, a
length and a payload, so no two values share an encoding. The list of types is
closed on purpose: what is not on it has no key and says so, because `pickle`,
`repr` and `hash` all differ between processes that hold the same value.
"""

from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import fractions
import re
import struct
import sys
import types
import uuid
from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from pathlib import PurePath
from typing import Any, TypeAlias

import numpy as np

from artifact_store.errors import Unencodable

# Asked for every value that is not of a built-in type; `None` leaves it to the families below, which may refuse.
Fallback: TypeAlias = Callable[[Any], bytes | None]
_Encoder: TypeAlias = Callable[[Any, Fallback], bytes]


# What is neither a container nor of a type that someone wrote.
PLAIN = frozenset({type(None), bool, int, float, complex, str, bytes})


def refuse(value: object) -> None:
    """The fallback that knows nothing more."""


def encode(value: object, otherwise: Fallback = refuse) -> bytes:
    """Canonical bytes of `value`: equal for equal values of one type, in every process.

    `1`, `1.0`, `True` and `np.int64(1)` differ, since numpy promotes them differently. Dicts keep their
    order, because code that walks one sees it.

    Raises
    ------
    Unencodable
        For a value, at any depth, that has no encoding and that `otherwise` does not know.
    """
    try:
        return _item(value, otherwise)
    except RecursionError:
        raise Unencodable(
            "container that contains itself", "Pass it without the cycle."
        ) from None


def decode(canonical: bytes, otherwise: Callable[[bytes], Any]) -> Any:
    """The plain value, or the list, tuple or dict of them, whose canonical bytes these are.

    Parameters
    ----------
    otherwise
        Makes a value of what the fallback of `encode` gave for it.

    Raises
    ------
    ValueError
        They are of a value of another type, which cannot be made from bytes alone.
    """
    try:
        value, rest = _decoded(canonical, otherwise)
    except (struct.error, RecursionError, TypeError) as error:
        raise ValueError(str(error)) from error
    if rest:
        raise ValueError(f"{len(rest)} bytes too many")
    return value


def _decoded(canonical: bytes, otherwise: Callable[[bytes], Any]) -> tuple[Any, bytes]:
    tag, length, rest = canonical.split(b":", 2)
    payload, rest = rest[: int(length)], rest[int(length) :]
    if tag == b"other":
        return otherwise(payload), rest
    if tag in _DECODERS:
        return _DECODERS[tag](payload), rest
    if tag not in _CONTAINERS:
        raise ValueError(f"a {tag.decode()} is not plain")
    parts = []
    while payload:
        part, payload = _decoded(payload, otherwise)
        parts.append(part)
    return _CONTAINERS[tag](parts), rest


_DECODERS: dict[bytes, Callable[[bytes], Any]] = {
    b"none": lambda payload: None,
    b"bool": lambda payload: payload == b"1",
    b"int": lambda payload: int(payload, 16),
    b"float": lambda payload: struct.unpack(">d", payload)[0],
    b"complex": lambda payload: complex(*struct.unpack(">dd", payload)),
    b"str": lambda payload: payload.decode("utf-8", "surrogatepass"),
    b"bytes": lambda payload: payload,
}
_CONTAINERS: dict[bytes, Callable[[list[Any]], Any]] = {
    b"tuple": tuple,
    b"list": list,
    b"dict": lambda parts: dict(zip(parts[::2], parts[1::2], strict=True)),
}


def is_plain(value: Any, is_leaf: Callable[[Any], bool]) -> bool:
    """Whether `decode` can make `value` from its canonical bytes, given that it can make leaves."""
    kind = type(value)
    if kind is dict:
        return all(is_plain(part, is_leaf) for pair in value.items() for part in pair)
    if kind is list or kind is tuple:
        return all(is_plain(part, is_leaf) for part in value)
    return kind in PLAIN or is_leaf(value)


def has_encoding(value: object) -> bool:
    """Whether there is an encoding for values of this type; what a container holds may still have none."""
    return type(value) in _ENCODERS or _by_family(value) is not None


def _item(value: Any, otherwise: Fallback) -> bytes:
    encoder = _ENCODERS.get(type(value))
    if encoder is not None:
        return encoder(value, otherwise)
    # The fallback goes before the families: it may know more of an enum or a dataclass than its fields.
    known = otherwise(value)
    if known is not None:
        return _tagged(b"other", known)
    encoder = _by_family(value)
    if encoder is None:
        raise Unencodable(type_name(value), _advice(value))
    return encoder(value, otherwise)


def _tagged(tag: bytes, payload: bytes) -> bytes:
    return b"%b:%d:%b" % (tag, len(payload), payload)


def _all(values: Iterable[Any], otherwise: Fallback) -> bytes:
    return b"".join([_item(value, otherwise) for value in values])


def _fields(name: str, pairs: Iterable[tuple[str, Any]], otherwise: Fallback) -> bytes:
    return _item(name, otherwise) + b"".join(
        [_item(field, otherwise) + _item(value, otherwise) for field, value in pairs]
    )


def _made_of(tag: bytes, parts: Callable[[Any], Iterable[Any]]) -> _Encoder:
    """The encoder of a type whose values are made of `parts`."""
    return lambda value, otherwise: _tagged(tag, _all(parts(value), otherwise))


def _members(tag: bytes) -> _Encoder:
    def encoder(value: Any, otherwise: Fallback) -> bytes:
        # A fallback may number what it meets, so it is asked in an order that no hash seed decides.
        ordered = value if otherwise is refuse else sorted(value, key=_provisional)
        return _tagged(
            tag, b"".join(sorted([_item(one, otherwise) for one in ordered]))
        )

    return encoder


def _provisional(value: Any) -> bytes:
    return _item(value, lambda one: _name_of(one).encode())


def _name_of(value: Any) -> str:
    name = getattr(value, "__qualname__", None)
    return name if isinstance(name, str) else type_name(value)


def _array(value: np.ndarray[Any, Any], otherwise: Fallback) -> bytes:
    if value.dtype.names is not None:
        # Field by field: the padding between fields is whatever was in memory.
        fields = [
            (name, np.array(value[name], order="C")) for name in value.dtype.names
        ]
        record = _tagged(b"record", _fields(str(value.shape), fields, otherwise))
        return _laid_out(record, value.flags.c_contiguous, value.shape, value.strides)
    if value.dtype.hasobject or value.dtype.kind == "T":
        raise Unencodable(
            "numpy array of Python objects", "Pass an array of numbers, or a tuple."
        )
    if value.dtype.char in "gG":
        raise Unencodable(
            "numpy array of long doubles", "Pass it as float64 or complex128."
        )
    head = _item(_descr(value.dtype), otherwise) + _item(value.shape, otherwise)
    array = _tagged(b"array", head + value.tobytes())
    return _laid_out(array, value.flags.c_contiguous, value.shape, value.strides)


def _laid_out(
    encoded: bytes, is_plain: bool, shape: Sequence[int], strides: Sequence[int]
) -> bytes:
    """A memory order other than C is part of a value: `sum` adds in that order, which shows in the last digits."""
    if is_plain:
        return encoded
    # The stride of an axis of one item is never used.
    used = [
        stride if size > 1 else 0 for size, stride in zip(shape, strides, strict=True)
    ]
    return _tagged(b"strided", encoded + _item(used, refuse))


def _descr(dtype: np.dtype[Any]) -> str:
    return str(np.lib.format.dtype_to_descr(dtype))


# Kinds of number, of which there is no dtype.
_ABSTRACT = {
    np.generic, np.number, np.integer, np.signedinteger, np.unsignedinteger, np.inexact, np.floating,
    np.complexfloating, np.flexible, np.character,
}  # fmt: skip


def _dtype_name(value: type[np.generic]) -> str:
    return value.__name__ if value in _ABSTRACT else np.dtype(value).str


def _tensor(value: Any, otherwise: Fallback) -> bytes:
    torch = sys.modules["torch"]
    if value.layout is not torch.strided or value.is_quantized or value.is_meta:
        raise Unencodable(
            "torch tensor that is not dense", "Pass it as a dense tensor."
        )
    host = value.detach().cpu().resolve_conj().resolve_neg().contiguous()
    head = _item(str(host.dtype), otherwise) + _item(tuple(host.shape), otherwise)
    raw = host.reshape(-1).view(torch.uint8).numpy().tobytes()
    tensor = _tagged(b"tensor", head + raw)
    return _laid_out(tensor, value.is_contiguous(), value.shape, value.stride())


_ENCODERS: dict[type, _Encoder] = {
    type(None): lambda value, _: b"none:0:",
    type(...): lambda value, _: b"ellipsis:0:",
    type(NotImplemented): lambda value, _: b"notimplemented:0:",
    bool: lambda value, _: b"bool:1:1" if value else b"bool:1:0",
    int: lambda value, _: _tagged(b"int", b"%x" % value),
    float: lambda value, _: b"float:8:" + struct.pack(">d", value),
    complex: lambda value, _: b"complex:16:"
    + struct.pack(">dd", value.real, value.imag),
    str: lambda value, _: _tagged(b"str", value.encode("utf-8", "surrogatepass")),
    bytes: lambda value, _: _tagged(b"bytes", value),
    bytearray: lambda value, _: _tagged(b"bytearray", bytes(value)),
    tuple: _made_of(b"tuple", lambda value: value),
    list: _made_of(b"list", lambda value: value),
    dict: _made_of(b"dict", lambda value: (part for pair in value.items() for part in pair)),
    set: _members(b"set"),
    frozenset: _members(b"frozenset"),
    range: _made_of(b"range", lambda value: (value.start, value.stop, value.step)),
    slice: _made_of(b"slice", lambda value: (value.start, value.stop, value.step)),
    re.Pattern: _made_of(b"pattern", lambda value: (value.pattern, int(value.flags))),
    collections.OrderedDict: _made_of(b"ordereddict", lambda value: value.items()),
    collections.defaultdict: _made_of(b"defaultdict", lambda value: (value.default_factory, dict(value))),
    collections.Counter: _made_of(b"counter", lambda value: value.items()),
    collections.deque: _made_of(b"deque", lambda value: (value.maxlen, list(value))),
    types.MappingProxyType: _made_of(b"mappingproxy", lambda value: value.items()),
    types.SimpleNamespace: _made_of(b"namespace", lambda value: sorted(vars(value).items())),
    decimal.Decimal: _made_of(b"decimal", lambda value: (str(value),)),
    fractions.Fraction: _made_of(b"fraction", lambda value: (value.numerator, value.denominator)),
    datetime.date: _made_of(b"date", lambda value: (value.isoformat(),)),
    datetime.time: _made_of(b"time", lambda value: (value.replace(tzinfo=None).isoformat(), value.fold, value.tzinfo)),
    datetime.datetime: _made_of(
        b"datetime", lambda value: (value.replace(tzinfo=None).isoformat(), value.fold, value.tzinfo)
    ),
    datetime.timedelta: _made_of(b"timedelta", lambda value: (value.days, value.seconds, value.microseconds)),
    datetime.timezone: _made_of(b"timezone", lambda value: (value.utcoffset(None), value.tzname(None))),
    uuid.UUID: _made_of(b"uuid", lambda value: (value.bytes,)),
    np.ndarray: _array,
    np.memmap: _array,
}  # fmt: skip


def _by_family(value: Any) -> _Encoder | None:
    """The encoder of a value whose very type is not in the table, by what it is an instance of."""
    kind = type(value)
    name = kind.__qualname__
    if isinstance(value, Enum):
        return lambda v, o: _tagged(b"enum", _fields(name, [(v.name, v.value)], o))
    if isinstance(value, tuple) and hasattr(kind, "_fields"):
        pairs = list(zip(kind._fields, value, strict=True))
        return lambda v, o: _tagged(b"namedtuple", _fields(name, pairs, o))
    if dataclasses.is_dataclass(kind) and kind.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        names = [field.name for field in dataclasses.fields(kind)]
        return lambda v, o: _tagged(
            b"dataclass", _fields(name, [(one, getattr(v, one)) for one in names], o)
        )
    if isinstance(value, np.generic):
        return lambda v, o: _tagged(b"scalar", _array(np.asarray(v), o))
    if isinstance(value, np.dtype):
        return lambda v, o: _tagged(b"dtype", _item(_descr(v), o))
    if kind is type and issubclass(value, np.generic):
        return lambda v, o: _tagged(b"dtype", _item(_dtype_name(v), o))
    return _of_torch(value)


def _of_torch(value: Any) -> _Encoder | None:
    # Whoever passes a value of torch has imported it; nobody else should wait for it.
    torch = sys.modules.get("torch")
    if torch is None:
        return None
    if isinstance(value, torch.Tensor):
        return _tensor
    if isinstance(value, torch.Size):
        return lambda v, o: _item(tuple(v), o)
    named = torch.dtype, torch.device, torch.layout, torch.memory_format
    if isinstance(value, named):
        return lambda v, o: _tagged(b"torch", _item(str(v), o))
    return None


def shown(value: object) -> str:
    """A value as people read it; never part of a key."""
    try:
        text = repr(value)
    except Exception:  # of its author, or an integer that Python refuses to write out
        return f"<{type_name(value)}>"
    return text if len(text) <= 120 else text[:117] + "..."


def type_name(value: object) -> str:
    """The type of a value as a reader would write it."""
    kind = type(value)
    return (
        kind.__qualname__
        if kind.__module__ == "builtins"
        else f"{kind.__module__}.{kind.__qualname__}"
    )


def _advice(value: object) -> str:
    if isinstance(value, PurePath) or hasattr(value, "read"):
        return (
            "Whether its name or its content counts cannot be guessed: pass File(path) for "
            "the content, or str(path) for the name."
        )
    if dataclasses.is_dataclass(value):
        return "Declare the dataclass with frozen=True."
    if callable(value):
        return "Pass a name, and look the function up inside the analysis."
    return "Pass numbers, strings, None, arrays, or tuples, lists and dicts of them."
