"""What xarray indexes in a series: the stored arrays of its epochs, one behind the other.

A module of its own for the weight of xarray, which only those who ask for a series pay.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from xarray.backends import BackendArray
from xarray.core import indexing

from artifact_store.artifacts import Artifact


class Stack(BackendArray):
    """The array of one name of each artifact, unread."""

    def __init__(self, name: str, artifacts: Sequence[Artifact]) -> None:
        self._name, self._artifacts = name, tuple(artifacts)
        self.shape = (len(artifacts), *artifacts[0][name].shape)
        self.dtype = artifacts[0][name].dtype

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        support = indexing.IndexingSupport.OUTER
        return indexing.explicit_indexing_adapter(key, self.shape, support, self._read)

    def _read(self, key: tuple[Any, ...]) -> np.ndarray[Any, Any]:
        epoch, *rest = key
        if isinstance(epoch, int | np.integer):
            return np.asarray(self._rows(int(epoch), rest))
        numbers = range(len(self._artifacts))
        picked = numbers[epoch] if isinstance(epoch, slice) else epoch
        found = np.empty((0, *self.shape[1:]), self.dtype)
        if not len(picked):
            return np.asarray(_outer(found, [slice(None), *rest]))
        for place, number in enumerate(picked):
            # Copied one by one: a map counts as memory of the process as long as it is there.
            rows = self._rows(number, rest)
            if place == 0:
                found = np.empty((len(picked), *np.shape(rows)), self.dtype)
            found[place] = rows
        return found

    def _rows(self, number: int, key: Sequence[Any]) -> Any:
        return _outer(self._artifacts[number][self._name], key)


def _outer(array: Any, key: Sequence[Any]) -> Any:
    """Index each axis by itself, unlike numpy, which would pair two arrays of indices."""
    found = array[tuple(key[:1])] if key else array[...]
    axis = 0 if key and isinstance(key[0], int | np.integer) else 1
    for index in key[1:]:
        found = found[(slice(None),) * axis + (index,)]
        axis += not isinstance(index, int | np.integer)
    return found
