"""Descriptors: files as the operating system hands them out.

What `arrays.py` needs of files and numpy does not offer: to open one, look at
it, and only then map that very one; to write a large one quickly.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import math
import mmap
import os
import stat
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, Final, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from artifact_store.errors import CorruptArtifact, LinkInStore

T = TypeVar("T")

# Below it, asking the file system for room first costs more than it saves.
ALLOCATE_BYTES: Final = 1 << 20


# What no manifest, record or metadata come near: those of 5,000 arrays take 1 MB. In memory, some take 20 times that.
MOST_BYTES: Final = 16 << 20


class FileStat(msgspec.Struct, frozen=True, array_like=True):
    """What changes whenever somebody writes to a file; in a manifest, a list."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int

    @classmethod
    def of(cls, found: os.stat_result) -> FileStat:
        return cls(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


# Of a file in a store, which may come from a stranger: links are not followed, and nobody waits for a pipe.
GUARDED: Final = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def open_file(path: str, flags: int = 0) -> int:
    """A descriptor of a regular file to read from, which the caller closes; `CorruptArtifact` of anything else."""
    try:
        descriptor = os.open(path, os.O_RDONLY | GUARDED | flags)
    except (FileNotFoundError, NotADirectoryError):
        raise CorruptArtifact(path, "is missing") from None
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):
            raise CorruptArtifact(path, "is no regular file") from None
        raise
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise CorruptArtifact(path, "is no regular file")


def open_unnoted(path: str) -> int:
    """As `open_file`, but the file does not count as used, where its owner asks or who may do anything."""
    try:
        return open_file(path, os.O_NOATIME)
    except PermissionError:
        return open_file(path)


def check_folder(path: str) -> None:
    """Raise `CorruptArtifact` unless there is a folder, and no link to one."""
    try:
        status = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        raise CorruptArtifact(path, "is missing") from None
    if not stat.S_ISDIR(status.st_mode):
        raise CorruptArtifact(path, "is no folder")


def refuse_links(folder: str, root: str) -> None:
    """Raise `LinkInStore` if a folder of the store at `root`, or one between them, is a link.

    A folder that was none is not looked at again: this is about stores that come from strangers, not about a process
    that changes one at this moment.
    """
    try:
        _check_links(folder, root)
    except _Absent:
        pass


class _Absent(Exception):
    """A folder is not there, so that it has to be asked for the next time."""


# As many as some large stores have.
@lru_cache(maxsize=1 << 14)
def _check_links(folder: str, root: str) -> None:
    above, _, _ = folder.rpartition("/")
    if len(above) > len(root):
        _check_links(above, root)
    try:
        is_link = stat.S_ISLNK(os.lstat(folder).st_mode)
    except OSError:
        raise _Absent from None
    if is_link:
        raise LinkInStore(folder, os.readlink(folder))


def open_made(path: str, flags: int) -> int:
    """A descriptor of a file that is made if need be, as is the folder that it lies in."""
    flags |= os.O_CREAT | GUARDED
    try:
        return os.open(path, flags, 0o666)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return os.open(path, flags, 0o666)


def once_more(look: Callable[[], T], error: OSError) -> T:
    """What `look` gives, unless the first time was in vain for another reason than that a server told `ESTALE`.

    It tells so where another host has replaced or removed a file since it was opened: its name leads to a new one now,
    or to none, which is `FileNotFoundError` even if it is told again.
    """
    if error.errno != errno.ESTALE:
        raise error
    try:
        return look()
    except OSError as again:
        if again.errno != errno.ESTALE:
            raise
        raise FileNotFoundError(errno.ENOENT, again.strerror, again.filename) from again


@contextlib.contextmanager
def opened(path: str) -> Iterator[int]:
    """A descriptor to read from, closed at the end of the block."""
    descriptor = open_file(path)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def read_file(path: str) -> bytes:
    """All of a small file; `CorruptArtifact` of one that is larger than any of ours."""
    with opened(path) as descriptor:
        size = os.fstat(descriptor).st_size
        check_size(size, path)
        return os.pread(descriptor, size, 0)


def check_size(size: int, path: str) -> None:
    """Raise `CorruptArtifact` of a file that is too large to be a manifest, a record or metadata, before it is read."""
    if size > MOST_BYTES:
        problem = f"has {size} bytes, more than the {MOST_BYTES} of any file of ours"
        raise CorruptArtifact(path, problem)


def check_file(path: str, expected: bytes) -> None:
    """Raise `CorruptArtifact` unless the file holds exactly this."""
    with opened(path) as descriptor:
        # One byte more than expected, so that a longer file is seen to be longer.
        if os.pread(descriptor, len(expected) + 1, 0) != expected:
            raise CorruptArtifact(path, "is not what was written")


def write_file(path: str, *pieces: memoryview) -> None:
    """Make a new file of `pieces`, each a flat view of bytes."""
    size = sum(len(piece) for piece in pieces)
    descriptor = _made(path)
    try:  # Not `file_made`, which would take as long as opening it.
        if size >= ALLOCATE_BYTES:
            # Only to be faster: what it cannot do, writing reports.
            with contextlib.suppress(OSError):
                os.posix_fallocate(descriptor, 0, size)
        for piece in pieces:
            write_all(descriptor, piece)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def file_made(path: str) -> Iterator[int]:
    """A descriptor of a new file to write to, closed at the end of the block."""
    descriptor = _made(path)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _made(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)


def write_all(descriptor: int, piece: memoryview) -> None:
    """Write a flat view of bytes, of which the kernel takes 2 GiB at a time."""
    while piece:
        piece = piece[os.write(descriptor, piece) :]


def sync_tree(directory: str) -> None:
    """Wait until every file and folder from `directory` down is on disk."""
    for folder, _, files in os.walk(directory, topdown=False):
        for path in (*(f"{folder}/{file}" for file in files), folder):
            sync(path)


def sync(path: str) -> None:
    """Wait until a file or folder is on disk."""
    descriptor = os.open(path, os.O_RDONLY | GUARDED)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def map_array(descriptor: int, shape: tuple[int, ...], dtype: str) -> npt.NDArray[Any]:
    """The array a file begins with, as read-only memory that outlives the descriptor."""
    return np.asarray(_Map(descriptor, shape, dtype))


_libc = ctypes.CDLL(None, use_errno=True)
_mmap, _munmap = _libc.mmap, _libc.munmap
_mmap.restype = ctypes.c_void_p
_mmap.argtypes = (
    *(ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int),
    *(ctypes.c_int, ctypes.c_long),
)
_munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
_MAP_FAILED: Final = ctypes.c_void_p(-1).value


class _Map:
    """Mapped memory, given back when the last array that looks into it is gone.

    `mmap.mmap` keeps a duplicate of the descriptor as long as the map (Python 3.13
    can say no), and a process may have 1024: too few for the artifacts of a run.
    """

    # Until there is one.
    _address: int | None = _MAP_FAILED

    def __init__(self, descriptor: int, shape: tuple[int, ...], dtype: str) -> None:
        self._length = math.prod(shape) * np.dtype(dtype).itemsize
        self._address = _mmap(
            None, self._length, mmap.PROT_READ, mmap.MAP_SHARED, descriptor, 0
        )
        if self._address == _MAP_FAILED:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
        # Numpy makes whoever bears this the base of the array; True is for read-only.
        self.__array_interface__ = {
            "version": 3,
            "shape": shape,
            "typestr": dtype,
            "data": (self._address, True),
        }

    def __del__(self, munmap: Any = _munmap) -> None:
        if self._address != _MAP_FAILED:
            munmap(self._address, self._length)
