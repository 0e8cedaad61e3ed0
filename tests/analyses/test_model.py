"""The fast forward pass agrees with the plain one, and with independent code."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from analyses import model
from analyses.train import Training, initial_weights

RUNS = Path(__file__).parents[3] / "shared" / "runs"
Weights: TypeAlias = dict[str, torch.Tensor]
CHECKPOINTS = sorted(RUNS.glob("*/checkpoints/*.safetensors"))


@pytest.fixture
def weights() -> Weights:
    """Random weights of a tiny network, biases included, in float64."""
    drawn = initial_weights(Training(prime=7, d_model=12, n_heads=3, d_mlp=10))
    generator = torch.Generator().manual_seed(1)
    return {
        name: torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
        for name, tensor in drawn.items()
    }


def plain_forward(
    weights: Weights,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Activations (pair, neuron) and logits (pair, residue) at `=`, from whole sequences of three tokens."""
    w = {name.removeprefix("blocks.0."): tensor for name, tensor in weights.items()}
    p = len(w["embed.W_E"]) - 1
    tokens = torch.tensor([(a, b, p) for a in range(p) for b in range(p)])
    x = w["embed.W_E"][tokens] + w["pos_embed.W_pos"]
    q, k, v = (
        torch.einsum("bpm,hmd->bhpd", x, w[f"attn.W_{name}"])
        + w[f"attn.b_{name}"][:, None]
        for name in "QKV"
    )
    scores = torch.einsum("bhqd,bhkd->bhqk", q, k) / q.shape[-1] ** 0.5
    future = torch.ones(3, 3, dtype=torch.bool).triu(diagonal=1)
    pattern = scores.masked_fill(future, -torch.inf).softmax(dim=-1)
    x = x + torch.einsum("bhqk,bhkd,hdm->bqm", pattern, v, w["attn.W_O"])
    x = x + w["attn.b_O"]
    activations = (x @ w["mlp.W_in"] + w["mlp.b_in"]).clamp(min=0)
    x = x + activations @ w["mlp.W_out"] + w["mlp.b_out"]
    logits = x @ w["unembed.W_U"] + w.get("unembed.b_U", torch.tensor(0.0))
    return activations[:, -1], logits[:, -1]


def test_activations_and_logits_are_those_of_the_plain_forward_pass(
    weights: Weights,
) -> None:
    activations, logits = plain_forward(weights)

    torch.testing.assert_close(
        model.mlp_activations(weights).flatten(1), activations.T.contiguous()
    )
    torch.testing.assert_close(model.logits(weights), logits)


def test_neurons_come_out_alike_whichever_block_they_are_in() -> None:
    drawn = initial_weights(Training(prime=5, d_mlp=2 * model.BLOCK + 3))

    torch.testing.assert_close(
        model.mlp_activations(drawn).flatten(1), plain_forward(drawn)[0].T.contiguous()
    )


def test_activations_are_the_same_bits_each_time(weights: Weights) -> None:
    assert torch.equal(model.mlp_activations(weights), model.mlp_activations(weights))


def test_everything_happens_on_the_device_of_the_weights(weights: Weights) -> None:
    # Tensors on `meta` have no values: whatever would bring one to the host, or mix devices, raises.
    elsewhere = {name: tensor.to("meta") for name, tensor in weights.items()}

    assert model.mlp_activations(elsewhere).device.type == "meta"
    assert model.logits(elsewhere).device.type == "meta"


def test_gradients_are_those_of_the_plain_forward_pass(weights: Weights) -> None:
    for tensor in weights.values():
        tensor.requires_grad_()
    direction = torch.randn(49, 7, dtype=torch.float64)

    fast = torch.autograd.grad(
        (model.logits(weights) * direction).sum(), list(weights.values())
    )
    plain = torch.autograd.grad(
        (plain_forward(weights)[1] * direction).sum(), list(weights.values())
    )

    torch.testing.assert_close(fast, plain)


def test_gradients_flow_through_the_activations(weights: Weights) -> None:
    for tensor in weights.values():
        tensor.requires_grad_()

    fast = torch.autograd.grad(
        model.mlp_activations(weights).square().sum(), weights["embed.W_E"]
    )
    plain = torch.autograd.grad(
        plain_forward(weights)[0].square().sum(), weights["embed.W_E"]
    )

    torch.testing.assert_close(fast, plain)


def test_large_scores_do_not_overflow_the_softmax(weights: Weights) -> None:
    weights["blocks.0.attn.W_Q"] *= 1e4

    torch.testing.assert_close(model.logits(weights), plain_forward(weights)[1])


def test_an_unembedding_without_bias_is_one_with_a_bias_of_zero(
    weights: Weights,
) -> None:
    del weights["unembed.b_U"]

    torch.testing.assert_close(model.logits(weights), plain_forward(weights)[1])


def test_activations_need_nothing_after_the_mlp(weights: Weights) -> None:
    needed = {
        name: tensor
        for name, tensor in weights.items()
        if "unembed" not in name and "_out" not in name
    }

    torch.testing.assert_close(
        model.mlp_activations(needed), model.mlp_activations(weights)
    )


def test_the_pattern_sums_to_one(weights: Weights) -> None:
    total = model.attention_pattern(weights).sum(dim=0)

    torch.testing.assert_close(total, torch.ones(7, 7, 3, dtype=torch.float64))


def test_answers_are_row_major_sums() -> None:
    assert model.answers(3).tolist() == [0, 1, 2, 1, 2, 0, 2, 0, 1]


@pytest.mark.skipif(not CHECKPOINTS, reason="needs shared/runs")
@pytest.mark.parametrize("path", CHECKPOINTS, ids=lambda path: str(path.stem))
def test_activations_and_accuracy_agree_with_independent_code(path: Path) -> None:
    weights = load_file(path)
    expected = np.load(path.parents[1] / "expected" / f"{path.stem}.npz")

    activations = model.mlp_activations(weights).numpy()

    assert activations.dtype == np.float32
    for found, known in [
        (activations[:8], expected["neuron_activations_0_8"]),
        (activations.sum((1, 2), dtype="f8"), expected["neuron_activation_sums"]),
        (model.accuracy(weights), expected["accuracy"]),
    ]:
        np.testing.assert_allclose(found, known, rtol=1e-4, atol=1e-4)
