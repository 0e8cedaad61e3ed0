"""Params: the arguments of a call that are plain values, in canonical bytes.

value ──► its content, and the code of the types in it that its author wrote
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from enum import Enum
from functools import lru_cache
from typing import Any
from weakref import WeakKeyDictionary

from artifact_store.closures.reach import Closure, closure_of, whole_of
from artifact_store.encoding import encode
from artifact_store.errors import Unencodable, UnencodableParam
from artifact_store.inputs import PLAIN


def encode_params(analysis: str, params: Mapping[str, Any]) -> bytes:
    """Canonical bytes of params.

    Raises
    ------
    UnencodableParam
        One of them, or something in it, has no canonical encoding.
    """
    parts: list[bytes] = []
    for name in sorted(params):
        try:
            parts += _encoded_name(name), encode_param(params[name])
        except Unencodable as error:
            raise UnencodableParam(analysis, name, error.found, error.advice) from None
    return b"".join(parts)


_encoded_name = lru_cache(maxsize=4096)(encode)


def encode_param(value: Any) -> bytes:
    """Canonical bytes of one param: its content, and the code of the types that its author wrote."""
    if type(value) in PLAIN:
        return encode(value)
    return encode(value) + b"".join(map(_code_of, _types_in(value)))


def _types_in(value: Any) -> Iterator[type]:
    """The types in a value that have methods of their own: enums, dataclasses, named tuples."""
    kind = type(value)
    if kind is dict:
        parts = [one for pair in value.items() for one in pair]
    elif isinstance(value, Enum):
        yield kind
        parts = [value.value]
    elif dataclasses.is_dataclass(kind):
        yield kind
        parts = [getattr(value, one.name) for one in dataclasses.fields(kind)]
    elif isinstance(value, list | tuple | set | frozenset):
        if hasattr(kind, "_fields"):
            yield kind
        parts = (
            sorted(value, key=encode)
            if isinstance(value, set | frozenset)
            else list(value)
        )
    else:
        parts = []
    for part in parts:
        yield from _types_in(part)


# A memo that asks each closure whether it still holds, so it decides nothing.
_closures: WeakKeyDictionary[type, Closure] = WeakKeyDictionary()


def closures_of_types(value: Any) -> list[Closure]:
    """The code that comes with a param: of the types in it that its author wrote."""
    return [_closure_of_type(kind) for kind in _types_in(value)]


def _code_of(kind: type) -> bytes:
    known = _closure_of_type(kind)
    called = [bytes(whole_of(one)[0]) for one in known.calls]
    return bytes(known.digest) + b"".join(called)


def _closure_of_type(kind: type) -> Closure:
    known = _closures.get(kind)
    if known is None or not known.guard.holds():
        known = _closures[kind] = closure_of(kind)
    return known
