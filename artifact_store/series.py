"""One analysis along a run, as one lazy array.

    epoch ──► artifact ──► rows that are indexed

Nothing is copied or read ahead: an index on the epochs opens those artifacts
alone, and an index on the other axes reads only those rows of each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from artifact_store.artifacts import Artifact
from artifact_store.errors import (
    AmbiguousArray,
    CoordinatesDiffer,
    MissingArtifacts,
    ShapesDiffer,
)

if TYPE_CHECKING:
    import xarray

EPOCH = "epoch"


def series(
    analysis: str,
    run: str,
    found: Mapping[int, Artifact | None],
    array: str | None = None,
) -> xarray.DataArray:
    """The array of an analysis stacked along its epochs, unread.

    Parameters
    ----------
    found
        The artifact of each epoch, in ascending order.
    array
        Which of its arrays; may be left out where only one is not a coordinate.

    Raises
    ------
    MissingArtifacts
        Some epochs have none; nothing is ever filled in.
    ShapesDiffer, CoordinatesDiffer
        The arrays of two epochs are not on the same axes.
    """
    artifacts = {epoch: one for epoch, one in found.items() if one is not None}
    missing = tuple(epoch for epoch, one in found.items() if one is None)
    if missing:
        raise MissingArtifacts(analysis, run, missing, len(found))
    first = next(iter(artifacts.values()))
    name = array or _only_variable(analysis, first)
    for epoch, artifact in artifacts.items():
        if (
            artifact[name].shape != first[name].shape
            or artifact[name].dtype != first[name].dtype
        ):
            raise ShapesDiffer(
                analysis, name, epoch, artifact[name].shape, first[name].shape
            )
    return _stacked(name, tuple(artifacts), tuple(artifacts.values()))


def _only_variable(analysis: str, artifact: Artifact) -> str:
    dims = {dim for name in artifact for dim in artifact[name].dims}
    variables = [name for name in artifact if name not in dims]
    if len(variables) != 1:
        raise AmbiguousArray(analysis, tuple(variables))
    return variables[0]


def _stacked(
    name: str, epochs: Sequence[int], artifacts: Sequence[Artifact]
) -> xarray.DataArray:
    # Here and not above for their weight: importing artifact_store must not take a second.
    import xarray
    from xarray.backends import BackendArray
    from xarray.core import indexing

    class Stack(BackendArray):
        """What xarray indexes: the stored arrays, one behind the other."""

        def __init__(self) -> None:
            self.shape = (len(artifacts), *artifacts[0][name].shape)
            self.dtype = artifacts[0][name].dtype

        def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
            support = indexing.IndexingSupport.OUTER
            return indexing.explicit_indexing_adapter(
                key, self.shape, support, self._read
            )

        def _read(self, key: tuple[Any, ...]) -> np.ndarray[Any, Any]:
            epoch, *rest = key
            if isinstance(epoch, int | np.integer):
                return np.asarray(_outer(artifacts[int(epoch)][name], rest))
            picked = range(len(artifacts))[epoch] if isinstance(epoch, slice) else epoch
            rows = [_outer(artifacts[number][name], rest) for number in picked]
            empty = np.empty((0, *self.shape[1:]), self.dtype)
            return np.stack(rows) if rows else _outer(empty, [slice(None), *rest])

    dims = (EPOCH, *artifacts[0][name].dims)
    coordinates = _coordinates(name, epochs, artifacts)
    data = indexing.LazilyIndexedArray(Stack())
    variable = xarray.Variable(dims, data)
    return xarray.DataArray(variable, {EPOCH: list(epochs), **coordinates}, name=name)


def _coordinates(
    name: str, epochs: Sequence[int], artifacts: Sequence[Artifact]
) -> dict[str, np.ndarray[Any, Any]]:
    """The coordinates that all epochs have in common; one that moves from epoch to epoch cannot label an axis."""
    first = artifacts[0]
    common: dict[str, np.ndarray[Any, Any]] = {
        dim: first[dim][...] for dim in first[name].dims if dim in first and dim != name
    }
    for epoch, artifact in zip(epochs, artifacts, strict=True):
        for dim, values in common.items():
            if not np.array_equal(artifact[dim][...], values, equal_nan=True):
                raise CoordinatesDiffer(first.key.analysis, dim, epoch)
    return common


def _outer(array: Any, key: Sequence[Any]) -> Any:
    """Index each axis by itself, unlike numpy, which would pair two arrays of indices."""
    found = array[tuple(key[:1])] if key else array[...]
    axis = 0 if key and isinstance(key[0], int | np.integer) else 1
    for index in key[1:]:
        found = found[(slice(None),) * axis + (index,)]
        axis += not isinstance(index, int | np.integer)
    return found
