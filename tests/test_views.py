"""Views draw what is stored and say, before that, what is not; none computes anything unasked."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import plotly.graph_objects as go
import pytest
from conftest import Ran, RunDirectory, WriteCheckpoint, WriteModule

from artifact_store import Artifact, Checkpoint, Run, analysis
from artifact_store.errors import (
    BadVisual,
    MissingEpoch,
    NoCheckpoints,
    NothingToDraw,
    NotOfARun,
    UnknownPicture,
    UnknownVisual,
)
from artifact_store.events import Event
from artifact_store.pictures import with_record
from artifact_store.stamps import read_stamp
from artifact_store.views import Scene, View, view
from artifact_store.visuals import Between, Numbers, Span

pytestmark = pytest.mark.usefixtures("settled")


@analysis
def mean(checkpoint: Checkpoint) -> Any:
    return checkpoint["w"].mean()


@analysis
def twice(checkpoint: Checkpoint) -> Any:
    return mean(checkpoint) * 2


@analysis
def means(run: Run) -> Any:
    return [mean(one) for one in run.values()]


@view(mean=mean, twice=twice)
def bars(
    mean: Artifact,
    twice: Artifact,
    *,
    colours: Literal["red", "blue"] = "red",
    width: Annotated[float, Between(0, 1, 0.1)] = 0.5,
    shown: Annotated[tuple[int, ...], Numbers()] = (0, 1),
    scale: Annotated[tuple[float, float] | None, Span()] = None,
) -> go.Figure:
    """Both means as bars.

    There is more to say.
    """
    heights = [float(mean["value"][...]), float(twice["value"][...])]
    bar = go.Bar(y=[heights[one] for one in shown], width=width, marker_color=colours)
    return go.Figure(bar, layout={"yaxis": {"range": scale}})


@view(means=means)
def curve(means: Artifact, *, epoch: int | None = None) -> go.Figure:
    """Means over training."""
    figure = go.Figure(go.Scatter(y=means["value"][...]))
    return figure.add_vline(epoch)


@view(means=means, mean=mean)
def both(means: Artifact, mean: Artifact) -> go.Figure:
    return go.Figure()


@pytest.fixture
def run(run_directory: RunDirectory) -> Run:
    return Run(run_directory())


def scene(run: Run, epoch: int | None = None, /, of: View = bars, **given: Any) -> Scene:  # fmt: skip
    return of.of(run, epoch, given)


def heights(figure: go.Figure) -> list[float]:
    return [float(one) for one in figure.data[0].y]


def states(seen: Scene) -> dict[str, str]:
    return {step.analysis: step.state for step in seen.steps}


# ---- declaring


def test_a_view_is_titled_by_the_first_line_of_its_docstring() -> None:
    assert (bars.name, bars.title) == ("bars", "Both means as bars")
    assert both.title == "both"


def test_a_view_knows_what_it_needs_and_how_it_may_look() -> None:
    assert dict(bars.needs) == {"mean": mean, "twice": twice}
    assert bars.defaults == {"colours": "red", "width": 0.5, "shown": (0, 1), "scale": None}  # fmt: skip


def test_a_view_of_a_whole_run_is_told_from_one_of_a_checkpoint() -> None:
    assert [one.is_along_run for one in (bars, curve, both)] == [False, True, False]
    assert [one.takes_epoch for one in (bars, curve, both)] == [False, True, False]


def test_a_visual_parameter_that_is_no_keyword_is_refused() -> None:
    def draw(mean: Artifact, width: Annotated[float, Between(0, 1)] = 0.5) -> None: ...

    with pytest.raises(TypeError, match=r"draw takes width.*behind a \*"):
        view(mean=mean)(draw)


def test_a_need_that_the_figure_does_not_take_is_refused() -> None:
    def draw(mean: Artifact) -> None: ...

    with pytest.raises(TypeError, match="draw does not take twice"):
        view(mean=mean, twice=twice)(draw)


def test_a_keyword_without_a_kind_is_refused() -> None:
    def draw(mean: Artifact, *, width: float = 0.5) -> None: ...

    with pytest.raises(TypeError, match="width is no visual parameter"):
        view(mean=mean)(draw)


# ---- visual parameters


def test_a_visual_parameter_that_there_is_not_is_refused_with_those_there_are(
    run: Run,
) -> None:
    with pytest.raises(UnknownVisual, match="'colour'.*colours, width, shown, scale"):
        scene(run, colour="red")
    with pytest.raises(UnknownVisual, match="It has: none"):
        scene(run, of=curve, colour="red")


@pytest.mark.parametrize(
    "given, words",
    [
        ({"colours": "green"}, "colours is 'green'. Give one of red, blue."),
        ({"width": 2}, "width is 2. Give a number from 0 to 1."),
        ({"width": "0.5"}, "width is '0.5'"),
        ({"shown": 3}, "shown is 3. Give whole numbers from 0 up"),
        ({"scale": (1, 0)}, r"scale is \(1, 0\). Give two numbers, the lower one first"),
    ],
)  # fmt: skip
def test_a_value_of_another_kind_is_refused_with_those_there_are(
    run: Run, given: dict[str, Any], words: str
) -> None:
    with pytest.raises(BadVisual, match=f"bars: {words}") as caught:
        scene(run, **given)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_visual_parameters_reach_the_figure(run: Run) -> None:
    figure = scene(
        run, 500, colours="blue", width=np.float32(0.25), shown=np.array([1]), scale=[0, 9]  # fmt: skip
    ).compute()
    bar = figure.figure().data[0]

    assert heights(figure.figure()) == [1000.0]
    assert (bar.marker.color, bar.width) == ("blue", 0.25)
    assert figure.figure().layout.yaxis.range == (0, 9)


def test_what_is_typed_is_read_and_what_is_not_its_own_refused() -> None:
    assert bars.parsed({"width": "0.3", "shown": "1,0"}) == {"width": 0.3, "shown": (1, 0)}  # fmt: skip
    with pytest.raises(UnknownVisual, match="'colour'.*It has: colours, width"):
        bars.parsed({"colour": "blue"})
    with pytest.raises(BadVisual, match="width is 'wide'"):
        bars.parsed({"width": "wide"})


def test_what_is_shown_is_read_back(run: Run) -> None:
    given = scene(run, width=0.123456789, shown=[5], scale=(-1, 1e-9)).visuals

    assert bars.parsed(bars.shown(given)) == given


# ---- availability


def test_what_was_never_computed_is_missing_and_nothing_is_computed_to_say_so(
    run: Run, seen: list[Event], tmp_path: Path
) -> None:
    asked = scene(run, 500)

    assert not asked.is_available
    assert states(asked) == {"mean": "missing", "twice": "missing"}
    for act in (asked.figure, asked.show, lambda: asked.export(tmp_path / "x.html")):
        with pytest.raises(NothingToDraw, match="mean is missing.*twice is missing"):
            act()
    assert seen == [] and not (tmp_path / "x.html").exists()
    assert not (run.path / "artifacts").exists()


def test_the_error_says_how_to_compute_what_is_missing(run: Run) -> None:
    mean(run[500])

    with pytest.raises(NothingToDraw) as caught:
        scene(run, 500).figure()

    error = pickle.loads(pickle.dumps(caught.value))
    assert str(error).startswith("bars of run at epoch 500 cannot be drawn: twice is")
    assert f"artifact-store run {run.path} --analysis twice`" in str(error)


def test_what_was_computed_is_drawn_and_nothing_is_computed_again(
    run: Run, ran: Ran
) -> None:
    asked = scene(run, 500).compute()
    assert ran() == ["mean", "twice"]

    assert asked.is_available and heights(asked.figure()) == [500.0, 1000.0]
    assert not scene(run, 0).is_available
    assert ran() == []


def test_computing_leaves_other_epochs_alone(run: Run, ran: Ran) -> None:
    scene(run, 0).compute()

    assert scene(run, 0).is_available and not scene(run, 1000).is_available
    assert scene(run, 0).compute().is_available and ran() == ["mean", "twice"]


def test_other_tensors_make_it_stale_or_pending_with_a_cause(
    run: Run, write_checkpoint: WriteCheckpoint
) -> None:
    scene(run, 500).compute()
    write_checkpoint(w=np.zeros((2, 3), np.float32))
    asked = scene(Run(run.path), 500)

    assert states(asked) == {"mean": "stale", "twice": "pending"}
    assert any("w" in cause for cause in asked.steps[0].causes)
    with pytest.raises(NothingToDraw, match=r"mean is stale \(.*\), twice is pending"):
        asked.figure()


def test_other_code_makes_it_stale_with_a_cause(
    run: Run, write_module: WriteModule
) -> None:
    body = (
        "from artifact_store import Checkpoint, analysis\nfrom artifact_store.views import view\n\n"
        "@analysis\ndef largest(checkpoint: Checkpoint):\n    return checkpoint['w'].max()\n\n"
        "@view(largest=largest)\ndef dot(largest):\n    '''A dot.'''\n"
    )
    scene(run, of=write_module("probe", body).dot).compute()
    edited = write_module("probe", body.replace("max()", "max() + 1"))

    (step,) = scene(run, of=edited.dot).steps
    assert step.state == "stale" and "probe.largest changed" in step.causes[0]
    with pytest.raises(NothingToDraw, match="largest is stale .probe.largest changed"):
        scene(run, of=edited.dot).figure()


def test_what_was_damaged_is_never_drawn(run: Run, ran: Ran) -> None:
    asked = scene(run, 500).compute()
    damaged = asked.artifacts()["mean"].path / "value" / "c"
    (damaged if damaged.exists() else damaged.with_name("c.0.0")).write_bytes(bytes(32))

    assert states(asked)["mean"] == "corrupt" and not asked.is_available
    with pytest.raises(NothingToDraw, match="mean is"):
        asked.figure()
    ran()
    assert heights(asked.compute().figure()) == [500.0, 1000.0]
    assert ran() == ["mean"]


def test_an_unreadable_checkpoint_is_told_and_takes_nothing_down(
    run: Run, checkpoint: Path
) -> None:
    checkpoint.write_bytes(b"nothing")

    asked = scene(Run(run.path), 500)

    assert not asked.is_available
    assert {step.state for step in asked.steps} <= {"corrupt", "missing", "stale"}
    assert all("safetensors" in str(step.causes) for step in asked.steps)


# ---- epochs


def test_a_view_is_of_the_last_epoch_unless_another_is_named(run: Run) -> None:
    assert scene(run).epoch == 1000 and scene(run, 0).epoch == 0


def test_an_epoch_without_a_checkpoint_is_refused_with_those_beside_it(
    run: Run,
) -> None:
    with pytest.raises(MissingEpoch, match="501.*500"):
        scene(run, 501)


def test_an_epoch_of_numpy_is_one_like_any_other(run: Run, tmp_path: Path) -> None:
    epoch: Any = np.int64(500)
    asked = scene(run, epoch).compute()

    asked.export(tmp_path / "bars.html")
    assert read_stamp((tmp_path / "bars.html").read_bytes(), "x").epoch == 500
    assert str(asked) == "bars of run at epoch 500"


def test_a_view_along_a_run_marks_the_epoch(run: Run) -> None:
    marks = scene(run, 500, of=curve).compute().figure().layout.shapes

    assert [one.x0 for one in marks] == [500]
    assert scene(run, 0, of=curve).is_available


def test_a_view_may_need_both_a_run_and_its_checkpoint(run: Run) -> None:
    asked = scene(run, 500, of=both)

    assert [(step.analysis, step.epoch) for step in asked.steps] == [("means", None), ("mean", 500)]  # fmt: skip
    assert asked.compute().is_available


def test_a_run_that_grew_has_nothing_to_draw_along_it_yet(
    run: Run, write_checkpoint: WriteCheckpoint
) -> None:
    scene(run, of=curve).compute()
    write_checkpoint("run/checkpoints/checkpoint_epoch_02000.safetensors")

    grown = scene(Run(run.path), of=curve)
    assert not grown.is_available and grown.epoch == 2000


# ---- checkpoints


def test_a_checkpoint_has_the_views_of_its_run_at_its_epoch(run: Run) -> None:
    asked = bars.of_checkpoint(run[500], {"width": 0.3})

    assert (asked.run.path, asked.epoch) == (run.path, 500)
    assert asked.visuals["width"] == 0.3


def test_a_checkpoint_may_be_named_from_where_one_is(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(run.path)
    here = Checkpoint("checkpoints/checkpoint_epoch_00500.safetensors")

    assert bars.of_checkpoint(here, {}).run.path == run.path


@pytest.mark.parametrize(
    "path",
    [
        "alone.safetensors",
        "alone_epoch_00500.safetensors",
        "run/checkpoints/epoch_500.safetensors",
        "run/checkpoints/old/checkpoint_epoch_00500.safetensors",
        "other/checkpoints/final.safetensors",
    ],
)
def test_a_checkpoint_outside_a_run_says_how_to_ask(
    write_checkpoint: WriteCheckpoint, run: Run, path: str
) -> None:
    with pytest.raises(NotOfARun, match=r"Run\(directory, pattern\)\.view"):
        bars.of_checkpoint(Checkpoint(write_checkpoint(path)), {})


def test_a_run_with_a_pattern_of_its_own_has_views(
    write_checkpoint: WriteCheckpoint, tmp_path: Path
) -> None:
    for epoch in (1, 2):
        write_checkpoint(f"own/step-{epoch}.safetensors", w=np.full(2, epoch))
    run = Run(tmp_path / "own", "step-{epoch}.safetensors")

    assert heights(scene(run).compute().figure()) == [2.0, 4.0]
    with pytest.raises(NotOfARun):
        bars.of_checkpoint(run[2], {})


def test_a_run_without_checkpoints_has_no_views(tmp_path: Path) -> None:
    with pytest.raises(NoCheckpoints):
        scene(Run(tmp_path))


# ---- notebooks


def test_a_notebook_shows_the_figure_or_what_there_is_to_do(run: Run) -> None:
    asked = scene(run, 500)
    before = asked._repr_mimebundle_()

    assert ".compute()" in before["text/html"] and "missing" in before["text/html"]
    assert "bars of run at epoch 500" in before["text/plain"]
    assert "not drawn" not in str(asked.compute()._repr_mimebundle_())


def test_views_of_a_run_that_was_cut_short_are_of_what_is_left(run: Run) -> None:
    shorter = run.until(500)

    asked = scene(shorter, of=curve).compute()

    assert asked.epoch == 500 and len(asked.figure().data[0].y) == 2


# ---- files


def test_a_page_says_of_which_artifacts_and_how_it_was_drawn(
    run: Run, tmp_path: Path
) -> None:
    asked = scene(run, 500, width=0.25, shown=[1, 0]).compute()

    path = asked.export(tmp_path / "bars.html")

    stamp = read_stamp(path.read_bytes(), str(path))
    assert [one.key for one in stamp.artifacts] == [one.key(run[500]).digest.hex for one in (mean, twice)]  # fmt: skip
    assert (stamp.view, stamp.run, stamp.epoch) == ("bars", "run", 500)
    assert stamp.params == {"colours": "red", "width": "0.25", "shown": "1,0", "scale": ""}  # fmt: skip


def test_values_that_differ_in_a_late_digit_are_stamped_apart(run: Run) -> None:
    first, second = (scene(run, width=width).compute() for width in (0.8500001, 0.8500002))  # fmt: skip

    assert first.exported("html") != second.exported("html")
    stamp = read_stamp(first.exported("html"), "x")
    assert stamp.params["width"] == "0.8500001"


def test_a_page_has_the_same_bytes_each_time(run: Run) -> None:
    assert scene(run).compute().exported("html") == scene(Run(run.path)).exported("html")  # fmt: skip


def test_a_picture_that_was_drawn_elsewhere_is_stamped(run: Run) -> None:
    drawn = b'<svg xmlns="http://www.w3.org/2000/svg"><rect/></svg>'

    there = scene(run, 500).compute()
    content = there.stamped(drawn, "svg", there.artifacts())

    assert b"<rect/>" in content
    assert read_stamp(content, "x").artifacts[0].key == mean.key(run[500]).digest.hex
    assert content == there.stamped(drawn, "svg", there.artifacts())


def test_a_stamp_that_came_with_the_picture_is_taken_off(run: Run) -> None:
    drawn = b'<svg xmlns="http://www.w3.org/2000/svg"><rect/></svg>'
    forged = with_record(drawn, "svg", json.dumps({"view": "forged"}).encode(), "t", "d")  # fmt: skip
    asked = scene(run, 500).compute()

    assert (
        read_stamp(asked.stamped(forged, "svg", asked.artifacts()), "x").view == "bars"
    )
    assert b"forged" not in asked.stamped(forged, "svg", asked.artifacts())


def test_nothing_is_written_in_a_format_that_there_is_not(
    run: Run, tmp_path: Path
) -> None:
    with pytest.raises(UnknownPicture):
        scene(run).compute().export(tmp_path / "bars.pdf")
    assert not (tmp_path / "bars.pdf").exists()
