"""What stands in a compressed file is what was written, or is refused before there is memory for it."""

from __future__ import annotations

import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import pytest
from numcodecs import zstd

from artifact_store.arrays import normalize, write_group
from artifact_store.compressed import CompressedArray
from artifact_store.errors import CorruptArtifact
from artifact_store.shards import StoredArray

ROWS = np.arange(64, dtype=np.uint8)  # of one chunk
FRAME: bytes = zstd.compress(ROWS, 1)
MAGIC, BLOCKS = FRAME[:4], FRAME[6:]
# A frame whose content takes a byte to count, and one that anybody may skip.
SINGLE, SKIPPED = MAGIC + b"\x20", b"\x50\x2a\x4d\x18\x02\0\0\0ab"

MEGABYTE, GIGABYTE = 1 << 20, 1 << 30

Span = tuple[int, int]


def checked(content: bytes) -> bytes:
    return content + int(google_crc32c.value(content)).to_bytes(4, "little")


def array(path: Path, spans: list[Span], rows: int, end: int) -> CompressedArray:
    """The array of as many chunks as there are spans, after whose `end` their index is written."""
    index = checked(b"".join(struct.pack("<QQ", *span) for span in spans))
    with path.open("r+b") as file:
        file.truncate(end)
        file.seek(end)
        file.write(index)
    shape, size = (rows * len(spans),), end + len(index)
    stored = StoredArray("x", "|u1", shape, ("a",), rows, "zstd", size)
    return CompressedArray(str(path), stored, None)


def spans_of(*lengths: int) -> list[Span]:
    return [(sum(lengths[:n]), length) for n, length in enumerate(lengths)]


def of_frames(path: Path, *frames: bytes) -> CompressedArray:
    chunks = [checked(frame) for frame in frames]
    path.write_bytes(b"".join(chunks))
    spans = spans_of(*map(len, chunks))
    return array(path, spans, len(ROWS), path.stat().st_size)


def test_a_frame_of_its_rows_is_read(tmp_path: Path) -> None:
    found = of_frames(tmp_path / "x", FRAME, zstd.compress(ROWS[::-1].copy(), 1))

    assert (found[:] == [*ROWS, *ROWS[::-1]]).all()
    assert found[70:60].shape == (0,) and (found[60:70] == [*ROWS[60:], *ROWS[:57:-1]]).all()  # fmt: skip


@pytest.mark.parametrize(
    "frame",
    {
        "of more": zstd.compress(bytes(65), 1),
        "of less": zstd.compress(bytes(63), 1),
        "of nothing": zstd.compress(b"", 1),
        "of terabytes": MAGIC + b"\xe0" + (1 << 40).to_bytes(8, "little") + BLOCKS,
        "that says more": SINGLE + b"\x41" + BLOCKS,
        "that says less": SINGLE + b"\x3f" + BLOCKS,
        "that does not say": MAGIC + b"\0\0" + BLOCKS,
        "of less than it says": SINGLE + b"\x40" + zstd.compress(bytes(63), 1)[6:],
        "of more than it says": SINGLE + b"\x40" + zstd.compress(bytes(65), 1)[6:],
        "and another one": zstd.compress(ROWS[:32], 1) + zstd.compress(ROWS[32:], 1),
        "twice": FRAME + FRAME,
        "and one of nothing": FRAME + zstd.compress(b"", 1),
        "and what is skipped": FRAME + SKIPPED,
        "after what is skipped": SKIPPED + FRAME,
        "and a byte": FRAME + b"\0",
        "cut short": FRAME[:-1],
        "without blocks": FRAME[:6],
        "of a dictionary": MAGIC + b"\x21\x01\x40" + BLOCKS,
        "with a checksum": MAGIC + b"\x24\x40" + BLOCKS + bytes(4),
        "of an unknown block": SINGLE + b"\x40\x07\x02\0" + bytes(64),
        "of too long a block": SINGLE + b"\x40\xff\xff\xff" + bytes(64),
        "of what never ends": SINGLE + b"\x40" + bytes(64),
        "that is none": bytes(64),
        "that is not there": b"",
    }.items(),
    ids=lambda one: one[0],
)
def test_a_frame_of_anything_else_is_refused(
    tmp_path: Path, frame: tuple[str, bytes]
) -> None:
    found = of_frames(tmp_path / "x", FRAME, frame[1])

    assert (found[:64] == ROWS).all()
    with pytest.raises(CorruptArtifact, match="cannot be decoded"):
        found[:]


