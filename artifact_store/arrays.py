"""Arrays: numpy to zarr and back.

    arrays, dims ──► ArraySet ──► *write_group* ──► StoredArray ─┬─► *open_array*
                                                                 └─► *digest_group*

A set of arrays is one zarr v3 group with consolidated metadata, which plain zarr
and xarray open. `arraysets.py` decides what can be stored, `shards.py` has the
layout of one array, and `compressed.py` of a compressed one. Files are written and
read without zarr, which would take ten times as long and believe whatever they say.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from artifact_store.arraysets import (
    ArraySet,
    LabelledArray,
    announce,
    bytes_of,
    digest_arrays,
    normalize,
)
from artifact_store.compressed import CompressedArray, write_compressed
from artifact_store.descriptors import (
    FileStat,
    check_file,
    check_folder,
    map_array,
    opened,
    read_file,
    sync_tree,
    write_file,
)
from artifact_store.digests import Digest, Hasher
from artifact_store.errors import CorruptArtifact
from artifact_store.recent import Recent
from artifact_store.shards import (
    MAP_BYTES,
    AnyArray,
    Codec,
    Document,
    StoredArray,
    array_document,
    array_of,
    check_name,
    check_stat,
    data_file,
    inner_rows,
    raw_index,
    raw_padding,
    raw_size,
    raw_tail,
    read_document,
    read_rows,
)

__all__ = [
    "ArraySet",
    "Codec",
    "FileStat",
    "StoredArray",
    "describe_group",
    "digest_arrays",
    "digest_group",
    "file_stats",
    "metadata_files",
    "normalize",
    "open_array",
    "open_rows",
    "sync_group",
    "write_group",
]

# Read to be digested: large enough that calls do not count, and stays in the CPU's cache.
READ_BYTES: Final = 1 << 20

# Of small arrays: enough for a few runs, and no more than one large array takes.
HELD_BYTES: Final = 64 << 20


def write_group(
    directory: str | Path,
    arrays: ArraySet,
    *,
    codec: Codec = "raw",
) -> tuple[StoredArray, ...]:
    """Write `arrays` as a zarr group at `directory`, which must not exist yet.

    Nothing is forced to disk (`sync_group` does), and what an error interrupts
    is left behind: write where no reader looks, then rename.
    """
    os.mkdir(directory)
    stored = tuple(_write_array(directory, array, codec) for array in arrays.arrays)
    write_file(f"{directory}/zarr.json", memoryview(_group_json(stored)))
    return stored


def _write_array(
    directory: str | Path, array: LabelledArray, codec: Codec
) -> StoredArray:
    name, values = array.name, array.values
    rows = inner_rows(values.shape, values.itemsize)
    size = raw_size(values.shape, values.itemsize, rows)
    stored = StoredArray(
        name, values.dtype.str, values.shape, array.dims, rows, "raw", size
    )
    if rows and codec == "zstd":
        stored = msgspec.structs.replace(stored, codec="zstd")
    os.mkdir(f"{directory}/{name}")
    write_file(f"{directory}/{name}/zarr.json", memoryview(_array_json(stored)))
    if stored.codec == "zstd":
        return write_compressed(f"{directory}/{stored.file}", stored, values)
    if stored.file:
        tail = memoryview(raw_tail(stored))
        write_file(f"{directory}/{stored.file}", bytes_of(values), tail)
    return stored


# Those of one analysis are alike, from checkpoint to checkpoint.
@lru_cache(maxsize=256)
def _array_json(stored: StoredArray) -> bytes:
    return msgspec.json.encode(array_document(stored), order="sorted")


@lru_cache(maxsize=256)
def _group_json(stored: tuple[StoredArray, ...]) -> bytes:
    group = {
        "zarr_format": 3,
        "node_type": "group",
        "attributes": {},
        "consolidated_metadata": {
            "kind": "inline",
            "must_understand": False,
            "metadata": {array.name: array_document(array) for array in stored},
        },
    }
    return msgspec.json.encode(group, order="sorted")


def metadata_files(stored: Iterable[StoredArray]) -> dict[str, bytes]:
    """What zarr is told of a group of these arrays, by the name of each file in it."""
    ordered = tuple(sorted(stored, key=lambda array: array.name))
    each = {f"{array.name}/zarr.json": _array_json(array) for array in ordered}
    return each | {"zarr.json": _group_json(ordered)}


def sync_group(directory: str | Path) -> None:
    """Wait until the group is on disk; its name in the folder above is not included."""
    sync_tree(str(directory))


def file_stats(
    directory: str | Path, stored: Iterable[StoredArray]
) -> dict[str, FileStat]:
    """The stat of each data file, by array; arrays without elements have none.

    Raises `CorruptArtifact` where a link stands in the place of a folder.
    """
    check_folder(str(directory))
    found = {}
    for array in stored:
        check_folder(f"{directory}/{array.name}")
        if array.file:
            found[array.name] = FileStat.of(os.lstat(f"{directory}/{array.file}"))
    return found


# What was read of files whose content is known to be right, by path and stat.
_at_hand: Final[Recent[tuple[str, FileStat], bytes]] = Recent(HELD_BYTES, len)


def open_array(
    directory: str | Path, stored: StoredArray, expected: FileStat | None = None
) -> AnyArray:
    """The array, read-only: mapped from 1 MiB on, read below it or if compressed.

    Parameters
    ----------
    expected
        The stat of the file when its content was known to be right. `CorruptArtifact` is raised of another one; what
        this process read of it before is copied instead of read again.
    """
    if 0 in stored.shape:
        return _read_only(np.empty(stored.shape, stored.dtype))
    if stored.codec == "zstd":
        return _open_compressed(directory, stored, expected)[:]
    path = f"{directory}/{stored.file}"
    if stored.nbytes >= MAP_BYTES:
        with opened(path) as descriptor:
            check_stat(descriptor, path, stored, expected)
            return map_array(descriptor, stored.shape, stored.dtype)
    if expected is None:
        return array_of(_read(path, stored, expected), stored)
    content = _at_hand.get((path, expected))
    if content is None:
        content = _read(path, stored, expected)
        _at_hand.put((path, expected), content)
    # Bytes of its own for each caller: torch writes to read-only arrays as well, and says so once at most.
    return array_of(bytes(memoryview(content)), stored)


def _read(path: str, stored: StoredArray, expected: FileStat | None) -> bytes:
    with opened(path) as descriptor:
        check_stat(descriptor, path, stored, expected)
        return os.pread(descriptor, stored.nbytes, 0)


def open_rows(
    directory: str | Path, stored: StoredArray, rows: slice, expected: FileStat | None
) -> AnyArray:
    """Consecutive rows, read-only; of few rows of an uncompressed array, exactly their bytes are read."""
    if stored.codec == "zstd":
        return _open_compressed(directory, stored, expected)[rows]
    # Touching a map has the system read ahead: up to 8 MB for a row of 50 KB (bench_partial_read).
    if (rows.stop - rows.start) * stored.row_bytes >= MAP_BYTES:
        return open_array(directory, stored, expected)[rows]
    path = f"{directory}/{stored.file}"
    with opened(path) as descriptor:
        check_stat(descriptor, path, stored, expected)
        return read_rows(descriptor, stored, rows)


def _open_compressed(
    directory: str | Path, stored: StoredArray, expected: FileStat | None
) -> CompressedArray:
    return CompressedArray(f"{directory}/{stored.file}", stored, expected)


def _read_only(array: AnyArray) -> AnyArray:
    array.flags.writeable = False
    return array


def describe_group(directory: str | Path) -> tuple[StoredArray, ...]:
    """The records that `write_group` returned, from the group's own metadata.

    Metadata that `write_group` would not write are `CorruptArtifact`; of the data,
    only the size of each file is looked at.
    """
    check_folder(str(directory))
    path = f"{directory}/zarr.json"
    content = read_file(path)
    try:
        group = msgspec.json.decode(content)
        documents = group["consolidated_metadata"]["metadata"]
        stored = tuple(
            _describe_array(directory, name, documents[name])
            for name in sorted(documents)
        )
        expected = _group_json(stored)
    except (
        *(LookupError, TypeError, ValueError, AttributeError),
        RecursionError,
    ) as error:
        problem = f"is not metadata of ours ({error})"
        raise CorruptArtifact(path, problem) from error
    if content != expected:
        raise CorruptArtifact(path, "is not what was written")
    for array in stored:
        _check_array(directory, array)
    return stored


def _check_array(directory: str | Path, stored: StoredArray) -> None:
    """Raise `CorruptArtifact` unless an array has a folder of its own, with the metadata that we would write."""
    check_folder(f"{directory}/{stored.name}")
    check_file(f"{directory}/{stored.name}/zarr.json", _array_json(stored))


def _describe_array(
    directory: str | Path, name: str, document: Document
) -> StoredArray:
    check_name(name)
    file = data_file(name, document["shape"])
    if file is None:
        return read_document(name, document, 0)
    with opened(f"{directory}/{file}") as descriptor:
        return read_document(name, document, os.fstat(descriptor).st_size)


def digest_group(directory: str | Path, stored: Iterable[StoredArray]) -> Digest:
    """The output digest of what is on disk now.

    Raises `CorruptArtifact` where zarr would read something else: every byte of
    its metadata, and of the padding and index of each shard, is compared.
    """
    ordered = tuple(sorted(stored, key=lambda array: array.name))
    check_folder(str(directory))
    check_file(f"{directory}/zarr.json", _group_json(ordered))
    hasher = Hasher("arrays")
    for array in ordered:
        _check_array(directory, array)
        announce(hasher, array.name, array.dtype, array.shape, array.dims, array.nbytes)
        for piece in _pieces(directory, array):
            hasher.feed(piece)
    return hasher.digest()


def _pieces(directory: str | Path, stored: StoredArray) -> Iterator[memoryview]:
    """The bytes of the array, each piece good until the next is asked for."""
    if stored.codec == "zstd":
        source = _open_compressed(directory, stored, None)
        for row in range(0, stored.shape[0], stored.rows):
            yield bytes_of(_to_digest(source, slice(row, row + stored.rows)))
    elif stored.file:
        yield from _raw_pieces(directory, stored)


def _to_digest(source: CompressedArray, rows: slice) -> AnyArray:
    """Some rows, decoded; where memory does not suffice, that is one more way in which a file cannot be read."""
    try:
        return source[rows]
    except MemoryError as error:
        # Not `CorruptArtifact`, of which good data would be set aside.
        code = errno.ENOMEM
        raise OSError(code, os.strerror(code), source.path) from error


def _raw_pieces(directory: str | Path, stored: StoredArray) -> Iterator[memoryview]:
    path = f"{directory}/{stored.file}"
    # Not mapped: from a bad disk, reading raises, and touching a map kills the process.
    buffer = memoryview(bytearray(min(READ_BYTES, stored.nbytes)))
    with opened(path) as descriptor:
        check_stat(descriptor, path, stored, None)
        done = 0
        while done < stored.nbytes:
            count = os.preadv(descriptor, [buffer[: stored.nbytes - done]], done)
            if not count:
                raise CorruptArtifact(path, "was cut off while it was read")
            yield buffer[:count]
            done += count
        # Piece by piece too: how much it is says the record, which a stranger may have written.
        index = done + raw_padding(stored)
        while done < index:
            count = os.preadv(descriptor, [buffer[: index - done]], done)
            if not count or buffer[:count] != bytes(count):
                raise CorruptArtifact(path, "has damaged padding")
            done += count
        tail = raw_index(stored)
        if os.pread(descriptor, len(tail) + 1, done) != tail:
            raise CorruptArtifact(path, "has a damaged index")
