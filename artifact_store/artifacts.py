"""Artifacts: the read-only handle a caller gets on an entry.

entry ──► *Artifact* ──► arrays, as the function returned them
                    └──► zarr, xarray, provenance
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import numpy.typing as npt

from artifact_store.arrays import StoredArray
from artifact_store.digests import Digest
from artifact_store.errors import MissingArray, NotOnDisk
from artifact_store.files import DigestMemo
from artifact_store.groups import LazyArray
from artifact_store.keys import Key
from artifact_store.manifests import Provenance
from artifact_store.markup import dim, facts, mono, table, title_of, whole
from artifact_store.quantities import duration, size
from artifact_store.reads import Question
from artifact_store.stores.base import Entry
from artifact_store.terminals import visible
from artifact_store.urls import is_url

if TYPE_CHECKING:
    import xarray
    from zarr import Group


class Artifact(msgspec.Struct, frozen=True, weakref=True):
    """The arrays of one entry, each read when it is asked for.

    `artifact["norm"]` is lazy and reads the rows that are indexed; `artifact.numpy()`
    is what the decorated call returns. Nothing is copied: arrays are read-only views of the stored file.
    """

    entry: Entry

    @property
    def key(self) -> Key:
        """How it was made."""
        return self.entry.key

    @property
    def output_digest(self) -> Digest:
        """What it is."""
        return Digest("blake3", self.entry.manifest.output)

    @property
    def provenance(self) -> Provenance:
        """Closure, params, inputs, versions, host and duration."""
        return self.entry.manifest.provenance

    @property
    def path(self) -> Path:
        """The zarr group on disk; `NotOnDisk` if it lies in a bucket."""
        if is_url(self.place):
            raise NotOnDisk(self.label, self.place)
        return Path(self.place)

    @property
    def place(self) -> str:
        """The zarr group: its path on disk, or its URL."""
        return self.entry.directory

    @property
    def label(self) -> str:
        """Analysis and inputs, for people."""
        return f"{self.key.analysis}({', '.join(one.label for one in self.provenance.inputs)})"

    @property
    def nbytes(self) -> int:
        """Bytes of all data files."""
        return self.entry.manifest.nbytes

    @property
    def zarr(self) -> Group:
        """The same, opened by zarr-python, read-only."""
        return self.entry.group.as_zarr()

    def keys(self) -> tuple[str, ...]:
        """The names of the arrays, sorted."""
        return tuple(stored.name for stored in self.entry.manifest.arrays)

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self.entry.manifest.arrays)

    def __contains__(self, name: object) -> bool:
        return name in self.keys()

    def __getitem__(self, name: str) -> LazyArray:
        """The array of this name, unread."""
        for stored in self.entry.manifest.arrays:
            if stored.name == name:
                return LazyArray(self.entry.group, stored)
        raise MissingArray(self.label, name, self.keys())

    def numpy(self) -> Any:
        """What the function returned: one read-only array, or a dict of them."""
        arrays = {
            stored.name: self._open(stored) for stored in self.entry.manifest.arrays
        }
        return next(iter(arrays.values())) if self.entry.manifest.single else arrays

    def __array__(
        self, dtype: npt.DTypeLike | None = None, copy: bool | None = None
    ) -> np.ndarray[Any, Any]:
        names = self.keys()
        if len(names) != 1:
            raise MissingArray(self.label, "the only array", names)
        return np.array(self[names[0]][...], dtype=dtype, copy=copy)

    def to_xarray(self) -> xarray.Dataset:
        """The arrays with their dimension names and coordinates; read where they are indexed, but for coordinates."""
        import xarray  # 0.5 s, for those who ask

        from artifact_store.stacks import lazily

        arrays: dict[str, Any] = {}
        for stored in self.entry.manifest.arrays:
            is_coordinate = stored.dims == (stored.name,)
            read = self._open(stored) if is_coordinate else lazily(self[stored.name])
            arrays[stored.name] = stored.dims, read
        return xarray.Dataset(arrays)

    def identify(self, memo: DigestMemo) -> Digest:
        """As an input of another analysis, an artifact is what `numpy()` gives, however it was made."""
        return self.entry.manifest.told

    def answer(self, question: Question) -> str:
        """What a computation is told that asks this: an artifact counts whole."""
        return self.entry.manifest.told.hex

    def __dask_tokenize__(self) -> Any:
        return "artifact_store.Artifact", self.entry.manifest.told.hex

    def _open(self, stored: StoredArray) -> np.ndarray[Any, Any]:
        return self.entry.group.open(stored)

    def __repr__(self) -> str:
        arrays = ", ".join(
            f"{a.name} {np.dtype(a.dtype)}{list(a.shape)}"
            for a in self.entry.manifest.arrays
        )
        return visible(f"<Artifact {self.label}: {arrays}>")

    def _repr_html_(self) -> str:
        made = self.provenance
        said = f"computed in {duration(made.seconds)}, {made.created[:16].replace('T', ' ')} UTC"
        rows = [
            (a.name, ", ".join(a.dims), _shape(a), np.dtype(a.dtype), size(a.nbytes))
            for a in self.entry.manifest.arrays
        ]
        known: dict[str, object] = {n: p.shown for n, p in made.params.items()}
        known["key"], known["output"] = mono(self.key.digest.short), mono(
            self.output_digest.short
        )
        known["zarr"] = mono(self.place)
        return whole(
            title_of(self.label, dim(said)),
            table(["array", "dimensions", "shape", "dtype", ">size"], rows),
            facts(known),
        )


def _shape(stored: StoredArray) -> str:
    return " × ".join(map(str, stored.shape)) or "scalar"
