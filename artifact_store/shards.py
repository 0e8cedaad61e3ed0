"""Shards: one array as one file that is chunked zarr and a plain image in memory.

numpy array ──► *shard* ──► file ──► memory map. `arrays.py` puts such files
into groups; what stands here is the layout itself, and the record of it.

A shard holds the array in C order, little-endian, as the inner chunks of zarr's
`sharding_indexed` codec, then where each chunk lies and a checksum of that:

    ┌───────── the array, as in memory ─────────┬── zeros ──┬─────── index ───────┬─ crc32c ─┐
    │ chunk 0: rows 0…r-1 │ chunk 1 │ … │ last chunk, padded │ offset, length, … │          │

Inner chunks are whole rows, so they follow each other as rows do. Arrays without
axes, or without elements, are written without shards and always uncompressed.
"""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, TypeAlias

import google_crc32c
import msgspec
import numpy as np
import numpy.typing as npt

from artifact_store.descriptors import FileStat
from artifact_store.digests import Count
from artifact_store.errors import BadArrayName, BadRecord, CorruptArtifact

AnyArray: TypeAlias = npt.NDArray[Any]
Codec: TypeAlias = Literal["raw", "zstd"]
Document: TypeAlias = dict[str, Any]

# How numpy spells a storable dtype, and how zarr does.
DTYPES: Final[Mapping[str, str]] = {
    np.dtype(name).newbyteorder("<").str: name
    for name in (
        *("bool", "int8", "int16", "int32", "int64"),
        *("uint8", "uint16", "uint32", "uint64"),
        *("float16", "float32", "float64", "complex64", "complex128"),
    )
}

_SPELLED: Final = {name: dtype for dtype, name in DTYPES.items()}

# A reader of one row by plain zarr reads one inner chunk: small enough for that,
# large enough that reading all of them one by one costs little more than one read.
INNER_BYTES: Final = 1 << 20
INNER_CHUNKS: Final = 64

# Of one array: what numpy can describe, even without elements.
MOST_AXES: Final = 64
MOST_BYTES: Final = 2**63 - 1

# A block of zstd is 4 bytes at least, and unfolds to 128 KiB at most (RFC 8878, section 3.1.1.2).
MOST_UNFOLDED: Final = 1 << 15

# What the index spends on one inner chunk, and on its checksum.
INDEX_BYTES: Final = 16
CRC_BYTES: Final = 4

# From here on, mapping a file is faster than reading it.
MAP_BYTES: Final = 1 << 20

LITTLE_ENDIAN: Final[Document] = {
    "name": "bytes",
    "configuration": {"endian": "little"},
}
CRC32C: Final[Document] = {"name": "crc32c"}
# The checksum covers the compressed bytes: zstd alone decodes some damaged ones without complaint.
ZSTD_LEVEL: Final = 1
ZSTD: Final[list[Document]] = [
    {"name": "zstd", "configuration": {"level": ZSTD_LEVEL, "checksum": False}},
    CRC32C,
]


class StoredArray(msgspec.Struct, frozen=True):
    """The record of an array on disk: enough to open it without reading zarr's metadata.

    Attributes
    ----------
    name
        Its folder inside the group.
    dtype
        As `numpy.dtype.str` spells it, always little-endian.
    dims
        The name of each axis.
    rows
        Rows in one inner chunk; 0 where there is no shard.
    codec
        What inner chunks went through; only "raw" files can be mapped.
    size
        Bytes of the whole file; 0 where an array without elements has none.
    """

    name: str
    dtype: str
    shape: Annotated[tuple[Count, ...], msgspec.Meta(max_length=MOST_AXES)]
    dims: tuple[str, ...]
    rows: Count
    codec: Codec
    size: Count

    def __post_init__(self) -> None:
        # Records also come from manifests that strangers wrote.
        check_name(self.name)
        if problem := _problem_of_record(self):
            raise BadRecord(self.name, problem)

    @property
    def file(self) -> str | None:
        """Where the data lie, relative to the group; None for an array without elements."""
        return data_file(self.name, self.shape)

    @property
    def itemsize(self) -> int:
        return int(self.dtype[2:])

    @property
    def nbytes(self) -> int:
        """Bytes of the array itself, which a raw file begins with."""
        return math.prod(self.shape) * self.itemsize

    @property
    def row_bytes(self) -> int:
        """Bytes of one row of an array that has rows."""
        return math.prod(self.shape[1:]) * self.itemsize


