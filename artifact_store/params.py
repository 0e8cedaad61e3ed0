"""Arguments in canonical bytes: values by what they are, inputs by the digest of what they hold.

value ──► its content, and the code of the types in it that its author wrote
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from enum import Enum
from functools import lru_cache
from typing import Any
from weakref import WeakKeyDictionary

from artifact_store.closures.reach import Closure, closure_of, whole_of
from artifact_store.encoding import PLAIN, encode, type_name
from artifact_store.errors import Unencodable, UnencodableParam
from artifact_store.files import DigestMemo
from artifact_store.inputs import inputs_in, is_input


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


def encode_inputs(analysis: str, inputs: Mapping[str, Any], memo: DigestMemo) -> bytes:
    """Canonical bytes of inputs: the digest of what each holds; raises as `encode_params` does."""
    if len(inputs) == 1:
        # As nearly all analyses are called, and on the way to every hit.
        ((name, one),) = inputs.items()
        if is_input(one):
            return _encoded_input(name, bytes(one.identify(memo)))
    try:
        return _with_code(sorted(inputs.items()), lambda one: bytes(one.identify(memo)))
    except Unencodable as error:
        names = ", ".join(sorted(inputs))
        raise UnencodableParam(analysis, names, error.found, error.advice) from None


@lru_cache(maxsize=4096)
def _encoded_input(name: str, of_input: bytes) -> bytes:
    return encode([(name, object())], lambda one: of_input)


def form_of(inputs: Mapping[str, Any]) -> bytes:
    """Canonical bytes of inputs but for what they hold: how many there are, of which kinds, and where."""
    if len(inputs) == 1:
        ((name, one),) = inputs.items()
        if is_input(one):
            return _encoded_input(name, type(one).__name__.encode())
    return _with_code(sorted(inputs.items()), lambda one: type(one).__name__.encode())


def encode_param(value: Any) -> bytes:
    """Canonical bytes of one param: its content, and the code of the types that its author wrote."""
    return encode(value) if type(value) in PLAIN else _with_code(value)


def _with_code(value: Any, of_input: Callable[[Any], bytes] = lambda one: b"") -> bytes:
    types, inputs = dict[type, None](), list[Any]()
    encoded = encode(value, _noting(types, inputs, of_input))
    if len(inputs) > len(inputs_in(value)):
        # Nobody would note what is read of it.
        raise Unencodable(f"container that hides a {type_name(inputs[-1])}", _HIDDEN)
    return encoded + b"".join(map(_code_of, types))


_HIDDEN = "Pass it by itself, or in a list, tuple, set or dict."


def _noting(
    types: dict[type, None], inputs: list[Any], of_input: Callable[[Any], bytes]
) -> Callable[[Any], bytes | None]:
    """The fallback of `encode` that notes inputs, and the types whose values have methods that someone wrote."""

    def note(one: Any) -> bytes | None:
        if is_input(one):
            inputs.append(one)
            return of_input(one)
        if _is_written(type(one)):
            types[type(one)] = None
        return None

    return note


def _is_written(kind: type) -> bool:
    return (
        issubclass(kind, Enum)
        or dataclasses.is_dataclass(kind)
        or (issubclass(kind, tuple) and hasattr(kind, "_fields"))
    )


# A memo that asks each closure whether it still holds, so it decides nothing.
_closures: WeakKeyDictionary[type, Closure] = WeakKeyDictionary()


def closures_of_types(value: Any) -> list[Closure]:
    """The code that comes with an argument: of the types in it that its author wrote."""
    types = dict[type, None]()
    encode(value, _noting(types, [], lambda one: b""))
    return list(map(_closure_of_type, types))


def _code_of(kind: type) -> bytes:
    known = _closure_of_type(kind)
    called = [bytes(whole_of(one)[0]) for one in known.calls]
    return bytes(known.digest) + b"".join(called)


def _closure_of_type(kind: type) -> Closure:
    known = _closures.get(kind)
    if known is None or not known.guard.holds():
        known = _closures[kind] = closure_of(kind)
    return known
