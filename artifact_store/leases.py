"""The right to compute a key, so that callers of one cold key compute it once.

A lease is a kernel lock on one byte of the lock file of a store, whose place is
made of the key: nothing is created or removed to take it, whoever dies loses it
at once, whatever children of his live on, and the next in line goes on. It saves
work and guards nothing: entries are immutable, so two writers at worst write the
same bytes.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import threading
from contextlib import AbstractContextManager
from typing import Final
from weakref import ref

from artifact_store.descriptors import GUARDED, open_made

# `struct flock` of Linux on 64 bits: type, whence, start, length, and a process, which is none for these locks.
_FLOCK: Final = struct.Struct("hhqqi4x")


def leased(path: str, place: int) -> AbstractContextManager[None]:
    """Hold the lease at `place` of the file at `path`, after waiting for whoever holds it now.

    Two threads of one process exclude each other too. Where locks cannot be had, nothing is held.
    """
    return _Lease(path, place)


class _Lease:
    """A lease that is held in a block, or as long as somebody refers to it.

    A class and no generator: between the lines of one, Ctrl-C would leave a lease held that nobody lets go.
    """

    # Until there is one, however early it ends.
    _descriptor: int | None = None

    def __init__(self, path: str, place: int) -> None:
        self._path, self._place = path, place
        self._process, self._thread = os.getpid(), threading.get_ident()

    def __enter__(self) -> None:
        try:
            self._clear_the_way()
            number = id(self)
            _leases[number] = ref(self, lambda _: _leases.pop(number, None))
            self._acquire()
        except BaseException:
            self.let_go()
            raise

    def __exit__(self, *given: object) -> None:
        self.let_go()

    def __del__(self) -> None:
        self.let_go()

    def _clear_the_way(self) -> None:
        """Let go what this very thread holds of it: it never came back to where that was to be done."""
        mine = self._thread, self._path, self._place
        for other in _known():
            if (other._thread, other._path, other._place) == mine:
                other.let_go()

    def let_go(self) -> None:
        """Hold it no longer."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is None:
            return
        if self._process == os.getpid():
            # What was forked by other means than `os.fork` shares the lock, so closing would not be enough.
            with contextlib.suppress(OSError):
                _lock(descriptor, fcntl.F_OFD_SETLK, fcntl.F_UNLCK, self._place)
        os.close(descriptor)

    def leave_to_parent(self) -> None:
        """Hold it no longer in a forked child, and take it from nobody by that."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def _acquire(self) -> None:
        try:
            self._descriptor = open_made(self._path, os.O_RDWR)
            _lock(self._descriptor, fcntl.F_OFD_SETLKW, fcntl.F_WRLCK, self._place)
        except OSError:
            # No lock service, no permission to write, no folder: computing twice is better than not at all, and who
            # publishes then tells what is wrong with the place.
            self.let_go()


# By their `id`, all leases that this process holds or waits for.
_leases: dict[int, ref[_Lease]] = {}


def _known() -> list[_Lease]:
    # One step, between which no other thread comes.
    return [lease for known in list(_leases.values()) if (lease := known())]


def _share_none() -> None:
    """Have a forked child share no lease: it would hold it on where its parent, who computes, dies."""
    for lease in _known():
        lease.leave_to_parent()


os.register_at_fork(after_in_child=_share_none)


def is_leased(path: str, place: int) -> bool:
    """Whether somebody holds the lease at `place`, on this host or, where a file system tells, on another."""
    try:
        descriptor = os.open(path, os.O_RDONLY | GUARDED)
    except OSError:
        return False
    try:
        asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, place, 1, 0)
        answer = fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, asked)
        return bool(_FLOCK.unpack(answer)[0] != fcntl.F_UNLCK)
    except OSError:
        return False
    finally:
        os.close(descriptor)


def place_of(digest: str) -> int:
    """The place of the lease of a key: the beginning of a digest is as good as random, so no two keys ever meet."""
    return int(digest[:15], 16)


def _lock(descriptor: int, command: int, kind: int, place: int) -> None:
    # Of the open file and not of the process, unlike the older kind of such locks: threads exclude each other.
    fcntl.fcntl(descriptor, command, _FLOCK.pack(kind, os.SEEK_SET, place, 1, 0))
