"""Parts of a network, as plain objects."""

from model_lib.blocks import MLP as Perceptron
from model_lib.config import DEFAULT, Config

__all__ = ["DEFAULT", "Config", "Perceptron"]
