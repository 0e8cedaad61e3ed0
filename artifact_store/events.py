"""What happens in a store, as frozen facts, and who is told."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeAlias

import msgspec

from artifact_store.keys import Key

log = logging.getLogger("artifact_store")
log.addHandler(logging.NullHandler())


class Hit(msgspec.Struct, frozen=True):
    """The store held the entry."""

    key: Key


class Miss(msgspec.Struct, frozen=True):
    """The store did not hold the entry; the function runs."""

    key: Key


class Published(msgspec.Struct, frozen=True):
    """A new entry is visible, `seconds` after its function was called."""

    key: Key
    seconds: float
    nbytes: int


class SetAside(msgspec.Struct, frozen=True):
    """An entry was found corrupt; it is moved out of the way where that can be done, and is computed again."""

    key: Key
    cause: str

    def __str__(self) -> str:
        return f"{self.key.analysis}: {self.cause}"


Event: TypeAlias = Hit | Miss | Published | SetAside
Listener: TypeAlias = Callable[[Event], None]

# Of the code that is running now: a call inside an analysis has the listeners of the call outside it.
_listeners: ContextVar[tuple[Listener, ...]] = ContextVar(
    "artifact_store_listeners", default=()
)

_LEVELS = {
    Hit: logging.DEBUG,
    Miss: logging.INFO,
    Published: logging.DEBUG,
    SetAside: logging.WARNING,
}


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Tell `listener` of every event in this block, also of those inside analyses that it calls."""
    token = _listeners.set((*_listeners.get(), listener))
    try:
        yield
    finally:
        _listeners.reset(token)


def emit(event: Event) -> None:
    """Tell whoever listens, and the log."""
    for listener in _listeners.get():
        listener(event)
    if log.isEnabledFor(_LEVELS[type(event)]):
        log.log(_LEVELS[type(event)], "%s", event)
