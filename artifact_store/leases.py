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
from collections.abc import Iterator
from typing import Final

from artifact_store.descriptors import GUARDED, open_made

# `struct flock` of Linux on 64 bits: type, whence, start, length, and a process, which is none for these locks.
_FLOCK: Final = struct.Struct("hhqqi4x")


# By descriptor, every lease that this process holds or waits for, and the thread that does.
_held: dict[int, tuple[str, int, int]] = {}


def _share_none() -> None:
    """Have a forked child share no lease: it would hold it on where its parent, who computes, dies."""
    while _held:
        os.close(_held.popitem()[0])


os.register_at_fork(after_in_child=_share_none)


def let_go() -> None:
    """Let go what this thread still holds though it computes nothing: an interrupt came between two lines of ours."""
    thread = threading.get_ident()
    for descriptor, (_, _, holder) in list(_held.items()):
        if holder == thread:
            _close(descriptor)


@contextlib.contextmanager
def leased(path: str, place: int) -> Iterator[None]:
    """Hold the lease at `place` of the file at `path`, after waiting for whoever holds it now.

    Two threads of one process exclude each other too. Where locks cannot be had, nothing is held.
    """
    process, descriptor = os.getpid(), _acquire_if_possible(path, place)
    if descriptor is None:
        yield
        return
    try:
        yield
    finally:
        if process == os.getpid():
            # What was forked by other means than `os.fork` shares the lock, so closing would not be enough.
            _lock(descriptor, fcntl.F_OFD_SETLK, fcntl.F_UNLCK, place)
            _close(descriptor)


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


def _acquire_if_possible(path: str, place: int) -> int | None:
    try:
        descriptor = open_made(path, os.O_RDWR)
    except OSError:
        # No lock service, no permission to write, no folder: computing twice is better than not at all, and who
        # publishes then tells what is wrong with the place.
        return None
    _held[descriptor] = path, place, threading.get_ident()
    try:
        _lock(descriptor, fcntl.F_OFD_SETLKW, fcntl.F_WRLCK, place)
    except OSError:
        _close(descriptor)
        return None
    except BaseException:
        _close(descriptor)
        raise
    return descriptor


def _close(descriptor: int) -> None:
    if _held.pop(descriptor, None) is not None:
        os.close(descriptor)


def _lock(descriptor: int, command: int, kind: int, place: int) -> None:
    # Of the open file and not of the process, unlike the older kind of such locks: threads exclude each other.
    fcntl.fcntl(descriptor, command, _FLOCK.pack(kind, os.SEEK_SET, place, 1, 0))
