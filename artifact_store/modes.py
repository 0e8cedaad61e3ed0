"""Modes: how much a call may do with its store. Each is the store of the call seen in another way.

rw        what is there is served, what is missing is computed and kept
ro        what is there is served, what is missing is computed; nothing is written
off       there is no store: the function runs
refresh   what was there before counts as missing, once
require   what is there is served; what is missing is an error

The block around a call decides, else the decorator, else the environment.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any, Final, Literal, TypeAlias, get_args

import msgspec

from artifact_store.environment import variable
from artifact_store.errors import BadSetting, ReadOnly, StoreOff
from artifact_store.manifests import moment
from artifact_store.recent import Recent
from artifact_store.stores.around import (
    ReadOnlyStore,
    RefreshingStore,
    RequiringStore,
)
from artifact_store.stores.base import Store

ModeName: TypeAlias = Literal["rw", "ro", "off", "refresh", "require"]

MODE_VARIABLE: Final = "ARTIFACT_STORE_MODE"


class Mode:
    """How stores are seen while it lasts; each always in the same way."""

    def __init__(self, name: ModeName, since: str) -> None:
        self.name, self.since = name, since
        # As many as a process has open.
        self._seen: Recent[Any, Store] = Recent(256)

    def over(self, store: Store | None) -> Store | None:
        """The store as a call may use it; `StoreOff` if it may not, whether there is one or none."""
        if store is None:
            return _no_store(store) if self.name == "off" else None
        seen = self._seen.get(store)
        if seen is None:
            seen = _WAYS[self.name](store, self.since)
            self._seen.put(store, seen)
        return seen


def _no_store(store: Store | None, since: str = "") -> Store:
    raise StoreOff()


# How a store is seen in a mode that began at some moment.
_WAYS: Final[Mapping[str, Callable[[Store, str], Store]]] = {
    "rw": lambda store, since: store,
    "ro": lambda store, since: ReadOnlyStore(store),
    "off": _no_store,
    "refresh": RefreshingStore,
    "require": lambda store, since: RequiringStore(store),
}

_current: ContextVar[Mode | None] = ContextVar("artifact_store_mode", default=None)

# Since when what a decorator or the environment has refreshed is fresh, if another process said so.
_since: ContextVar[str | None] = ContextVar("artifact_store_since", default=None)


@contextmanager
def mode(name: ModeName) -> Iterator[None]:
    """Make calls in this block in a mode, whatever their decorator or the environment says.

    Threads that the block starts do not inherit it, unless they run in a copy of its context; the workers of a
    pipeline do.

    Parameters
    ----------
    name
        `rw`: what is missing is computed and kept, as without any mode. `ro`: nothing is written; what is missing is
        computed and returned. `off`: functions run, need no store, and return what could be stored. `refresh`: what
        was kept before this block counts as missing, once, and is replaced. `require`: what is missing raises
        `MissRefused`.

    Raises
    ------
    BadSetting
        There is no such mode.
    """
    with _within(_begun(_known(name, "mode"))):
        yield


def seen_by_mode(store: Store | None, declared: ModeName | None) -> Store | None:
    """A store, if there is one, as the mode of the block around, of the decorator or of the environment has it."""
    current = _current.get()
    if current is None:
        name = declared or variable(MODE_VARIABLE)
        if name is None or name == "rw":
            return store
        current = _lasting(name)
    return current.over(store)


def is_mode_set() -> bool:
    """Whether a block around, in this thread, says in which mode calls are made."""
    return _current.get() is not None


def refuse_changes(location: str) -> None:
    """Raise `ReadOnly` where a store is not to be written to: for who means to change what is kept there."""
    current = _current.get()
    name = variable(MODE_VARIABLE) if current is None else current.name
    if name == "ro":
        raise ReadOnly(location)


class Modes(msgspec.Struct, frozen=True):
    """What decides the mode of calls in one place, as it travels to another thread or process.

    Attributes
    ----------
    block
        The mode of the block around, and when it began.
    environment
        What the environment says.
    since
        Since when what a decorator or the environment has refreshed is fresh.
    """

    block: tuple[ModeName, str] | None
    environment: str | None
    since: str


def modes_of(declared: Collection[ModeName | None]) -> Modes:
    """The modes of calls of some analyses made here."""
    current, said = _current.get(), variable(MODE_VARIABLE)
    block = None if current is None else (current.name, current.since)
    refreshing = "refresh" in (said, *declared)
    return Modes(block, said, _since_here() if refreshing else moment())


@contextmanager
def as_there(modes: Modes) -> Iterator[None]:
    """Make calls in this block as in the place where `modes` are from; setting the environment is left to others."""
    token = _since.set(modes.since)
    try:
        with _within(None if modes.block is None else _mode(*modes.block)):
            yield
    finally:
        _since.reset(token)


@contextmanager
def _within(current: Mode | None) -> Iterator[None]:
    token = _current.set(current)
    try:
        yield
    finally:
        _current.reset(token)


def _begun(name: ModeName) -> Mode:
    # The others are the same at any time, so that what is known of calls in them stays known.
    return _mode(name, moment() if name == "refresh" else "")


def _lasting(name: str) -> Mode:
    """The mode that a decorator or the environment names, which lasts as long as this process."""
    known = _known(name, MODE_VARIABLE)
    return _mode(known, _since_here() if known == "refresh" else "")


def _since_here() -> str:
    return _since.get() or _since_now()


@lru_cache(maxsize=1)
def _since_now() -> str:
    """When this process was asked first."""
    return moment()


@lru_cache(maxsize=16)
def _mode(name: ModeName, since: str) -> Mode:
    """One object for each mode and its beginning, in whatever thread it is asked for."""
    return Mode(name, since)


def _known(name: str, setting: str) -> ModeName:
    if name not in _WAYS:
        advice = f"Choose one of {', '.join(get_args(ModeName))}."
        raise BadSetting(setting, name, "there is no such mode", advice)
    return name  # type: ignore[return-value]
