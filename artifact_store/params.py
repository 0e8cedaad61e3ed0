"""Arguments: bound to the signature, defaults applied, paths opened.

args, kwargs ──► *Signature.bind* ──► inputs (they have content) and params (they are values)
"""

from __future__ import annotations

import dataclasses
import inspect
import itertools
import os
import typing
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from functools import lru_cache
from operator import is_
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

import msgspec
import numpy as np

from artifact_store.checkpoints import AnonymousCheckpoint, Checkpoint, open_checkpoint
from artifact_store.closures.reach import Closure, closure_of, whole_of
from artifact_store.encoding import encode, is_plain
from artifact_store.errors import Unencodable, UnencodableParam
from artifact_store.files import DigestMemo, File
from artifact_store.reads import Question, Recorder
from artifact_store.runs import DEFAULT_PATTERN, AnonymousRun, Run

Opener: TypeAlias = Callable[[str], Any]

# What is the plain number or string of its value, wherever it is a param.
_PLAIN_SCALARS = frozenset({np.int64, np.float64, np.bool_, np.str_, np.bytes_})

# What parameters hold that take the rest, if there is none.
_EMPTY: Mapping[Any, Any] = {
    inspect.Parameter.VAR_POSITIONAL: (),
    inspect.Parameter.VAR_KEYWORD: {},
}

# What is neither an input nor holds one.
PLAIN = frozenset({type(None), bool, int, float, complex, str, bytes})

_OPENERS: Mapping[type, Opener] = {Checkpoint: open_checkpoint, Run: Run, File: File}


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
            _encoded_name(name) + _encoded_or_nothing(value)
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
                opened = _settled(value)
            else:
                opened = (
                    opener(value)
                    if type(value) is str
                    else _open(_settled(value), opener)
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
    try:
        return value is default or encode(value) == encode(default)
    except Unencodable:
        return False


def _settled(value: Any) -> Any:
    """`value` as the key knows it: inputs with their labels again, numpy's `int64` and `float64` as plain numbers.

    They are one param with the plain ones, so the function must not see the difference: numpy promotes them otherwise.
    """
    return _mapped(value, _settle)


def _settle(one: Any) -> Any:
    if isinstance(one, AnonymousCheckpoint | AnonymousRun):
        return one.named
    return _plain(one)


def _plain(one: Any) -> Any:
    return one.item() if type(one) in _PLAIN_SCALARS else one


def anonymous(inputs: Mapping[str, Any], recorder: Recorder) -> dict[str, Any]:
    """Inputs as a function gets them: without labels, and what is read of them goes to `recorder`."""
    numbers = itertools.count()

    def change(one: Any) -> Any:
        place = str(next(numbers)) if is_input(one) else ""
        if isinstance(one, Checkpoint | Run):
            return one.anonymous(recorder, place)
        if is_input(one):
            question = Question("content", place)
            recorder.note(question, one.answer(question))
            recorder.place(one, place)
        return one

    return {name: _mapped(value, change) for name, value in inputs.items()}


def as_passed(
    passed: Mapping[str, Any], place_of: Callable[[Any], str | None]
) -> bytes | None:
    """Canonical bytes of arguments from which the call can be made again; `None` if there are none.

    Parameters
    ----------
    place_of
        Where an input comes from, if that is known.
    """

    def is_placed(one: Any) -> bool:
        return is_input(one) and place_of(one) is not None

    arguments = [(name, _mapped(passed[name], _plain)) for name in sorted(passed)]
    if not is_plain(arguments, is_placed):
        return None
    return encode(arguments, lambda one: str(place_of(one)).encode())


def _open(value: Any, opener: Opener) -> Any:
    """Open the paths in a value; anything else stays as it is."""
    return _mapped(value, lambda one: opener(os.fspath(one)) if _is_path(one) else one)


def _is_path(value: Any) -> bool:
    return isinstance(value, str | os.PathLike) and not is_input(value)


def _mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    """`value` with everything in it changed, at any depth; itself if that changes nothing."""
    if type(value) is dict:
        changed = [_mapped(one, change) for one in value.values()]
        same = all(map(is_, changed, value.values()))
        return value if same else dict(zip(value, changed, strict=True))
    if isinstance(value, list | tuple | set | frozenset):
        changed = [_mapped(one, change) for one in value]
        # Named tuples take their fields one by one.
        make = getattr(value, "_make", type(value))
        return value if all(map(is_, changed, value)) else make(changed)
    return change(value)


def is_input(value: Any) -> bool:
    """Whether a value is known by its content: a checkpoint, a run, a file, an artifact."""
    return hasattr(type(value), "identify")


def holds_input(value: Any) -> bool:
    """Whether a value is an input, or a sequence or mapping that has one in it."""
    if is_input(value):
        return True
    if isinstance(value, list | tuple | set | frozenset):
        return any(map(holds_input, value))
    return type(value) is dict and any(map(holds_input, value.values()))


def inputs_in(value: Any) -> list[Any]:
    """Every input in a value, in order."""
    if is_input(value):
        return [value]
    if isinstance(value, list | tuple | set | frozenset):
        return [one for item in value for one in inputs_in(item)]
    return (
        [one for item in value.values() for one in inputs_in(item)]
        if isinstance(value, dict)
        else []
    )


def place_of_stranger(one: Any) -> str | None:
    """Where an input comes from that a computation opened itself: its kind and path."""
    settled = _settle(one)
    if type(settled) not in _OPENERS:
        return None
    place = f"{type(settled).__name__}:{settled.path}"
    # Of a run, the path alone does not tell the pattern.
    same = not isinstance(settled, Run) or settled.pattern == DEFAULT_PATTERN
    return place if same else None


def stranger_at(place: str) -> Any:
    """The inverse of `place_of_stranger`."""
    kind, _, path = place.partition(":")
    return {one.__name__: opener for one, opener in _OPENERS.items()}[kind](path)


def form_of(inputs: Mapping[str, Any]) -> bytes:
    """Canonical bytes of inputs but for what they hold: how many there are, of which kinds, and where."""
    return encode(
        sorted(inputs.items()),
        lambda one: type(one).__name__.encode() if is_input(one) else None,
    )


def encode_inputs(inputs: Mapping[str, Any], memo: DigestMemo) -> bytes:
    """Canonical bytes of inputs: the digest of what each holds."""
    if len(inputs) == 1:
        # As nearly all analyses are called, and on the way to every hit.
        ((name, one),) = inputs.items()
        if is_input(one):
            return _encoded_input(name, bytes(one.identify(memo)))
    return encode(
        sorted(inputs.items()),
        lambda one: bytes(one.identify(memo)) if is_input(one) else None,
    )


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


def _encoded_or_nothing(value: Any) -> bytes:
    # A call that relies on such a default has no key, so there is nothing that could be taken for it.
    try:
        return encode_param(value)
    except Unencodable:
        return b""


@lru_cache(maxsize=4096)
def _encoded_input(name: str, digest: bytes) -> bytes:
    return encode([(name, object())], lambda one: digest)


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
        named = {kind.__name__: opener for kind, opener in _OPENERS.items()}
        return next(
            (
                named[word.rpartition(".")[2]]
                for word in words
                if word.rpartition(".")[2] in named
            ),
            None,
        )
    if isinstance(annotation, type) and annotation in _OPENERS:
        return _OPENERS[annotation]
    return next(filter(None, map(_opener, typing.get_args(annotation))), None)
