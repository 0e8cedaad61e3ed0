from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import RunDirectory

from artifact_store import AnalysisPipeline, Checkpoint, Run, analysis, arrays
from artifact_store.errors import (
    AmbiguousArray,
    CoordinatesDiffer,
    MissingArray,
    MissingArtifacts,
    ShapesDiffer,
)
from artifact_store.recent import Recent

EPOCHS = (0, 100, 700, 1000)


@analysis(dims={"grid": ("frequency", "neuron")})
def grid(checkpoint: Checkpoint, shift: float = 0.0) -> Any:
    values = np.arange(12.0).reshape(4, 3) + checkpoint["w"][0, 0] + shift
    return {"grid": values, "frequency": np.array([10, 20, 30, 40])}


@analysis(dims={"grid": ("frequency", "neuron")}, codec="zstd")
def packed(checkpoint: Checkpoint) -> Any:
    return grid(checkpoint)


@analysis
def norm(checkpoint: Checkpoint) -> Any:
    return checkpoint["w"].sum()


@analysis
def two(checkpoint: Checkpoint) -> Any:
    return {"a": checkpoint["w"], "b": checkpoint["v"]}


@analysis
def growing(checkpoint: Checkpoint) -> Any:
    return np.zeros(1 + int(checkpoint["v"][0]))


@analysis(dims={"power": ("frequency",)})
def moving(checkpoint: Checkpoint) -> Any:
    return {"power": np.ones(2), "frequency": checkpoint["v"][:2]}


@pytest.fixture
def run(run_directory: RunDirectory, settled: None) -> Run:
    opened = Run(run_directory(epochs=EPOCHS))
    AnalysisPipeline(opened).run([grid, packed, norm, two, growing, moving])
    return opened


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every data file that is opened, by the analysis' array."""
    names: list[str] = []
    real = os.open

    def noted(path: Any, *args: Any, **kwargs: Any) -> int:
        if Path(path).name.startswith("c") and "/data/" in str(path):
            names.append(Path(path).parent.name)
        return real(path, *args, **kwargs)

    monkeypatch.setattr(os, "open", noted)
    # What this process has read before is not opened again.
    monkeypatch.setattr(arrays, "_at_hand", Recent(0))
    return names


@pytest.mark.parametrize("function", [grid, packed], ids=["raw", "zstd"])
def test_a_series_is_the_stack_of_its_epochs(run: Run, function: Any) -> None:
    series = run.series(function, "grid")
    expected = np.stack([function(one)["grid"] for one in run.values()])

    np.testing.assert_array_equal(series.to_numpy(), expected, strict=True)
    assert series.dims == ("epoch", "frequency", "neuron") and series.name == "grid"
    assert series["epoch"].values.tolist() == list(EPOCHS)
    assert series["frequency"].values.tolist() == [10, 20, 30, 40]


@pytest.mark.parametrize("function", [grid, packed], ids=["raw", "zstd"])
@pytest.mark.parametrize(
    "index",
    [
        {"epoch": 1},
        {"epoch": -1, "frequency": 2},
        {"epoch": [3, 0, 0]},
        {"epoch": [1, 2], "frequency": [3, 1], "neuron": [0, 2, 1]},
        {"epoch": slice(None, None, -2)},
        {"frequency": slice(3, 0, -1), "neuron": slice(None, None, -1)},
        {"epoch": slice(2, 2)},
        {"frequency": slice(1, 1)},
        {"neuron": 0},
        {"epoch": np.array([True, False, True, False])},
        {"epoch": [], "neuron": 1},
        {"epoch": 0, "frequency": 0, "neuron": 0},
    ],
    ids=str,
)
def test_any_index_gives_what_it_gives_on_the_whole(
    run: Run, function: Any, index: dict[str, Any]
) -> None:
    series = run.series(function, "grid")
    whole = series.copy(data=series.to_numpy())

    np.testing.assert_array_equal(
        series.isel(index).to_numpy(), whole.isel(index).to_numpy(), strict=True
    )
    assert series.isel(index).identical(whole.isel(index))


