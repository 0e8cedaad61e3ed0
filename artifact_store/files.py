"""Files: known by what they hold, digested at most once.

Below `Checkpoint` and every other input of an analysis: a digest is made from
content alone, and a time only decides whether one made earlier may be believed.

    path ──► signature ──► memo of digests, else read and digest ──► root
"""

from __future__ import annotations

import errno
import os
import re
import stat
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple, Protocol, TypeAlias, TypeVar

import numpy as np

from artifact_store.buckets import Superseded
from artifact_store.digests import Digest, Hasher, digest_of
from artifact_store.errors import FileChanged, MissingFile
from artifact_store.reads import Question
from artifact_store.remote_files import RANGE_BYTES, RemoteFile, remote_file
from artifact_store.urls import UrlPath, located

# A file written twice within one tick of the file system's clock looks the same
# after as before. Ticks are up to 10 ms on local disks, 1 s on ext3 and many
# network servers, 2 s on FAT; after that long a write must show in the signature.
RACY_NS = 2_000_000_000

# What the system says of a path that leads to no file; a file that may not be read is another matter.
ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)

# Digesting is as fast at any size from 256 KiB to 4 MiB: below, calls cost more; above, the cache no longer holds it.
BLOCK_BYTES = 1 << 20


# As S3 makes tags, of a whole file or of its parts.
_HASH = re.compile(r'"?[0-9a-f]{32}(-[0-9]+)?"?')


class Signature(NamedTuple):
    """What the file system tells of a file unread; it changes whenever the content does, save for racy writes."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    tag: str = ""

    @classmethod
    def of(cls, status: os.stat_result) -> Signature:
        return cls(
            status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino
        )

    @classmethod
    def of_tag(cls, size: int, tag: str, url: str) -> Signature:
        """That of a file in a bucket, whose server gives it another tag whenever it is written.

        One that is a hash is the same for copies of a file; any other may stand for something else elsewhere.
        """
        parts = (tag,) if _HASH.fullmatch(tag) else (tag, url)
        digest = digest_of("tag", *(part.encode() for part in parts))
        return cls(size, 0, 0, int(digest.hex, 16), tag)

    @property
    def is_tag(self) -> bool:
        """Whether it means the same on every host, and after every boot."""
        return self.tag != ""


Signatures: TypeAlias = tuple[Signature, ...]

# What is read from: the descriptor of a file on disk, or a file in a bucket.
Source: TypeAlias = int | RemoteFile


def is_racy(signatures: Signatures, now_ns: int) -> bool:
    """Whether files read from `now_ns` on could change without changing their `signatures`."""
    # A stamp from the future is as doubtful as a fresh one: its clock is not ours.
    doubtful = now_ns - RACY_NS
    for _, mtime_ns, ctime_ns, _, _ in signatures:
        if mtime_ns > doubtful or ctime_ns > doubtful:
            return True
    return False


class DigestMemo(Protocol):
    """Remembers digests from one process to the next, by the signatures of the files digested."""

    def recall(self, signature: Signatures) -> Mapping[str, Digest] | None: ...

    def remember(
        self, signature: Signatures, digests: Mapping[str, Digest]
    ) -> None: ...


class Content(ABC):
    """What some files hold, digested at most once and only when asked.

    Attributes
    ----------
    signature
        One per file, in the order of the files' names.
    """

    _changed: ClassVar[type[FileChanged]] = FileChanged

    def __init__(self, path: Path, label: str, files: Mapping[Path, Signature]) -> None:
        self._path, self._label = path, label
        self._files = dict(sorted(files.items()))
        self.signature: Signatures = tuple(self._files.values())
        # Whether it could be written to from now on without showing it.
        self._is_racy = is_racy(self.signature, time.time_ns())
        self._digests: Mapping[str, Digest] | None = None

    @property
    def path(self) -> Path:
        """Absolute, as given: symbolic links in it are kept."""
        return self._path

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file of which it reads, sorted."""
        return tuple(self._files)

    @property
    def label(self) -> str:
        """A readable name; it decides nothing."""
        return self._label

    @property
    def digests(self) -> Mapping[str, Digest]:
        """The digest of each named part; the first use reads everything once."""
        # Threads that come at once each compute it, and the same: no lock is needed.
        if self._digests is None:
            self._digests = self._digest()
        return self._digests

    @property
    @abstractmethod
    def root(self) -> Digest:
        """The one digest that stands for everything held."""

    def identify(self, memo: DigestMemo) -> Digest:
        """The root, reading only what `memo` does not recall."""
        if self._digests is None:
            recalled = memo.recall(self.signature)
            if recalled is not None and recalled.keys() == self._parts():
                self._digests = MappingProxyType(dict(recalled))
            else:
                # Not `self.digests`, which another thread may have begun before `started`.
                started = time.time_ns()
                self._digests = self._digest()
                if not is_racy(self.signature, started):
                    memo.remember(self.signature, self._digests)
        return self.root

    def _digest(self) -> Mapping[str, Digest]:
        return MappingProxyType(dict(sorted(self._read_digests())))

    @abstractmethod
    def _parts(self) -> Set[str]:
        """The names that `digests` bears."""

    @abstractmethod
    def _read_digests(self) -> Iterator[tuple[str, Digest]]:
        """The digest of each part, from the files themselves."""

    @contextmanager
    def _open(self, file: Path) -> Iterator[Source]:
        """A descriptor of one of the files, provided it is still the one first seen."""
        if isinstance(file, UrlPath):
            with _watched(file, self._changed):
                yield RemoteFile(file, self._files[file].size, self._files[file].tag)
            return
        with reading(file, self._changed, self._changed) as (descriptor, signature):
            if signature != self._files[file]:
                raise self._changed(file, "was written or replaced")
            yield descriptor


