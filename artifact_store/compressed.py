"""Compressed shards: the same layout as in `shards.py`, but that each inner chunk is a zstd frame and its checksum.

    rows ──► frame, crc32c ──► file ──► *CompressedArray* ──► rows

Written and read here and not by zarr, because what a frame unfolds to is bounded only by what it says of itself: a
file of kilobytes may ask for terabytes. Here a frame has to unfold to its rows exactly, and a checksum comes first.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from itertools import accumulate
from typing import Any

import google_crc32c
import msgspec
import numpy as np

from artifact_store.arraysets import bytes_of
from artifact_store.descriptors import FileStat, file_made, opened, write_all
from artifact_store.errors import CorruptArtifact
from artifact_store.shards import (
    CRC_BYTES,
    INDEX_BYTES,
    ZSTD_LEVEL,
    AnyArray,
    StoredArray,
    check_stat,
)

_MAGIC = b"\x28\xb5\x2f\xfd"

# The longest header of a frame, the most that one block unfolds to, and how it says what it is.
_HEADER_BYTES, _BLOCK_BYTES, _REPEATED, _COMPRESSED = 18, 128 << 10, 1, 2

# What zstd may add to content that cannot be compressed: less than this part of it, and this many bytes.
_OVERHEAD = 128, 256


def _zstd() -> Any:
    """Numcodecs' zstd, which takes 0.25 s to import: only those who compress, or read what is, wait for it."""
    from numcodecs import zstd

    return zstd


def write_compressed(path: str, stored: StoredArray, values: AnyArray) -> StoredArray:
    """Write an array chunk by chunk; the record with the size that this came to."""
    compress = _zstd().compress
    index = []
    with file_made(path) as descriptor:
        offset = 0
        for rows in _chunks(values, stored.rows):
            frame = _with_checksum(compress(bytes_of(rows), ZSTD_LEVEL))
            write_all(descriptor, memoryview(frame))
            index.append(struct.pack("<QQ", offset, len(frame)))
            offset += len(frame)
        tail = _with_checksum(b"".join(index))
        write_all(descriptor, memoryview(tail))
    return msgspec.structs.replace(stored, size=offset + len(tail))


def _chunks(values: AnyArray, rows: int) -> Iterator[AnyArray]:
    """The inner chunks; zeros fill up the last one."""
    for first in range(0, len(values), rows):
        chunk = values[first : first + rows]
        if len(chunk) < rows:
            padded = np.zeros((rows, *values.shape[1:]), values.dtype)
            padded[: len(chunk)] = chunk
            chunk = padded
        yield chunk


def _with_checksum(content: bytes) -> bytes:
    return content + _checksum(content)


def _checksum(content: bytes) -> bytes:
    value: int = google_crc32c.value(content)
    return value.to_bytes(CRC_BYTES, "little")


