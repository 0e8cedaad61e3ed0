"""What the embedding alone says."""

from __future__ import annotations

import numpy as np
import signal_lib
import signal_lib.spectra
from signal_lib import kernels
from signal_lib.shapes import Array
from signal_lib.stats import audible, clip, lower, middle, rms, upper
from study.caching import Arrays, Checkpoint, analysis

UNIT = 2.0
FLOOR = 0.01
if np.finfo(np.float32).eps < 1e-3:
    FLOOR = 0.02


@analysis(dims={"norms": ("token",)})
def token_norms(checkpoint: Checkpoint) -> Arrays:
    """Size of each token's vector, and where the sizes lie."""

    def lifted(values: Array) -> Array:
        return np.asarray(np.maximum(values, FLOOR) + OFFSET)

    norms = lifted(UNIT * rms(signal_lib.centred(checkpoint["embed.W"])))
    return {
        "norms": norms,
        "spread": np.array([lower(norms), middle(norms), upper(norms)]),
    }


OFFSET = 0.5


@analysis
def spectrum(checkpoint: Checkpoint, *, window: str = "taper") -> Arrays:
    """Power of each frequency along the tokens."""
    power = signal_lib.spectrum_of(checkpoint["embed.W"], window=window)
    smooth = signal_lib.spectra.smoothed(power)
    return {"power": audible(signal_lib.spectra.folded(smooth, depth=2))}


@analysis(depends_on=(kernels.linear, kernels.cubic))
def projection(checkpoint: Checkpoint, kernel: str = "linear") -> Arrays:
    """Positions through a kernel that is chosen by name."""
    positions = clip(checkpoint["pos.W"])
    shaped = getattr(kernels, kernel)(positions) + kernels.late
    return {"projected": shaped * kernels.decay(positions)}
