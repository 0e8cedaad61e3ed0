"""What a report shows is what is stored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import save_file

from analyses.gather import SHOWN, gather, report_of
from analyses.neurons import neuron_activations
from analyses.train import Training, initial_weights
from artifact_store import AnalysisPipeline, Run
from artifact_store.errors import MissingArtifacts
from artifact_store.stamps import read_stamp


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run of two tiny checkpoints, not analysed."""
    (tmp_path / "run/checkpoints").mkdir(parents=True)
    for epoch in (0, 5):
        config = Training(prime=7, d_model=8, n_heads=2, d_mlp=16, model_seed=epoch)
        path = tmp_path / f"run/checkpoints/checkpoint_epoch_{epoch:05d}.safetensors"
        save_file(initial_weights(config), path)
    return Run(tmp_path / "run")


def test_a_report_shows_the_stored_arrays_and_their_keys(run: Run) -> None:
    AnalysisPipeline(run).run(SHOWN)

    data = gather(run)

    assert data.epochs.tolist() == [0, 5]
    stored = neuron_activations(run[5])["activations"]
    np.testing.assert_array_equal(data.activations[1], stored[list(data.neurons)])
    keys = data.provenance["neuron_activations"]
    assert keys == [neuron_activations.key(run[e]).digest.hex for e in (0, 5)]


def test_a_report_carries_the_stamp_of_all_that_it_shows(run: Run) -> None:
    AnalysisPipeline(run).run(SHOWN)

    page = report_of(run)

    stamp = read_stamp(page, "report.html")
    assert [one.key for one in stamp.artifacts] == [
        analysis.key(given).digest.hex
        for analysis in SHOWN
        for given in ((run,) if analysis.takes_run else run.values())
    ]
    assert report_of(run) == page


def test_a_report_of_a_run_that_was_not_analysed_says_what_is_missing(run: Run) -> None:
    with pytest.raises(MissingArtifacts, match="neuron_freq_norm.*2 of 2 epochs"):
        gather(run)
