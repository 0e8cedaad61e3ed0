"""The views that `analyses` offers draw every run, follow their parameters, and show what is known of real ones."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from analyses.train import Training, train
from artifact_store import AnalysisPipeline, Run
from artifact_store.events import Event, Published, listening
from artifact_store.views import View, offered_views
from artifact_store.visuals import Between, Choice, Numbers, Span

RUNS = Path(__file__).parents[3] / "shared" / "runs"
real = pytest.mark.skipif(not RUNS.is_dir(), reason="the real runs are not here")

VIEWS = {
    name: one
    for name, one in offered_views().items()
    if one.draw.__module__ == "analyses.views"
}
each_view = pytest.mark.parametrize("view", VIEWS.values(), ids=list(VIEWS))
each_visual = pytest.mark.parametrize(
    "view, name",
    [(view, name) for view in VIEWS.values() for name in view.visuals],
    ids=[f"{one}.{name}" for one, view in VIEWS.items() for name in view.visuals],
)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run modulo 7 of three epochs, with all its artifacts."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    train(Training(prime=7, d_model=8, n_heads=2, d_mlp=16, num_epochs=3), folder)
    return analysed(Run(folder))


@pytest.fixture(scope="module")
def p113(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The published run, which has one checkpoint and no losses."""
    return analysed(copied("p113_published", tmp_path_factory.mktemp("runs")))


