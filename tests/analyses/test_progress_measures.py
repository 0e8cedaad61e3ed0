"""Progress measures are those of the paper, computed as it says: by a 2D Fourier transform of the logits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Ran
from numpy.typing import NDArray
from safetensors.torch import load_file
from tiny import PRIMES, losses, write_run

from analyses import model
from analyses.progress import (
    ablated_losses,
    key_frequencies,
    key_part,
    logit_frequencies,
    progress_measures_over_training,
)
from artifact_store import Run

Floats = NDArray[np.float64]


@pytest.fixture(autouse=True)
def stable(settled: None) -> None: ...


def transformed(logits: Floats, frequencies: tuple[int, ...]) -> tuple[Floats, Floats]:
    """The constant term of logits (a, b, out), and their terms in cos and sin of w_k (a + b), by a 2D FFT."""
    p = len(logits)
    spectrum = np.fft.fft2(logits, axes=(0, 1))
    constant, key = np.zeros_like(spectrum), np.zeros_like(spectrum)
    constant[0, 0] = spectrum[0, 0]
    for k in frequencies:
        # exp(i w (a + b)) has the same frequency in a and in b; its conjugate is at p - k.
        key[k, k], key[p - k, p - k] = spectrum[k, k], spectrum[p - k, p - k]
    return np.fft.ifft2(constant, axes=(0, 1)).real, np.fft.ifft2(key, axes=(0, 1)).real


def logits_of(run: Run, epoch: int) -> Floats:
    logits = model.logits(load_file(run[epoch].path)).double().numpy()
    p = round(len(logits) ** 0.5)
    return np.asarray(logits.reshape(p, p, -1))


def some_frequencies(prime: int) -> tuple[int, ...]:
    """The highest, which for an even number is a cosine alone, and the lowest."""
    return tuple(sorted({1, prime // 2}))


@pytest.mark.parametrize("prime", PRIMES)
def test_losses_are_those_of_logits_whose_2d_transform_was_ablated(
    tmp_path: Path, prime: int
) -> None:
    run, chosen = write_run(tmp_path / "run", prime), some_frequencies(prime)
    logits = logits_of(run, 5)
    constant, key = transformed(logits, chosen)

    found = ablated_losses(run[5], frequencies=chosen)

    np.testing.assert_allclose(found["restricted"], losses(constant + key), rtol=1e-5)
    np.testing.assert_allclose(found["excluded"], losses(logits - key), rtol=1e-5)


def test_no_frequency_leaves_the_constant_alone_and_takes_nothing_away(
    tmp_path: Path,
) -> None:
    run = write_run(tmp_path / "run")
    logits = logits_of(run, 5)

    found = ablated_losses(run[5], frequencies=())

    np.testing.assert_allclose(found["excluded"], losses(logits), rtol=1e-5)
    mean = np.broadcast_to(logits.mean(axis=(0, 1)), logits.shape)
    np.testing.assert_allclose(found["restricted"], losses(mean), rtol=1e-5)


def test_waves_of_the_difference_are_no_part_of_it() -> None:
    p, k = 7, 2
    a, b = np.meshgrid(np.arange(p), np.arange(p), indexing="ij")
    along, across = (np.cos(2 * np.pi * k * x / p).ravel() for x in (a + b, a - b))

    part = key_part(torch.tensor(along + across)[:, None], [k])

    np.testing.assert_allclose(part[:, 0], along, atol=1e-12)


@pytest.mark.parametrize("prime", PRIMES)
def test_shares_of_the_logits_are_those_of_their_2d_transform(
    tmp_path: Path, prime: int
) -> None:
    run = write_run(tmp_path / "run", prime)
    logits = logits_of(run, 9)
    varying = np.square(logits - logits.mean(axis=(0, 1))).sum()

    found = logit_frequencies(run[9])

    assert found["frequency"].tolist() == list(range(1, prime // 2 + 1))
    for k, share in zip(found["frequency"], found["share"], strict=True):
        power = np.square(transformed(logits, (int(k),))[1]).sum()
        np.testing.assert_allclose(share, power / varying, rtol=1e-4)


@pytest.mark.parametrize("prime", PRIMES)
def test_measures_are_means_over_all_pairs_and_over_those_of_training(
    tmp_path: Path, prime: int
) -> None:
    run, chosen = write_run(tmp_path / "run", prime, train=[2, 0]), (1,)

    found = progress_measures_over_training(run, frequencies=chosen)

    assert found["epoch"].tolist() == [0, 5, 9]
    for row, checkpoint in enumerate(run.values()):
        one = ablated_losses(checkpoint, frequencies=chosen)
        excluded = one["excluded"].ravel()[[0, 2]].mean()
        np.testing.assert_allclose(found["restricted"][row], one["restricted"].mean())
        np.testing.assert_allclose(found["excluded"][row], excluded)


def test_key_frequencies_are_those_of_the_last_checkpoint(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    share = logit_frequencies(run[9])["share"]
    bar = float(np.sort(share)[-2:].mean())

    assert key_frequencies(run, threshold=bar).tolist() == [share.argmax() + 1]
    assert key_frequencies(run, threshold=1.0).tolist() == []
    assert key_frequencies(run, threshold=0.0).tolist() == [1, 2, 3]


def test_rows_stay_while_a_longer_run_has_the_same_key_frequencies(
    tmp_path: Path, ran: Ran
) -> None:
    run = write_run(tmp_path / "run")
    before = progress_measures_over_training(run)
    longer = write_run(tmp_path / "run", epochs=[25])
    assert key_frequencies(longer).tolist() == key_frequencies(run).tolist() == [2]
    ran()

    after = progress_measures_over_training(longer)

    assert sorted(ran()) == [
        "ablated_losses",
        "answer_losses",
        "progress_measures_over_training",
    ]
    np.testing.assert_array_equal(after["restricted"][:3], before["restricted"])

    # Of a network with others, every row is another one.
    other = write_run(tmp_path / "run", epochs=[28])
    progress_measures_over_training(other)
    assert ran().count("ablated_losses") == 5


def test_a_run_that_names_no_pairs_has_a_restricted_loss_alone(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    (run.path / "metadata.json").unlink()

    found = progress_measures_over_training(Run(run.path))

    assert np.isfinite(found["restricted"]).all()
    assert all(
        np.isnan(found[name]).all() for name in ("excluded", "train_loss", "test_loss")
    )
