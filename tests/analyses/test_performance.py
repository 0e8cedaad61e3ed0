"""Losses and accuracies are those of a plain computation, over the pairs that are meant."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import Ran
from safetensors.torch import load_file
from tiny import PRIMES, losses, write_run

from analyses import model
from analyses.performance import (
    answer_losses,
    epoch_of_grokking,
    first_to_stay,
    performance_over_training,
)
from artifact_store import AnalysisPipeline, Run


@pytest.fixture(autouse=True)
def stable(settled: None) -> None: ...


@pytest.mark.parametrize("prime", PRIMES)
def test_losses_and_answers_are_those_of_the_logits(tmp_path: Path, prime: int) -> None:
    run = write_run(tmp_path / "run", prime)
    logits = model.logits(load_file(run[5].path)).double().view(prime, prime, -1)

    found = answer_losses(run[5])

    assert found["loss"].dtype == np.float64 and found["correct"].dtype == np.bool_
    np.testing.assert_allclose(found["loss"], losses(logits.numpy()), rtol=1e-5)
    sums = np.add.outer(np.arange(prime), np.arange(prime)) % prime
    np.testing.assert_array_equal(found["correct"], logits.argmax(-1).numpy() == sums)


@pytest.mark.parametrize("prime", PRIMES)
def test_means_are_over_the_pairs_that_are_meant(tmp_path: Path, prime: int) -> None:
    run = write_run(tmp_path / "run", prime, train=[1, 0])
    pairs = {"train_": [0, 1], "test_": list(range(2, prime**2)), "": slice(None)}

    found = performance_over_training(run)

    assert found["epoch"].tolist() == [0, 5, 9]
    for row, checkpoint in enumerate(run.values()):
        one = answer_losses(checkpoint)
        for name, some in pairs.items():
            loss, correct = (one[what].ravel()[some] for what in ("loss", "correct"))
            np.testing.assert_allclose(found[f"{name}loss"][row], loss.mean())
            np.testing.assert_allclose(found[f"{name}accuracy"][row], correct.mean())


def test_a_run_that_names_no_pairs_has_numbers_for_all_of_them_alone(
    tmp_path: Path,
) -> None:
    run = write_run(tmp_path / "run")
    (run.path / "metadata.json").unlink()

    found = performance_over_training(Run(run.path))

    for name in ("train_loss", "test_loss", "train_accuracy", "test_accuracy"):
        assert np.isnan(found[name]).all() and found[name].shape == (3,)
    assert np.isfinite(found["loss"]).all() and np.isfinite(found["accuracy"]).all()
    assert epoch_of_grokking(Run(run.path)) == {"memorised": -1, "grokked": -1}


def test_a_checkpoint_more_is_one_row_though_the_records_have_grown(
    tmp_path: Path, ran: Ran
) -> None:
    performance_over_training(write_run(tmp_path / "run", train_losses=[1.0]))
    run = write_run(tmp_path / "run", epochs=[12], train_losses=[1.0, 0.5])
    ran()

    assert performance_over_training(run)["epoch"].tolist() == [0, 5, 9, 12]
    names = ["training_pairs", "answer_losses", "performance_over_training"]
    assert ran() == names


def test_a_forward_pass_serves_all(tmp_path: Path, ran: Ran) -> None:
    run = write_run(tmp_path / "run")
    AnalysisPipeline(run).run([performance_over_training, epoch_of_grokking])

    assert ran().count("answer_losses") == 3


@pytest.mark.parametrize(
    "values, epoch",
    [
        ([0.1, 0.5, 0.9, 1.0], 20),
        ([0.9, 0.5, 0.9, 1.0], 20),
        ([1.0, 1.0, 1.0, 1.0], 0),
        ([1.0, 1.0, 1.0, 0.8], -1),
        ([0.1, 0.2, 0.3, np.nan], -1),
        ([np.nan, 1.0, np.nan, 1.0], 30),
    ],
)
def test_an_epoch_counts_from_which_on_the_bar_is_kept(
    values: list[float], epoch: int
) -> None:
    assert first_to_stay(np.array(values), 0.9, np.array([0, 10, 20, 30])) == epoch


def test_the_bar_may_be_put_elsewhere_without_computing_anything_again(
    tmp_path: Path, ran: Ran
) -> None:
    run = write_run(tmp_path / "run")
    epoch_of_grokking(run)
    ran()

    assert epoch_of_grokking(run, accuracy=0.0) == {"memorised": 0, "grokked": 0}
    assert ran() == ["epoch_of_grokking"]
