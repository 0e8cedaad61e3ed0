"""Shares of frequencies, as the analyses compute them from stored grids."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Ran
from tiny import PRIMES, write_run

from analyses.clusters import (
    frequency_shares,
    neuron_freq_norm,
    neuron_frequencies_over_training,
    specialised_neurons,
    specialised_neurons_over_training,
)
from analyses.fourier import grid_shares
from analyses.model import BLOCK


def test_neurons_come_out_alike_whichever_block_they_are_in() -> None:
    grids = np.random.default_rng(0).random((2 * BLOCK + 3, 7, 7), dtype=np.float32)
    grids.flags.writeable = False  # as the store returns them

    shares = frequency_shares(grids, "cpu")

    assert shares.shape == (3, len(grids))
    for neuron in (0, BLOCK, 2 * BLOCK + 2):
        alone = grid_shares(torch.tensor(grids[neuron : neuron + 1]))
        torch.testing.assert_close(shares[:, [neuron]], alone)


def test_nothing_but_the_shares_leaves_the_device() -> None:
    # Tensors on `meta` have no values: whatever would bring one to the host, or mix devices, raises.
    shares = frequency_shares(np.zeros((BLOCK + 1, 7, 7), np.float32), "meta")

    assert shares.device.type == "meta"
    assert shares.shape == (3, BLOCK + 1)


def test_torch_has_its_threads_back_afterwards() -> None:
    before = torch.get_num_threads()

    frequency_shares(np.zeros((1, 7, 7), np.float32), "cpu")

    assert torch.get_num_threads() == before


@pytest.mark.parametrize("prime", PRIMES)
def test_frequencies_of_neurons_over_training_are_those_of_each_checkpoint(
    tmp_path: Path, settled: None, prime: int
) -> None:
    run = write_run(tmp_path / "run", prime)

    found = neuron_frequencies_over_training(run)

    assert found["epoch"].tolist() == [0, 5, 9]
    for row, checkpoint in enumerate(run.values()):
        norm = neuron_freq_norm(checkpoint)["norm"]
        alive = norm.max(axis=0) > 0
        np.testing.assert_array_equal(found["share"][row], norm.max(axis=0))
        best = np.where(alive, norm.argmax(axis=0) + 1, 0)
        np.testing.assert_array_equal(found["dominant"][row], best)
        for k in found["frequency"]:
            assert found["neurons"][row][k - 1] == (best == k).sum()


def test_a_dead_neuron_has_no_frequency(tmp_path: Path, settled: None) -> None:
    run = write_run(tmp_path / "run", scale=0.0)

    found = neuron_frequencies_over_training(run)

    assert not found["dominant"].any() and not found["share"].any()
    assert not specialised_neurons_over_training(run, threshold=0.0)["count"].any()


def test_specialised_neurons_over_training_are_counted_from_one_artifact(
    tmp_path: Path, settled: None, ran: Ran
) -> None:
    run = write_run(tmp_path / "run")
    neuron_frequencies_over_training(run)
    ran()

    found = specialised_neurons_over_training(run, threshold=0.5)

    assert ran() == ["specialised_neurons_over_training"]
    assert found["count"].shape == (3, 3) and found["epoch"].tolist() == [0, 5, 9]
    for row, checkpoint in enumerate(run.values()):
        counted = specialised_neurons(checkpoint, threshold=0.5)
        np.testing.assert_array_equal(found["count"][row], counted["count"])
