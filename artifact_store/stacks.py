"""What xarray indexes: one stored array, or those of many epochs one behind the other.

    stored arrays ──► *Stack* ──► *lazily* ──► a variable ──► what is indexed is read, here or in a worker of dask

Nothing is read before it is indexed. What travels to a worker is where the arrays are, and what they are; dask takes
two of them for the same if they hold the same, wherever they are. A module of its own for the weight of xarray, which
only those pay who ask for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from xarray.backends import BackendArray
from xarray.core import indexing

from artifact_store.groups import LazyArray
from artifact_store.reads import answer_of


class Lazily(indexing.LazilyIndexedArray):
    """An array and what of it is asked for, known by the content of the array."""

    def __dask_tokenize__(self) -> Any:
        # The content of indices: dask goes by how things are shown, and of a long array numpy shows both ends.
        asked = type(self.key).__name__, answer_of(self.key.tuple)
        return "artifact_store", self.array.content, *asked


def lazily(array: LazyArray) -> Lazily:
    """One stored array."""
    return Lazily(_Alone(array))


def stacked(arrays: Sequence[LazyArray]) -> Lazily:
    """Stored arrays of one shape and dtype, one behind the other."""
    return Lazily(_Stack(arrays))


class _Alone(BackendArray):
    def __init__(self, array: LazyArray) -> None:
        self._array = array
        self.shape, self.dtype = array.shape, array.dtype
        self.content = array.content

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        support = indexing.IndexingSupport.OUTER
        return indexing.explicit_indexing_adapter(key, self.shape, support, self._read)

    def _read(self, key: tuple[Any, ...]) -> np.ndarray[Any, Any]:
        return np.asarray(_outer(self._array, key))


class _Stack(BackendArray):
    def __init__(self, arrays: Sequence[LazyArray]) -> None:
        # Equal records are one: a worker that is sent a thousand arrays is then sent little more than their names.
        known: dict[Any, Any] = {}
        self._arrays = tuple(
            LazyArray(a.group, known.setdefault(a.stored, a.stored)) for a in arrays
        )
        self.shape = (len(arrays), *arrays[0].shape)
        self.dtype = arrays[0].dtype

    @property
    def content(self) -> tuple[str, ...]:
        """What is in it."""
        return tuple(one.content for one in self._arrays)

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        support = indexing.IndexingSupport.OUTER
        return indexing.explicit_indexing_adapter(key, self.shape, support, self._read)

    def _read(self, key: tuple[Any, ...]) -> np.ndarray[Any, Any]:
        epoch, *rest = key
        if isinstance(epoch, int | np.integer):
            return np.asarray(_outer(self._arrays[int(epoch)], rest))
        numbers = range(len(self._arrays))
        picked = numbers[epoch] if isinstance(epoch, slice) else epoch
        found = np.empty((0, *self.shape[1:]), self.dtype)
        if not len(picked):
            return np.asarray(_outer(found, [slice(None), *rest]))
        for place, number in enumerate(picked):
            # Copied one by one: a map counts as memory of the process as long as it is there.
            rows = _outer(self._arrays[number], rest)
            if place == 0:
                found = np.empty((len(picked), *np.shape(rows)), self.dtype)
            found[place] = rows
        return found


def _outer(array: Any, key: Sequence[Any]) -> Any:
    """Index each axis by itself, unlike numpy, which would pair two arrays of indices."""
    found = array[tuple(key[:1])] if key else array[...]
    axis = 0 if key and isinstance(key[0], int | np.integer) else 1
    for index in key[1:]:
        found = found[(slice(None),) * axis + (index,)]
        axis += not isinstance(index, int | np.integer)
    return found
