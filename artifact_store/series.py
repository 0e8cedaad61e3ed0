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
from artifact_store.runs import EPOCH

if TYPE_CHECKING:
    import xarray


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

    from artifact_store.stacks import stacked

    dims = (EPOCH, *artifacts[0][name].dims)
    coordinates = _coordinates(name, epochs, artifacts)
    variable = xarray.Variable(dims, stacked([one[name] for one in artifacts]))
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
