"""Faults put between any two operations on the file system: they all go through `os`, which is interposed on.

work ──► *operations* ──► how many there are below a folder
     └─► *dying_at*   ──► a child does it, and is killed before one of them; a write is left half done
     └─► *failing_at*, *raising_at* ──► one of them fails, or is interrupted
     └─► *interposed* ──► anything else
"""

from __future__ import annotations

import errno
import itertools
import os
import signal
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Final

# Everything of `os` by which files are changed, opened or listed.
OPERATIONS: Final = (
    *("open", "write", "writev", "pwrite", "pwritev", "ftruncate", "truncate"),
    *("rename", "replace", "link", "symlink", "mkdir", "unlink", "remove", "rmdir"),
    *("fsync", "fdatasync", "utime", "chmod", "posix_fallocate", "scandir", "listdir"),
)

_NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT)
_NO_RIGHT: Final = (errno.EACCES, errno.EROFS)
_NO_MORE: Final = (errno.EMFILE, errno.ENFILE)

# What the system may say of each.
ERRORS: Final[Mapping[str, tuple[int, ...]]] = defaultdict(
    lambda: (errno.EIO,),
    {
        "open": (*_NO_MORE, *_NO_RIGHT, *_NO_ROOM, errno.EIO),
        "write": (*_NO_ROOM, errno.EFBIG, errno.EIO),
        "rename": (*_NO_ROOM, *_NO_RIGHT, errno.EIO),
        "symlink": (*_NO_ROOM, *_NO_RIGHT, errno.EPERM),
        "mkdir": (*_NO_ROOM, *_NO_RIGHT, errno.EIO),
        "unlink": (*_NO_RIGHT, errno.EIO),
        "rmdir": (*_NO_RIGHT, errno.EIO),
        "fsync": (*_NO_ROOM, errno.EIO),
        "utime": (*_NO_RIGHT, errno.EIO),
        "posix_fallocate": (*_NO_ROOM, errno.EFBIG, errno.EOPNOTSUPP),
        "scandir": (*_NO_MORE, errno.EACCES, errno.EIO),
        "listdir": (*_NO_MORE, errno.EACCES, errno.EIO),
    },
)

# Called with the name of an operation, what carries it out, and its arguments.
Act = Callable[[str, Callable[[], Any], tuple[Any, ...]], Any]

# As it was before anybody interposed on it.
_write: Final = os.write


def path_of(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
    """What an operation is about; of a renaming, the place that it had."""
    about = args[1] if name == "symlink" else args[0] if args else "."
    if isinstance(about, int):
        return str(os.readlink(f"/proc/self/fd/{about}"))
    if (folder := kwargs.get("dir_fd")) is not None:
        return f"{os.readlink(f'/proc/self/fd/{folder}')}/{os.fspath(about)}"
    return str(os.path.abspath(os.fspath(about)))


@contextmanager
def interposed(below: Path, act: Act) -> Iterator[None]:
    """Have every operation below a folder carried out by `act`, in whichever thread."""

    def wrapped(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def operation(*args: Any, **kwargs: Any) -> Any:
            if path_of(name, args, kwargs).startswith(str(below)):
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


def at(number: int, fault: Act) -> Act:
    """A fault at operation `number`, counted from 1; the others are carried out."""
    numbers = itertools.count(1)  # whose `next` no other thread comes between

    def act(name: str, real: Callable[[], Any], args: tuple[Any, ...]) -> Any:
        return fault(name, real, args) if next(numbers) == number else real()

    return act


def death(name: str, real: Callable[[], Any], args: tuple[Any, ...]) -> None:
    """The process is killed; a write has been half done by then."""
    if name == "write":
        content = memoryview(args[1])
        _write(args[0], content[: len(content) // 2])
    os.kill(os.getpid(), signal.SIGKILL)


def operations(work: Callable[[], object], below: Path) -> list[str]:
    """The names of the operations that `work` carries out below a folder, in order."""
    names: list[str] = []

    def note(name: str, real: Callable[[], Any], args: tuple[Any, ...]) -> Any:
        names.append(name)
        return real()

    with interposed(below, note):
        work()
    return names


def begun(work: Callable[[], object]) -> int:
    """Have something done in a forked process, which ends with 0 if it could be; its number."""
    child = os.fork()
    if child:
        return child
    try:
        work()
        os._exit(0)
    except BaseException:
        import traceback

        traceback.print_exc()
        os._exit(1)


def in_child(work: Callable[[], object]) -> int:
    """Do something in a forked process; its wait status."""
    return os.waitpid(begun(work), 0)[1]


def dying_at(number: int, work: Callable[[], object], below: Path) -> bool:
    """Kill a child that does `work` before its operation `number` below a folder; whether it came to that."""

    def until_death() -> None:
        with interposed(below, at(number, death)):
            work()

    status = in_child(until_death)
    assert status in (0, signal.SIGKILL)
    return status != 0


def failing_at(number: int, code: int, below: Path) -> AbstractContextManager[None]:
    """Have operation `number` below a folder fail with this `errno`."""

    def failure(name: str, real: Callable[[], Any], args: tuple[Any, ...]) -> None:
        raise OSError(code, os.strerror(code), *map(str, args[:1]))

    return interposed(below, at(number, failure))


def raising_at(
    number: int, error: type[BaseException], below: Path
) -> AbstractContextManager[None]:
    """Have operation `number` below a folder raise something that is no answer of the system."""

    def interruption(name: str, real: Callable[[], Any], args: tuple[Any, ...]) -> None:
        raise error("now")

    return interposed(below, at(number, interruption))


def failing_always(names: tuple[str, ...], code: int, below: Path) -> Any:
    """Have all operations of these names below a folder fail with this `errno`."""

    def act(name: str, real: Callable[[], Any], args: tuple[Any, ...]) -> Any:
        if name in names:
            raise OSError(code, os.strerror(code), str(args[0]))
        return real()

    return interposed(below, act)


def descriptors() -> set[str]:
    """What this process has open of files and folders, but for the folders that it stages in."""
    found = set()
    for number in os.listdir("/proc/self/fd"):
        try:
            path = os.readlink(f"/proc/self/fd/{number}")
        except OSError:
            continue  # of the listing itself
        if path.startswith("/") and "/.store/staging/" not in path:
            found.add(f"{number} {path}")
    return found
