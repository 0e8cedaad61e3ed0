"""Groups in a bucket: read whole, or by the rows that are asked for.

    manifest ──► tags ──► *BucketGroup* ──► one request for each array, or each range of rows

The tag of a data file changes whenever it is written, and the manifest remembers that which it was published with.
Where it is another one, as in a copy of the bucket, all data are read and digested once before any are returned.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from artifact_store.arrays import StoredArray, digest_arrays, metadata_files
from artifact_store.arraysets import ArraySet, LabelledArray
from artifact_store.buckets import Piece, Superseded, open_bucket
from artifact_store.compressed import CompressedArray
from artifact_store.errors import CorruptArtifact
from artifact_store.groups import save_group
from artifact_store.layout import Layout
from artifact_store.manifests import Manifest
from artifact_store.recent import Recent
from artifact_store.shards import AnyArray
from artifact_store.urls import joined

if TYPE_CHECKING:
    import zarr

# Data are named by what they hold, so that what was read once need not be read again.
_HELD_BYTES: Final = 64 << 20
_LARGEST_HELD: Final = 1 << 20
_held: Final[Recent[str, Piece]] = Recent(
    _HELD_BYTES, lambda piece: len(piece.content) + 1
)

# Of groups that this process has digested, the tags that they had.
_digested: Final[Recent[str, dict[str, str]]] = Recent(4096)


class BucketGroup(msgspec.Struct, frozen=True):
    """The group of an entry, in the bucket at `url`."""

    url: str
    output: str
    arrays: tuple[StoredArray, ...]
    tags: Mapping[str, str]

    @property
    def place(self) -> str:
        return joined(self.url, self._folder)

    @property
    def _folder(self) -> str:
        return Layout("").group(self.output)[1:]

    def open(self, stored: StoredArray) -> AnyArray:
        if not stored.file:
            return _decoded(memoryview(b""), stored, self.place)
        piece = self._whole(stored)
        if not piece.tag or piece.tag != self._tag(stored):
            self.verify()
            piece = self._whole(stored)
        return _decoded(piece.content, stored, self._place_of(stored))

    def rows(self, stored: StoredArray, rows: slice) -> AnyArray:
        if stored.codec != "raw" or not self._tag(stored):
            return self.open(stored)[rows]
        start, stop = (at * stored.row_bytes for at in (rows.start, rows.stop))
        if start >= stop:
            return np.empty((0, *stored.shape[1:]), stored.dtype)
        name, bucket = f"{self._folder}/{stored.file}", open_bucket(self.url)
        try:
            piece = bucket.get_range(name, start, stop, self._tag(stored))
        except Superseded:
            self.verify()
            return self.open(stored)[rows]
        if piece is None or len(piece.content) != stop - start:
            raise CorruptArtifact(self._place_of(stored), "is missing or cut off")
        shape = (rows.stop - rows.start, *stored.shape[1:])
        return np.ndarray(shape, stored.dtype, piece.content)

    def save(self, folder: str, arrays: Iterable[StoredArray]) -> None:
        sizes = {one.file: one.size for one in self.arrays}

        def copy(file: str, path: str) -> None:
            name, bucket = f"{self._folder}/{file}", open_bucket(self.url)
            if not bucket.download(name, path, sizes[file]):
                raise CorruptArtifact(f"{self.place}/{file}", "is missing")

        save_group(folder, arrays, copy)

    def as_zarr(self) -> zarr.Group:
        from zarr import open_group
        from zarr.storage import ObjectStore

        bucket = open_bucket(self.url)
        # Zarr believes its metadata, of which no other reader here needs a byte.
        for name, expected in metadata_files(self.arrays).items():
            piece = bucket.get(f"{self._folder}/{name}", len(expected))
            if piece is None or piece.content != expected:
                raise CorruptArtifact(f"{self.place}/{name}", "is not what was written")
        store = ObjectStore(bucket.opened, read_only=True)
        return open_group(store, path=self._folder, mode="r")

    def verify(self) -> None:
        """Read and digest everything, and remember its tags; `CorruptArtifact` if it is not what it is named for."""
        tags, arrays = dict[str, str](), []
        for stored in sorted(self.arrays, key=lambda one: one.name):
            content = memoryview(b"")
            if stored.file:
                piece = self._whole(stored)
                content, tags[stored.name] = piece.content, piece.tag
            values = _decoded(content, stored, self._place_of(stored))
            arrays.append(LabelledArray(stored.name, values, stored.dims))
        if digest_arrays(ArraySet(tuple(arrays))).hex != self.output:
            problem = "holds other data than were published under its name"
            raise CorruptArtifact(self.place, problem)
        _digested.put(self.place, tags)

    def _whole(self, stored: StoredArray) -> Piece:
        place = self._place_of(stored)
        piece = _held.get(f"{place} {self._tag(stored)}")
        if piece is None:
            piece = open_bucket(self.url).get(
                f"{self._folder}/{stored.file}", stored.size
            )
            if piece is None:
                raise CorruptArtifact(place, "is missing")
            if len(piece.content) != stored.size:
                problem = f"has {len(piece.content)} bytes instead of {stored.size}"
                raise CorruptArtifact(place, problem)
            if piece.tag and stored.size <= _LARGEST_HELD:
                _held.put(f"{place} {piece.tag}", piece)
        return piece

    def _tag(self, stored: StoredArray) -> str:
        """The tag that it has if its content is right; nothing if that is not known."""
        known = _digested.get(self.place) or self.tags
        return known.get(stored.name, "")

    def _place_of(self, stored: StoredArray) -> str:
        return f"{self.place}/{stored.file or stored.name}"


class SentGroup(msgspec.Struct, frozen=True):
    """A group that was just put into a bucket, whose arrays are at hand; elsewhere, it is what is in the bucket."""

    far: BucketGroup
    arrays: ArraySet

    @property
    def place(self) -> str:
        return self.far.place

    def open(self, stored: StoredArray) -> AnyArray:
        (values,) = (
            one.values for one in self.arrays.arrays if one.name == stored.name
        )
        view = values.view()
        view.flags.writeable = False
        return view

    def rows(self, stored: StoredArray, rows: slice) -> AnyArray:
        return self.open(stored)[rows]

    def save(self, folder: str, arrays: Iterable[StoredArray]) -> None:
        self.far.save(folder, arrays)

    def as_zarr(self) -> zarr.Group:
        return self.far.as_zarr()

    def __reduce__(self) -> tuple[Any, ...]:
        return BucketGroup, msgspec.structs.astuple(self.far)


def group_of(url: str, manifest: Manifest) -> BucketGroup:
    """The group that a manifest in the bucket at `url` names."""
    return BucketGroup(url, manifest.output, manifest.arrays, manifest.seal.tags)


def _decoded(content: memoryview, stored: StoredArray, place: str) -> AnyArray:
    """The array that a data file holds, read-only."""
    if not stored.file:
        found: AnyArray = np.empty(stored.shape, stored.dtype)
    elif stored.codec == "zstd":
        return _unfolded(content, stored, place)
    else:
        found = np.ndarray(stored.shape, stored.dtype, content)
    found.flags.writeable = False
    return found


def _unfolded(content: memoryview, stored: StoredArray, place: str) -> AnyArray:
    """The array in a compressed file, which is read as one on disk is: with the same checks of what strangers wrote."""
    with tempfile.TemporaryDirectory(prefix="artifact_store-") as folder:
        path = os.path.join(folder, "file")
        with open(path, "wb") as file:
            file.write(content)
        try:
            return CompressedArray(path, stored, None)[0 : stored.shape[0]]
        except CorruptArtifact as error:
            raise CorruptArtifact(place, error.problem) from None
