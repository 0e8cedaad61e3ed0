"""A training writes a run that is whole at every moment, and that its configuration decides."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import torch
from safetensors.torch import load_file

from analyses import model
from analyses import train as trainer
from analyses.__main__ import main
from analyses.train import DifferentRun, Training, initial_weights, split, train

Interrupt: TypeAlias = Callable[[int], None]
Capture: TypeAlias = pytest.CaptureFixture[str]

TINY = Training(
    prime=7,
    d_model=16,
    n_heads=2,
    d_mlp=12,
    num_epochs=12,
    checkpoint_every=5,
    model_seed=0,
    data_seed=0,
)


def contents(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def metadata_of(directory: Path) -> Any:
    return json.loads((directory / "metadata.json").read_text())


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tensors this small only wait for other threads, and long when tests run side by side."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def interrupt(monkeypatch: pytest.MonkeyPatch) -> Interrupt:
    """Ctrl-C as the given epoch begins."""

    def at(epoch: int) -> None:
        epochs = iter(range(epoch))
        residual = model.residual

        def interrupted(weights: model.Weights) -> torch.Tensor:
            if next(epochs, None) is None:
                raise KeyboardInterrupt
            return residual(weights)

        monkeypatch.setattr(model, "residual", interrupted)

    return at


def test_a_run_is_its_configuration_its_losses_and_its_checkpoints(
    tmp_path: Path,
) -> None:
    run = train(TINY, tmp_path / "run")

    assert TINY.checkpoint_epochs == [0, 1, 2, 4, 5, 10, 11]
    assert set(contents(run)) == {"config.json", "metadata.json"} | {
        f"checkpoints/checkpoint_epoch_{epoch:05d}.safetensors"
        for epoch in TINY.checkpoint_epochs
    }
    metadata = metadata_of(run)
    assert metadata["num_epochs"] == 12
    assert metadata["checkpoint_epochs"] == TINY.checkpoint_epochs
    assert len(metadata["train_losses"]) == len(metadata["test_losses"]) == 12
    rows = metadata["train_indices"] + metadata["test_indices"]
    assert sorted(rows) == list(range(49))
    assert json.loads((run / "config.json").read_text())["d_vocab"] == 8


def test_losses_are_of_the_checkpoint_of_the_same_epoch(tmp_path: Path) -> None:
    run = train(TINY, tmp_path / "run")
    metadata = metadata_of(run)

    for epoch in TINY.checkpoint_epochs:
        path = run / "checkpoints" / f"checkpoint_epoch_{epoch:05d}.safetensors"
        said = model.logits(load_file(path)).double()
        for part in ("train", "test"):
            rows = metadata[f"{part}_indices"]
            known = torch.nn.functional.cross_entropy(
                said[rows], model.answers(7)[rows]
            )
            assert metadata[f"{part}_losses"][epoch] == pytest.approx(known.item())


def test_training_reduces_the_training_loss(tmp_path: Path) -> None:
    losses = metadata_of(train(TINY, tmp_path / "run"))["train_losses"]

    assert losses[-1] < losses[0]


def test_equal_configurations_write_equal_runs(tmp_path: Path) -> None:
    here, there = train(TINY, tmp_path / "here"), train(TINY, tmp_path / "there")

    first, second = metadata_of(here), metadata_of(there)
    assert first == second
    last = "checkpoints/checkpoint_epoch_00011.safetensors"
    torch.testing.assert_close(
        load_file(here / last), load_file(there / last), rtol=0, atol=0
    )


def test_each_seed_decides_its_own_part() -> None:
    model_seed, data_seed = replace(TINY, model_seed=1), replace(TINY, data_seed=1)
    W_E = initial_weights(TINY)["embed.W_E"]

    assert not torch.equal(initial_weights(model_seed)["embed.W_E"], W_E)
    assert torch.equal(initial_weights(data_seed)["embed.W_E"], W_E)
    assert torch.equal(split(model_seed)[0], split(TINY)[0])
    assert not torch.equal(split(data_seed)[0], split(TINY)[0])


def test_weights_begin_at_the_scale_of_transformerlens() -> None:
    weights = initial_weights(Training())

    assert weights["embed.W_E"].std().item() == pytest.approx(0.8 / 128**0.5, rel=0.02)
    assert weights["blocks.0.mlp.b_in"].count_nonzero() == 0
    assert {tensor.dtype for tensor in weights.values()} == {torch.float32}


def test_a_finished_run_is_left_as_it_is(tmp_path: Path, interrupt: Interrupt) -> None:
    run = train(TINY, tmp_path / "run")
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    interrupt(0)

    assert train(TINY, run) == run
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before


def test_a_different_run_is_never_overwritten(tmp_path: Path) -> None:
    run = train(TINY, tmp_path / "run")
    before = contents(run)

    with pytest.raises(DifferentRun, match="differs in d_mlp, data_seed"):
        train(replace(TINY, d_mlp=8, data_seed=1), run)

    assert contents(run) == before


def test_ctrl_c_leaves_a_valid_run_up_to_the_last_checkpoint(
    tmp_path: Path, interrupt: Interrupt
) -> None:
    run = tmp_path / "run"
    interrupt(8)

    with pytest.raises(KeyboardInterrupt):
        train(TINY, run)

    metadata = metadata_of(run)
    assert metadata["checkpoint_epochs"] == [0, 1, 2, 4, 5]
    assert metadata["num_epochs"] == len(metadata["train_losses"]) == 6
    assert len(list((run / "checkpoints").iterdir())) == 5


def test_an_interrupted_run_can_be_finished(
    tmp_path: Path, interrupt: Interrupt, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, whole = tmp_path / "run", train(TINY, tmp_path / "whole")
    interrupt(8)
    with pytest.raises(KeyboardInterrupt):
        train(TINY, run)
    monkeypatch.undo()

    train(TINY, run)

    assert metadata_of(run) == metadata_of(whole)


def test_a_failed_write_leaves_the_file_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "metadata.json"
    trainer._write(path, b"before")

    def fails(path: Path, target: Path) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(Path, "replace", fails)
    with pytest.raises(OSError, match="no space"):
        trainer._write(path, b"after")

    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "change", [{"training_fraction": 1.0}, {"training_fraction": 0.0}, {"n_heads": 3}]
)
def test_what_cannot_be_trained_is_refused_at_once(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="training_fraction|heads"):
        replace(TINY, **change)


def test_the_command_line_trains_and_names_the_run(
    tmp_path: Path, capsys: Capture
) -> None:
    wanted = ["--prime", "7", "--d-mlp", "8", "--epochs", "2", "--seed", "3"]

    assert main(["train", *wanted, "--out", str(tmp_path)]) == 0

    assert capsys.readouterr().out.strip() == str(tmp_path / "model_p7_seed3")
    assert metadata_of(tmp_path / "model_p7_seed3")["checkpoint_epochs"] == [0, 1]


def test_the_command_line_reports_a_different_run(
    tmp_path: Path, capsys: Capture
) -> None:
    wanted = ["--prime", "7", "--d-mlp", "8", "--out", str(tmp_path)]
    main(["train", *wanted, "--epochs", "1"])

    assert main(["train", *wanted, "--epochs", "2"]) == 2
    assert "differs in num_epochs" in capsys.readouterr().err


def test_the_command_line_ends_quietly_on_ctrl_c(
    tmp_path: Path, interrupt: Interrupt
) -> None:
    interrupt(0)

    assert main(["train", "--prime", "7", "--out", str(tmp_path)]) == 130
