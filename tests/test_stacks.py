from __future__ import annotations

import pickle
from typing import Any

import numpy as np
from conftest import RunDirectory

from artifact_store import AnalysisPipeline, Checkpoint, Run, analysis


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
