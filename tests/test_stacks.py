from __future__ import annotations

import gc
import os
import pickle
from typing import Any

import numpy as np
import pytest
from conftest import RunDirectory

from artifact_store import AnalysisPipeline, Checkpoint, Run, analysis
from artifact_store.descriptors import _Map
from artifact_store.shards import MAP_BYTES


@analysis
def doubled(checkpoint: Checkpoint) -> Any:
    return checkpoint["w"] * 2


def test_a_series_survives_a_pickle_unread_and_read(
    run_directory: RunDirectory,
) -> None:
    path = run_directory()
    AnalysisPipeline(path).run([doubled])
    stacked = Run(path).series(doubled)
    there = pickle.loads(pickle.dumps(stacked))
    loaded = pickle.loads(pickle.dumps(stacked.load()))

    assert there.dims == stacked.dims and there.epoch.values.tolist() == [0, 500, 1000]
    for one in (there, loaded):
        assert np.array_equal(one.values, stacked.values)


def test_no_more_than_one_epoch_is_mapped_while_another_is_opened(
    run_directory: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    @analysis
    def large(checkpoint: Checkpoint) -> Any:
        return np.full((2, MAP_BYTES // 8), checkpoint["v"][0], np.float32)

    run = Run(run_directory(epochs=range(5)))
    for one in run.values():
        large.artifact(one)
    series, mapped, real = run.series(large), list[int](), os.open

    def noted(path: Any, *args: Any, **kwargs: Any) -> int:
        mapped.append(sum(type(one) is _Map for one in gc.get_objects()))
        return real(path, *args, **kwargs)

    before = sum(type(one) is _Map for one in gc.get_objects())
    monkeypatch.setattr(os, "open", noted)
    found = series.isel(value_1=0).to_numpy()

    assert found.tolist() == [[epoch, epoch] for epoch in range(5)]
    assert len(mapped) == 5 and max(mapped) <= before + 1
