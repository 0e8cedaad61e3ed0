"""The Fourier basis is one, and shares of power are what they say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pytest
import torch
from safetensors.torch import load_file

from analyses import model
from analyses.fourier import (
    coefficient_norms,
    component_frequencies,
    component_names,
    fourier_basis,
    grid_shares,
    power_shares,
    waves,
)

RUNS = Path(__file__).parents[3] / "shared" / "runs"
CHECKPOINTS = sorted(RUNS.glob("*/checkpoints/*.safetensors"))
Floats: TypeAlias = npt.NDArray[np.float64]
Wave: TypeAlias = Callable[[Floats, Floats], Floats]
SIZES = [1, 2, 3, 5, 8, 12, 59, 113]


def grid(p: int, value: Wave) -> torch.Tensor:
    """The grid of one neuron, from a function of the angles of a and b at frequency 1."""
    angle = 2 * np.pi * np.arange(p) / p
    return torch.tensor(value(angle[:, None], angle[None, :]), dtype=torch.float32)[
        None
    ]


@pytest.mark.parametrize("p", SIZES)
def test_the_basis_is_orthonormal_and_complete(p: int) -> None:
    basis = fourier_basis(p)

    assert basis.shape == (p, p)
    np.testing.assert_allclose(basis @ basis.T, np.eye(p), atol=1e-12)


@pytest.mark.parametrize("p", SIZES)
def test_every_component_has_a_name_and_a_frequency(p: int) -> None:
    assert len(component_names(p)) == len(component_frequencies(p)) == p


def test_nobody_can_change_the_waves_that_others_are_given() -> None:
    assert waves(7) is waves(7)
    with pytest.raises(ValueError, match="read-only"):
        waves(7)[0] = 0


def test_components_are_ordered_const_then_sin_and_cos_of_each_frequency() -> None:
    residue = np.arange(5)

    assert component_names(5) == ["const", "sin 1", "cos 1", "sin 2", "cos 2"]
    assert component_frequencies(5).tolist() == [0, 1, 1, 2, 2]
    np.testing.assert_allclose(
        fourier_basis(5)[3], np.sin(4 * np.pi * residue / 5) * np.sqrt(2 / 5)
    )


def test_the_highest_frequency_of_an_even_period_has_only_a_cosine() -> None:
    assert component_names(4) == ["const", "sin 1", "cos 1", "cos 2"]
    assert component_frequencies(4).tolist() == [0, 1, 1, 2]
    np.testing.assert_allclose(fourier_basis(4)[3], [0.5, -0.5, 0.5, -0.5])


def test_coefficients_keep_the_norm_of_the_table() -> None:
    table = np.random.default_rng(0).normal(size=(11, 4)).astype(np.float32)

    norms = coefficient_norms(table)

    assert norms.shape == (11,)
    np.testing.assert_allclose(np.linalg.norm(norms), np.linalg.norm(table))


def test_the_power_of_a_frequency_joins_its_sin_and_cos_and_ignores_the_constant() -> (
    None
):
    norms = np.array([9.0, 1.0, 2.0, 0.0, 5.0])

    np.testing.assert_allclose(power_shares(norms), [5 / 30, 25 / 30])


def test_without_power_there_are_no_shares() -> None:
    assert power_shares(np.array([3.0, 0.0, 0.0])).tolist() == [0.0]


@pytest.mark.parametrize("p", [7, 12, 59])
@pytest.mark.parametrize(
    "value",
    [
        lambda a, b: np.cos(2 * (a + b)),
        lambda a, b: np.sin(2 * a) * np.cos(2 * b) - 3,
        lambda a, b: np.cos(2 * a) + 0 * b,
        lambda a, b: 5 + np.sin(2 * b) + 0 * a,
        lambda a, b: 1 + np.cos(2 * a) + np.cos(2 * b + 1) + np.cos(2 * (a - b)),
    ],
)
def test_a_neuron_of_one_frequency_has_all_its_power_there(p: int, value: Wave) -> None:
    shares = grid_shares(grid(p, value))[:, 0]

    np.testing.assert_allclose(shares, np.eye(p // 2)[1], atol=1e-5)


def test_power_is_shared_in_proportion() -> None:
    shares = grid_shares(grid(13, lambda a, b: 2 * np.cos(a + b) + np.cos(3 * (a + b))))

    np.testing.assert_allclose(
        shares[:, 0], [0.8, 0, 0.2, 0, 0, 0], rtol=1e-5, atol=1e-5
    )


def test_a_product_of_two_frequencies_counts_for_neither() -> None:
    shares = grid_shares(grid(13, lambda a, b: np.cos(2 * a) * np.cos(3 * b)))

    np.testing.assert_allclose(shares, 0, atol=1e-5)


@pytest.mark.parametrize("value", [0.0, 1.0, 0.1, -3e4])
def test_a_constant_neuron_has_no_frequency(value: float) -> None:
    shares = grid_shares(torch.full((1, 113, 113), value))

    assert shares.count_nonzero() == 0


def test_a_faint_wave_on_a_high_mean_is_still_seen() -> None:
    shares = grid_shares(grid(59, lambda a, b: 1 + 1e-4 * np.cos(2 * (a + b))))

    np.testing.assert_allclose(shares[1], 1, atol=1e-3)


def test_grids_are_left_as_they_were() -> None:
    grids = torch.rand(2, 7, 7)
    before = grids.clone()

    grid_shares(grids)

    assert torch.equal(grids, before)


@pytest.mark.parametrize("p", [2, 6, 11])
def test_shares_are_those_of_the_whole_transform(p: int) -> None:
    grids = np.random.default_rng(0).normal(size=(3, p, p)) + 2
    basis, frequency = fourier_basis(p), component_frequencies(p)
    power = (basis @ (grids - grids.mean((1, 2), keepdims=True)) @ basis.T) ** 2

    shares = grid_shares(torch.tensor(grids))

    for k in range(1, p // 2 + 1):
        alone = np.isin(frequency, [0, k])
        known = power[:, alone][:, :, alone].sum((1, 2)) / power.sum((1, 2))
        np.testing.assert_allclose(shares[k - 1], known)


@pytest.mark.skipif(not CHECKPOINTS, reason="needs shared/runs")
@pytest.mark.parametrize("path", CHECKPOINTS, ids=lambda path: path.stem)
def test_coefficients_and_shares_agree_with_independent_code(path: Path) -> None:
    weights = load_file(path)
    expected = np.load(path.parents[1] / "expected" / f"{path.stem}.npz")

    shares = grid_shares(model.mlp_activations(weights)).numpy()
    norms = coefficient_norms(weights["embed.W_E"][:-1].numpy())

    for found, known in [
        (norms, expected["fourier_coefficients"]),
        (shares, expected["neuron_freq_norm"]),
    ]:
        assert found.shape == known.shape
        np.testing.assert_allclose(found, known, rtol=1e-4, atol=1e-4)


@pytest.mark.skipif(not CHECKPOINTS, reason="needs shared/runs")
def test_the_published_network_computes_with_frequencies_6_23_and_39() -> None:
    [path] = RUNS.glob("p113_published/checkpoints/*.safetensors")

    shares = grid_shares(model.mlp_activations(load_file(path))).numpy()
    specialised = shares.max(axis=0) > 0.85

    assert np.unique(shares.argmax(axis=0)[specialised] + 1).tolist() == [6, 23, 39]
    assert specialised.sum() == 405