def check_name(name: str) -> None:
    """Raise `BadArrayName` unless `name` can be a folder, and a zarr node, anywhere."""
    if problem := _problem_of_name(name):
        raise BadArrayName(name, problem)


def _problem_of_name(name: object) -> str | None:
    if not isinstance(name, str):
        return "it is not a string"
    if not name.strip("."):
        return "it is empty or only dots, which means a folder of its own"
    if "/" in name or "\\" in name or "\0" in name:
        return "it holds a slash, a backslash or a NUL, and so is not one folder"
    if name.startswith("__") or name == "zarr.json":
        return "zarr keeps this name for itself"
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        return "it has no UTF-8 form"
    return "it takes more than 200 bytes" if size > 200 else None


def _problem_of_record(stored: StoredArray) -> str | None:
    dtype, shape, rows, size = stored.dtype, stored.shape, stored.rows, stored.size
    if dtype not in DTYPES:
        return f"dtype {dtype!r} is never stored"
    if len(stored.dims) != len(shape) or min(shape, default=0) < 0:
        return f"shape {shape} and dimensions {stored.dims} do not fit"
    if not is_countable(shape, stored.itemsize):
        return f"shape {shape} has more bytes than can be counted"
    sharded = shape != () and 0 not in shape
    if not (1 <= rows <= shape[0] if sharded else rows == 0):
        return f"shape {shape} is not divided into chunks of {rows} rows"
    if sharded and not _are_few(_ceil(shape[0], rows), shape[0], rows):
        return f"{rows} rows of shape {shape} are no chunk of ours"
    if stored.codec == "zstd" and stored.nbytes > size * MOST_UNFOLDED:
        return f"shape {shape} cannot unfold from {size} bytes"
    if stored.codec == "zstd":
        return None if sharded else f"shape {shape} is never compressed"
    if size != raw_size(shape, stored.itemsize, rows):
        return f"shape {shape} of {dtype} does not take {size} bytes"
    return None


def is_countable(shape: tuple[int, ...], itemsize: int) -> bool:
    """Whether numpy can describe an array of this shape, which has few enough axes and bytes."""
    # Numpy, too, takes an empty axis for one element when it asks whether an array is too large.
    elements = math.prod(length or 1 for length in shape)
    return len(shape) <= MOST_AXES and elements * itemsize <= MOST_BYTES


def _are_few(chunks: int, axis: int, rows: int) -> bool:
    """Whether an axis is divided as `inner_rows` does: into few chunks, of no more rows than that many chunks need."""
    return chunks <= INNER_CHUNKS and rows == _ceil(axis, chunks)


def data_file(name: str, shape: tuple[int, ...]) -> str | None:
    """Where zarr looks for the one chunk of an array, if it has elements at all."""
    return None if 0 in shape else f"{name}/c{'.0' * len(shape)}"


