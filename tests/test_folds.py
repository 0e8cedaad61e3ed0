from __future__ import annotations

import inspect
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import RunDirectory

from artifact_store import Artifact, Checkpoint, Run, analysis, fold
from artifact_store.folds import Along, begun_by
from artifact_store.reads import Read
from artifact_store.traces import reads_of


@pytest.fixture(autouse=True)
def stable(settled: None) -> None: ...


@fold(dims={"w": ("column",)})
def first_rows(checkpoint: Checkpoint, *, scale: float = 1.0) -> Any:
    return {"w": checkpoint["w"][0] * scale, "column": np.arange(3)}


@analysis
def no_fold(run: Run) -> Any:
    return {"w": np.stack([one["w"] for one in run.values()])}


@analysis
def like_a_fold(run: Run) -> Any:
    """Asks as a fold does, and gives something else."""
    epoch = None
    while (epoch := run.following(epoch)) is not None:
        run[epoch]
    return {"w": np.zeros(2), "epoch": np.zeros(2, np.int64)}


def kept(one: Any, run: Run) -> tuple[Artifact, tuple[Read, ...]]:
    artifact = one.artifact(run)
    reads = reads_of(artifact.entry.manifest, one.call(run).store)
    assert reads is not None
    return artifact, reads


def test_an_entry_of_a_fold_tells_its_rows_and_what_was_read_for_them(
    run_directory: RunDirectory,
) -> None:
    artifact, reads = kept(first_rows, Run(run_directory()))

    begun = begun_by(artifact, reads)

    assert begun is not None and begun.last == 1000 and begun.head == ()
    assert begun.reads == reads[:-1]
    column, w = begun.row.arrays
    assert column.values.tolist() == [0, 1, 2] and column.dims == ("column",)
    assert w.values.tolist() == [0, 0, 0] and w.dims == ("column",)


@pytest.mark.parametrize("one", [no_fold, like_a_fold])
def test_an_entry_that_is_of_no_fold_tells_nothing(
    run_directory: RunDirectory, one: Any
) -> None:
    assert begun_by(*kept(one, Run(run_directory()))) is None


def test_an_entry_whose_reads_are_lost_tells_nothing(
    run_directory: RunDirectory,
) -> None:
    artifact, reads = kept(first_rows, Run(run_directory()))

    assert begun_by(artifact, None) is None
    assert begun_by(artifact, reads[:-1]) is None
    assert begun_by(artifact, reads[2:]) is None


def test_a_function_of_a_checkpoint_is_called_with_a_run() -> None:
    def row(checkpoint: Checkpoint, a: int, *, b: int = 2) -> int:
        return a + b

    along = Along(row, {}, {})

    assert str(inspect.signature(along)).startswith("(run: ")
    assert list(inspect.signature(along).parameters) == ["run", "a", "b"]
    assert along.__code__ is row.__code__


def test_it_travels_with_its_function() -> None:
    along = pickle.loads(pickle.dumps(Along(len, {"a": ("x",)}, {})))

    assert along.func is len and along.dims == {"a": ("x",)}


def test_it_stacks_the_rows_of_a_run_that_nobody_watches(
    run_directory: RunDirectory, tmp_path: Path
) -> None:
    def row(checkpoint: Checkpoint) -> Any:
        return checkpoint["w"]

    found = Along(row, {}, {})(Run(run_directory()))

    assert found["value"][:, 0, 0].tolist() == [0, 500, 1000]
    assert found.dims["value"] == ("epoch", "value_0", "value_1")