class CompressedArray(msgspec.Struct, frozen=True):
    """The rows of a compressed array, decoded where they are indexed.

    Parameters
    ----------
    expected
        The stat of the file when its content was known to be right. `CorruptArtifact` is raised of another one.
    """

    path: str
    stored: StoredArray
    expected: FileStat | None

    def __getitem__(self, rows: slice) -> AnyArray:
        """Consecutive rows, read-only.

        Raises
        ------
        CorruptArtifact
            They cannot be decoded, or unfold to something else than rows of this array.
        """
        first, stop, _ = rows.indices(self.stored.shape[0])
        shape = (max(0, stop - first), *self.stored.shape[1:])
        size = self.stored.rows
        numbers = range(first // size, -(-stop // size) if shape[0] else 0)
        with opened(self.path) as descriptor:
            check_stat(descriptor, self.path, self.stored, self.expected)
            index = self._index(descriptor)
            # All of them before there is memory for any: how much it is, only they can say.
            for number in numbers:
                self._check(descriptor, *index[number])
            found = np.empty(shape, self.stored.dtype)
            for number in numbers:
                begin = number * size
                place = found[max(0, begin - first) : begin + size - first]
                if len(place) == size:
                    self._decode(descriptor, index[number], place)
                    continue
                # Of a chunk at either end, only some rows are wanted, and of the last one only some are rows.
                whole = np.empty((size, *shape[1:]), found.dtype)
                self._decode(descriptor, index[number], whole)
                skipped = max(0, first - begin)
                place[...] = whole[skipped : skipped + len(place)]
        found.flags.writeable = False
        return found

    def _index(self, descriptor: int) -> list[tuple[int, int]]:
        """Where each inner chunk lies in the file, and how long it is: from its beginning on, one after the other."""
        chunks = -(-self.stored.shape[0] // self.stored.rows)
        length = chunks * INDEX_BYTES
        end = self.stored.size - length - CRC_BYTES
        if end < 0:
            raise CorruptArtifact(self.path, "is shorter than its index")
        tail = os.pread(descriptor, length + CRC_BYTES, end)
        if tail != _with_checksum(tail[:length]) or len(tail) != length + CRC_BYTES:
            raise CorruptArtifact(self.path, "has a damaged index")
        index = list(struct.iter_unpack("<QQ", tail[:length]))
        expected = accumulate((length for _, length in index), initial=0)
        if [offset for offset, _ in index] + [end] != list(expected):
            raise CorruptArtifact(self.path, "has an index of other chunks")
        return index

    def _check(self, descriptor: int, offset: int, length: int) -> None:
        """Refuse an inner chunk that cannot be what its rows were folded to, of which nothing but headers is read."""
        nbytes = self.stored.rows * self.stored.row_bytes
        if length > nbytes + nbytes // _OVERHEAD[0] + _OVERHEAD[1]:
            raise self._cannot("a chunk is longer than its rows")
        header = os.pread(descriptor, _HEADER_BYTES, offset)
        size, blocks = _frame(header)
        if size != nbytes:
            raise self._cannot("a chunk unfolds to something else than its rows")
        stop = offset + length - CRC_BYTES
        if _most_unfolded(descriptor, offset + blocks, stop) < nbytes:
            raise self._cannot("the blocks of a chunk are not those of its rows")

    def _decode(self, descriptor: int, where: tuple[int, int], place: AnyArray) -> None:
        """Fill `place` with what one inner chunk unfolds to."""
        offset, length = where
        content = os.pread(descriptor, length, offset)
        frame = content[:-CRC_BYTES]
        if len(content) != length or content[-CRC_BYTES:] != _checksum(frame):
            raise self._cannot("the checksum of a chunk is wrong")
        try:
            _zstd().decompress(frame, bytes_of(place))
        except (ValueError, RuntimeError) as error:
            raise self._cannot(str(error)) from error

    def _cannot(self, problem: str) -> CorruptArtifact:
        return CorruptArtifact(self.path, f"cannot be decoded ({problem})")


def _frame(header: bytes) -> tuple[int | None, int]:
    """How many bytes a zstd frame says that it unfolds to, if it does, and where its blocks begin.

    See RFC 8878, section 3.1.1.1.
    """
    if header[:4] != _MAGIC:
        return None, 0
    header = header.ljust(_HEADER_BYTES, b"\0")  # so that every field can be read
    descriptor = header[4]
    is_single = bool(descriptor & 0x20)
    width = (int(is_single), 2, 4, 8)[descriptor >> 6]
    start = 5 + (not is_single) + (0, 1, 2, 4)[descriptor & 3]
    if not width:
        return None, start
    size = int.from_bytes(header[start : start + width], "little")
    return size + 256 if width == 2 else size, start + width


def _most_unfolded(descriptor: int, start: int, stop: int) -> int:
    """How many bytes the blocks of a frame can unfold to at most; 0 if they do not fill it (RFC 8878, 3.1.1.2)."""
    most, is_last = 0, False
    while not is_last:
        header = int.from_bytes(os.pread(descriptor, 3, start), "little")
        is_last, kind, size = bool(header & 1), header >> 1 & 3, header >> 3
        # One without content is never written but at the end; a file with holes would have no end of them.
        if start + 3 > stop or size > _BLOCK_BYTES or not (size or is_last):
            return 0
        start += 3 + (1 if kind == _REPEATED else size)
        most += _BLOCK_BYTES if kind == _COMPRESSED else size
    return most if start == stop else 0
