"""Write where no reader looks, then appear at once.

    process ──► its folder ──► *Stage* ──► file, folder or link, renamed to its place

A process has a folder in each store that it writes to, and holds a kernel lock
on it for as long as it lives: whatever nobody holds is left over from a process
that died, and is swept. Where that lock need not be seen, as from another host
that shares the directory, a folder must be a day old besides. Of a folder for each result, the file system
would have to find room for one more, and pass over those just removed.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import fcntl
import itertools
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from typing import Final

import msgspec

from artifact_store.descriptors import (
    GUARDED,
    file_made,
    refuse_links,
    sync,
    write_file,
)
from artifact_store.manifests import NO_BOOT, boot_id

# Between the creation of a folder and its lock; a live writer needs microseconds.
UNLOCKED_SECONDS: Final = 60.0

# How long nothing has begun in a folder whose lock says nothing here; no single result takes as long to be written.
ABANDONED_SECONDS: Final = 86_400.0

# How many folders, each with a descriptor, a process keeps while it writes to none of them.
_FOLDERS: Final = 32

# File systems stamp in steps: of milliseconds on local disks, of up to two seconds elsewhere.
_TICK_SECONDS: Final = 0.004
_TICKS: Final = 500

_numbers = itertools.count()


class Stage:
    """Room for what is being written; what has not moved to its place at the end is removed."""

    def __init__(self, prefix: str, root: str) -> None:
        self._prefix, self._root = prefix, root
        self._pending: set[str] = set()

    def name(self) -> str:
        """A path that nobody else uses."""
        path = f"{self._prefix}{next(_numbers)}"
        self._pending.add(path)
        return path

    def appear(self, content: bytes, path: str) -> None:
        """Make `content` the file at `path`, replacing what was there; no reader ever sees a part of it."""
        aside = self.name()
        write_file(aside, memoryview(content))
        self.into_place(aside, path)

    def supersede(self, content: bytes, path: str) -> None:
        """As `appear`, in place of a file whose time of modification is kept; that of access says that it is now."""
        aside = self.name()
        write_file(aside, memoryview(content))
        now, then = os.lstat(aside).st_atime_ns, os.lstat(path).st_mtime_ns
        os.utime(aside, ns=(now, then))
        self.into_place(aside, path)

    def into_place(self, aside: str, path: str) -> None:
        """Rename `aside`, which has a name of this stage, to `path`, making the folder above it if need be."""
        folder, _, _ = path.rpartition("/")
        refuse_links(folder, self._root)
        try:
            os.rename(aside, path)
        except FileNotFoundError:
            os.makedirs(folder, exist_ok=True)
            os.rename(aside, path)
        self._pending.discard(aside)

    def point(self, target: str, path: str) -> None:
        """Make `path` a link with this text, replacing a link that was there."""
        refuse_links(path.rpartition("/")[0], self._root)
        try:
            os.symlink(target, path)
        except OSError:
            aside = self.name()
            os.symlink(target, aside)
            self.into_place(aside, path)

    def clear(self) -> None:
        """Remove what has not moved to its place."""
        for path in self._pending:
            remove(path)


@contextlib.contextmanager
def staged(staging: str) -> Iterator[Stage]:
    """A stage below `staging`, in a folder of this process that nobody else uses meanwhile."""
    root = _root_of(staging)
    refuse_links(staging, root)
    folder = _taken(staging)
    stage = Stage(f"{folder.path}/", root)
    try:
        yield stage
    finally:
        stage.clear()
        _free.append(folder)
        if len(_free) > _FOLDERS:
            _free.pop(0).leave()


@contextlib.contextmanager
def removing(staging: str) -> Iterator[Stage]:
    """As `staged`, for what is only to go: also on a disk that is so full that it has no room for one more folder."""
    with contextlib.ExitStack() as stack:
        try:
            stage = stack.enter_context(staged(staging))
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            # To rename something takes no room. What is left here if we die is swept as any other is.
            stage = Stage(_new_name(staging), _root_of(staging))
            stack.callback(stage.clear)
        yield stage


class _Folder(msgspec.Struct, frozen=True, eq=False):
    """A folder that a process has made, and holds the lock of by a descriptor."""

    process: int
    staging: str
    path: str
    descriptor: int

    def leave(self) -> None:
        """Let it go; a forked child leaves that of its parent to him."""
        if self.process == os.getpid():
            remove(self.path)
        os.close(self.descriptor)


# What is in use by no thread, the last used last; their methods are atomic.
_free: list[_Folder] = []


def _taken(staging: str) -> _Folder:
    for folder in reversed(_free):
        if folder.staging == staging and folder.process == os.getpid():
            with contextlib.suppress(ValueError):  # Another thread was faster.
                _free.remove(folder)
                # Young again, for those who go by its age; and not there if one of them has been wrong.
                if touched(folder.path):
                    return folder
                folder.leave()
    return _made(staging)


def _made(staging: str) -> _Folder:
    os.makedirs(staging, exist_ok=True)
    path = _new_name(staging)
    os.mkdir(path)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        os.rmdir(path)
        raise
    with contextlib.suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return _Folder(os.getpid(), staging, path, descriptor)


def _new_name(staging: str) -> str:
    # Not the pid: hosts that share the directory have equal ones.
    return f"{staging}/{_locks_of(staging)}-{uuid.uuid4().hex}"


def _locks_of(staging: str) -> str:
    """What stands for those who see the same locks on folders: they share a kernel, and a mount if that keeps them."""
    boot = uuid.uuid4().hex if boot_id() == NO_BOOT else boot_id()
    return f"{boot[:8]}-{os.stat(staging).st_dev:x}"


def _forget() -> None:
    """Have a forked child hold no lock of its parent's folders: where he dies before it, they are left over."""
    while _free:
        os.close(_free.pop().descriptor)


