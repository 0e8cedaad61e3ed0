"""Shares of frequencies, as the analyses compute them from stored grids."""

from __future__ import annotations

import numpy as np
import torch

from analyses.clusters import frequency_shares
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
