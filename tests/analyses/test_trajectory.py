"""The embedding is seen in one basis at all epochs, which is that of one checkpoint."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import Ran
from numpy.typing import NDArray
from tiny import PRIMES, write_run

from analyses.trajectory import axes_of, embedding_trajectory, principal_axes
from artifact_store import Checkpoint


@pytest.fixture(autouse=True)
def stable(settled: None) -> None: ...


def residues(checkpoint: Checkpoint) -> NDArray[np.float64]:
    table = checkpoint["embed.W_E"][:-1].astype(np.float64)
    return np.asarray(table - table.mean(axis=0))


@pytest.mark.parametrize("prime", PRIMES)
def test_axes_are_the_eigenvectors_of_the_covariance(
    tmp_path: Path, prime: int
) -> None:
    run = write_run(tmp_path / "run", prime)
    table = residues(run[5])
    values, vectors = np.linalg.eigh(table.T @ table)

    axes = principal_axes(run[5])

    np.testing.assert_allclose(axes @ axes.T, np.eye(len(axes)), atol=1e-9)
    for axis, value, vector in zip(axes, values[::-1], vectors.T[::-1]):
        if value > 1e-9:
            np.testing.assert_allclose(abs(axis @ vector), 1, rtol=1e-6)


def test_signs_do_not_depend_on_those_of_the_decomposition() -> None:
    table = np.random.default_rng(0).standard_normal((5, 4))

    axes = axes_of(table)

    np.testing.assert_allclose(axes, axes_of(-table), atol=1e-12)
    assert (axes[np.arange(4), np.abs(axes).argmax(axis=1)] > 0).all()


@pytest.mark.parametrize("prime", PRIMES)
def test_positions_are_in_the_basis_of_the_last_checkpoint(
    tmp_path: Path, prime: int
) -> None:
    run = write_run(tmp_path / "run", prime)

    found = embedding_trajectory(run)

    axes = principal_axes(run[9])[:2]
    assert found["position"].shape == (3, prime, 2)
    assert found["residue"].tolist() == list(range(prime))
    assert found["component"].tolist() == [1, 2]
    for row, checkpoint in enumerate(run.values()):
        table = residues(checkpoint)
        np.testing.assert_allclose(found["position"][row], table @ axes.T, atol=1e-9)
        spread = np.square(table @ axes.T).sum(axis=0) / np.square(table).sum()
        np.testing.assert_allclose(found["share"][row], spread, atol=1e-9)


def test_at_the_checkpoint_of_the_basis_no_other_axes_explain_more(
    tmp_path: Path,
) -> None:
    run = write_run(tmp_path / "run")
    variances = np.linalg.svd(residues(run[9]), compute_uv=False) ** 2

    share = embedding_trajectory(run, components=3)["share"]

    np.testing.assert_allclose(share[-1], variances[:3] / variances.sum(), rtol=1e-6)


def test_a_given_basis_stays_when_the_run_grows(tmp_path: Path, ran: Ran) -> None:
    run = write_run(tmp_path / "run")
    axes = principal_axes(run[5])
    before = embedding_trajectory(run, axes=axes)
    longer = write_run(tmp_path / "run", epochs=[12])
    ran()

    after = embedding_trajectory(longer, axes=axes)

    assert ran() == ["embedding_trajectory"]
    np.testing.assert_array_equal(after["position"][:3], before["position"])


def test_more_components_than_there_are_give_all(tmp_path: Path) -> None:
    found = embedding_trajectory(write_run(tmp_path / "run", 3), components=9)

    assert found["component"].tolist() == [1, 2, 3]