def test_xarray_works_on_it_as_on_any_array(run: Run) -> None:
    import xarray

    series = run.series(grid, "grid")
    whole = series.copy(data=series.to_numpy())
    pairs = xarray.DataArray([0, 2], dims="pick"), xarray.DataArray([1, 3], dims="pick")

    takes: list[Callable[[Any], Any]] = [
        lambda one: one.sel(epoch=700),
        lambda one: one.sel(epoch=[1000, 0], frequency=30),
        lambda one: one.sel(epoch=slice(50, 800)),
        lambda one: one.sel(epoch=600, method="nearest"),
        lambda one: one.transpose("neuron", "epoch", "frequency"),
        lambda one: one.isel(epoch=pairs[0], frequency=pairs[1]),
        lambda one: one.mean("epoch"),
        lambda one: one.diff("epoch").isel(neuron=0),
        lambda one: one.isel(epoch=[1, 3]).isel(epoch=1).T,
    ]
    for take in takes:
        assert take(series).identical(take(whole))


def test_only_the_epochs_that_are_indexed_are_opened(
    run: Run, opened: list[str]
) -> None:
    series = run.series(grid, "grid")
    repr(series), series.isel(epoch=[0, 1]), series.shape, series.nbytes
    assert "grid" not in opened

    series.sel(epoch=700).to_numpy()
    assert opened.count("grid") == 1
    series.isel(epoch=[0, 3], neuron=0).to_numpy()
    assert opened.count("grid") == 3


def test_only_the_rows_that_are_indexed_are_read(
    run_directory: RunDirectory, monkeypatch: pytest.MonkeyPatch, settled: None
) -> None:
    @analysis(dims={"large": ("row", "column")})
    def large(checkpoint: Checkpoint) -> Any:
        return np.arange(1 << 19, dtype=np.float64).reshape(-1, 2)

    run = Run(run_directory(epochs=[0, 1]))
    for one in run.values():
        large.artifact(one)
    read: list[int] = []
    pread = os.pread

    def noted(descriptor: int, count: int, offset: int) -> bytes:
        read.append(count)
        return pread(descriptor, count, offset)

    found = run.series(large).isel(row=slice(10, 12))
    monkeypatch.setattr(os, "pread", noted)

    assert found.to_numpy()[:, 1, 1].tolist() == [23.0, 23.0]
    assert sum(read) <= 2 * 2 * 2 * 8  # epochs, rows, columns, bytes


def test_numbers_make_a_curve(run: Run) -> None:
    series = run.series(norm)

    assert series.dims == ("epoch",)
    assert series.to_numpy().tolist() == [6.0 * epoch for epoch in EPOCHS]
    assert float(series.sel(epoch=100)) == 600.0


def test_the_one_array_that_is_no_coordinate_need_not_be_named(run: Run) -> None:
    assert run.series(grid).name == "grid"
    with pytest.raises(AmbiguousArray, match="a, b"):
        run.series(two)
    assert run.series(two, "b").shape == (4, 4)
    with pytest.raises(MissingArray):
        run.series(two, "c")


def test_params_are_those_of_the_analysis(run: Run) -> None:
    with pytest.raises(MissingArtifacts, match="4 of 4"):
        run.series(grid, shift=1.0)
    for one in run.values():
        grid(one, shift=1.0)
    assert run.series(grid, shift=1.0).isel(epoch=0)[0, 0] == 1.0


def test_missing_epochs_are_told_and_never_filled_in(
    run: Run, run_directory: RunDirectory
) -> None:
    later = Run(run_directory(epochs=[2000, 3000]))

    with pytest.raises(MissingArtifacts, match=r"2 of 6 epochs.*2000, 3000") as caught:
        later.series(grid)
    assert caught.value.epochs == (2000, 3000)


def test_a_series_computes_nothing(run_directory: RunDirectory) -> None:
    run = Run(run_directory("cold"))
    with pytest.raises(MissingArtifacts):
        run.series(norm)
    assert norm.find(run[0]) is None


def test_epochs_of_different_shape_are_no_series(run: Run) -> None:
    with pytest.raises(ShapesDiffer, match="epoch 100"):
        run.series(growing)


def test_a_coordinate_that_moves_from_epoch_to_epoch_labels_nothing(run: Run) -> None:
    with pytest.raises(CoordinatesDiffer, match="'frequency' of epoch 100"):
        run.series(moving)


def test_a_run_can_be_named_by_its_path(run: Run) -> None:
    assert grid.series(str(run.path)).shape == (4, 4, 3)


def test_which_array_is_meant_is_asked_for_as_one_types_it() -> None:
    assert "array='a'" in str(AmbiguousArray("f", ("a", "b")))
    assert "only coordinates" in str(AmbiguousArray("f", ()))
