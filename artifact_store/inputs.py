"""Inputs: the arguments of a call that are known by what they hold, wherever they stand.

checkpoint, run, file, artifact, or a list or dict of them ──► *anonymous*, for the function
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from operator import is_
from typing import Any, TypeAlias

import numpy as np

from artifact_store.anonymity import (
    AnonymousCheckpoint,
    AnonymousRun,
    without_labels,
)
from artifact_store.checkpoints import Checkpoint, open_checkpoint
from artifact_store.encoding import encode, is_plain
from artifact_store.files import File
from artifact_store.reads import Question, Recorder
from artifact_store.runs import DEFAULT_PATTERN, Run

Opener: TypeAlias = Callable[[str], Any]

# What is the plain number or string of its value, wherever it is a param.
_PLAIN_SCALARS = frozenset({np.int64, np.float64, np.bool_, np.str_, np.bytes_})

OPENERS: Mapping[type, Opener] = {Checkpoint: open_checkpoint, Run: Run, File: File}


def is_input(value: Any) -> bool:
    """Whether a value is known by its content: a checkpoint, a run, a file, an artifact."""
    return hasattr(type(value), "identify")


def holds_input(value: Any) -> bool:
    """Whether a value is an input, or a sequence or mapping that has one in it."""
    return bool(inputs_in(value))


def inputs_in(value: Any) -> list[Any]:
    """Every input in a value, in order."""
    if is_input(value):
        return [value]
    if isinstance(value, list | tuple | set | frozenset):
        return [one for item in value for one in inputs_in(item)]
    return (
        [one for item in value.values() for one in inputs_in(item)]
        if type(value) is dict
        else []
    )


def mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    """`value` with everything in it changed, at any depth; itself if that changes nothing."""
    if type(value) is dict:
        changed = [mapped(one, change) for one in value.values()]
        same = all(map(is_, changed, value.values()))
        return value if same else dict(zip(value, changed, strict=True))
    if isinstance(value, list | tuple | set | frozenset):
        changed = [mapped(one, change) for one in value]
        # Named tuples take their fields one by one.
        make = getattr(value, "_make", type(value))
        return value if all(map(is_, changed, value)) else make(changed)
    return change(value)


def settled(value: Any) -> Any:
    """`value` as the key knows it: inputs with their labels again, numpy's `int64` and `float64` as plain numbers.

    They are one param with the plain ones, so the function must not see the difference: numpy promotes them otherwise.
    """
    return mapped(value, _settle)


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
            return without_labels(one, recorder, place)
        if is_input(one):
            question = Question("content", place)
            recorder.note(question, one.answer(question))
            recorder.place(one, place)
        return one

    return {name: mapped(value, change) for name, value in inputs.items()}


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

    arguments = [(name, mapped(passed[name], _plain)) for name in sorted(passed)]
    if not is_plain(arguments, is_placed):
        return None
    return encode(arguments, lambda one: str(place_of(one)).encode())


def place_of_stranger(one: Any) -> str | None:
    """Where an input comes from that a computation opened itself: its kind and path."""
    settled = _settle(one)
    if type(settled) not in OPENERS:
        return None
    place = f"{type(settled).__name__}:{settled.path}"
    # Of a run, the path alone tells neither the pattern nor where it ends.
    same = not isinstance(settled, Run) or (
        settled.pattern == DEFAULT_PATTERN and settled.is_whole
    )
    return place if same else None


def stranger_at(place: str) -> Any:
    """The inverse of `place_of_stranger`."""
    kind, _, path = place.partition(":")
    return {one.__name__: opener for one, opener in OPENERS.items()}[kind](path)
