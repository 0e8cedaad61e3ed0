"""What a process keeps at hand: up to a limit, what was used longest ago going first; or with its object."""

from __future__ import annotations

import functools
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Generic, Self, TypeVar, overload
from weakref import WeakSet

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class cached_property(functools.cached_property[V]):
    """As in `functools` from Python 3.12 on: threads that come at once both compute it, and one answer stays.

    Before, one lock is held for all objects of a class meanwhile, so that no two of them are asked at once; and if
    another thread forks then, the child waits forever for whoever held it.
    """

    @overload
    def __get__(self, instance: None, owner: type[Any] | None = None) -> Self: ...

    @overload
    def __get__(self, instance: object, owner: type[Any] | None = None) -> V: ...

    def __get__(self, instance: object, owner: type[Any] | None = None) -> Any:
        if instance is None:
            return self
        # What was computed is found there, and this never asked again.
        return vars(instance).setdefault(str(self.attrname), self.func(instance))


class Recent(Generic[K, V]):
    """Values by their keys, as many as fit.

    Parameters
    ----------
    limit
        What the sizes of all of them add up to at most.
    size_of
        The size of one; if not given, each counts one.
    """

    def __init__(self, limit: int, size_of: Callable[[V], int] = lambda _: 1) -> None:
        self._limit, self._size_of = limit, size_of
        self._held: OrderedDict[K, V] = OrderedDict()
        self._size = 0
        self._lock = threading.RLock()
        _every.add(self)

    def get(self, key: K) -> V | None:
        """The value of a key; `None` if it is not at hand."""
        try:
            value = self._held[key]
            self._held.move_to_end(key)
        except KeyError:
            return None
        return value

    def put(self, key: K, value: V) -> None:
        """Keep a value in place of the one that the key had."""
        # Between `with` and a lock comes no interrupt, as it may between taking one and a `try`.
        with self._lock:
            replaced = self._held.pop(key, None)
            self._size -= 0 if replaced is None else self._size_of(replaced)
            self._held[key] = value
            self._size += self._size_of(value)
            while self._size > self._limit:
                self._size -= self._size_of(self._held.popitem(last=False)[1])

    def pop(self, key: K) -> V | None:
        """The value of a key, which is at hand no longer; `None` if it was not."""
        with self._lock:
            value = self._held.pop(key, None)
            self._size -= 0 if value is None else self._size_of(value)
        return value

    def __len__(self) -> int:
        return len(self._held)

    def renew(self) -> None:
        """Have a lock that nobody holds: in a forked child, the other may belong to nobody that lives."""
        self._lock = threading.RLock()


_every: WeakSet[Recent[Any, Any]] = WeakSet()


def _renew_all() -> None:
    for one in list(_every):
        one.renew()


os.register_at_fork(after_in_child=_renew_all)
