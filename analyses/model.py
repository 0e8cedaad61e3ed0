"""The one-layer transformer of modular addition, as plain functions on tensors.

Checkpoint tensors in, activations or logits out. Parameters go by the names
TransformerLens gives them and every size is read off the tensors, so nothing
here depends on that library or on a configuration. Attention is causal, scores
are scaled by 1/sqrt(d_head), the MLP is a ReLU, and there is no layer norm: the
model of Nanda et al., *Progress measures for grokking via mechanistic
interpretability* (2023).

The probe is every pair `(a, b)` followed by `=` (token `p`), in row-major order
of `(a, b)`; everything is evaluated at `=`, the only place where an answer is
read. There each head attends to one `a`, one `b` and `=`. Keys and values
depend on a single token at a single position, so the probe needs 2p + 1 of
them rather than 3p^2, and the query is one vector per head.

Every function is differentiable, keeps the dtype of the weights, and runs where
they lie.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import torch

Weights: TypeAlias = Mapping[str, torch.Tensor]


def prime_of(weights: Weights) -> int:
    """The modulus: every token but the last, `=`, is a residue."""
    return weights["embed.W_E"].shape[0] - 1


def attention_scores(weights: Weights) -> tuple[torch.Tensor, ...]:
    """What `=` scores each `a`, each `b` and itself, before the softmax.

    Shapes (p, head), (p, head) and (1, head).
    """
    first, second, equals = _embedded(weights)
    W_Q, b_Q, W_K, b_K = _layer(weights, "attn", "W_Q", "b_Q", "W_K", "b_K")
    query = (equals @ W_Q + b_Q[:, None]) / W_Q.shape[-1] ** 0.5  # (head, 1, d_head)

    def score(tokens: torch.Tensor) -> torch.Tensor:
        """(token, model) to (token, head)."""
        keys = tokens @ W_K + b_K[:, None]  # (head, token, d_head)
        scores: torch.Tensor = keys @ query.mT  # (head, token, 1)
        return scores.squeeze(-1).T.contiguous()

    return score(first), score(second), score(equals)


def attention_pattern(weights: Weights) -> torch.Tensor:
    """How much `=` attends to `a`, to `b` and to itself: (3, a, b, head), the three summing to one."""
    to_a, to_b, to_equals = attention_scores(weights)
    p = len(to_a)
    scores = [score.expand(p, p, -1) for score in (to_a[:, None], to_b, to_equals)]
    return torch.stack(scores).softmax(dim=0)


def residual(weights: Weights) -> torch.Tensor:
    """The residual stream at `=` after attention: (p^2, model), a row per pair."""
    first, second, equals = _embedded(weights)
    W_V, b_V, W_O, b_O = _layer(weights, "attn", "W_V", "b_V", "W_O", "b_O")

    def writes(tokens: torch.Tensor) -> torch.Tensor:
        """What each head would write, attending to one token: (token, model) to (token, head, model)."""
        return ((tokens @ W_V + b_V[:, None]) @ W_O).transpose(0, 1)

    # The pattern sums to one, so with what `=` writes as the origin only differences from it are mixed.
    # Heads are few: a sum over them is a batched product, one entry per a (then per b), and nothing is
    # ever as large as (a, b, head, model).
    to_a, to_b, _ = attention_pattern(weights)
    origin = writes(equals)  # (1, head, model)
    from_a = to_a @ (writes(first) - origin)  # (a, b, model)
    from_b = to_b.transpose(0, 1) @ (writes(second) - origin)  # (b, a, model)
    always = equals + b_O + origin.sum(dim=1)  # (1, model)
    stream: torch.Tensor = from_a + from_b.transpose(0, 1) + always  # (a, b, model)
    return stream.flatten(0, 1)


def neurons(weights: Weights, stream: torch.Tensor) -> torch.Tensor:
    """The MLP's activations, after the ReLU, for rows of the residual stream: (row, neuron)."""
    W_in, b_in = _layer(weights, "mlp", "W_in", "b_in")
    return torch.addmm(b_in, stream, W_in).relu_()


def readout(weights: Weights, stream: torch.Tensor) -> torch.Tensor:
    """The logits for rows of the residual stream: (row, d_vocab_out)."""
    W_out, b_out = _layer(weights, "mlp", "W_out", "b_out")
    stream = stream + torch.addmm(b_out, neurons(weights, stream), W_out)
    said = stream @ weights["unembed.W_U"]
    return said + weights["unembed.b_U"] if "unembed.b_U" in weights else said


def mlp_activations(weights: Weights) -> torch.Tensor:
    """The MLP's activations at `=`, after the ReLU, over the probe: (neuron, a, b)."""
    p = prime_of(weights)
    W_in, b_in = _layer(weights, "mlp", "W_in", "b_in")
    # `neurons` the other way round, so that each neuron's grid comes out contiguous. The ReLU is in place,
    # which autograd allows here: touching a second array of this size would double the time.
    activations = torch.addmm(b_in[:, None], W_in.T, residual(weights).T).relu_()
    return activations.view(-1, p, p)


def logits(weights: Weights) -> torch.Tensor:
    """The logits at `=` over the probe: (p^2, d_vocab_out)."""
    return readout(weights, residual(weights))


def answers(p: int, device: torch.device | None = None) -> torch.Tensor:
    """What the network should say over the probe, (a + b) mod p: (p^2,)."""
    residues = torch.arange(p, device=device)
    return ((residues[:, None] + residues) % p).flatten()


def accuracy(weights: Weights) -> float:
    """Share of the probe whose largest logit is the answer."""
    said = logits(weights).argmax(dim=-1)
    return (said == answers(prime_of(weights), said.device)).double().mean().item()


def _embedded(weights: Weights) -> tuple[torch.Tensor, ...]:
    """Residues at position 0, residues at position 1, `=` at position 2.

    Shapes (p, model), (p, model) and (1, model).
    """
    W_E, W_pos = weights["embed.W_E"], weights["pos_embed.W_pos"]
    return W_E[:-1] + W_pos[0], W_E[:-1] + W_pos[1], W_E[-1:] + W_pos[2]


def _layer(weights: Weights, layer: str, *names: str) -> tuple[torch.Tensor, ...]:
    """Some parameters of `attn` (a row per head: (head, model, d_head), biases (head, d_head)) or `mlp`."""
    return tuple(weights[f"blocks.0.{layer}.{name}"] for name in names)
