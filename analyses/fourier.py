"""Fourier analysis on the residues modulo p, for arrays and grids over them.

The mathematics under the analyses, with no checkpoint in sight. A network that
adds by rotating (Nanda et al. 2023) represents a residue `a` by sin and cos of
2 pi k a / p for a few frequencies k, and the functions here say how much of an
array lies on each.

The basis is real and orthonormal, so squared coefficients are power and add up
to the squared norm (Parseval). Its components are ordered const, sin 1, cos 1,
sin 2, cos 2, ..., up to k = p // 2: p of them. For even p the highest frequency
has only a cosine, since sin(pi a) vanishes on the integers.
"""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

Floats = npt.NDArray[np.float64]


@functools.lru_cache(maxsize=8)
def waves(p: int) -> Floats:
    """The sin and cos of each frequency, of unit norm: (frequency, 2, p); frequency k is at k - 1. Read-only.

    For even p the last sin, which vanishes, is a row of zeros.
    """
    frequency, residue = np.arange(1, p // 2 + 1), np.arange(p)
    turns = frequency[:, None] * residue % p  # whole turns dropped while still exact
    angle = turns * (2 * np.pi / p)
    pairs: Floats = np.stack([np.sin(angle), np.cos(angle)], axis=1) * (2 / p) ** 0.5
    if p % 2 == 0:
        pairs[-1] = np.stack([np.zeros(p), np.cos(np.pi * residue) * p**-0.5])
    pairs.flags.writeable = False  # Every caller is given the same.
    return pairs


def fourier_basis(p: int) -> Floats:
    """The orthonormal basis of functions on the residues: (component, p), a component per row."""
    constant = np.full((1, p), p**-0.5)
    return np.concatenate([constant, waves(p).reshape(-1, p)[_present(p)]])


def component_frequencies(p: int) -> npt.NDArray[np.int64]:
    """The frequency of each component of the basis, 0 for the constant: (component,)."""
    return np.concatenate([[0], np.repeat(np.arange(1, p // 2 + 1), 2)[_present(p)]])


def component_names(p: int) -> list[str]:
    """What to write beside each component: `const`, `sin 1`, `cos 1`, `sin 2`, ..."""
    pairs = [f"{wave} {k}" for k in range(1, p // 2 + 1) for wave in ("sin", "cos")]
    return ["const", *np.array(pairs, dtype=str)[_present(p)].tolist()]


def coefficient_norms(table: npt.ArrayLike) -> Floats:
    """Norm, over the model dimension, of each component of a (p, model) table of residues: (component,)."""
    rows = np.asarray(table, dtype=np.float64)
    norms: Floats = np.linalg.norm(fourier_basis(len(rows)) @ rows, axis=1)
    return norms


def wave_shares(norms: npt.NDArray[np.floating]) -> tuple[Floats, Floats]:
    """Share of each sin and of each cos in the power of all but the constant: (component,) to (frequency,) twice.

    All zero where there is no power to share, as is the sin of p / 2.
    """
    p = len(norms)
    power = np.zeros(2 * (p // 2))
    power[_present(p)] = np.square(norms[1:], dtype=np.float64)
    power /= power.sum() or 1.0
    return power[0::2], power[1::2]


def power_shares(norms: npt.NDArray[np.floating]) -> Floats:
    """Share of each frequency in the power of all but the constant: (component,) to (frequency,).

    All zero where there is no power to share.
    """
    frequency = component_frequencies(len(norms))
    power = np.bincount(frequency, weights=np.square(norms, dtype=np.float64))[1:]
    return power / (power.sum() or 1.0)


def grid_shares(grids: torch.Tensor) -> torch.Tensor:
    """Share of each frequency alone in the power of grids over (a, b): (neuron, p, p) to (frequency, neuron).

    With the mean removed, the power of a grid is divided among the products of
    a component in `a` and one in `b`. Frequency k alone has those of {const,
    sin k, cos k} with itself, without const x const; what mixes two frequencies
    counts for neither, so a neuron's shares sum to at most one. A neuron that
    is constant to rounding (a dead one) has no power, and shares of zero.

    The 2D transform is never formed. Products with the constant are waves in
    `a` or in `b`; the four of sin k and cos k span the waves of frequency k in
    a + b and in a - b (the addition theorems). So a grid is summed along four
    directions, p^2 additions each, and only these sums are transformed. Best
    given some dozens of neurons at a time, as long as they stay in the cache.
    """
    neuron, p, _ = grids.shape
    mean = grids.mean(dim=(1, 2), keepdim=True)
    padded = F.pad(grids, (0, 1))
    padded[:, :, :-1] -= mean  # so that nothing large cancels
    wave = torch.tensor(waves(p), dtype=grids.dtype, device=grids.device).flatten(0, 1)

    along = (_sums(padded) @ wave.T).square()  # (direction, neuron, wave)
    if p % 2 == 0:
        # cos(pi (a + b)) and cos(pi (a - b)) are one wave.
        along[-1, :, -1] = 0
    alone = along.sum(dim=0).view(neuron, p // 2, 2).sum(dim=2) / p

    power = torch.linalg.vector_norm(padded, dim=(1, 2)).square()
    rounding = (8 * torch.finfo(grids.dtype).eps * p * mean.flatten()).square()
    return torch.where(power > rounding, alone.T / power, 0)


def _sums(padded: torch.Tensor) -> torch.Tensor:
    """Sums over cells of equal a, b, a + b and b - a, modulo p: (4, neuron, p), from (neuron, p, p + 1) with 0 last.

    Rows of length p + 1 hold cell (a, b) as number a p + (a + b), so folded into
    rows of length p it is in column a + b. Rows of length p - 1, without the
    last b, hold it as number a p + (b - a). So no sum has to walk a diagonal.
    """
    neuron, p, _ = padded.shape
    grids = padded[:, :, :p]
    shorter = grids[:, :, :-1].reshape(neuron, p - 1, p)
    last = grids[:, :, -1].flip(dims=(1,))  # b - a of (a, p - 1) is p - 1 - a
    return torch.stack(
        (
            grids.sum(dim=2),
            grids.sum(dim=1),
            padded.view(neuron, p + 1, p).sum(dim=1),
            shorter.sum(dim=1) + last,
        )
    )


def _present(p: int) -> npt.NDArray[np.bool_]:
    """Which rows of the flattened `waves` are components: all but the sin of p / 2."""
    present = np.ones(2 * (p // 2), dtype=bool)
    if p % 2 == 0:
        present[-2] = False
    return present
