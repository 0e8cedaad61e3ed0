"""A quick quantile, for those who have it."""

from __future__ import annotations

import numpy as np
from signal_lib.shapes import Array


def upper(values: Array) -> float:
    """The upper quartile."""
    return float(np.quantile(values, 0.75))