def inner_rows(shape: tuple[int, ...], itemsize: int) -> int:
    """Rows of one inner chunk: about the least allowed, dividing the axis where they can."""
    nbytes = math.prod(shape) * itemsize
    if not shape or not nbytes:
        return 0
    axis = shape[0]
    least = _ceil(max(INNER_BYTES, _ceil(nbytes, INNER_CHUNKS)), nbytes // axis)
    most = max(1, axis // least)
    counts = (count for count in range(most, most // 2, -1) if axis % count == 0)
    return _ceil(axis, next(counts, most))


def raw_size(shape: tuple[int, ...], itemsize: int, rows: int) -> int:
    """Bytes of a whole uncompressed file: array, padding, index and checksum."""
    if not rows:
        return math.prod(shape) * itemsize
    chunk_bytes = math.prod((rows, *shape[1:])) * itemsize
    return _ceil(shape[0], rows) * (chunk_bytes + INDEX_BYTES) + CRC_BYTES


def raw_tail(stored: StoredArray) -> bytes:
    """What follows the array in an uncompressed file."""
    return bytes(raw_padding(stored)) + raw_index(stored)


def raw_padding(stored: StoredArray) -> int:
    """How many zeros fill up the last chunk of an uncompressed file."""
    return stored.rows and -stored.shape[0] % stored.rows * stored.row_bytes


def raw_index(stored: StoredArray) -> bytes:
    """Where each chunk of an uncompressed file lies, and a checksum of that."""
    if not stored.rows:
        return b""
    chunks = _ceil(stored.shape[0], stored.rows)
    chunk_bytes = stored.rows * stored.row_bytes
    offsets = range(0, chunks * chunk_bytes, chunk_bytes)
    index = b"".join(struct.pack("<QQ", offset, chunk_bytes) for offset in offsets)
    checksum: int = google_crc32c.value(index)
    return index + checksum.to_bytes(CRC_BYTES, "little")


def _ceil(dividend: int, divisor: int) -> int:
    return -(-dividend // divisor)


def array_document(stored: StoredArray) -> Document:
    """Zarr's metadata of an array, a function of its record."""
    data_type = DTYPES[stored.dtype]
    to_bytes = LITTLE_ENDIAN if stored.itemsize > 1 else {"name": "bytes"}
    if stored.rows:
        below = stored.shape[1:]
        outer = (_ceil(stored.shape[0], stored.rows) * stored.rows, *below)
        codec: Document = {
            "name": "sharding_indexed",
            "configuration": {
                "chunk_shape": (stored.rows, *below),
                "codecs": [to_bytes, *(ZSTD if stored.codec == "zstd" else ())],
                "index_codecs": [LITTLE_ENDIAN, CRC32C],
                "index_location": "end",
            },
        }
    else:
        outer, codec = tuple(max(1, length) for length in stored.shape), to_bytes
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": stored.shape,
        "data_type": data_type,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": outer}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "."}},
        "fill_value": _zero(data_type),
        "codecs": [codec],
        "attributes": {},
        "dimension_names": stored.dims,
        "storage_transformers": [],
    }


def _zero(data_type: str) -> object:
    zero = np.dtype(data_type).type(0).item()
    return (zero.real, zero.imag) if isinstance(zero, complex) else zero


def read_document(name: str, document: Document, size: int) -> StoredArray:
    """The record that `array_document` made this of, where `size` is that of its file.

    Metadata that are not ours raise, or give a record of which
    `array_document` makes something else: compare.
    """
    (outer,) = document["codecs"]
    inner = outer.get("configuration", {})
    sharded = outer["name"] == "sharding_indexed"
    return msgspec.convert(
        {
            "name": name,
            "dtype": _SPELLED[document["data_type"]],
            "shape": document["shape"],
            "dims": document["dimension_names"],
            "rows": inner["chunk_shape"][0] if sharded else 0,
            "codec": "zstd" if sharded and inner["codecs"][1:] else "raw",
            "size": size,
        },
        StoredArray,
    )


def check_stat(
    descriptor: int, path: str, stored: StoredArray, expected: FileStat | None
) -> None:
    """Raise `CorruptArtifact` unless a data file has its size and, if that is known, its stat of then."""
    found = os.fstat(descriptor)
    if found.st_size != stored.size:
        problem = f"has {found.st_size} bytes instead of {stored.size}"
        raise CorruptArtifact(path, problem)
    if expected is not None and FileStat.of(found) != expected:
        raise CorruptArtifact(path, "was written to after it was verified")


def array_of(content: bytes, stored: StoredArray) -> AnyArray:
    """The array that these bytes are; read-only."""
    # Of bytes that were cut off meanwhile, numpy refuses to make this shape.
    return np.ndarray(stored.shape, stored.dtype, content)


def read_rows(descriptor: int, stored: StoredArray, rows: slice) -> AnyArray:
    """The rows from `rows.start` to `rows.stop` of such a file; read-only."""
    shape = (rows.stop - rows.start, *stored.shape[1:])
    start, nbytes = rows.start * stored.row_bytes, shape[0] * stored.row_bytes
    return np.ndarray(shape, stored.dtype, os.pread(descriptor, nbytes, start))
