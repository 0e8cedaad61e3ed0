"""The right to compute a key, so that callers of one cold key compute it once.

A lease is a kernel file lock: whoever dies loses it at once, and the next in
line goes on. It saves work and guards nothing: entries are immutable, so two
writers at worst write the same bytes.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator


@contextlib.contextmanager
def leased(path: str) -> Iterator[None]:
    """Hold the lease at `path`, after waiting for whoever holds it now.

    Two threads of one process exclude each other too. Where locks cannot be had, nothing is held.
    """
    descriptor = _acquire_if_possible(path)
    if descriptor is None:
        yield
        return
    try:
        yield
    finally:
        # Unlink first: who waits for this file finds that it is gone, and makes a new one.
        with contextlib.suppress(OSError):
            os.unlink(path)
        # A forked child shares the lock and may outlive us, so closing would not be enough.
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


def _acquire_if_possible(path: str) -> int | None:
    try:
        return _acquire(path)
    except OSError:
        # No lock service, no permission to write, no folder: computing twice is better than not at all, and who
        # publishes then tells what is wrong with the place.
        return None


def _acquire(path: str) -> int:
    while True:
        descriptor = _open(path)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if _is_still(descriptor, path):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _open(path: str) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
    try:
        return os.open(path, flags, 0o666)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return os.open(path, flags, 0o666)


def _is_still(descriptor: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False
