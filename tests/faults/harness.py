"""Faults put between any two operations on the file system: they all go through `os`, which is interposed on.

work ──► *operations* ──► how many there are below a folder
     └─► *dying_at*   ──► a child does it, and is killed before one of them; a write is left half done
     └─► *failing_at* ──► one of them fails
"""

from __future__ import annotations

import errno
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

# Everything of `os` that the store changes files by, or opens them.
OPERATIONS: Final = (
    *("open", "write", "rename", "symlink", "mkdir", "unlink", "rmdir"),
    *("fsync", "utime", "posix_fallocate", "scandir", "listdir"),
)

# What the system may say of each that changes something.
ERRORS: Final[Mapping[str, tuple[int, ...]]] = {
    "open": (errno.EMFILE, errno.EACCES, errno.EROFS, errno.ENOSPC, errno.EIO),
    "write": (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO),
    "rename": (errno.ENOSPC, errno.EACCES, errno.EIO),
    "symlink": (errno.ENOSPC, errno.EPERM),
    "mkdir": (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS),
    "unlink": (errno.EACCES,),
    "rmdir": (errno.EACCES,),
    "fsync": (errno.EIO,),
    "utime": (errno.EACCES, errno.EROFS),
    "posix_fallocate": (errno.ENOSPC, errno.EOPNOTSUPP),
    "scandir": (errno.EMFILE, errno.EACCES),
    "listdir": (errno.EMFILE, errno.EACCES),
}

# Called with the name of an operation and what would carry it out.
Interposed = Callable[[str, Callable[[], Any], tuple[Any, ...]], Any]


def _path_of(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """What an operation is about."""
    about = args[1] if name == "symlink" else args[0]
    if isinstance(about, int):
        return str(os.readlink(f"/proc/self/fd/{about}"))
    if (folder := kwargs.get("dir_fd")) is not None:
        return f"{os.readlink(f'/proc/self/fd/{folder}')}/{os.fspath(about)}"
    return os.path.abspath(os.fspath(about))


@contextmanager
def interposed(below: Path, act: Interposed) -> Iterator[None]:
    """Have every operation below a folder carried out by `act`."""

    def wrapped(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def operation(*args: Any, **kwargs: Any) -> Any:
            if _path_of(name, args, kwargs).startswith(str(below)):
                return act(name, lambda: real(*args, **kwargs), args)
            return real(*args, **kwargs)

        return operation

    real = {name: getattr(os, name) for name in OPERATIONS}
    for name, function in real.items():
        setattr(os, name, wrapped(name, function))
    try:
        yield
    finally:
        for name, function in real.items():
            setattr(os, name, function)


def operations(work: Callable[[], object], below: Path) -> list[str]:
    """The names of the operations that `work` carries out below a folder, in order."""
    names: list[str] = []

    def note(name: str, real: Callable[[], Any], args: tuple[Any, ...]) -> Any:
        names.append(name)
        return real()

    with interposed(below, note):
        work()
    return names


def in_child(work: Callable[[], object]) -> int:
    """Do something in a forked process; its wait status."""
    child = os.fork()
    if not child:
        try:
            work()
            os._exit(0)
        except BaseException:
            import traceback

            traceback.print_exc()
            os._exit(1)
    return os.waitpid(child, 0)[1]


def dying_at(number: int, work: Callable[[], object], below: Path) -> bool:
    """Kill a child that does `work` before its operation `number` below a folder; whether it lived that long.

    A write that is killed has been half done.
    """
    count, lock = 0, threading.Lock()

    def counted(name: str, real: Callable[[], Any], args: tuple[Any, ...]) -> Any:
        nonlocal count
        with lock:
            count += 1
            if count == number:
                if name == "write":
                    _half_write(args)
                os.kill(os.getpid(), signal.SIGKILL)
        return real()

    def with_death() -> None:
        with interposed(below, counted):
            work()

    status = in_child(with_death)
    assert status in (0, signal.SIGKILL)
    return status != 0


def _half_write(args: tuple[Any, ...]) -> None:
    content = bytes(args[1])[: len(args[1]) // 2]
    # Not by `os.write`, which is interposed on.
    with open(f"/proc/self/fd/{args[0]}", "ab" if not content else "r+b") as file:
        file.seek(os.lseek(args[0], 0, os.SEEK_CUR))
        file.write(content)
        file.flush()


@contextmanager
def failing_at(number: int, code: int, below: Path) -> Iterator[list[str]]:
    """Have operation `number` below a folder fail; gives a list that then has its name."""
    count, lock, failed = 0, threading.Lock(), list[str]()

    def counted(name: str, real: Callable[[], Any], args: tuple[Any, ...]) -> Any:
        nonlocal count
        with lock:
            count += 1
            is_meant = count == number
        if is_meant:
            failed.append(name)
            raise OSError(code, os.strerror(code), *map(str, args[:1]))
        return real()

    with interposed(below, counted):
        yield failed


def descriptors() -> set[str]:
    """What this process has open below ordinary folders."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            found.add(f"{name} {os.readlink(f'/proc/self/fd/{name}')}")
        except OSError:
            pass
    return {one for one in found if " /tmp" in one or " /dev/shm" in one}