@pytest.fixture(scope="module")
def p59(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that groks, of 14 checkpoints."""
    return analysed(copied("p59_seed485", tmp_path_factory.mktemp("runs")))


@pytest.fixture(autouse=True)
def nothing_is_computed() -> Iterator[None]:
    """Whatever a test does, it only draws."""
    events: list[Event] = []
    with listening(events.append):
        yield
    assert not [one for one in events if isinstance(one, Published)]


def copied(name: str, folder: Path) -> Run:
    shutil.copytree(RUNS / name, folder / name)
    return Run(folder / name)


def analysed(run: Run) -> Run:
    AnalysisPipeline(run).run()
    return run


def drawn(view: View, run: Run, epoch: int | None = None, **given: Any) -> go.Figure:
    figure = view.of(run, epoch, given).figure()
    assert isinstance(figure, go.Figure)
    return figure


def content(view: View, run: Run, **given: Any) -> str:
    """All of a figure, to be compared."""
    return str(view.of(run, None, given).figure().to_json())


def trace(figure: go.Figure, name: str) -> Any:
    return next(each for each in figure.data if each.name == name)


def another(view: View, name: str) -> list[Any]:
    """Other values of a visual parameter than its default, of which each changes what a tiny run shows."""
    match view.visuals[name].kind:
        case Choice(values):
            return [one for one in values if one != view.visuals[name].default]
        case Numbers():
            return [(3,), (0, 15)]
        case Span():
            return [(0.0, 0.5), (-2.0, 3.0)]
        case Between(step=int()):
            return [2]
        case _:
            return [0.05, 0.3, 0.95]


def test_there_are_nine_views() -> None:
    assert len(VIEWS) == 9


@each_view
def test_every_view_draws_a_tiny_run_at_every_epoch(view: View, tiny: Run) -> None:
    for epoch in tiny:
        figure = drawn(view, tiny, epoch)
        assert figure.data and figure.layout.title.text


@each_view
def test_axes_have_names(view: View, tiny: Run) -> None:
    figure = drawn(view, tiny)

    assert any(axis.title.text for axis in figure.select_xaxes())
    assert any(axis.title.text for axis in figure.select_yaxes())


@each_view
def test_a_view_of_a_run_marks_the_epoch_and_one_of_a_checkpoint_changes_with_it(
    view: View, tiny: Run
) -> None:
    first, last = (drawn(view, tiny, epoch) for epoch in (0, 2))

    if view.is_along_run and view.name != "embedding_trajectory":
        marked = [[s.x0 for s in one.layout.shapes if s.name == "epoch"] for one in (first, last)]  # fmt: skip
        assert marked == [[0], [2]]
    else:
        assert first.to_json() != last.to_json()


@each_visual
def test_every_visual_parameter_changes_the_figure(
    view: View, name: str, tiny: Run
) -> None:
    plain = content(view, tiny)

    changed = [content(view, tiny, **{name: one}) for one in another(view, name)]

    assert plain not in changed and len(set(changed)) == len(changed)


@each_visual
def test_a_value_at_its_default_changes_nothing(
    view: View, name: str, tiny: Run
) -> None:
    given = {name: view.visuals[name].default}

    assert content(view, tiny, **given) == content(view, tiny)


@each_visual
def test_every_choice_and_both_ends_of_every_range_are_drawn(
    view: View, name: str, tiny: Run
) -> None:
    match view.visuals[name].kind:
        case Choice(values):
            ends: list[Any] = list(values)
        case Between(low, high):
            ends = [low, min(high, 10**9)]
        case _:
            ends = another(view, name)
    for end in ends:
        assert drawn(view, tiny, **{name: end}).data


def test_a_neuron_that_is_not_there_is_refused(tiny: Run) -> None:
    with pytest.raises(ValueError, match="There is no neuron 16"):
        drawn(VIEWS["activation_heatmap"], tiny, neurons=[16])


def test_named_neurons_are_drawn_in_the_order_they_are_named(tiny: Run) -> None:
    figure = drawn(VIEWS["activation_heatmap"], tiny, neurons=[15, 3])

    assert [one.name for one in figure.data] == ["neuron 15", "neuron 3"]


def test_pages_show_every_neuron_once(tiny: Run) -> None:
    view = VIEWS["activation_heatmap"]
    for sort in ("in turn", "purest", "frequency", "number"):
        pages = [drawn(view, tiny, sort=sort, count=6, page=one) for one in (1, 2, 3)]
        names = [one.name for page in pages for one in page.data]
        assert sorted(names) == sorted(f"neuron {one}" for one in range(16))


def test_past_the_last_page_is_the_last_page(tiny: Run) -> None:
    view = VIEWS["activation_heatmap"]

    assert content(view, tiny, page=2) == content(view, tiny, page=99)


@real
@each_view
def test_every_view_draws_real_runs(view: View, p59: Run, p113: Run) -> None:
    assert drawn(view, p59, 500).data
    assert drawn(view, p113).data or view.name == "losses"


@real
def test_the_published_run_shows_its_three_frequencies_and_no_other(p113: Run) -> None:
    figure = drawn(VIEWS["dominant_frequencies"], p113)

    assert trace(figure, "dominant").text == ("6", "23", "39")
    assert list(trace(figure, "dominant").x) == [6, 23, 39]


@real
def test_the_published_run_shows_its_405_specialised_neurons(p113: Run) -> None:
    clusters = drawn(VIEWS["neuron_clusters"], p113, threshold=0.85)
    counted = drawn(VIEWS["specialised_neurons"], p113, threshold=0.85)

    assert "405 of 512" in clusters.layout.title.text
    assert int(np.sum(trace(clusters, "dominant share").marker.color)) == 405
    assert sum(int(np.sum(one.y)) for one in counted.data) == 405
    named = {one.name: int(np.sum(one.y)) for one in counted.data}
    assert all(named[f"frequency {k}"] > 50 for k in (6, 23, 39))


@real
def test_a_run_of_one_checkpoint_has_bars_where_others_have_areas(
    p113: Run, p59: Run
) -> None:
    of_one, of_many = (drawn(VIEWS["specialised_neurons"], run) for run in (p113, p59))

    assert {one.type for one in of_one.data} == {"bar"}
    assert {one.type for one in of_many.data} == {"scatter"}


@real
def test_a_run_without_losses_says_why_nothing_is_drawn(p113: Run) -> None:
    figure = drawn(VIEWS["losses"], p113)

    assert "no metadata.json" in figure.layout.annotations[0].text
    assert figure.layout.title.text == "Loss over training" and not figure.data


@real
def test_colours_of_frequencies_do_not_change_hands_with_the_threshold(
    p59: Run,
) -> None:
    low, high = (
        drawn(VIEWS["specialised_neurons"], p59, threshold=one) for one in (0.2, 0.95)
    )

    def looks(figure: go.Figure) -> list[tuple[str, str]]:
        return [(one.name, one.line.color) for one in figure.data]

    assert looks(low) == looks(high)
