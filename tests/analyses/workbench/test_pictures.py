"""What the page is told: figures as JSON that every browser reads, or why there is none."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
from safetensors.torch import load_file, save_file
from workbench.conftest import VIEWS, asked, failing, replaced

from analyses.clusters import neuron_freq_norm
from analyses.workbench.pictures import epochs_of, nearest, picture, wanted_of
from analyses.workbench.shelf import Shelf
from artifact_store import Run

pytestmark = pytest.mark.usefixtures("nothing_is_computed")


def shown(shelf: Shelf, *args: Any, views: Any = VIEWS, **kwargs: Any) -> Any:
    """The picture, read as strictly as a browser does."""

    def refused(token: str) -> None:
        raise AssertionError(f"{token} is no JSON")

    text = picture(wanted_of(asked(*args, **kwargs)), shelf, views)
    return json.loads(text, parse_constant=refused)


@pytest.mark.parametrize("view", VIEWS)
def test_every_figure_is_json_and_has_no_template(shelf: Shelf, view: str) -> None:
    found = shown(shelf, view)

    assert set(found) == {"epoch", "follows", "figure", "keys"} and found["epoch"] == 1
    assert found["figure"]["data"] and "template" not in found["figure"]["layout"]


def test_what_is_no_number_is_null(shelf: Shelf) -> None:
    def draw(losses: Any, *, epoch: int) -> go.Figure:
        y = [1.0, math.nan, math.inf, np.float32("nan")]
        return go.Figure({"data": [{"type": "scatter", "y": y}]})

    found = shown(shelf, "losses", views=replaced("losses", draw))

    assert found["figure"]["data"][0]["y"] == [1.0, None, None, None]


@pytest.mark.parametrize(
    "view, follows",
    [
        ("losses", "mark"),
        ("frequency_heatmap", "mark"),
        ("specialised_neurons", "mark"),
        ("embedding_trajectory", "figure"),
        ("dominant_frequencies", "figure"),
        ("neuron_clusters", "figure"),
    ],
)
def test_it_is_told_what_follows_the_slider(
    shelf: Shelf, view: str, follows: str
) -> None:
    assert shown(shelf, view)["follows"] == follows


def test_a_view_of_the_whole_run_that_knows_no_epoch_follows_nothing(
    shelf: Shelf,
) -> None:
    def draw(losses: Any) -> go.Figure:
        return go.Figure()

    assert shown(shelf, "losses", views=replaced("losses", draw))["follows"] == "nothing"  # fmt: skip


def test_a_figure_without_a_template_is_drawn_too(shelf: Shelf) -> None:
    def draw(losses: Any, *, epoch: int) -> go.Figure:
        figure = go.Figure()
        figure.layout.template = None
        return figure

    assert "figure" in shown(shelf, "losses", views=replaced("losses", draw))


def test_visual_parameters_are_as_they_were_typed(shelf: Shelf) -> None:
    figure = shown(shelf, "activation_heatmap", neurons="3, 15")["figure"]

    assert [one["name"] for one in figure["data"]] == ["neuron 3", "neuron 15"]


def test_what_is_missing_is_told_with_its_state(shelf: Shelf) -> None:
    found = shown(shelf, "neuron_clusters", "bare")

    assert set(found) == {"epoch", "steps"}
    (step,) = found["steps"]
    assert (step["analysis"], step["state"]) == ("neuron_freq_norm", "missing")
    assert (step["function"], step["along"]) == ("analyses.clusters:neuron_freq_norm", False)  # fmt: skip


def test_what_is_stale_is_told_with_its_cause(results: Path) -> None:
    path = results / "tiny/checkpoints/checkpoint_epoch_00001.safetensors"
    save_file({name: -tensor for name, tensor in load_file(path).items()}, path)

    found = shown(Shelf(results), "dominant_frequencies")

    (step,) = found["steps"]
    assert step["state"] == "stale"
    assert "embed.W_E" in str(step["causes"]) + str(step["details"])


def test_what_is_damaged_is_told_and_not_drawn(results: Path) -> None:
    artifact = neuron_freq_norm.find(Run(results / "tiny")[1])
    assert artifact is not None
    damaged = next((artifact.path / "norm").glob("c*"))
    damaged.write_bytes(bytes(damaged.stat().st_size))

    found = shown(Shelf(results), "neuron_clusters")

    assert "figure" not in found and found["steps"][0]["state"] == "corrupt"


@pytest.mark.parametrize(
    "epoch, shows", [(-5, 0), (0, 0), (1, 1), (99, 2), (10**40, 2)]
)
def test_the_nearest_epoch_is_shown(shelf: Shelf, epoch: int, shows: int) -> None:
    assert shown(shelf, "losses", epoch=epoch)["epoch"] == shows


def test_of_two_epochs_that_are_as_near_the_earlier_is_shown() -> None:
    assert [nearest((0, 10, 20), one) for one in (4, 5, 6, 15, 16)] == [0, 0, 10, 10, 20]  # fmt: skip


def test_the_epochs_of_two_runs_are_one_scale(results: Path) -> None:
    run = Run(results / "tiny")

    assert epochs_of([run, run.until(1)]) == [0, 1, 2]
    assert epochs_of([]) == []


@pytest.mark.parametrize(
    "args, visuals, words",
    [
        (("absent",), {}, "There is no view 'absent'"),
        (("losses", "../tiny"), {}, "There is no run '../tiny' here"),
        (("neuron_clusters",), {"threshold": "2"}, "threshold is '2'. Give a number"),
        (("activation_heatmap",), {"neurons": "99"}, "There is no neuron 99"),
    ],
)
def test_what_cannot_be_drawn_is_told_in_a_sentence(
    shelf: Shelf, args: Any, visuals: dict[str, str], words: str
) -> None:
    found = shown(shelf, *args, **visuals)

    assert set(found) == {"error"} and words in found["error"]


def test_a_view_that_fails_is_told_and_takes_no_other_down(
    shelf: Shelf, capsys: pytest.CaptureFixture[str]
) -> None:
    views = replaced("losses", failing)

    found = shown(shelf, "losses", views=views)

    assert found == {"error": "losses failed: ZeroDivisionError('a fault of its author')"}  # fmt: skip
    assert "in failing" in capsys.readouterr().err
    assert "figure" in shown(shelf, "accuracy", views=views)


def test_what_is_no_figure_is_told(
    shelf: Shelf, capsys: pytest.CaptureFixture[str]
) -> None:
    found = shown(shelf, "losses", views=replaced("losses", lambda losses: None))

    assert "losses failed" in found["error"]


@pytest.mark.parametrize(
    "content",
    [
        None,
        [],
        "losses",
        {},
        asked("losses") | {"epoch": "1"},
        asked("losses") | {"epoch": 1.0},
        asked("losses") | {"epoch": None},
        asked("losses") | {"epoch": True},
        asked("losses") | {"run": None},
        asked("losses") | {"view": ["losses"]},
        asked("losses") | {"visuals": []},
        asked("losses") | {"visuals": {"threshold": 0.5}},
        {"run": "tiny", "epoch": 1, "view": "losses"},
    ],
)
def test_what_the_page_would_not_send_is_refused(content: Any) -> None:
    with pytest.raises(ValueError):
        wanted_of(content)
