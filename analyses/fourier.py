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

import numpy as np
import numpy.typing as npt
import torch

Floats = npt.NDArray[np.float64]


def waves(p: int) -> Floats:
    """The sin and cos of each frequency, of unit norm: (frequency, 2, p); frequency k is at k - 1.

    For even p the last sin, which vanishes, is a row of zeros.
    """
    frequency, residue = np.arange(1, p // 2 + 1), np.arange(p)
    turns = frequency[:, None] * residue % p  # whole turns dropped while still exact
    angle = turns * (2 * np.pi / p)
    pairs: Floats = np.stack([np.sin(angle), np.cos(angle)], axis=1) * (2 / p) ** 0.5
    if p % 2 == 0:
        pairs[-1] = np.stack([np.zeros(p), np.cos(np.pi * residue) * p**-0.5])
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

    The whole 2D transform is never formed: after the transform in `b`, each
    wave in `b` meets in `a` only the three components it can be paired with.
    Costs p^3 products per neuron, and one temporary of the size of `grids`.
    """
    neuron, p, _ = grids.shape
    # (frequency, sin or cos, p); with the constant, (frequency, const or sin or cos, p).
    wave = torch.tensor(waves(p), dtype=grids.dtype, device=grids.device)
    partner = torch.nn.functional.pad(wave, (0, 0, 1, 0), value=p**-0.5)
    rows = wave.flatten(0, 1)  # (frequency and wave, p)

    # Waves in b, (frequency and wave, neuron, a): this way round they come out contiguous, as needed next.
    in_b = (rows @ grids.reshape(-1, p).T).view(-1, neuron, p)
    pairs = in_b.view(len(wave), 2 * neuron, p) @ partner.mT
    alone = pairs.square().sum(dim=2).view(-1, 2, neuron).sum(dim=1)

    # The constant in b, (neuron, a), and out of it the constant in both.
    means = grids.sum(dim=2) * p**-0.5
    level = means.mean(dim=1, keepdim=True)
    means = means - level
    alone = alone + (rows @ means.T).square().view(-1, 2, neuron).sum(dim=1)

    # Parseval, on parts without the mean, so nothing large cancels. Norms first: to sum squares over two
    # outer dimensions at once is four times slower.
    power = torch.linalg.vector_norm(in_b, dim=2).square().sum(dim=0)
    power = power + means.square().sum(dim=1)
    rounding = (8 * torch.finfo(grids.dtype).eps * level.squeeze(1)).square() * p
    return torch.where(power > rounding, alone / power, 0)


def _present(p: int) -> npt.NDArray[np.bool_]:
    """Which rows of the flattened `waves` are components: all but the sin of p / 2."""
    present = np.ones(2 * (p // 2), dtype=bool)
    if p % 2 == 0:
        present[-2] = False
    return present
