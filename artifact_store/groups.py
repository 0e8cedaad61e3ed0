"""Groups: where the arrays of an entry lie, and how they are read there.

    StoredArray, Group ──► *LazyArray* ──► rows

A folder is one kind of group; what lies in a bucket is another, in `stores/remote.py`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from artifact_store.arrays import (
    FileStat,
    StoredArray,
    describe_group,
    metadata_files,
    open_array,
    open_rows,
)
from artifact_store.descriptors import once_more, opened, write_file
from artifact_store.errors import CorruptArtifact
from artifact_store.shards import MAP_BYTES, AnyArray

if TYPE_CHECKING:
    import zarr


class Group(Protocol):
    """A zarr group, wherever it lies; its content was right when it was found.

    Both ways to read raise `CorruptArtifact` where it is not what was found any more.
    """

    @property
    def place(self) -> str:
        """Its path or URL, which ends in the output digest."""

    def open(self, stored: StoredArray) -> AnyArray:
        """A whole array, read-only."""

    def rows(self, stored: StoredArray, rows: slice) -> AnyArray:
        """Consecutive rows of an array of some size, read-only: no more of it is read than need be."""

    def save(self, folder: str, arrays: Iterable[StoredArray]) -> None:
        """Make a folder of the same files, which are not looked at: digest them."""

    def as_zarr(self) -> zarr.Group:
        """The same as zarr-python reads it."""


class FolderGroup(msgspec.Struct, frozen=True):
    """A group in a folder; `files` has the stat of each data file whose content is known to be right."""

    place: str
    files: Mapping[str, FileStat]

    def open(self, stored: StoredArray) -> AnyArray:
        expected = self.files.get(stored.name)
        try:
            return open_array(self.place, stored, expected)
        except OSError as error:
            return self._again(partial(open_array, self.place, stored, expected), error)

    def rows(self, stored: StoredArray, rows: slice) -> AnyArray:
        expected = self.files.get(stored.name)
        try:
            return open_rows(self.place, stored, rows, expected)
        except OSError as error:
            read = partial(open_rows, self.place, stored, rows, expected)
            return self._again(read, error)

    def _again(self, read: Callable[[], AnyArray], error: OSError) -> AnyArray:
        try:
            return once_more(read, error)
        except FileNotFoundError as gone:
            raise CorruptArtifact(self.place, "is missing") from gone

    def save(self, folder: str, arrays: Iterable[StoredArray]) -> None:
        def copy(file: str, path: str) -> None:
            with opened(f"{self.place}/{file}") as descriptor:
                with open(descriptor, "rb", closefd=False) as there:
                    with open(path, "xb") as here:
                        shutil.copyfileobj(there, here, 1 << 20)

        save_group(folder, arrays, copy)

    def as_zarr(self) -> zarr.Group:
        from zarr import open_group  # 0.3 s, for those who ask

        # Zarr believes its metadata, of which no other reader here needs a byte.
        describe_group(self.place)
        return open_group(self.place, mode="r")


def save_group(
    folder: str, arrays: Iterable[StoredArray], copy: Callable[[str, str], None]
) -> None:
    """Make a folder of a group; `copy` brings a data file of it to a path."""
    ordered = tuple(arrays)
    os.mkdir(folder)
    for stored in ordered:
        os.mkdir(f"{folder}/{stored.name}")
    for name, content in metadata_files(ordered).items():
        write_file(f"{folder}/{name}", memoryview(content))
    for stored in ordered:
        if stored.file:
            copy(stored.file, f"{folder}/{stored.file}")


def files_of(group: Group) -> Mapping[str, FileStat]:
    """The stat of each data file of a group in a folder; nothing of any other."""
    return group.files if isinstance(group, FolderGroup) else {}


class LazyArray(msgspec.Struct, frozen=True):
    """An array that is stored, read where it is indexed, as numpy indexes; keeps nothing open.

    Of a compressed array, the rows from the first to the last one asked for are decoded.
    """

    group: Group
    stored: StoredArray

    @property
    def shape(self) -> tuple[int, ...]:
        return self.stored.shape

    @property
    def ndim(self) -> int:
        return len(self.stored.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self.stored.dtype)

    @property
    def dims(self) -> tuple[str, ...]:
        return self.stored.dims

    @property
    def nbytes(self) -> int:
        return self.stored.nbytes

    @property
    def content(self) -> str:
        """What it holds, in a store, where data are named by their digest."""
        return f"{os.path.basename(self.group.place)}/{self.stored.name}"

    def __dask_tokenize__(self) -> Any:
        return "artifact_store.LazyArray", self.content

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of an array without axes")
        return self.shape[0]

    def __array__(
        self, dtype: npt.DTypeLike | None = None, copy: bool | None = None
    ) -> AnyArray:
        return np.array(self.group.open(self.stored), dtype=dtype, copy=copy)

    def __getitem__(self, index: Any) -> Any:
        if self.stored.codec == "raw" and self.nbytes < MAP_BYTES:
            return self.group.open(self.stored)[index]
        rows, within = _split_index(index, len(self))
        return self.group.rows(self.stored, rows)[within]


def _split_index(index: Any, length: int) -> tuple[slice, Any]:
    """Rows that hold all of `index`, and where it lies within these rows."""
    match index if isinstance(index, tuple) else (index,):
        case (int() | np.integer() as first, *rest) if not isinstance(first, bool):
            if not -length <= first < length:
                raise IndexError(
                    f"index {first} is out of bounds for axis 0 with size {length}"
                )
            row = int(first) % length
            return slice(row, row + 1), (0, *rest)
        case (slice() as first, *rest):
            picked = range(length)[first]
            low, high = sorted((picked[0], picked[-1])) if picked else (0, -1)
            return slice(low, high + 1), (slice(None, None, picked.step), *rest)
        case _:
            return slice(0, length), index