C = TypeVar("C", bound=Content)


class File(Content):
    """Any other file that an analysis depends on, known by its bytes.

    Parameters
    ----------
    path
        A regular file; it is not read before it must be.
    """

    # The one name that no tensor can bear: a memo filled by a file never serves a checkpoint at its path.
    _WHOLE: ClassVar = "__metadata__"

    def __init__(self, path: str | os.PathLike[str]) -> None:
        given = located(path)
        with reading(given, MissingFile, FileChanged) as (_, signature):
            super().__init__(given, given.name, {given: signature})

    @property
    def root(self) -> Digest:
        """Digest of the bytes."""
        return self.digests[self._WHOLE]

    def answer(self, question: Question) -> str:
        """What a computation is told that asks this: a file is read whole."""
        return self.root.hex

    def check_unchanged(self) -> None:
        """Raise `FileChanged` unless the file is still the one that `root` stands for."""
        with self._open(self._path):
            pass
        if self._is_racy and self._digest() != self.digests:
            raise self._changed(self._path, "was written")

    def read_bytes(self) -> bytes:
        """All bytes of the file, which are those that `root` stands for."""
        content = bytearray(self.signature[0].size)
        with self._open(self._path) as source:
            fill(memoryview(content), source, 0)
        return bytes(content)

    def __repr__(self) -> str:
        return f"File({self._label}, {self.signature[0].size} bytes)"

    def __reduce__(self) -> tuple[Any, ...]:
        return reopen, (File, str(self._path), self.signature)

    def _parts(self) -> Set[str]:
        return {self._WHOLE}

    def _read_digests(self) -> Iterator[tuple[str, Digest]]:
        hasher = Hasher("file")
        with self._open(self._path) as descriptor:
            size = self.signature[0].size
            feed(hasher, new_block(descriptor), descriptor, 0, size)
        yield self._WHOLE, hasher.digest()


def reopen(opener: Callable[[str], C], path: str, signature: Signatures) -> C:
    """What `opener` finds at `path`, provided it still has this signature."""
    content = opener(path)
    if content.signature != signature:
        raise content._changed(content.path, "was written or replaced")
    return content


@contextmanager
def reading(
    file: Path,
    absent: Callable[[Path, str], Exception],
    changed: Callable[[Path, str], Exception],
) -> Iterator[tuple[Source, Signature]]:
    """A regular file to read from and its signature, which holds until the end."""
    if isinstance(file, UrlPath):
        with _watched(file, changed):
            found = remote_file(file)
            if found is None:
                raise absent(file, "does not exist")
            yield found, Signature.of_tag(found.size, found.tag, str(file))
        return
    try:
        # Nonblocking, which regular files ignore: a named pipe would wait for its writer.
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK)
    except ValueError as error:
        raise absent(file, f"is no possible path ({error})") from error
    except OSError as error:
        if error.errno not in ABSENT:
            raise
        raise absent(file, "does not exist") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise absent(file, "is not a regular file")
        yield descriptor, Signature.of(status)
        if Signature.of(os.fstat(descriptor)) != Signature.of(status):
            raise changed(file, "was written")
    except EOFError:
        raise changed(file, "was cut short") from None
    except OSError as error:
        if error.errno != errno.ESTALE:
            raise
        raise changed(file, "was replaced by another host") from None
    finally:
        os.close(descriptor)


@contextmanager
def _watched(file: Path, changed: Callable[[Path, str], Exception]) -> Iterator[None]:
    """Say of a file in a bucket that it was written meanwhile."""
    try:
        yield
    except (Superseded, EOFError):
        raise changed(file, "was written or replaced") from None


def new_block(source: Source) -> memoryview:
    """A buffer for `feed`, aligned and not yet touched; of what is far, each costs a round trip."""
    size = BLOCK_BYTES if isinstance(source, int) else 2 * RANGE_BYTES
    return np.empty(size, np.uint8).data


def feed(
    hasher: Hasher, block: memoryview, source: Source, start: int, stop: int
) -> None:
    """Feed the bytes from `start` to `stop` as one part, through `block`."""
    hasher.announce(stop - start)
    for offset in range(start, stop, len(block)):
        piece = block[: stop - offset]
        fill(piece, source, offset)
        hasher.feed(piece)


def reader(source: Source) -> Callable[[int, int], bytes]:
    """A way to read so many bytes from an offset on, or as many as there are."""
    return source.read if isinstance(source, RemoteFile) else partial(os.pread, source)


def fill(target: memoryview, source: Source, offset: int) -> None:
    """Fill `target` from `offset` on; one read gives 2 GiB at most."""
    if not isinstance(source, int):
        source.fill(target, offset)
        return
    while target:
        count = os.preadv(source, [target], offset)
        if count == 0:
            raise EOFError
        target, offset = target[count:], offset + count
