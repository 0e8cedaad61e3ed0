"""Compressed shards: the same layout as in `shards.py`, but that each inner chunk is a zstd frame and its checksum.

    rows ──► frame, crc32c ──► file ──► *CompressedArray* ──► rows

Written and read here and not by zarr, because what a frame unfolds to is bounded only by what it says of itself: a
file of kilobytes may ask for terabytes. Here a frame has to unfold to its rows exactly, and a checksum comes first.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator

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

# What zstd may add to content that cannot be compressed: less than this part of it, and this many bytes.
_OVERHEAD = 128, 256


def write_compressed(path: str, stored: StoredArray, values: AnyArray) -> StoredArray:
    """Write an array chunk by chunk; the record with the size that this came to."""
    from numcodecs import zstd  # 0.25 s, for those who compress

    index = []
    with file_made(path) as descriptor:
        offset = 0
        for rows in _chunks(values, stored.rows):
            frame = _with_checksum(zstd.compress(bytes_of(rows), ZSTD_LEVEL))
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
        with opened(self.path) as descriptor:
            check_stat(descriptor, self.path, self.stored, self.expected)
            found = np.empty(shape, self.stored.dtype)
            index = self._index(descriptor)
            size = self.stored.rows
            for number in range(first // size, -(-stop // size) if len(found) else 0):
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
        """Where each inner chunk lies in the file."""
        chunks = -(-self.stored.shape[0] // self.stored.rows)
        length = chunks * INDEX_BYTES
        tail = os.pread(descriptor, length + CRC_BYTES, self._end(length))
        if tail != _with_checksum(tail[:length]) or len(tail) != length + CRC_BYTES:
            raise CorruptArtifact(self.path, "has a damaged index")
        return list(struct.iter_unpack("<QQ", tail[:length]))

    def _end(self, length: int) -> int:
        end = self.stored.size - length - CRC_BYTES
        if end < 0:
            raise CorruptArtifact(self.path, "is shorter than its index")
        return end

    def _decode(self, descriptor: int, where: tuple[int, int], place: AnyArray) -> None:
        """Fill `place` with what one inner chunk unfolds to."""
        from numcodecs import zstd

        offset, length = where
        # Before it is read: what says that it is larger than it can be is not ours, and neither is an absent chunk.
        if length > place.nbytes + place.nbytes // _OVERHEAD[0] + _OVERHEAD[1]:
            raise self._cannot("a chunk is longer than its rows")
        content = os.pread(descriptor, length, offset) if offset < 1 << 63 else b""
        frame = content[:-CRC_BYTES]
        if len(content) != length or content[-CRC_BYTES:] != _checksum(frame):
            raise self._cannot("the checksum of a chunk is wrong")
        if _content_size(frame) != place.nbytes:
            raise self._cannot("a chunk unfolds to something else than its rows")
        try:
            zstd.decompress(frame, bytes_of(place))
        except (ValueError, RuntimeError) as error:
            raise self._cannot(str(error)) from error

    def _cannot(self, problem: str) -> CorruptArtifact:
        return CorruptArtifact(self.path, f"cannot be decoded ({problem})")


def _content_size(frame: bytes) -> int | None:
    """How many bytes a zstd frame says that it unfolds to; `None` if it does not say (RFC 8878, section 3.1.1.1)."""
    if frame[:4] != _MAGIC:
        return None
    frame = frame.ljust(18, b"\0")  # so that every field can be read
    descriptor = frame[4]
    is_single = bool(descriptor & 0x20)
    width = (int(is_single), 2, 4, 8)[descriptor >> 6]
    start = 5 + (not is_single) + (0, 1, 2, 4)[descriptor & 3]
    if not width:
        return None
    size = int.from_bytes(frame[start : start + width], "little")
    return size + 256 if width == 2 else size
