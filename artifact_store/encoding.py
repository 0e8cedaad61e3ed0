"""Canonical bytes of a value, or a refusal.

Shared by params and by the constants of a closure. Every item is a tag, a
length and a payload, so no two values share an encoding; a list of types is
closed on purpose: what is not on it has no key and says so, because `pickle`,
`repr` and `hash` all differ between processes that hold the same value.
"""

from __future__ import annotations

import dataclasses
import re
import struct
import sys
from collections.abc import Callable, Iterable
from enum import Enum
from pathlib import PurePath
from typing import Any, TypeAlias

import numpy as np

from artifact_store.errors import Unencodable

# Asked for every value that is not of a built-in type; `None` leaves it to the families below, which may refuse.
Fallback: TypeAlias = Callable[[Any], bytes | None]


def refuse(value: object) -> None:
    """The fallback that knows nothing more."""


def encode(value: object, otherwise: Fallback = refuse) -> bytes:
    """Canonical bytes of `value`: equal for equal values of one type, in every process.

    `1`, `1.0` and `True` differ; `np.int64(1)` is `1` and `np.float64(x)` is `x`, other
    numpy scalars keep their dtype. Dicts keep their order, because code that walks one sees it.

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


def _array(value: np.ndarray[Any, Any], otherwise: Fallback) -> bytes:
    if value.dtype.hasobject:
        raise Unencodable(
            "numpy array of Python objects", "Pass an array of numbers, or a tuple."
        )
    head = _item(str(np.lib.format.dtype_to_descr(value.dtype)), otherwise) + _item(
        value.shape, otherwise
    )
    return _tagged(b"array", head + np.ascontiguousarray(value).tobytes())


def _tensor(value: Any, otherwise: Fallback) -> bytes:
    torch = sys.modules["torch"]
    host = value.detach().cpu().contiguous()
    head = _item(str(host.dtype), otherwise) + _item(tuple(host.shape), otherwise)
    return _tagged(
        b"tensor", head + host.reshape(-1).view(torch.uint8).numpy().tobytes()
    )


_Encoder: TypeAlias = Callable[[Any, Fallback], bytes]
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
    tuple: lambda value, otherwise: _tagged(b"tuple", _all(value, otherwise)),
    list: lambda value, otherwise: _tagged(b"list", _all(value, otherwise)),
    dict: lambda value, otherwise: _tagged(
        b"dict", _all((part for pair in value.items() for part in pair), otherwise)
    ),
    set: lambda value, otherwise: _tagged(
        b"set", b"".join(sorted(_item(one, otherwise) for one in value))
    ),
    frozenset: lambda value, otherwise: _tagged(
        b"frozenset", b"".join(sorted(_item(one, otherwise) for one in value))
    ),
    range: lambda value, otherwise: _tagged(
        b"range", _all((value.start, value.stop, value.step), otherwise)
    ),
    slice: lambda value, otherwise: _tagged(
        b"slice", _all((value.start, value.stop, value.step), otherwise)
    ),
    re.Pattern: lambda value, otherwise: _tagged(
        b"pattern", _all((value.pattern, int(value.flags)), otherwise)
    ),
    np.ndarray: _array,
    np.int64: lambda value, otherwise: _item(int(value), otherwise),
    np.float64: lambda value, otherwise: _item(float(value), otherwise),
    np.bool_: lambda value, otherwise: _item(bool(value), otherwise),
    np.str_: lambda value, otherwise: _item(str(value), otherwise),
}


def _by_family(value: Any) -> _Encoder | None:
    """The encoder of a value whose very type is not in the table, by what it is an instance of."""
    kind = type(value)
    if isinstance(value, Enum):
        return lambda v, o: _tagged(
            b"enum", _fields(kind.__qualname__, [(v.name, v.value)], o)
        )
    if isinstance(value, tuple) and hasattr(kind, "_fields"):
        return lambda v, o: _tagged(
            b"namedtuple",
            _fields(kind.__qualname__, zip(kind._fields, v, strict=True), o),
        )
    if dataclasses.is_dataclass(kind) and kind.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        names = [field.name for field in dataclasses.fields(kind)]
        pairs = [(name, getattr(value, name)) for name in names]
        return lambda v, o: _tagged(b"dataclass", _fields(kind.__qualname__, pairs, o))
    if isinstance(value, np.generic):
        return lambda v, o: _tagged(b"scalar", _item(v.dtype.str, o) + v.tobytes())
    if isinstance(value, np.dtype):
        return lambda v, o: _tagged(
            b"dtype", _item(str(np.lib.format.dtype_to_descr(v)), o)
        )
    if kind is type and issubclass(value, np.generic):
        return lambda v, o: _tagged(b"dtype", _item(np.dtype(v).str, o))
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        return _tensor
    if torch is not None and isinstance(value, torch.dtype | torch.device):
        return lambda v, o: _tagged(b"torch", _item(str(v), o))
    return None


def shown(value: object) -> str:
    """A value as people read it; never part of a key."""
    text = repr(value)
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
