"""Figures put the right numbers at the right coordinates, and refuse what they cannot draw."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from analyses.figures.activations import activation_heatmaps
from analyses.figures.checks import UnknownNeuron, WrongShape
from analyses.figures.clusters import (
    cluster_order,
    counts_from,
    most_preferred,
    neuron_clusters,
    specialised_neurons,
    turn_order,
)
from analyses.figures.frequencies import (
    dominant_frequencies,
    frequency_heatmap,
    wave_shares,
)
from analyses.figures.losses import loss_curves
from analyses.figures.performance import accuracy_over_training
from analyses.figures.progress import progress_measures
from analyses.figures.style import CATEGORIES, FAINT, drawn, without
from analyses.figures.trajectory import embedding_trajectory

EPOCHS = np.array([0, 10, 500])
FREQUENCY = np.array([1, 2, 3])  # p = 7

# Frequency 2 holds 80 % of the power, 64 of it as a sine; the mean is huge and must not count.
COEFFICIENTS = np.sqrt([1000, 10, 0, 64, 16, 5, 5])

# Neurons 0 and 3 prefer frequency 3, neuron 1 frequency 1; neuron 2 is silent.
NORM = np.array([[0.1, 0.9, 0.0, 0.0], [0.1, 0.0, 0.0, 0.0], [0.7, 0.1, 0.0, 0.95]])


def trace(figure: go.Figure, name: str) -> Any:
    return next(each for each in figure.data if each.name == name)


def shape(figure: go.Figure, name: str) -> Any:
    return next(each for each in figure.layout.shapes if each.name == name)


def test_shares_of_power_sum_to_one_without_the_mean() -> None:
    sine, cosine = wave_shares(COEFFICIENTS)

    np.testing.assert_allclose(sine, [0.10, 0.64, 0.05])
    np.testing.assert_allclose(cosine, [0.00, 0.16, 0.05])


def test_the_last_frequency_of_an_even_modulus_has_no_sine() -> None:
    sine, cosine = wave_shares(np.array([9.0, 1.0, 1.0, 2.0]))  # p = 4

    np.testing.assert_allclose(sine, [1 / 6, 0])
    np.testing.assert_allclose(cosine, [1 / 6, 4 / 6])


def test_an_embedding_without_power_has_no_shares() -> None:
    sine, cosine = wave_shares(np.zeros(7))

    assert not sine.any() and not cosine.any()


def test_bars_stand_at_frequencies_from_one_up() -> None:
    figure = dominant_frequencies(COEFFICIENTS, FREQUENCY, threshold=0.5)

    assert list(trace(figure, "sin").x) == [1, 2, 3]
    assert list(figure.layout.xaxis.tickvals) == [1, 2, 3]


def test_the_threshold_splits_dominant_frequencies_from_the_rest() -> None:
    figure = dominant_frequencies(COEFFICIENTS, FREQUENCY, threshold=0.2)

    assert trace(figure, "dominant").text == ("2",)
    assert list(trace(figure, "cos").marker.opacity) == [FAINT, 1, FAINT]
    assert shape(figure, "threshold").y0 == 0.2


def test_a_constant_alone_is_refused() -> None:
    with pytest.raises(WrongShape, match="a sine and a cosine for each frequency"):
        dominant_frequencies(np.ones(1), np.arange(1, 30), threshold=0.1)


def test_a_frequency_axis_of_another_length_is_refused() -> None:
    with pytest.raises(
        WrongShape, match=r"frequency has shape \(2,\).*\(3,\).*coefficients"
    ):
        dominant_frequencies(COEFFICIENTS, FREQUENCY[:2], threshold=0.1)


def test_ticks_of_a_large_prime_are_few_and_begin_at_one() -> None:
    figure = dominant_frequencies(np.ones(113), np.arange(1, 57), threshold=0.1)

    ticks = list(figure.layout.xaxis.tickvals)
    assert ticks[:3] == [1, 5, 10] and ticks[-1] == 55


def test_the_heatmap_over_training_keeps_unequal_steps() -> None:
    figure = frequency_heatmap(np.eye(3), EPOCHS, FREQUENCY, epoch=10)

    heatmap = trace(figure, "share")
    assert list(heatmap.x) == [0, 10, 500] and list(heatmap.y) == [1, 2, 3]
    assert figure.layout.xaxis.type == "linear"
    assert (shape(figure, "epoch").x0, shape(figure, "epoch").x1) == (10, 10)


def test_the_heatmap_over_training_has_frequencies_upward() -> None:
    power = np.arange(6).reshape(2, 3)

    assert np.array_equal(
        trace(frequency_heatmap(power, [0, 5], FREQUENCY), "share").z, power.T
    )


def test_epochs_out_of_order_are_refused() -> None:
    with pytest.raises(ValueError, match="epochs must rise"):
        frequency_heatmap(np.eye(3), [0, 500, 10], FREQUENCY)


def test_each_neuron_has_its_picture_under_its_number() -> None:
    activations = np.arange(3 * 4 * 4).reshape(3, 4, 4)

    figure = activation_heatmaps(activations, [2, 0])

    assert [each.text for each in figure.layout.annotations] == ["neuron 2", "neuron 0"]
    assert np.array_equal(trace(figure, "neuron 2").z, activations[2])


def test_sampled_neurons_keep_their_numbers() -> None:
    activations = np.arange(2 * 4 * 4).reshape(2, 4, 4)

    figure = activation_heatmaps(activations, [307], numbers=[17, 307])

    assert np.array_equal(trace(figure, "neuron 307").z, activations[1])


def test_pictures_share_one_colour_scale_and_square_cells() -> None:
    figure = activation_heatmaps(
        np.arange(5 * 4 * 4).reshape(5, 4, 4), [0, 4], value_range=(0, 9)
    )

    assert {each.coloraxis for each in figure.data} == {"coloraxis"}
    assert (figure.layout.coloraxis.cmin, figure.layout.coloraxis.cmax) == (0, 9)
    assert figure.layout.yaxis.scaleanchor == "x"


@pytest.mark.parametrize("columns", range(1, 9))
def test_any_number_of_pictures_has_its_place_on_the_paper(columns: int) -> None:
    activations = np.ones((32, 2, 2))

    for shown in range(1, 33):
        figure = activation_heatmaps(activations, range(shown), columns=columns)
        axes = [*figure.select_xaxes(), *figure.select_yaxes()]
        assert all(0 <= one.domain[0] < one.domain[1] <= 1 for one in axes)


@pytest.mark.parametrize("neuron", [3, -1])
def test_a_neuron_out_of_range_is_refused(neuron: int) -> None:
    with pytest.raises(
        UnknownNeuron, match=rf"no neuron {neuron}; the activations hold 0, 1, 2\."
    ):
        activation_heatmaps(np.ones((3, 4, 4)), [0, neuron])


def test_activations_that_are_not_square_are_refused() -> None:
    with pytest.raises(WrongShape, match=r"\(2, 4, 5\)"):
        activation_heatmaps(np.ones((2, 4, 5)), [0])


def test_drawing_no_neuron_is_refused() -> None:
    with pytest.raises(ValueError, match="Name at least one"):
        activation_heatmaps(np.ones((2, 4, 4)), [])


def test_neurons_are_ordered_by_frequency_then_purity_and_silent_ones_go_last() -> None:
    assert cluster_order(NORM).tolist() == [1, 3, 0, 2]


def test_neurons_take_turns_among_the_frequencies_the_strongest_first() -> None:
    norm = np.zeros((3, 6))
    norm[0, [0, 1, 2]] = 0.8, 0.9, 0.95
    norm[2, [3, 4]] = 0.99, 0.85
    norm[1, 5] = 0.6

    assert turn_order(norm).tolist() == [2, 3, 5, 1, 4, 0]


def test_neurons_without_a_frequency_of_their_own_wait_for_all_others() -> None:
    norm = np.array([[0.4, 0.5, 0.0, np.nan], [0.3, 0.0, 0.51, np.nan]])

    order = turn_order(norm).tolist()

    assert order[:2] == [2, 1] and set(order[2:]) == {0, 3}


@pytest.mark.parametrize("frequencies, neurons", [(1, 1), (3, 40), (56, 512)])
def test_every_neuron_has_one_turn(frequencies: int, neurons: int) -> None:
    norm = np.random.default_rng(0).dirichlet(np.ones(frequencies) / 8, neurons).T

    assert sorted(turn_order(norm)) == list(range(neurons))
    assert sorted(turn_order(np.zeros_like(norm))) == list(range(neurons))


def test_a_neuron_is_counted_from_the_threshold_on_and_a_dead_one_never() -> None:
    dominant = np.array([[1, 3, 3, 0], [2, 3, 3, 3]])
    share = np.array([[0.5, 0.9, 0.8, np.nan], [0.7, 0.9, 0.9, 0.9]])

    assert counts_from(dominant, share, 3, 0.8).tolist() == [[0, 0, 2], [0, 0, 3]]
    assert counts_from(dominant, share, 3, 0.0).tolist() == [[1, 0, 2], [0, 1, 3]]
    assert not counts_from(dominant, share, 3, 1.0).any()


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64])
def test_counts_of_many_epochs_are_those_of_each(dtype: Any) -> None:
    random = np.random.default_rng(0)
    dominant = random.integers(0, 57, (40, 512)).astype(dtype)
    share = random.random((40, 512))

    counts = counts_from(dominant, share, 56, 0.5)

    each = [np.bincount(d[s >= 0.5], minlength=57)[1:] for d, s in zip(dominant, share)]
    np.testing.assert_array_equal(counts, each)


def test_the_frequencies_that_most_neurons_prefer_come_first() -> None:
    assert most_preferred(np.array([5, 0, 2, 5, 0, 0, 9, 9, 9])) == [9, 5, 2]
    assert most_preferred(np.zeros(4, int)) == []
    assert len(most_preferred(np.arange(1, 57))) == len(CATEGORIES)


def test_what_most_neurons_prefer_is_made_of_plain_numbers() -> None:
    assert {type(one) for one in most_preferred(np.array([1, 2]))} == {int}


def test_clusters_show_neurons_in_order_under_their_own_numbers() -> None:
    figure = neuron_clusters(NORM, FREQUENCY, threshold=0.8)

    heatmap = trace(figure, "share")
    assert list(heatmap.y) == [1, 2, 3]
    assert np.array_equal(heatmap.z, NORM[:, [1, 3, 0, 2]])
    assert heatmap.customdata[0].tolist() == [1, 3, 0, 2]


def test_the_threshold_splits_specialised_neurons_from_the_rest() -> None:
    dots = trace(neuron_clusters(NORM, FREQUENCY, threshold=0.9), "dominant share")

    assert list(dots.marker.color) == [1, 1, 0, 0]


def test_clusters_follow_a_given_order() -> None:
    dots = trace(
        neuron_clusters(NORM, FREQUENCY, threshold=0.9, order=[3, 2, 1, 0]),
        "dominant share",
    )

    assert list(dots.customdata) == [3, 2, 1, 0]


def test_an_order_that_leaves_a_neuron_out_is_refused() -> None:
    with pytest.raises(WrongShape, match="each of the neurons 0 to 3 once"):
        neuron_clusters(NORM, FREQUENCY, threshold=0.9, order=[0, 1, 2, 2])


def test_specialised_neurons_are_counted_at_real_epochs() -> None:
    figure = specialised_neurons(
        [[0, 0, 1], [2, 0, 1], [3, 0, 4]], EPOCHS, FREQUENCY, threshold=0.9, epoch=500
    )

    assert [each.name for each in figure.data] == [
        "frequency 1",
        "frequency 3",
        "other frequencies",
    ]
    assert list(trace(figure, "frequency 3").x) == [0, 10, 500]
    assert list(trace(figure, "frequency 3").y) == [1, 1, 4]
    assert shape(figure, "epoch").x0 == 500


def test_specialised_neurons_of_one_epoch_are_bars_on_each_other() -> None:
    figure = specialised_neurons([[2, 0, 1]], [500], FREQUENCY, threshold=0.9)

    assert {one.type for one in figure.data} == {"bar"}
    assert figure.layout.barmode == "stack"
    assert list(trace(figure, "frequency 1").y) == [2]


def test_named_frequencies_keep_their_colours_where_they_have_no_neuron() -> None:
    some = specialised_neurons([[1, 0, 1], [1, 0, 1]], [0, 1], FREQUENCY, threshold=0.9, named=[3, 2])  # fmt: skip
    none = specialised_neurons(np.zeros((2, 3)), [0, 1], FREQUENCY, threshold=0.9, named=[3, 2])  # fmt: skip

    colours = [[(one.name, one.line.color) for one in each.data] for each in (some, none)]  # fmt: skip
    assert colours[0] == colours[1]
    assert colours[0][0] == ("frequency 2", CATEGORIES[0])


def test_clusters_say_how_they_are_sorted_and_how_many_are_specialised() -> None:
    figure = neuron_clusters(NORM, FREQUENCY, threshold=0.9, sorted_by="by number")

    assert figure.layout.xaxis2.title.text == "neurons, by number"
    assert "2 of 4 have at least 90 %" in figure.layout.title.text


def test_a_figure_without_anything_says_why() -> None:
    figure = without("Loss over training", "There is none.")

    assert figure.layout.title.text == "Loss over training" and not figure.data
    assert figure.layout.annotations[0].text == "There is none."
    assert not figure.layout.xaxis.visible and not figure.layout.yaxis.visible


def test_what_is_drawn_keeps_the_common_look_and_its_own_layout() -> None:
    figure = drawn([{"type": "bar", "y": [1]}], "One", barmode="stack")

    assert (figure.layout.title.text, figure.layout.barmode) == ("One", "stack")
    assert figure.layout.template.layout.paper_bgcolor == "rgba(0, 0, 0, 0)"


def test_no_neuron_is_lost_when_few_frequencies_are_named() -> None:
    counts = np.arange(3 * 56).reshape(3, 56)

    figure = specialised_neurons(counts, EPOCHS, np.arange(1, 57), threshold=0.9)

    assert len(figure.data) == 8
    assert np.array_equal(
        sum(np.asarray(each.y) for each in figure.data), counts.sum(axis=1)
    )


def test_naming_a_frequency_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match=r"named is \[4\]"):
        specialised_neurons(
            np.ones((3, 3)), EPOCHS, FREQUENCY, threshold=0.9, named=[4]
        )


def test_losses_are_marked_at_the_epoch() -> None:
    figure = loss_curves([4.0, 1.0, 0.1], [4.0, 5.0, 0.2], epoch=1)

    assert figure.layout.yaxis.type == "log"
    assert shape(figure, "epoch").x0 == 1
    assert list(trace(figure, "at epoch").y) == [1.0, 5.0]


@pytest.mark.parametrize("hidden", [np.nan, np.inf, 0.0])
def test_losses_a_logarithm_cannot_show_are_gaps(hidden: float) -> None:
    curve = trace(loss_curves([4.0, hidden, 0.1], [4.0, 5.0, 0.2]), "train")

    assert np.isnan(curve.y).tolist() == [False, True, False]


def test_losses_of_different_lengths_are_refused() -> None:
    with pytest.raises(WrongShape, match="test_losses"):
        loss_curves([1.0, 2.0], [1.0])


FIGURES = [
    dominant_frequencies(COEFFICIENTS, FREQUENCY, threshold=0.1),
    frequency_heatmap(np.eye(3), EPOCHS, FREQUENCY),
    activation_heatmaps(np.ones((2, 7, 7)), [0, 1]),
    neuron_clusters(NORM, FREQUENCY, threshold=0.8),
    specialised_neurons(np.ones((3, 3)), EPOCHS, FREQUENCY, threshold=0.9),
    loss_curves([1.0, 2.0], [1.0, 2.0]),
]


@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: figure.layout.title.text)
def test_every_figure_has_a_title_axis_names_and_clear_paper(figure: go.Figure) -> None:
    assert figure.layout.title.text
    assert any(axis.title.text for axis in figure.select_xaxes())
    assert any(axis.title.text for axis in figure.select_yaxes())
    assert figure.layout.template.layout.paper_bgcolor == "rgba(0, 0, 0, 0)"


def test_figures_can_reach_neither_checkpoints_nor_the_store() -> None:
    names = "style, checks, losses, frequencies, activations, clusters"
    heavy = "{'torch', 'artifact_store', 'safetensors', 'zarr', 'analyses.model'}"
    script = f"import sys; from analyses.figures import {names}; assert not {heavy} & set(sys.modules)"

    subprocess.run([sys.executable, "-c", script], check=True)


def test_accuracies_stand_at_their_epochs_and_what_is_not_known_is_left_out() -> None:
    nothing = np.full(3, np.nan)
    figure = accuracy_over_training(nothing, nothing, [0.1, 0.5, 1.0], EPOCHS, epoch=10)

    (only,) = figure.data
    assert only.name == "all pairs" and list(only.y) == [0.1, 0.5, 1.0]
    assert list(only.x) == list(EPOCHS) and shape(figure, "epoch").x0 == 10
    figure = accuracy_over_training([0.1, 1, 1], [0, 0, 1], [0, 0.5, 1], EPOCHS)
    assert [each.name for each in figure.data] == ["train", "test", "all pairs"]
    assert not figure.layout.shapes


def test_progress_measures_are_on_a_logarithmic_scale_with_gaps() -> None:
    figure = progress_measures(
        [4.0, 0.0, 1e-7], [4.0, 5.0, 9.0], [4, 1, 0.1], [4, 5, 1], EPOCHS, epoch=500
    )

    assert figure.layout.yaxis.type == "log"
    np.testing.assert_array_equal(trace(figure, "restricted").y, [4.0, np.nan, 1e-7])
    assert list(trace(figure, "excluded (train)").y) == [4.0, 5.0, 9.0]
    assert shape(figure, "epoch").x0 == 500


def test_what_no_logarithm_shows_has_no_curve() -> None:
    nothing = np.full(3, np.nan)
    figure = progress_measures([4, 3, 2], nothing, nothing, np.zeros(3), EPOCHS)

    assert [each.name for each in figure.data] == ["restricted"]


def moving() -> tuple[Any, Any]:
    """Positions (epoch, residue, component) that say which they are, and shares."""
    position = np.arange(3 * 7 * 3).reshape(3, 7, 3)
    return position, np.array([[0.5, 0.25, 0.125]] * 3)


@pytest.mark.parametrize(
    "epoch, row", [(None, 2), (500, 2), (499, 1), (10, 1), (0, 0), (-1, 0), (9999, 2)]
)
def test_residues_lie_where_they_are_at_the_last_checkpoint_that_is_not_later(
    epoch: int | None, row: int
) -> None:
    position, share = moving()
    figure = embedding_trajectory(position, share, EPOCHS, epoch=epoch, axes=(1, 3))

    dots, path = trace(figure, "residues"), trace(figure, "path")
    np.testing.assert_array_equal(dots.x, position[row, :, 0])
    np.testing.assert_array_equal(dots.y, position[row, :, 2])
    assert list(dots.marker.color) == list(range(7))
    # A path leads through all epochs so far, and then there is a gap.
    assert len(path.x) == 7 * (row + 2) and np.isnan(path.x[row + 1])
    np.testing.assert_array_equal(path.x[: row + 1], position[: row + 1, 0, 0])
    assert f"epoch {EPOCHS[row]}" in figure.layout.title.text
    assert figure.layout.xaxis.title.text == "axis 1 (50 % of the spread)"
    assert figure.layout.yaxis.title.text == "axis 3 (12 % of the spread)"
    assert figure.layout.yaxis.scaleanchor == "x"


def test_axes_of_a_trajectory_are_the_same_at_all_epochs() -> None:
    position, share = moving()
    ranges = {
        tuple(embedding_trajectory(position, share, EPOCHS, epoch=e).layout.xaxis.range)
        for e in EPOCHS
    }

    ((low, high),) = ranges
    assert high == -low > np.abs(position[..., :2]).max()


def test_the_paths_of_a_long_run_have_few_points() -> None:
    position, share = np.zeros((1000, 113, 2)), np.zeros((1000, 2))
    figure = embedding_trajectory(position, share, np.arange(1000))

    assert len(trace(figure, "path").x) <= 113 * 50


def test_axes_that_are_not_there_are_refused() -> None:
    position, share = moving()

    with pytest.raises(WrongShape, match="share has shape"):
        embedding_trajectory(position, share, EPOCHS, axes=(1, 4))
    with pytest.raises(WrongShape, match="share has shape"):
        embedding_trajectory(position, share[:, :2], EPOCHS)
