"""The version of the distribution, spelled once."""

__version__ = "0.1.0"
