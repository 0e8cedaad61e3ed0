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

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TypeAlias

import torch

Weights: TypeAlias = Mapping[str, torch.Tensor]

# 64 grids are 3 MB at p = 113. Of 8 at a time, the calls cost more than they save, and all 512 leave the processor's
# cache: forward pass and Fourier transform take up to twice as long either way (bench_pipeline).
BLOCK = 64


def blocks(neurons: int) -> Iterator[slice]:
    """All neurons, some at a time: so many as stay in the processor's cache while everything is done to them."""
    return (slice(start, start + BLOCK) for start in range(0, neurons, BLOCK))


@contextmanager
def one_thread() -> Iterator[None]:
    """Have PyTorch use one thread in this block.

    Steps this small gain a factor below two from a second core, and lose one of
    fifteen when somebody else is using it, because threads spin while they wait.
    Two cores are put to better use by two workers.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


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
    W_O, b_O = _layer(weights, "attn", "W_O", "b_O")
    by_a, by_b, by_equals = _written(weights, W_O)
    to_a, to_b, _ = attention_pattern(weights)
    # Heads are few: a sum over them is a batched product, one entry per a (then per b), and nothing is
    # ever as large as (a, b, head, model).
    from_a = to_a @ by_a.transpose(0, 1)  # (a, b, model)
    from_b = to_b.transpose(0, 1) @ by_b.transpose(0, 1)  # (b, a, model)
    always = _embedded(weights)[2] + b_O + by_equals  # (1, model)
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
    by_a, by_b, always = _into_neurons(weights)
    to_a, to_b, _ = attention_pattern(weights).permute(0, 3, 1, 2).contiguous()
    head, neuron, p = by_a.shape
    activations = by_a.new_empty(neuron, p, p)
    # In place: touching a second array of this size would double the time.
    for some in blocks(neuron):
        grids = activations[some]
        grids.copy_(always[some, None, None].expand_as(grids))
        for h in range(head):
            grids.addcmul_(by_a[h, some, :, None], to_a[h])
            grids.addcmul_(by_b[h, some, None, :], to_b[h])
        grids.relu_()
    return activations


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


def _written(weights: Weights, W_O: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """What heads write: of an `a` and of a `b` where they attend to it instead of `=`, and all of them of `=`.

    Shapes (head, p, out), (head, p, out) and (out,). The pattern sums to one, so with what `=` writes as the origin
    only differences from it are mixed.

    Parameters
    ----------
    W_O
        (head, d_head, out): into the residual stream, or on into what reads that.
    """
    W_V, b_V = _layer(weights, "attn", "W_V", "b_V")
    first, second, equals = (
        (tokens @ W_V + b_V[:, None]) @ W_O for tokens in _embedded(weights)
    )
    return first - equals, second - equals, equals.sum(dim=(0, 1))


def _into_neurons(weights: Weights) -> tuple[torch.Tensor, ...]:
    """What `_written` says of the neurons' inputs: (head, neuron, p), (head, neuron, p), and (neuron,) with biases.

    Up to the ReLU all is linear, so what a head writes is taken to the neurons before it is mixed: once per
    token, not per pair.
    """
    W_O, b_O = _layer(weights, "attn", "W_O", "b_O")
    W_in, b_in = _layer(weights, "mlp", "W_in", "b_in")
    by_a, by_b, by_equals = _written(weights, W_O @ W_in)
    always = (_embedded(weights)[2][0] + b_O) @ W_in + b_in + by_equals
    return by_a.mT.contiguous(), by_b.mT.contiguous(), always


def _layer(weights: Weights, layer: str, *names: str) -> tuple[torch.Tensor, ...]:
    """Some parameters of `attn` (a row per head: (head, model, d_head), biases (head, d_head)) or `mlp`."""
    return tuple(weights[f"blocks.0.{layer}.{name}"] for name in names)
