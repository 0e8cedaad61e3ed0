"""The report is one file that holds everything, asks no network, and believes no name."""

from __future__ import annotations

import base64
import dataclasses
import json
import re
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray
from plotly.offline import get_plotlyjs

from analyses.figures.activations import activation_heatmaps
from analyses.figures.checks import WrongShape
from analyses.figures.clusters import neuron_clusters, specialised_neurons
from analyses.figures.frequencies import dominant_frequencies, frequency_heatmap
from analyses.figures.losses import loss_curves
from analyses.report import MAX_BYTES, ReportData, render_report

EPOCHS = np.array([0, 10, 500])


def report_data(
    p: int = 7,
    neurons: int = 16,
    epochs: ArrayLike = EPOCHS,
    samples: Sequence[int] = (3, 11),
    trained: int = 501,
) -> ReportData:
    random = np.random.default_rng(0)
    checkpoints = np.asarray(epochs)
    n = len(checkpoints)
    norm = random.random((n, p // 2, neurons), dtype=np.float32)
    grids = random.random((n, len(samples), p, p), dtype=np.float32)
    frequency = np.arange(1, p // 2 + 1)
    power = random.random((n, p // 2))
    coefficients, losses = random.random((n, p)), random.random(trained)
    counts = np.ones((n, p // 2), int)
    return ReportData(
        run="p7_seed1",
        config={"prime": p, "seed": 1},
        epochs=checkpoints,
        train_losses=random.random(trained),
        test_losses=random.random(trained),
        coefficients=coefficients,
        norm=norm / norm.sum(axis=1, keepdims=True),
        neurons=samples,
        activations=grids,
        provenance={"neuron_freq_norm": ["3f9a", "77bc"]},
        figures={
            "frequencies": dominant_frequencies(
                coefficients[-1], frequency, threshold=0.1
            ),
            "spectrum": frequency_heatmap(power, checkpoints, frequency),
            "activations": activation_heatmaps(grids[-1], samples, numbers=samples),
            "clusters": neuron_clusters(norm[-1], frequency, threshold=0.75),
            "specialised": specialised_neurons(
                counts, checkpoints, frequency, threshold=0.75
            ),
            "losses": loss_curves(losses, losses),
        },
        accuracy=random.random(n),
    )


def content(page: str) -> Any:
    opening = '<script type="application/json" id="content">'
    return json.loads(page.partition(opening)[2].partition("</script>")[0])


def unpacked(page: str, name: str) -> NDArray[Any]:
    packed = content(page)["arrays"][name]
    raw = zlib.decompress(base64.b64decode(packed["deflated"]))
    return np.frombuffer(raw, packed["dtype"]).reshape(packed["shape"])


def test_equal_data_give_equal_bytes() -> None:
    assert render_report(report_data()) == render_report(report_data())


def test_the_page_loads_nothing_and_forbids_itself_the_network() -> None:
    page = render_report(report_data())
    own = page.replace(get_plotlyjs(), "")

    assert len(own) < len(page)
    assert "default-src 'none'" in own
    assert not re.search(r"""(src|href)\s*=|@import|url\(|https?://""", own)


def test_a_long_run_of_a_large_prime_fits() -> None:
    epochs = np.arange(95) * 370
    page = render_report(
        report_data(
            p=113, neurons=512, epochs=epochs, samples=(0, 7, 100, 511), trained=35_000
        )
    )

    assert len(page.encode()) < MAX_BYTES
    assert len(unpacked(page, "purest")) == 95


def test_pictures_that_do_not_fit_are_thinned_and_the_page_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = report_data(p=59, epochs=np.arange(20) * 50, samples=range(8))
    whole = render_report(data)
    monkeypatch.setattr("analyses.report.MAX_BYTES", len(whole.encode()) - 200_000)

    page = render_report(data)

    pictured = unpacked(page, "pictured")
    assert len(pictured) < 20 and pictured[-1] == 19
    assert f"stored for {len(pictured)} of the 20 checkpoints" in page
    assert (
        len(unpacked(page, "norm"))
        == len(unpacked(page, "activations"))
        == len(pictured)
    )
    assert len(unpacked(page, "purest")) == 20


def test_hostile_names_stay_text() -> None:
    hostile = "</script><script>alert(1)</script><!-- ${run} $run & \"'"
    data = dataclasses.replace(
        report_data(),
        run=hostile,
        config={hostile: hostile, "prime": hostile},
        provenance={hostile: [hostile]},
    )

    page = render_report(data)

    assert "<script>alert" not in page
    assert "&lt;/script&gt;&lt;script&gt;alert(1)" in page
    assert page.count("<script") - get_plotlyjs().count("<script") == 3


def test_pictures_are_within_half_a_shade_of_the_truth() -> None:
    data = report_data()
    page = render_report(data)

    low, step = (
        unpacked(page, name)[..., None, None]
        for name in ("activations_low", "activations_step")
    )
    read = low + step * unpacked(page, "activations")
    np.testing.assert_allclose(read, data.activations, atol=0.51 / 255)
    np.testing.assert_allclose(unpacked(page, "norm") / 255, data.norm, atol=0.51 / 255)


def test_thresholds_are_judged_on_exact_shares() -> None:
    data = report_data()
    page = render_report(data)

    assert np.array_equal(unpacked(page, "purest"), data.norm.max(axis=1))
    assert np.array_equal(unpacked(page, "dominant"), data.norm.argmax(axis=1) + 1)


def test_losses_are_those_at_the_checkpoints() -> None:
    train, test = np.array([4.0, 2.0, 0.5]), np.array([4.0, 5.0, 0.25])
    data = report_data(epochs=[0, 2, 700])

    page = render_report(
        dataclasses.replace(data, train_losses=train, test_losses=test)
    )

    unknown = [np.nan, np.nan]
    expected = [[4.0, 4.0], [0.5, 0.25], unknown]
    np.testing.assert_array_equal(unpacked(page, "losses"), expected)


def test_a_run_without_losses_has_no_section_for_them() -> None:
    data = report_data()
    others = {name: one for name, one in data.figures.items() if name != "losses"}
    page = render_report(
        dataclasses.replace(data, train_losses=None, test_losses=None, figures=others)
    )

    assert re.search(r'id="losses-section" hidden>', page)


def test_a_diverged_run_can_still_be_looked_at() -> None:
    data = report_data()
    data.norm[1], data.coefficients[1], data.activations[1] = np.nan, np.nan, np.nan

    assert "NaN" not in json.dumps(content(render_report(data)))


def test_a_single_checkpoint_is_enough() -> None:
    assert "one checkpoint, of epoch 50,000" in render_report(
        report_data(epochs=[50_000])
    )


def test_every_figure_has_its_place_on_the_page() -> None:
    page = render_report(report_data())

    for name in content(page)["figures"]:
        assert f'id="{name}"' in page


def test_arrays_of_different_lengths_are_refused() -> None:
    with pytest.raises(WrongShape, match="for each that norm holds"):
        dataclasses.replace(report_data(), norm=np.ones((2, 3, 16)))


def test_one_loss_without_the_other_is_refused() -> None:
    with pytest.raises(ValueError, match="Pass both"):
        dataclasses.replace(report_data(), test_losses=None)
