"""Which frequencies the token embedding is made of.

Reads one tensor, `embed.W_E`, so a result serves every checkpoint that shares
it. Thresholds are parameters of what derives from the coefficients, never of
the coefficients themselves.
"""

from __future__ import annotations

import numpy as np

from analyses.fourier import coefficient_norms, power_shares, wave_shares
from artifact_store import Arrays, Checkpoint, analysis, fold


@analysis(dims={"coefficients": ("component",)})
def fourier_coefficients(checkpoint: Checkpoint) -> Arrays:
    """Size of each Fourier component of the embedding of the residues.

    A network that adds by rotating comes to keep only a few frequencies; the
    epoch at which the others fall away is when it begins to generalise.

    Parameters
    ----------
    checkpoint
        Holds `embed.W_E`: one row per residue, then one for `=`, left out.

    Returns
    -------
    coefficients
        Norm over the model dimension, per component of the orthonormal basis:
        const, sin 1, cos 1, sin 2, ... (`fourier.component_names`); float64.
    """
    return {"coefficients": coefficient_norms(checkpoint["embed.W_E"][:-1])}


@analysis(dims={"share": ("frequency",), "dominant": ("frequency",)})
def dominant_frequencies(checkpoint: Checkpoint, *, threshold: float = 0.1) -> Arrays:
    """The frequencies that carry the embedding.

    Parameters
    ----------
    threshold
        A frequency is dominant when its share of the power exceeds this.

    Returns
    -------
    share
        Share of each frequency, sin and cos together, in the power of the
        embedding without its mean; sums to one.
    dominant
        Whether that share exceeds `threshold`.
    frequency
        Coordinate: 1 ... p // 2.
    """
    share = power_shares(fourier_coefficients(checkpoint)["coefficients"])
    return {
        "share": share,
        "dominant": share > threshold,
        "frequency": np.arange(1, len(share) + 1),
    }


@fold(dims={"sin": ("frequency",), "cos": ("frequency",)})
def frequency_power_over_training(checkpoint: Checkpoint) -> Arrays:
    """The frequencies that the embedding is made of, at each checkpoint.

    Returns
    -------
    sin, cos
        Share of the sin and of the cos of each frequency in the power of the embedding without its mean; together
        they sum to one. For even p, that of sin p / 2 is zero.
    frequency
        Coordinate: 1 ... p // 2.
    epoch
        Coordinate: the epochs that have a checkpoint.
    """
    sin, cos = wave_shares(fourier_coefficients(checkpoint)["coefficients"])
    return {"sin": sin, "cos": cos, "frequency": np.arange(1, len(sin) + 1)}
