"""Shares of the embedding over training are those of each checkpoint."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny import PRIMES, write_run

from analyses.embedding import (
    dominant_frequencies,
    fourier_coefficients,
    frequency_power_over_training,
)
from analyses.figures import frequencies


@pytest.fixture(autouse=True)
def stable(settled: None) -> None: ...


@pytest.mark.parametrize("prime", PRIMES)
def test_sin_and_cos_together_are_the_share_of_each_checkpoint(
    tmp_path: Path, prime: int
) -> None:
    run = write_run(tmp_path / "run", prime)

    found = frequency_power_over_training(run)

    assert found["frequency"].tolist() == list(range(1, prime // 2 + 1))
    assert found["epoch"].tolist() == [0, 5, 9]
    for row, checkpoint in enumerate(run.values()):
        share = dominant_frequencies(checkpoint)["share"]
        np.testing.assert_allclose(found["sin"][row] + found["cos"][row], share)
    if prime % 2 == 0:
        assert (found["sin"][:, -1] == 0).all()


def test_shares_are_those_that_the_figure_draws(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    stacked = [fourier_coefficients(one)["coefficients"] for one in run.values()]

    found = frequency_power_over_training(run)

    sine, cosine = frequencies.wave_shares(np.stack(stacked))
    np.testing.assert_allclose(found["sin"], sine)
    np.testing.assert_allclose(found["cos"], cosine)
