"""The analyses against results that other people's code computed from real checkpoints."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorstore
import xarray
import zarr

from analyses.clusters import (
    neuron_clusters,
    neuron_freq_norm,
    specialised_neurons,
    specialised_neurons_over_training,
)
from analyses.embedding import dominant_frequencies, fourier_coefficients
from analyses.neurons import neuron_activations
from analyses.performance import epoch_of_grokking, performance_over_training
from analyses.progress import key_frequencies, progress_measures_over_training
from analyses.records import training_losses
from artifact_store import Analysis, AnalysisPipeline, Artifact, Run

RUNS = Path(__file__).parents[3] / "shared" / "runs"
NAMES = ("p59_seed485", "p113_published")

pytestmark = pytest.mark.skipif(not RUNS.is_dir(), reason="the real runs are not here")


@pytest.fixture(params=NAMES)
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    """A real run, copied to where artifacts may be written."""
    shutil.copytree(RUNS / request.param, tmp_path / request.param)
    return Run(tmp_path / request.param)


def expected(run: Run, epoch: int) -> Any:
    return np.load(run.path / f"expected/checkpoint_epoch_{epoch:05d}.npz")


def close(found: Any, wanted: Any) -> None:
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


def test_every_analysis_agrees_on_every_checkpoint(run: Run) -> None:
    for epoch, checkpoint in run.items():
        wanted = expected(run, epoch)
        close(
            fourier_coefficients(checkpoint)["coefficients"],
            wanted["fourier_coefficients"],
        )
        close(neuron_freq_norm(checkpoint)["norm"], wanted["neuron_freq_norm"])
        grids = neuron_activations(checkpoint)["activations"]
        close(grids[:8], wanted["neuron_activations_0_8"])
        np.testing.assert_allclose(
            grids.sum(axis=(1, 2), dtype=np.float64),
            wanted["neuron_activation_sums"],
            rtol=1e-4,
        )


def test_the_published_model_has_its_frequencies_and_neurons(tmp_path: Path) -> None:
    shutil.copytree(RUNS / "p113_published", tmp_path / "p113")
    checkpoint = Run(tmp_path / "p113")[50000]

    dominant = dominant_frequencies(checkpoint)
    assert dominant["frequency"][dominant["dominant"]].tolist() == [6, 23, 39]
    assert specialised_neurons(checkpoint)["count"].sum() == 405
    assert (neuron_clusters(checkpoint)["cluster"] > 0).sum() == 405


def test_every_stored_array_is_read_alike_by_zarr_xarray_and_tensorstore(
    run: Run,
) -> None:
    chosen: list[Analysis[..., Any]] = [
        fourier_coefficients,
        neuron_activations,
        neuron_freq_norm,
    ]
    AnalysisPipeline(run).run(chosen)
    for analysis in chosen:
        for epoch, checkpoint in run.items():
            door = (
                run.path / f"artifacts/{analysis.__name__}/checkpoint_epoch_{epoch:05d}"
            )
            returned = analysis(checkpoint)
            dataset = xarray.open_zarr(door)
            opened: Any = zarr.open(door, mode="r")
            for name, wanted in returned.items():
                np.testing.assert_array_equal(opened[name], wanted)
                np.testing.assert_array_equal(dataset[name].to_numpy(), wanted)
                np.testing.assert_array_equal(
                    read_with_tensorstore(door / name), wanted
                )


def read_with_tensorstore(path: Path) -> Any:
    store = {"driver": "file", "path": str(path)}
    return (
        tensorstore.open({"driver": "zarr3", "kvstore": store}).result().read().result()
    )


def test_frequencies_are_labelled_from_one(run: Run) -> None:
    norm = (
        run.series(neuron_freq_norm)
        if AnalysisPipeline(run).run([neuron_freq_norm])
        else None
    )

    assert norm is not None
    assert norm.frequency.to_numpy().tolist() == list(
        range(1, run.config["prime"] // 2 + 1)
    )
    assert norm.epoch.to_numpy().tolist() == list(run.epochs)


def test_artifacts_say_where_they_come_from(run: Run) -> None:
    artifact = neuron_freq_norm.artifact(run[run.epochs[-1]])

    assert isinstance(artifact, Artifact)
    assert artifact.provenance.function == "analyses.clusters:neuron_freq_norm"
    assert (
        artifact.provenance.inputs[0].label == f"checkpoint_epoch_{run.epochs[-1]:05d}"
    )


def test_every_offered_analysis_works_on_every_run(run: Run) -> None:
    outcome = AnalysisPipeline(run).run()

    assert not outcome.failures and outcome.count("computed") > len(run)
    assert {one.epoch for one in outcome.done} == {None, *run.epochs}


def test_progress_measures_move_before_the_network_is_seen_to_understand(
    tmp_path: Path,
) -> None:
    shutil.copytree(RUNS / "p59_seed485", tmp_path / "p59")
    run = Run(tmp_path / "p59")
    epochs = list(run.epochs)

    assert key_frequencies(run).tolist() == [1, 15, 19, 21, 27]
    measures, found = (
        progress_measures_over_training(run),
        performance_over_training(run),
    )
    at = {epoch: row for row, epoch in enumerate(epochs)}
    # Test accuracy: 0.55 at 500, 0.71 at 800, 0.88 at 1000, 0.96 at 1200.
    assert found["test_accuracy"][at[500]] < 0.6 < 0.95 < found["test_accuracy"][-2]
    assert epoch_of_grokking(run) == {"memorised": 200, "grokked": 1200}

    restricted, excluded = measures["restricted"], measures["excluded"]
    # At first, both are what they are for a network that knows nothing.
    assert np.allclose([restricted[0], excluded[0]], np.log(59), atol=0.01)
    # The restricted loss only falls: to nothing while the test loss is still that of a guess.
    assert (np.diff(restricted) < 0).all()
    assert restricted[at[500]] < 0.03 and measures["test_loss"][at[500]] > 3.7
    # The excluded loss rises until the network has understood, though the training loss only falls.
    assert (np.diff(excluded[at[100] : at[1000] + 1]) > 0).all()
    assert excluded[at[1000]] > 10 and (np.diff(measures["train_loss"]) < 0).all()


def test_the_losses_of_checkpoints_are_those_that_the_training_wrote_down(
    tmp_path: Path,
) -> None:
    shutil.copytree(RUNS / "p59_seed485", tmp_path / "p59")
    run = Run(tmp_path / "p59")
    found, written = performance_over_training(run), training_losses(run)
    # Whoever trained it took the training loss before the step of an epoch, and all else after it.
    epochs, close = found["epoch"], partial(np.testing.assert_allclose, rtol=1e-5)
    close(found["test_loss"], written["test"][epochs])
    close(found["train_loss"][:-1], written["train"][epochs[:-1] + 1])


def test_the_published_model_answers_by_the_frequencies_it_is_known_for(
    tmp_path: Path,
) -> None:
    shutil.copytree(RUNS / "p113_published", tmp_path / "p113")
    run = Run(tmp_path / "p113")

    assert {6, 23, 39} <= set(key_frequencies(run).tolist())
    assert performance_over_training(run)["accuracy"][0] > 0.999
    assert progress_measures_over_training(run)["restricted"][0] < 0.01
    assert training_losses(run)["epoch"].size == 0
    count = specialised_neurons_over_training(run)["count"]
    assert count.sum() == 405
    assert np.flatnonzero(count[0]).tolist() == [6 - 1, 23 - 1, 39 - 1]
