"""What is replaced when the package is imported."""

from __future__ import annotations

import numpy as np
from signal_lib import kernels
from signal_lib.shapes import Array


def quick_decay(values: Array) -> Array:
    """Falls with the distance from zero."""
    return np.asarray(np.exp(-0.5 * np.abs(values)))


kernels.decay = quick_decay
