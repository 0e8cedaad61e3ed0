"""How the embedding moves: the residues of every checkpoint, seen from one side.

One basis serves all epochs, so that what moves in the picture has moved in the network. It is that of one checkpoint:
the axes along which its residues are spread most.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from artifact_store import Arrays, Checkpoint, Run, analysis, fold

Floats = NDArray[np.float64]


@analysis(dims={"axes": ("component", "model")})
def principal_axes(checkpoint: Checkpoint) -> Floats:
    """The directions along which the embedding of the residues is spread most, first things first.

    Parameters
    ----------
    checkpoint
        Holds `embed.W_E`: one row per residue, then one for `=`, left out.

    Returns
    -------
    axes
        Orthonormal rows; float64. The largest number in each, by size, is positive.
    """
    return axes_of(_centred(checkpoint))


@analysis(dims={"axes": ("component", "model")})
def last_principal_axes(run: Run) -> Floats:
    """The principal axes of the last checkpoint of a run."""
    axes: Floats = principal_axes(run[run.epochs[-1]])
    return axes


@fold(
    dims={"position": ("residue", "component"), "share": ("component",)},
    shared={"axes": last_principal_axes},
)
def embedding_trajectory(
    checkpoint: Checkpoint, *, axes: ArrayLike | None = None, components: int = 2
) -> Arrays:
    """Where each residue lies in one fixed basis, at each checkpoint.

    Of a network that adds by rotating, the residues come to lie on circles.

    Parameters
    ----------
    axes
        The basis, (component, model); if not given, that of the last checkpoint, which turns with every checkpoint
        more. With `axes=principal_axes(run[1000])` it stays, and so do the rows that were made.
    components
        How many axes, if there are as many.

    Returns
    -------
    position
        Relative to the mean of the residues of the same checkpoint.
    share
        Share of their spread (the power of all residues, that mean removed) along each axis.
    residue, component
        Coordinates: 0 ... p - 1 and 1 ... `components`.
    epoch
        Coordinate: the epochs that have a checkpoint.
    """
    residues, basis = _centred(checkpoint), np.asarray(axes)[:components]
    position = residues @ basis.T  # (residue, component)
    spread = np.square(residues).sum() or 1.0
    return {
        "position": position,
        "share": np.square(position).sum(axis=0) / spread,
        "residue": np.arange(len(residues)),
        "component": np.arange(1, len(basis) + 1),
    }


def axes_of(residues: Floats) -> Floats:
    """The right singular vectors of a table, each with the sign that makes its largest entry positive."""
    axes = np.linalg.svd(residues, full_matrices=False)[2]
    largest = np.abs(axes).argmax(axis=1, keepdims=True)
    signed: Floats = axes * np.sign(np.take_along_axis(axes, largest, axis=1))
    return signed


def _centred(checkpoint: Checkpoint) -> Floats:
    """The embedding of the residues without their mean: (residue, model)."""
    table = np.asarray(checkpoint["embed.W_E"][:-1], dtype=np.float64)
    centred: Floats = table - table.mean(axis=0)
    return centred
