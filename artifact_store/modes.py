"""Modes: how much a call may do with its store. Each is the store of the call seen in another way.

rw        what is there is served, what is missing is computed and kept
ro        what is there is served, what is missing is computed; nothing is written
off       there is no store: the function runs
refresh   what was there before counts as missing, once
require   what is there is served; what is missing is an error
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Final, Literal, TypeAlias, get_args
from weakref import WeakKeyDictionary

from artifact_store.errors import BadSetting, StoreOff
from artifact_store.stores.around import (
    Around,
    ReadOnlyStore,
    RefreshingStore,
    RequiringStore,
)
from artifact_store.stores.base import Store

ModeName: TypeAlias = Literal["rw", "ro", "off", "refresh", "require"]

MODE_VARIABLE: Final = "ARTIFACT_STORE_MODE"


class Mode:
    """How stores are seen while it lasts; each always in the same way."""

    def __init__(self, name: ModeName, around: Around) -> None:
        self.name, self._around = name, around
        self._seen: WeakKeyDictionary[Store, Store] = WeakKeyDictionary()

    def over(self, store: Store | None) -> Store | None:
        """The store as a call may use it; `StoreOff` if it may not, whether there is one or none."""
        if store is None:
            return _no_store(store) if self.name == "off" else None
        seen = self._seen.get(store)
        if seen is None:
            # Of two threads that come at once, both get the one that was first.
            seen = self._seen.setdefault(store, self._around(store))
        return seen


def _no_store(store: Store | None) -> Store:
    raise StoreOff()


_AROUND: Final[Mapping[str, Around]] = {
    "rw": lambda store: store,
    "ro": ReadOnlyStore,
    "off": _no_store,
    "refresh": RefreshingStore,
    "require": RequiringStore,
}

_current: ContextVar[Mode | None] = ContextVar("artifact_store_mode", default=None)


@contextmanager
def mode(name: ModeName) -> Iterator[None]:
    """Make calls in this block in a mode, whatever their decorator or the environment says.

    Threads that the block starts do not inherit it, unless they run in a copy of its context; the workers of a
    pipeline do.

    Parameters
    ----------
    name
        `rw`: what is missing is computed and kept, as without any mode. `ro`: nothing is written; what is missing is
        computed and returned. `off`: functions just run, and need no store. `refresh`: what was kept before this
        block counts as missing, once, and is replaced. `require`: what is missing raises `MissRefused`.

    Raises
    ------
    BadSetting
        There is no such mode.
    """
    token = _current.set(Mode(name, _around(name, "mode")))
    try:
        yield
    finally:
        _current.reset(token)


def chosen_mode() -> ModeName | None:
    """The mode of the block around, if there is one."""
    current = _current.get()
    return None if current is None else current.name


def seen_by_mode(store: Store | None, declared: ModeName | None) -> Store | None:
    """A store, if there is one, as the mode of the block around, of the decorator or of the environment has it."""
    current = _current.get()
    if current is None:
        name = declared or os.environ.get(MODE_VARIABLE)
        if not name or name == "rw":
            return store
        current = _of_process(name)
    return current.over(store)


# In a process, what was refreshed once because its decorator or the environment says so is fresh.
@lru_cache(maxsize=8)
def _of_process(name: str) -> Mode:
    return Mode(name, _around(name, MODE_VARIABLE))  # type: ignore[arg-type]


def _around(name: str, setting: str) -> Around:
    try:
        return _AROUND[name]
    except KeyError:
        advice = f"Choose one of {', '.join(get_args(ModeName))}."
        raise BadSetting(setting, name, "there is no such mode", advice) from None
