"""What every MLP neuron does on every pair.

The one forward pass that all analyses of neurons share: the rest of them start
from its stored result.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch

from analyses import model
from artifact_store import Arrays, Checkpoint, analysis


@analysis(dims={"activations": ("neuron", "a", "b")}, ignore=("device",))
def neuron_activations(checkpoint: Checkpoint, *, device: str | None = None) -> Arrays:
    """MLP activations after the ReLU at `=`, for every pair (a, b).

    Parameters
    ----------
    checkpoint
        A one-layer transformer under TransformerLens' names; see `model`.
    device
        Where to run; by default a GPU if there is one. Not part of the key.

    Returns
    -------
    activations
        One p x p grid per neuron, in the dtype of the weights; 26 MB at p = 113
        with 512 neurons in float32.
    """
    weights = WeightsOn(checkpoint, device or default_device())
    return {"activations": activations_of(weights)}


def activations_of(weights: model.Weights) -> torch.Tensor:
    """`model.mlp_activations`, without gradients: (neuron, a, b)."""
    with torch.inference_mode(), model.one_thread():
        return model.mlp_activations(weights)


class WeightsOn(Mapping[str, torch.Tensor]):
    """The tensors of a checkpoint on a device, each moved when it is read and no other."""

    def __init__(self, checkpoint: Checkpoint, device: str) -> None:
        self._checkpoint, self._device = checkpoint, device

    def __getitem__(self, name: str) -> torch.Tensor:
        return self._checkpoint.tensor(name).to(self._device)

    def __iter__(self) -> Iterator[str]:
        return iter(self._checkpoint)

    def __len__(self) -> int:
        return len(self._checkpoint)

    def __contains__(self, name: object) -> bool:
        return name in self._checkpoint  # asking is not reading


def default_device() -> str:
    """A GPU if there is one."""
    return "cuda" if torch.cuda.is_available() else "cpu"
