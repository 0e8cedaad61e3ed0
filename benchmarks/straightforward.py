"""The three analyses as people write them in a notebook of TransformerLens, and the cache that they put around them.

Every pair is a sequence of three tokens, and all sequences go through every position of the network, head by head in
`einsum`; each neuron's grid is taken to the Fourier basis whole, and its frequencies are picked out one by one. Nothing
here is slow on purpose: it is batched, in float32, without gradients, and stops at the MLP, where a hooked model goes
on to the logits.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch.nn.functional import normalize

Arrays: TypeAlias = dict[str, NDArray[Any]]
Weights: TypeAlias = Mapping[str, torch.Tensor]


def analysed(checkpoint: Path, kept: Path) -> Arrays:
    """The results for one checkpoint, from a compressed file per epoch in the folder `kept` if it is there."""
    file = kept / f"{checkpoint.stem}.npz"
    if file.exists():
        return dict(np.load(file))
    found = analyse(load_file(checkpoint))
    np.savez_compressed(file, **found)  # type: ignore[arg-type]  # of `allow_pickle`
    return found


@torch.no_grad()
def analyse(weights: Weights) -> Arrays:
    """All results for one network, under the names of ours."""
    activations = forward(weights)  # (pair, neuron)
    p = len(weights["embed.W_E"]) - 1
    coefficients = (fourier_basis(p) @ weights["embed.W_E"][:-1]).norm(dim=1)
    return {
        "coefficients": coefficients.numpy(),
        "activations": activations.T.reshape(-1, p, p).numpy(),
        "norm": frequency_norm(activations).numpy(),
    }


@torch.no_grad()
def forward(weights: Weights) -> torch.Tensor:
    """Activations after the ReLU at the last of the three tokens: (pair, neuron)."""
    w = {name.removeprefix("blocks.0."): tensor for name, tensor in weights.items()}
    p = len(w["embed.W_E"]) - 1
    tokens = torch.tensor([(a, b, p) for a in range(p) for b in range(p)])
    residual = w["embed.W_E"][tokens] + w["pos_embed.W_pos"]

    q, k, v = (
        torch.einsum("bpm,hmd->bphd", residual, w[f"attn.W_{letter}"])
        + w[f"attn.b_{letter}"]
        for letter in "QKV"
    )
    scores = torch.einsum("bqhd,bkhd->bhqk", q, k) / q.shape[-1] ** 0.5
    future = torch.ones(3, 3, dtype=torch.bool).triu(diagonal=1)
    pattern = scores.masked_fill(future, -torch.inf).softmax(dim=-1)
    mixed = torch.einsum("bhqk,bkhd->bqhd", pattern, v)
    attended = torch.einsum("bqhd,hdm->bqm", mixed, w["attn.W_O"]) + w["attn.b_O"]

    hidden = (residual + attended) @ w["mlp.W_in"] + w["mlp.b_in"]
    return torch.relu(hidden)[:, -1]


@torch.no_grad()
def frequency_norm(activations: torch.Tensor) -> torch.Tensor:
    """Share of each frequency in each neuron's power: (pair, neuron) to (frequency, neuron)."""
    centred = activations - activations.mean(dim=0)
    p = round(len(centred) ** 0.5)
    basis = fourier_basis(p)
    spectrum = torch.einsum("abn,xa,yb->xyn", centred.view(p, p, -1), basis, basis)
    norm = torch.zeros(p // 2, centred.shape[1])
    for k in range(1, p // 2 + 1):
        for x in (0, 2 * k - 1, 2 * k):
            for y in (0, 2 * k - 1, 2 * k):
                norm[k - 1] += spectrum[x, y] ** 2
    # A dead neuron has no power: 0 / 0.
    shares: torch.Tensor = norm / spectrum.pow(2).sum(dim=(0, 1))
    return torch.nan_to_num(shares)


def fourier_basis(p: int) -> torch.Tensor:
    """Constant, sin 1, cos 1, sin 2, ... of unit norm, for odd p: (component, p)."""
    residues = torch.arange(p, dtype=torch.float64)
    rows = [torch.ones(p, dtype=torch.float64)]
    for k in range(1, p // 2 + 1):
        rows.append(torch.sin(2 * torch.pi * k * residues / p))
        rows.append(torch.cos(2 * torch.pi * k * residues / p))
    return normalize(torch.stack(rows)).float()
