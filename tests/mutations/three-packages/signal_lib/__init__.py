"""Signals: windows, spectra and statistics of small arrays."""

from signal_lib import patches
from signal_lib.shapes import *  # noqa: F403
from signal_lib.spectra import power_spectrum as spectrum_of

__all__ = ["patches", "spectrum_of"]
