"""Trains a network on modular addition, and writes a run.

A run is a folder: `config.json` first, then a safetensors file per checkpoint,
and `metadata.json` after each of them, so whatever ends a training, Ctrl-C
included, leaves a valid run up to its last checkpoint. Every file appears under
its name at once or not at all.

The recipe is the one under which grokking is usually studied (Nanda et al.
2023): full batches, AdamW with strong weight decay, no warm-up, the cross
entropy taken in float64 because losses of 1e-7 drown in float32.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch.nn.functional import cross_entropy
from tqdm.auto import tqdm

from analyses import model


@dataclass(frozen=True, kw_only=True)
class Training:
    """Everything that decides a run.

    The defaults grok within a minute on two cores: the training pairs are
    memorised by epoch 200, the others understood by 500. Other seeds take up to
    1,500 epochs, since what weight decay does is slow and depends on the start.
    """

    prime: int = 59
    n_heads: int = 4
    d_model: int = 128
    d_mlp: int = 256
    training_fraction: float = 0.5
    num_epochs: int = 600
    checkpoint_every: int = 25
    learning_rate: float = 1e-3
    weight_decay: float = 1.0
    betas: tuple[float, float] = (0.9, 0.98)
    model_seed: int = 0
    data_seed: int = 598

    def __post_init__(self) -> None:
        if not 0 < int(self.prime**2 * self.training_fraction) < self.prime**2:
            raise ValueError(
                f"a training_fraction of {self.training_fraction} leaves nothing to train "
                f"or nothing to test on, of {self.prime**2} pairs"
            )
        if self.d_model % self.n_heads:
            raise ValueError(
                f"{self.n_heads} heads cannot share a d_model of {self.d_model} evenly"
            )

    @property
    def name(self) -> str:
        """The folder such a run goes by; a label, which leaves out most of what decides it."""
        return f"model_p{self.prime}_seed{self.model_seed}"

    @property
    def checkpoint_epochs(self) -> list[int]:
        """When to keep the weights: doubling at first, for memorising is quick; then evenly; and at the end."""
        early = (1 << power for power in range(self.checkpoint_every.bit_length()))
        evenly = range(0, self.num_epochs, self.checkpoint_every)
        epochs = {*early, *evenly, self.num_epochs - 1}
        return sorted(epoch for epoch in epochs if epoch < self.num_epochs)

    def to_json(self) -> dict[str, Any]:
        """What `config.json` says: these fields, and those that TransformerLens would ask for."""
        shape = {
            "n_layers": 1,
            "n_ctx": 3,
            "d_head": self.d_model // self.n_heads,
            "d_vocab": self.prime + 1,
            "d_vocab_out": self.prime,
            "act_fn": "relu",
            "normalization_type": None,
        }
        return shape | asdict(self) | {"betas": list(self.betas)}


class DifferentRun(FileExistsError):
    """A folder holds a run of another configuration, which is never overwritten."""

    def __init__(self, directory: str, fields: list[str]) -> None:
        super().__init__(directory, fields)
        self.directory, self.fields = directory, fields

    def __str__(self) -> str:
        return (
            f"{self.directory} holds a run that differs in {', '.join(self.fields)}. "
            "Train into another folder, or move that one away."
        )


def train(config: Training, directory: str | Path, *, device: str = "cpu") -> Path:
    """Train by `config` into `directory`, and return it.

    A finished run of the same configuration is left as it is. An interrupted one
    starts over: checkpoints hold no optimiser state, and a seeded training
    writes the same ones again.

    Losses and checkpoint of epoch e are of the same weights, those before step e.

    Raises
    ------
    DifferentRun
        If `directory` holds a run of another configuration.
    """
    directory = Path(directory)
    if _is_finished(config, directory):
        return directory
    (directory / "checkpoints").mkdir(parents=True, exist_ok=True)
    _write_json(directory / "config.json", config.to_json())

    with model.one_thread():
        _train(config, directory, device)
    return directory


def _train(config: Training, directory: Path, device: str) -> None:
    """Train from the first weights on, keeping checkpoints."""
    weights = {
        name: tensor.to(device).requires_grad_()
        for name, tensor in initial_weights(config).items()
    }
    optimizer = torch.optim.AdamW(
        weights.values(),
        lr=config.learning_rate,
        betas=config.betas,
        weight_decay=config.weight_decay,
        fused=True,
    )
    train_rows, test_rows = (rows.to(device) for rows in split(config))
    metadata: dict[str, Any] = {
        "train_losses": [],
        "test_losses": [],
        "train_indices": train_rows.tolist(),
        "test_indices": test_rows.tolist(),
        "checkpoint_epochs": [],
        "num_epochs": 0,
    }
    checkpoint_epochs = set(config.checkpoint_epochs)

    progress = tqdm(
        range(config.num_epochs), desc=directory.name, unit="epoch", disable=None
    )
    for epoch in progress:
        stream = model.residual(weights)
        train_loss = _loss(weights, stream, train_rows)
        with torch.no_grad():
            test_loss = _loss(weights, stream, test_rows)
        metadata["train_losses"].append(train_loss.item())
        metadata["test_losses"].append(test_loss.item())

        if epoch in checkpoint_epochs:
            path = (
                directory / "checkpoints" / f"checkpoint_epoch_{epoch:05d}.safetensors"
            )
            _write(
                path,
                safetensors.torch.save(
                    {name: tensor.detach().cpu() for name, tensor in weights.items()}
                ),
            )
            metadata["checkpoint_epochs"].append(epoch)
            metadata["num_epochs"] = epoch + 1
            _write_json(directory / "metadata.json", metadata)
            progress.set_postfix(
                train=f"{train_loss.item():.1e}", test=f"{test_loss.item():.1e}"
            )

        optimizer.zero_grad()
        train_loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()


def initial_weights(config: Training) -> dict[str, torch.Tensor]:
    """Weights as TransformerLens draws them: normal, of deviation 0.8 / sqrt(d_model); biases zero. float32."""
    generator = torch.Generator().manual_seed(config.model_seed)
    heads, wide, narrow = (
        config.n_heads,
        config.d_model,
        config.d_model // config.n_heads,
    )

    def drawn(*shape: int) -> torch.Tensor:
        return torch.normal(0.0, 0.8 / wide**0.5, shape, generator=generator)

    return {
        "embed.W_E": drawn(config.prime + 1, wide),
        "pos_embed.W_pos": drawn(3, wide),
        "blocks.0.attn.W_Q": drawn(heads, wide, narrow),
        "blocks.0.attn.W_K": drawn(heads, wide, narrow),
        "blocks.0.attn.W_V": drawn(heads, wide, narrow),
        "blocks.0.attn.W_O": drawn(heads, narrow, wide),
        "blocks.0.attn.b_Q": torch.zeros(heads, narrow),
        "blocks.0.attn.b_K": torch.zeros(heads, narrow),
        "blocks.0.attn.b_V": torch.zeros(heads, narrow),
        "blocks.0.attn.b_O": torch.zeros(wide),
        "blocks.0.mlp.W_in": drawn(wide, config.d_mlp),
        "blocks.0.mlp.b_in": torch.zeros(config.d_mlp),
        "blocks.0.mlp.W_out": drawn(config.d_mlp, wide),
        "blocks.0.mlp.b_out": torch.zeros(wide),
        "unembed.W_U": drawn(wide, config.prime),
        "unembed.b_U": torch.zeros(config.prime),
    }


def split(config: Training) -> tuple[torch.Tensor, torch.Tensor]:
    """The rows of the probe to train on, and those to test on, shuffled by `data_seed`."""
    rows = torch.randperm(
        config.prime**2, generator=torch.Generator().manual_seed(config.data_seed)
    )
    trained = int(config.prime**2 * config.training_fraction)
    return rows[:trained], rows[trained:]


def _loss(
    weights: model.Weights, stream: torch.Tensor, rows: torch.Tensor
) -> torch.Tensor:
    """Mean cross entropy over some rows of the probe, in nats, float64."""
    logits = model.readout(weights, stream.index_select(0, rows))
    return cross_entropy(
        logits.double(), model.answers(model.prime_of(weights), rows.device)[rows]
    )


def _is_finished(config: Training, directory: Path) -> bool:
    """Whether `directory` already holds the whole run; refuses one of another configuration."""
    wanted, found = config.to_json(), _read_json(directory / "config.json")
    if found is None:
        return False
    if found != wanted:
        raise DifferentRun(
            str(directory),
            sorted(k for k in wanted | found if wanted.get(k) != found.get(k)),
        )
    metadata = _read_json(directory / "metadata.json")
    return metadata is not None and metadata["num_epochs"] == config.num_epochs


def _read_json(path: Path) -> Any:
    return json.loads(path.read_text()) if path.exists() else None


def _write_json(path: Path, value: Any) -> None:
    _write(path, json.dumps(value).encode())


def _write(path: Path, content: bytes) -> None:
    """Make a file appear with all its content: written aside, then renamed."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        aside.write_bytes(content)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