LENGTH = len(FRAME) + 4


@pytest.mark.parametrize(
    "spans",
    [
        [(0, LENGTH), (0, LENGTH)],
        [(LENGTH, LENGTH), (0, LENGTH)],
        [(0, LENGTH), (LENGTH + 1, LENGTH)],
        [(0, LENGTH), (LENGTH, LENGTH + 1)],
        [(0, LENGTH), (LENGTH, LENGTH - 1)],
        [(0, LENGTH), (2 * LENGTH, LENGTH)],
        [(0, LENGTH), (1 << 63, LENGTH)],
        [(0, 2 * LENGTH), (2 * LENGTH, 0)],
        [(0, (1 << 64) - 1), ((1 << 64) - 1, 1)],
        [((1 << 64) - 1, (1 << 64) - 1), (LENGTH, LENGTH)],
    ],
    ids=str,
)
def test_chunks_lie_one_after_the_other_or_are_refused(
    tmp_path: Path, spans: list[Span]
) -> None:
    path = tmp_path / "x"
    path.write_bytes(2 * checked(FRAME))
    right = array(path, spans_of(LENGTH, LENGTH), len(ROWS), 2 * LENGTH)
    assert (right[:] == [*ROWS, *ROWS]).all()

    with pytest.raises(CorruptArtifact):
        array(path, spans, len(ROWS), 2 * LENGTH)[:]


def peak(work: Callable[[], Any]) -> int:
    """How much memory something takes at once, of which numpy tells as well."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def says(nbytes: int) -> bytes:
    """The beginning of a frame that says what it unfolds to."""
    return MAGIC + b"\xe0" + nbytes.to_bytes(8, "little")


@pytest.mark.parametrize("chunks", [1, 64])
@pytest.mark.parametrize(
    "begin",
    [
        lambda nbytes: b"",
        says,
        # Said to be uncompressed, repeated, compressed: of one block of the most that there can be, which is the last.
        lambda nbytes: says(nbytes) + (1 | (128 << 10) << 3).to_bytes(3, "little"),
        lambda nbytes: says(nbytes) + (3 | (128 << 10) << 3).to_bytes(3, "little"),
        lambda nbytes: says(nbytes) + (5 | (128 << 10) << 3).to_bytes(3, "little"),
    ],
    ids=["holes", "header", "plain", "repeated", "compressed"],
)
def test_a_file_of_holes_takes_no_memory(
    tmp_path: Path, chunks: int, begin: Callable[[int], bytes]
) -> None:
    path, rows = tmp_path / "x", 16 * GIGABYTE
    length = GIGABYTE // chunks
    spans = spans_of(*[length] * chunks)
    with path.open("wb") as file:
        for offset, _ in spans:
            file.seek(offset)
            file.write(begin(rows))
    found = array(path, spans, rows, GIGABYTE)

    def refused() -> None:
        with pytest.raises(CorruptArtifact, match="cannot be decoded"):
            found[:]

    assert peak(refused) < MEGABYTE


def test_rows_take_no_more_memory_than_they_and_one_chunk(tmp_path: Path) -> None:
    group = tmp_path / "group"
    zeros = normalize({"x": np.zeros((64, MEGABYTE), np.uint8)})
    (stored,) = write_group(group, zeros, codec="zstd")
    found = CompressedArray(f"{group}/{stored.file}", stored, None)

    assert stored.size < MEGABYTE and stored.rows == 1
    assert peak(lambda: found[:]) < 65 * MEGABYTE
    assert peak(lambda: found[2:3]) < 2 * MEGABYTE
