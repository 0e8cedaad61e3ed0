"""How power is weighed."""

from __future__ import annotations

import numpy as np
from signal_lib.shapes import Array

EXPONENT = 0.5


def weighed(power: Array) -> Array:
    """Less of what is much."""
    return np.asarray(power**EXPONENT)
