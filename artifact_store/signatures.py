"""Signatures: arguments are bound, defaults applied, paths opened.

args, kwargs ──► *Signature.bind* ──► inputs (they have content) and params (they are values)
"""

from __future__ import annotations

import inspect
import os
import typing
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from artifact_store.encoding import PLAIN, encode
from artifact_store.errors import Unencodable
from artifact_store.inputs import (
    OPENERS,
    Opener,
    holds_input,
    is_input,
    mapped,
    settled,
)
from artifact_store.params import encode_param
from artifact_store.runs import Run

# What parameters hold that take the rest, if there is none.
_EMPTY: Mapping[Any, Any] = {
    inspect.Parameter.VAR_POSITIONAL: (),
    inspect.Parameter.VAR_KEYWORD: {},
}


class Arguments(msgspec.Struct, frozen=True):
    """The arguments of one call, in the order of the signature; `passed` are those that the caller gave, as given."""

    inputs: dict[str, Any]
    params: dict[str, Any]
    ignored: dict[str, Any]
    passed: Mapping[str, Any]


class Signature:
    """How calls of a function are bound, so that every spelling of one call is the same call."""

    def __init__(self, function: Callable[..., Any], ignore: tuple[str, ...]) -> None:
        self._signature = inspect.signature(function)
        self._ignore = frozenset(ignore)
        self._openers = _openers(function, self._signature)
        parameters = self._signature.parameters.values()
        # In the order of the signature, which the order of what is bound must not change.
        self._defaults: dict[str, Any] = {
            one.name: _EMPTY.get(one.kind, one.default) for one in parameters
        }
        self._required = {one.name for one in parameters if one.default is one.empty}
        self._positional = [
            one.name for one in parameters if one.kind is one.POSITIONAL_OR_KEYWORD
        ]
        self._is_plain = all(
            one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)
            for one in parameters
        )

    @property
    def takes_run(self) -> bool:
        """Whether the first parameter is a run."""
        first = next(iter(self._signature.parameters), "")
        return self._openers.get(first) is Run

    @property
    def default_bytes(self) -> bytes:
        """Canonical bytes of the defaults of all params."""
        parts = [
            encode(name) + _encoded_or_nothing(value)
            for name, value in self._defaults.items()
            if name not in self._ignore
        ]
        return encode(parts)

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
        """Sort the arguments of a call; `TypeError`, as the function itself would raise, if they do not fit."""
        passed = self._passed(args, kwargs)
        arguments = Arguments({}, {}, {}, passed)
        for name, value in (self._defaults | passed).items():
            plain = arguments.ignored if name in self._ignore else arguments.params
            opener = self._openers.get(name)
            # First the two kinds that nearly all arguments are of: plain values, and paths to open.
            if opener is None and type(value) in PLAIN:
                plain[name] = value
                continue
            if opener is None:
                opened = settled(value)
            else:
                opened = (
                    opener(value)
                    if type(value) is str
                    else _open(settled(value), opener)
                )
            (arguments.inputs if holds_input(opened) else plain)[name] = opened
        return arguments

    def _passed(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """Every argument that was given, by name."""
        if self._is_plain and len(args) <= len(self._positional):
            # What `inspect` does, for the signatures that nearly all analyses have, in a tenth of its time.
            given = dict(zip(self._positional, args, strict=False))
            if (
                given.keys().isdisjoint(kwargs)
                and kwargs.keys() <= self._defaults.keys()
            ):
                if self._required <= given.keys() | kwargs.keys():
                    return given | kwargs
        return dict(self._signature.bind(*args, **kwargs).arguments)

    def unbind(
        self, values: Mapping[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Positional and keyword arguments that pass `values`."""
        bound = inspect.BoundArguments(self._signature, dict(values))
        bound.arguments = {
            name: values[name] for name in self._signature.parameters if name in values
        }
        return bound.args, bound.kwargs

    def non_default(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """The params that are not at their default: what distinguishes this call in a name."""
        return {
            name: value
            for name, value in params.items()
            if not _same(value, self._defaults[name])
        }


def _same(value: Any, default: Any) -> bool:
    if default is inspect.Parameter.empty:
        return False
    try:
        return value is default or encode(value) == encode(default)
    except Unencodable:
        return False


def _encoded_or_nothing(value: Any) -> bytes:
    # A call that relies on such a default has no key, so there is nothing that could be taken for it.
    try:
        return encode_param(value)
    except Unencodable:
        return b""


def _open(value: Any, opener: Opener) -> Any:
    """Open the paths in a value; anything else stays as it is."""
    return mapped(value, lambda one: opener(os.fspath(one)) if _is_path(one) else one)


def _is_path(value: Any) -> bool:
    return isinstance(value, str | os.PathLike) and not is_input(value)


def _openers(
    function: Callable[..., Any], signature: inspect.Signature
) -> dict[str, Opener]:
    found = {
        name: _opener(annotation)
        for name, annotation in _annotations(function, signature).items()
    }
    return {name: opener for name, opener in found.items() if opener is not None}


def _annotations(
    function: Callable[..., Any], signature: inspect.Signature
) -> dict[str, Any]:
    try:
        hints = typing.get_type_hints(
            inspect.unwrap(getattr(function, "func", function))
        )
    except Exception:
        # Annotations for type checkers alone may be anything; the words themselves have to do.
        hints = {}
    return {
        name: hints.get(name, one.annotation)
        for name, one in signature.parameters.items()
    }


def _opener(annotation: Any) -> Opener | None:
    if isinstance(annotation, str):
        words = (
            annotation.replace("[", " ")
            .replace("]", " ")
            .replace("|", " ")
            .replace(",", " ")
            .split()
        )
        named = {kind.__name__: opener for kind, opener in OPENERS.items()}
        return next(
            (
                named[word.rpartition(".")[2]]
                for word in words
                if word.rpartition(".")[2] in named
            ),
            None,
        )
    if isinstance(annotation, type) and annotation in OPENERS:
        return OPENERS[annotation]
    return next(filter(None, map(_opener, typing.get_args(annotation))), None)