os.register_at_fork(after_in_child=_forget)


@atexit.register
def _leave_all() -> None:
    while _free:
        _free.pop().leave()


def remove(path: str) -> None:
    """Remove a file, a link, or a folder with everything in it, if it is there."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    except OSError:
        shutil.rmtree(path, ignore_errors=True)


def leads(path: str, target: str) -> bool:
    """Whether `path` is a link with this text."""
    try:
        return os.readlink(path) == target
    except OSError:
        return False


def touched(path: str) -> bool:
    """Make what is about to be named young, as old it may pass for left over; whether it is there."""
    try:
        os.utime(path, follow_symlinks=False)
    except OSError as error:
        # Who may not write here removes nothing here either.
        return error.errno not in (errno.ENOENT, errno.ESTALE)
    return True


def take(path: str, stage: Stage, touched_last: int) -> bool:
    """Rename a file or folder into a stage, which takes it along: nobody ever finds half of it. Whether it went.

    Parameters
    ----------
    touched_last
        Its time of modification when it was found superfluous. With another one it stays: somebody is about to name
        it, who touches it first and looks afterwards whether it still is there.
    """
    aside = stage.name()
    try:
        if os.lstat(path).st_mtime_ns != touched_last:
            return False
        os.rename(path, aside)
    except FileNotFoundError:
        return False
    if os.lstat(aside).st_mtime_ns == touched_last:
        return True
    # Touched between the two. If it has been written again by now, that is as good.
    with contextlib.suppress(OSError):
        os.rename(aside, path)
    return False


def wait_past(staging: str, stamp_ns: int) -> None:
    """Wait until files are stamped with a later time: milliseconds, if it was this very moment."""
    tries = 0
    while storage_time_ns(staging) <= stamp_ns and tries < _TICKS:
        tries += 1
        time.sleep(_TICK_SECONDS)


def storage_time(staging: str) -> float:
    """What time it is by the clock that stamps files, in seconds."""
    return storage_time_ns(staging) / 1e9


def storage_time_ns(staging: str) -> int:
    """The same in nanoseconds; by the clock of this host where nothing can be written.

    The clock of a server may be hours away from ours, and ours may be set back.
    """
    # Who only asks makes no folder.
    is_there = os.path.isdir(staging)
    try:
        descriptor = _nameless(staging if is_there else _root_of(staging))
    except OSError:
        return time.time_ns()
    try:
        return os.fstat(descriptor).st_mtime_ns
    finally:
        os.close(descriptor)


def _root_of(staging: str) -> str:
    """The store that this is the staging of."""
    return os.path.dirname(os.path.dirname(staging))


def _nameless(folder: str) -> int:
    """A descriptor of a new file, of which nothing can be left."""
    try:
        return os.open(folder, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC)
    except OSError as error:
        # Of the file systems of servers, whose clocks are meant, hardly one makes files without a name.
        if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL):
            raise
    path = f"{folder}/{uuid.uuid4().hex}"
    with file_made(path) as descriptor:
        os.unlink(path)
        return os.dup(descriptor)


def sweep(staging: str) -> None:
    """Remove what processes left that died."""
    refuse_links(staging, _root_of(staging))
    with contextlib.suppress(OSError):
        folders = os.listdir(staging)
        now = storage_time(staging) if folders else 0.0
        for folder in folders:
            with contextlib.suppress(OSError), left_over(f"{staging}/{folder}", now):
                _sweep_one(f"{staging}/{folder}", staging)


def _sweep_one(folder: str, staging: str) -> None:
    if os.path.isdir(folder):
        # Should its writer live after all, all of it is gone at once: half of it he might yet put in its place.
        aside = _new_name(staging)
        os.rename(folder, aside)
        shutil.rmtree(aside, ignore_errors=True)


@contextlib.contextmanager
def left_over(path: str, now: float) -> Iterator[None]:
    """Hold what is staged, of which a process died, to remove it; `BlockingIOError` if that may live.

    Parameters
    ----------
    now
        By the clock that stamps files, in seconds.
    """
    staging, _, name = path.rpartition("/")
    age = now - os.lstat(path).st_mtime
    # The age first: to ask for the lock of a young one would be to take it from whoever is about to.
    if age < (
        UNLOCKED_SECONDS if name.startswith(_locks_of(staging)) else ABANDONED_SECONDS
    ):
        raise BlockingIOError(errno.EAGAIN, "is young", path)
    descriptor = os.open(path, os.O_RDONLY | GUARDED)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except OSError:
            # As on many servers, folders cannot be locked here, whoever asks.
            if age < ABANDONED_SECONDS:
                raise
        yield
    finally:
        os.close(descriptor)


def sync_upward(path: str, top: str) -> None:
    """Wait until a file or folder is on disk, and every folder that leads to it from `top` down."""
    # The store as a whole may lie behind a link.
    real = os.path.realpath(top)
    path = real + path[len(top) :]
    while len(path) >= len(real):
        sync(path)
        path = os.path.dirname(path)
