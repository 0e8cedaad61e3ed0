"""Write where no reader looks, then appear at once.

A stage is a directory that its writer holds a kernel lock on for as long as it
lives: whatever nobody holds is left over from a process that died, and is swept.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from typing import Final

# Between the creation of a stage and its lock; a live writer needs microseconds.
UNLOCKED_SECONDS: Final = 60.0


@contextlib.contextmanager
def staged(staging: str) -> Iterator[str]:
    """A new directory below `staging`, gone afterwards with everything still in it."""
    os.makedirs(staging, exist_ok=True)
    # Not the pid: hosts that share the directory have equal ones.
    stage = f"{staging}/{uuid.uuid4().hex}"
    os.mkdir(stage)
    descriptor = os.open(stage, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield stage
    finally:
        os.close(descriptor)
        _remove(stage)


def _remove(stage: str) -> None:
    try:
        os.rmdir(stage)
    except OSError:
        shutil.rmtree(stage, ignore_errors=True)


def sweep(staging: str) -> None:
    """Remove the stages of writers that died."""
    with contextlib.suppress(OSError):
        for stage in os.listdir(staging):
            with contextlib.suppress(OSError):
                _sweep_one(f"{staging}/{stage}")


def _sweep_one(stage: str) -> None:
    if time.time() - os.stat(stage).st_mtime < UNLOCKED_SECONDS:
        return
    descriptor = os.open(stage, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(stage, ignore_errors=True)
    finally:
        os.close(descriptor)


def appear(content: bytes, stage: str, path: str) -> None:
    """Make `content` the file at `path`, replacing what was there; no reader ever sees a part of it."""
    aside = f"{stage}/{uuid.uuid4().hex}"
    descriptor = os.open(
        aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666
    )
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(descriptor, view) :]
    finally:
        os.close(descriptor)
    into_place(aside, path)


def into_place(aside: str, path: str) -> None:
    """Rename `aside` to `path`, making the folder above it if need be."""
    try:
        os.rename(aside, path)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.rename(aside, path)


def point(target: str, stage: str, path: str) -> None:
    """Make `path` a link to `target`, relative to it, replacing a link that was there."""
    aside = f"{stage}/{uuid.uuid4().hex}"
    os.symlink(os.path.relpath(target, os.path.dirname(path)), aside)
    into_place(aside, path)


def sync_upward(path: str, top: str) -> None:
    """Wait until a file or folder is on disk, and every folder that leads to it from `top` down."""
    while len(path) >= len(top):
        sync(path)
        path = os.path.dirname(path)


def sync(path: str) -> None:
    """Wait until a file or folder is on disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
