"""Activations, imported where they are used."""

from __future__ import annotations

import model_lib.base
import numpy as np
from model_lib.base import Array


def sigmoid(values: Array) -> Array:
    """Between zero and one."""
    return np.asarray(1 / (1 + np.exp(-values)))


def swish(values: Array) -> Array:
    """Values times their sigmoid."""
    return values * sigmoid(values * SLOPE) + model_lib.base.Module.gain


SLOPE = 1.25
