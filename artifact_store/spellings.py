"""Spellings: a call that is made again with equal arguments is the call that it was, while its files and store are.

    args, kwargs ──► *spelling_of* ──► the call of then ─┬─► the same, if it *stands*
                                                        └─► else bound and digested anew

Binding, encoding and digesting take longer than all else that a hit needs. What may change while it stays equal to
itself, such as a list, has no spelling.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from math import copysign
from pathlib import Path, PosixPath
from sys import getsizeof
from typing import Any, Final

import msgspec

from artifact_store.calls import Call, home_of_arguments
from artifact_store.checkpoints import Checkpoint, open_checkpoint
from artifact_store.encoding import PLAIN
from artifact_store.stores.locate import chosen_store

# Of the plain ones, complex numbers may be equal and differ in the sign of a zero.
_IMMUTABLE = PLAIN - {complex} | {Checkpoint, PosixPath}

# A longer text or number is bound anew: a thousand of them would be held on to.
_LARGE: Final = 1 << 10


class Spelled(msgspec.Struct, frozen=True):
    """A call, and what its arguments alone do not decide: which checkpoint is at each path, and the store."""

    call: Call
    home: Path | None
    opened: tuple[tuple[Any, Checkpoint], ...]

    def stands(self) -> bool:
        """Whether the same arguments mean the same call now, as long as its code is what it was."""
        for path, checkpoint in self.opened:
            if open_checkpoint(path) is not checkpoint:
                return False
        declared = self.call.declaration
        store = chosen_store(declared.store, self.home, declared.mode)
        return store is self.call.store


def spelling_of(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Hashable | None:
    """What is equal for equal arguments of the same types; `None` if one of them may change."""
    values = (*args, *kwargs.values())
    types = tuple(map(type, values))
    if not _IMMUTABLE.issuperset(types):
        return None
    # 0.0 and -0.0 are equal, and are not one param.
    signs = _signs(values) if 0.0 in values else ()
    return args, tuple(kwargs.items()), types, signs


def _signs(values: Iterable[Any]) -> tuple[float, ...]:
    return tuple(copysign(1, one) for one in values if type(one) is float)


def spelled(call: Call) -> Spelled | None:
    """What a spelling of `call` stands for; `None` if more than the arguments themselves decides it."""
    inputs, passed = call.arguments.inputs, call.arguments.passed
    if not PLAIN.issuperset(map(type, call.arguments.params.values())):
        return None
    if any(getsizeof(value) > _LARGE for value in passed.values()):
        return None
    opened = []
    for name, one in inputs.items():
        if type(one) is not Checkpoint or name not in passed:
            return None
        if passed[name] is not one:
            opened.append((passed[name], one))
    return Spelled(call, home_of_arguments(call.arguments), tuple(opened))
