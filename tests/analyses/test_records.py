"""What a training wrote down is what is stored, and no more depends on it than has to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny import write_run

from analyses.records import training_losses, training_pairs
from artifact_store import Run


@pytest.fixture(autouse=True)
def stable(settled: None) -> None: ...


def test_losses_are_those_of_every_epoch_of_the_training(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", train_losses=[3, 2, 1.5], test_losses=[3, 4, 5])

    found = training_losses(run)

    assert found["train"].tolist() == [3, 2, 1.5] and found["test"].tolist() == [
        3,
        4,
        5,
    ]
    assert found["epoch"].tolist() == [0, 1, 2]
    assert training_losses.artifact(run)["train"].dims == ("epoch",)


def test_where_only_one_of_them_was_written_the_other_is_nan(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", train_losses=[3, 2], test_losses=[4])

    np.testing.assert_array_equal(training_losses(run)["test"], [4, np.nan])


def test_a_run_without_records_has_none_of_them(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    (run.path / "metadata.json").unlink()
    run = Run(run.path)

    assert all(array.size == 0 for array in training_losses(run).values())
    assert all(array.size == 0 for array in training_pairs(run).values())
    assert training_pairs(run)["train"].dtype == np.int64


def test_pairs_are_those_of_the_run_in_order(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", prime=3, train=[4, 0, 7])

    found = training_pairs(run)

    assert found["train"].tolist() == [0, 4, 7]
    assert found["test"].tolist() == [1, 2, 3, 5, 6, 8]


def test_more_losses_leave_the_pairs_as_they_are(tmp_path: Path) -> None:
    before = training_pairs.artifact(write_run(tmp_path / "run", train_losses=[1.0]))
    run = write_run(tmp_path / "run", train_losses=[1.0, 0.5])

    assert training_losses(run)["train"].size == 2
    assert training_pairs.artifact(run).output_digest == before.output_digest
