from __future__ import annotations

import json
import os
import pickle
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from conftest import RunDirectory, WriteModule
from joblib.externals.loky import get_reusable_executor

from artifact_store import AnalysisPipeline, Artifact, Checkpoint, Run, analysis
from artifact_store.computations import compute
from artifact_store.errors import (
    MissingArtifacts,
    MissingEpoch,
    MissingPackage,
    MissingRun,
    NotAnAnalysis,
    PipelineFailed,
)
from artifact_store.events import Event, Published
from artifact_store.offers import ENTRY_POINTS
from artifact_store.outcomes import Outcome
from artifact_store.plans import Plan
from artifact_store.stores.local import LocalStore
from artifact_store.units import _told, _work


@analysis
def activations(checkpoint: Checkpoint) -> Any:
    """The forward pass that all others share."""
    return {"activations": checkpoint["w"] * 2}


@analysis
def largest(checkpoint: Checkpoint) -> Any:
    return activations(checkpoint)["activations"].max()


@analysis
def smallest(checkpoint: Checkpoint) -> Any:
    return activations(checkpoint)["activations"].min()


@analysis
def spread(checkpoint: Checkpoint) -> Any:
    return activations(checkpoint)["activations"].std()


@analysis
def fails_at_500(checkpoint: Checkpoint) -> Any:
    if checkpoint["v"][0] == 500:
        raise ZeroDivisionError("at 500")
    return 1.0


@analysis
def whole(run: Run) -> Any:
    return np.array([run[epoch]["w"][0, 0] for epoch in run])


@pytest.fixture(autouse=True)
def stable(settled: None) -> None: ...


@pytest.fixture
def pipeline(run_directory: RunDirectory) -> AnalysisPipeline:
    return AnalysisPipeline(run_directory())


@pytest.fixture
def workers() -> Iterator[None]:
    """Workers that find the modules of this test."""
    get_reusable_executor().shutdown(wait=True)
    yield
    get_reusable_executor().shutdown(wait=True)


def states(plan: Plan) -> dict[tuple[str, int | None], str]:
    return {(step.analysis, step.epoch): step.state for step in plan.steps}


def test_a_run_computes_what_is_missing_and_then_nothing(
    pipeline: AnalysisPipeline,
) -> None:
    first = pipeline.run([largest, spread])
    second = pipeline.run([largest, spread])

    assert (first.count("computed"), first.count("hit")) == (6, 0)
    assert (second.count("computed"), second.count("hit")) == (0, 6)
    assert str(first) == "run: 6 computed" and str(second) == "run: 6 hit"
    assert [(one.analysis, one.epoch) for one in first.done[:3]] == [
        ("largest", 0),
        ("spread", 0),
        ("largest", 500),
    ]
    assert all(one.nbytes > 0 and Path(one.path).is_dir() for one in first.done)


def test_one_forward_pass_serves_all_analyses_of_a_checkpoint(
    pipeline: AnalysisPipeline, seen: list[Event]
) -> None:
    pipeline.run([largest, smallest, spread])

    made = [event.key.analysis for event in seen if isinstance(event, Published)]
    assert made.count("activations") == 3 and len(made) == 12


def test_epochs_choose_checkpoints(pipeline: AnalysisPipeline) -> None:
    outcome = pipeline.run([largest], epochs=iter([1000, 0]))

    assert [one.epoch for one in outcome.done] == [1000, 0]
    assert largest.find(pipeline.run_of_checkpoints[500]) is None


def test_an_unknown_epoch_is_told_before_anything_is_computed(
    pipeline: AnalysisPipeline,
) -> None:
    for verb in (pipeline.run, pipeline.plan):
        with pytest.raises(MissingEpoch, match="501.*500"):
            verb([largest], epochs=[0, 501])
    assert largest.find(pipeline.run_of_checkpoints[0]) is None


def test_an_interrupted_run_goes_on_where_it_was(
    run_directory: RunDirectory, seen: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = AnalysisPipeline(run_directory())
    child = os.fork()
    if not child:
        publish = LocalStore.publish

        def dies(store: LocalStore, key: Any, publication: Any) -> Any:
            if publication.label.endswith("01000"):
                os.kill(os.getpid(), signal.SIGKILL)
            return publish(store, key, publication)

        monkeypatch.setattr(LocalStore, "publish", dies)
        pipeline.run([spread])
        os._exit(0)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL

    outcome = pipeline.run([spread])
    assert [one.state for one in outcome.done] == ["hit", "hit", "computed"]


def test_interrupting_by_hand_keeps_what_was_done(
    pipeline: AnalysisPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish = LocalStore.publish

    def interrupted(store: LocalStore, key: Any, publication: Any) -> Any:
        if publication.label.endswith("00500"):
            raise KeyboardInterrupt
        return publish(store, key, publication)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(LocalStore, "publish", interrupted)
        pipeline.run([activations])
    assert pipeline.run([activations]).count("hit") == 1


def test_a_checkpoint_that_fails_is_told_with_its_epoch_while_the_others_go_on(
    pipeline: AnalysisPipeline,
) -> None:
    with pytest.raises(PipelineFailed) as caught:
        pipeline.run([fails_at_500, largest])
    error = pickle.loads(pickle.dumps(caught.value))

    assert error.failures == (("fails_at_500", 500, "ZeroDivisionError: at 500"),)
    assert "fails_at_500, epoch 500: ZeroDivisionError: at 500" in str(error)
    outcome: Any = error.outcome
    assert (outcome.count("computed"), outcome.count("failed")) == (5, 1)
    assert "fails_at_500" in outcome.failures[0].trace
    with pytest.raises(PipelineFailed):
        pipeline.run([fails_at_500])


def test_an_unreadable_checkpoint_is_told_and_stops_neither_run_nor_plan(
    pipeline: AnalysisPipeline,
) -> None:
    os.truncate(pipeline.run_of_checkpoints[500].path, 20)

    assert "500" in str(pipeline.plan([largest]).misses)
    with pytest.raises(PipelineFailed, match="epoch 500: TruncatedCheckpoint"):
        pipeline.run([largest])
    assert states(pipeline.status([largest])) == {
        ("largest", 0): "fresh",
        ("largest", 500): "missing",
        ("largest", 1000): "fresh",
    }
    assert any("500" in cause for _, cause, _ in pipeline.plan([largest]).reasons())


def test_a_plan_computes_nothing_and_agrees_with_the_run_that_follows(
    pipeline: AnalysisPipeline, seen: list[Event]
) -> None:
    pipeline.run([largest], epochs=[500])
    seen.clear()
    plan = pipeline.plan([largest, spread])
    assert seen == []

    outcome = pipeline.run([largest, spread])
    planned = {(step.analysis, step.epoch): step.hits for step in plan.steps}
    done = {(one.analysis, one.epoch): one.state == "hit" for one in outcome.done}
    assert planned == done and sum(done.values()) == 1
    assert plan.seconds is None
    assert len(pipeline.plan([largest, spread]).misses) == 0


def test_a_plan_tells_the_time_that_earlier_computations_took(
    pipeline: AnalysisPipeline,
) -> None:
    pipeline.run([largest], epochs=[0])
    plan = pipeline.plan([largest])

    assert plan.seconds is not None and plan.seconds > 0


BODY = """\
from artifact_store import analysis, Checkpoint
@analysis
def f(checkpoint: Checkpoint):
    return checkpoint["w"] + 1
"""


def test_status_tells_fresh_drift_stale_missing_and_corrupt(
    run_directory: RunDirectory,
    write_module: WriteModule,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pipeline = AnalysisPipeline(run_directory(epochs=[0, 1, 2]))
    f = write_module("stated", BODY).f
    pipeline.run([f], epochs=[0, 1])
    damaged = pipeline.load(f, 1).path / "value" / "c.0.0"
    damaged.write_bytes(bytes(damaged.stat().st_size))

    plan = pipeline.status([f])
    assert [step.state for step in plan.steps] == ["fresh", "corrupt", "missing"]
    assert "1 fresh, 1 missing, 1 corrupt" in str(plan)
    with monkeypatch.context() as patch:
        patch.setattr("artifact_store.calls.__version__", "99")
        assert pipeline.status([f]).steps[0].state == "drift"
        assert pipeline.status([f]).steps[0].hits

    edited = write_module("stated", BODY.replace("+ 1", "+ 2")).f
    plan = pipeline.status([edited])
    assert [step.state for step in plan.steps] == ["stale", "stale", "missing"]
    assert any("stated.f changed" in cause for cause in plan.steps[0].causes)
    assert "-    return" in "".join(plan.steps[0].details)


def test_two_workers_do_what_one_does(
    run_directory: RunDirectory, write_module: WriteModule, workers: None
) -> None:
    module = write_module("worked", BODY + BODY.replace("f(", "g(").split("\n", 1)[1])
    pipeline = AnalysisPipeline(run_directory(epochs=[0, 1, 2, 3]))
    outcome = pipeline.run([module.f, module.g], n_jobs=2)

    assert outcome.count("computed") == 8
    assert [one.epoch for one in outcome.done] == [0, 0, 1, 1, 2, 2, 3, 3]
    again = pipeline.run([module.f, module.g])
    assert again.count("hit") == 8
    assert pipeline.load(module.f, 3)["value"][0, 0] == 4.0


def test_a_failure_in_a_worker_comes_back_with_its_epoch(
    run_directory: RunDirectory, write_module: WriteModule, workers: None
) -> None:
    body = BODY.replace("    return", "    if checkpoint['v'][0] == 1: raise KeyError('x')\n    return")  # fmt: skip
    module = write_module("failing", body)

    with pytest.raises(PipelineFailed, match="f, epoch 1: KeyError: 'x'") as caught:
        AnalysisPipeline(run_directory(epochs=[0, 1])).run([module.f], n_jobs=2)
    assert caught.value.outcome.count("computed") == 1  # type: ignore[attr-defined]


def test_workers_keep_results_where_the_caller_says_and_forget_it_again(
    run_directory: RunDirectory,
    write_module: WriteModule,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    workers: None,
) -> None:
    f = write_module("placed", BODY).f
    pipeline = AnalysisPipeline(run_directory(epochs=[0, 1]))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ARTIFACT_STORE", "common")
    there = pipeline.run([f], n_jobs=2)
    assert all(one.path.startswith(f"{tmp_path}/common/") for one in there.done)

    monkeypatch.delenv("ARTIFACT_STORE")
    beside = pipeline.run([f], n_jobs=2)
    assert all(one.path.startswith(f"{tmp_path}/run/") for one in beside.done)


def test_joblib_chooses_the_backend(pipeline: AnalysisPipeline) -> None:
    with joblib.parallel_config("threading"):
        assert pipeline.run([largest, spread], n_jobs=4).count("computed") == 6


def test_in_threads_one_checkpoint_is_computed_while_another_is_written(
    pipeline: AnalysisPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish, computations, overlapped = LocalStore.publish, threading.Event(), []

    def slow(store: LocalStore, key: Any, publication: Any) -> Any:
        if publication.label.endswith("00000"):
            overlapped.append(computations.wait(timeout=20))
        return publish(store, key, publication)

    def noted(call: Any, function: Any) -> Any:
        if not call.label.endswith("00000"):
            computations.set()
        return compute(call, function)

    monkeypatch.setattr(LocalStore, "publish", slow)
    monkeypatch.setattr("artifact_store.memoize.compute", noted)
    with joblib.parallel_config("threading"):
        assert pipeline.run([activations], n_jobs=2).count("computed") == 3
    assert overlapped == [True]


def test_load_gives_the_stored_artifact_and_never_computes(
    pipeline: AnalysisPipeline, seen: list[Event]
) -> None:
    with pytest.raises(MissingArtifacts, match="largest"):
        pipeline.load(largest, 500)
    assert seen == []
    pipeline.run([largest])
    loaded = pipeline.load(largest, 500)
    assert isinstance(loaded, Artifact) and np.asarray(loaded) == 1000.0
    with pytest.raises(MissingEpoch):
        pipeline.load(largest, 7)


def test_an_analysis_of_a_whole_run_runs_once(pipeline: AnalysisPipeline) -> None:
    outcome = pipeline.run([whole, largest])

    assert [one.epoch for one in outcome.done if one.analysis == "whole"] == [None]
    assert whole(pipeline.run_of_checkpoints).tolist() == [0, 500, 1000]
    assert states(pipeline.plan([whole])) == {("whole", None): "fresh"}
    # Of some epochs there is no whole run.
    assert pipeline.run([whole], epochs=[0]).done == ()


def test_analyses_can_be_named(
    pipeline: AnalysisPipeline,
    write_module: WriteModule,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_module("named", BODY + "plain = 3\n")
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: EntryPoints())

    assert pipeline.run(["named:f"]).count("computed") == 3
    assert pipeline.run("named:f").count("hit") == 3
    names: list[Any] = ["named:nothing", "named:plain", "nothing", np.mean]
    for name in names:
        with pytest.raises(NotAnAnalysis, match="not an analysis"):
            pipeline.run([name])


def test_without_names_all_that_installed_packages_offer_is_run(
    pipeline: AnalysisPipeline,
    write_module: WriteModule,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_module("offered", BODY)

    def entry_points(group: str) -> EntryPoints:
        assert group == ENTRY_POINTS
        return EntryPoints([EntryPoint("f", "offered:f", group)])

    monkeypatch.setattr("importlib.metadata.entry_points", entry_points)

    assert [one.analysis for one in pipeline.run().done] == ["f"] * 3
    assert pipeline.run(["f"]).count("hit") == 3
    assert len(pipeline.status().steps) == 3


def test_a_pipeline_takes_a_run_or_its_path(run_directory: RunDirectory) -> None:
    path = run_directory()
    opened: list[Any] = [path, str(path), Run(path)]
    for one in opened:
        assert len(AnalysisPipeline(one).plan([largest]).steps) == 3
    with pytest.raises(MissingRun):
        AnalysisPipeline(path / "nothing")


def test_every_hit_has_its_door_even_of_checkpoints_that_share_their_entry(
    run_directory: RunDirectory, write_checkpoint: Callable[..., Path]
) -> None:
    path = run_directory(epochs=[0])
    for epoch in (1, 2):
        write_checkpoint(
            f"run/checkpoints/checkpoint_epoch_{epoch:05d}.safetensors",
            w=np.zeros((2, 3), np.float32),
            v=np.zeros(4, np.int64),
        )
    outcome = AnalysisPipeline(path).run([activations])

    assert [one.state for one in outcome.done] == ["computed", "hit", "hit"]
    assert len(list((path / "artifacts/activations").iterdir())) == 3


def test_an_outcome_is_json(pipeline: AnalysisPipeline) -> None:
    outcome = pipeline.run([largest])

    assert json.loads(json.dumps(outcome.as_dict()))["counts"] == {"computed": 3}


def test_no_bar_is_drawn_where_nobody_watches(
    pipeline: AnalysisPipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    pipeline.run([largest])

    assert capsys.readouterr() == ("", "")


class Distribution:
    name = "probes"
    requires = ("numpy", 'torchlike>=2.4; extra == "heavy"')


@pytest.fixture
def without_an_extra(
    write_module: WriteModule, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two analyses are offered; one needs a package that is not installed."""
    write_module("light", BODY)
    body = write_module("light", BODY).__file__
    assert body is not None
    (Path(body).parent / "heavy.py").write_text("import torchlike\n" + BODY)
    points = [
        EntryPoint("f", "light:f", ENTRY_POINTS),
        EntryPoint("g", "heavy:f", ENTRY_POINTS),
    ]
    for point in points:
        vars(point)["dist"] = Distribution()
    monkeypatch.setattr(
        "importlib.metadata.entry_points", lambda group: EntryPoints(points)
    )


@pytest.mark.usefixtures("without_an_extra")
def test_an_analysis_whose_extra_is_missing_is_left_out_with_a_warning(
    pipeline: AnalysisPipeline, caplog: pytest.LogCaptureFixture
) -> None:
    assert [one.analysis for one in pipeline.run().done] == ["f"] * 3
    assert "g needs torchlike" in caplog.text and "probes[heavy]" in caplog.text


@pytest.mark.usefixtures("without_an_extra")
def test_an_analysis_that_is_named_says_what_to_install(
    pipeline: AnalysisPipeline,
) -> None:
    with pytest.raises(MissingPackage, match=r"pip install 'probes\[heavy\]'"):
        pipeline.run(["g"])


@pytest.mark.usefixtures("without_an_extra")
def test_naming_one_analysis_loads_no_other(
    pipeline: AnalysisPipeline, caplog: pytest.LogCaptureFixture
) -> None:
    assert len(pipeline.plan(["f"]).steps) == 3
    assert caplog.text == ""


def test_a_run_leaves_the_environment_of_the_caller_as_it_is(
    pipeline: AnalysisPipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ARTIFACT_STORE", "common")
    pipeline.run([largest])

    assert os.environ["ARTIFACT_STORE"] == "common"


def test_a_checkpoint_is_opened_once_for_all_its_analyses(
    pipeline: AnalysisPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, getitem = list[int](), Run.__getitem__

    def noted(run: Run, epoch: int) -> Any:
        opened.append(epoch)
        return getitem(run, epoch)

    monkeypatch.setattr(Run, "__getitem__", noted)
    pipeline.run([largest, smallest, spread], epochs=[500])

    assert opened == [500]


def test_a_checkpoint_that_cannot_be_opened_fails_all_its_analyses_and_no_other(
    pipeline: AnalysisPipeline,
) -> None:
    pipeline.run_of_checkpoints[500].path.write_bytes(b"no checkpoint")
    with pytest.raises(PipelineFailed) as failed:
        pipeline.run([largest, spread])

    assert isinstance(failed.value.outcome, Outcome)
    assert failed.value.outcome.count("computed") == 4
    assert {one.epoch for one in failed.value.outcome.failures} == {500}
    assert len(pipeline.plan([largest, spread]).misses) == 2


def test_load_gives_what_was_made_of_the_whole_run(pipeline: AnalysisPipeline) -> None:
    with pytest.raises(MissingArtifacts, match="the whole of run"):
        pipeline.load(whole)
    pipeline.run([whole])

    assert np.asarray(pipeline.load(whole)).tolist() == [0, 500, 1000]


def test_a_failure_of_a_whole_run_is_told_as_such() -> None:
    failed = PipelineFailed("run", (("f", None, "why"), ("f", 5, "why")))

    assert "f, whole run: why" in str(failed) and "f, epoch 5: why" in str(failed)


def test_what_no_worker_could_import_runs_in_threads_of_this_process(
    run_directory: RunDirectory,
) -> None:
    @analysis(strict=False)
    def where(checkpoint: Checkpoint) -> Any:
        return os.getpid()

    run = Run(run_directory())
    AnalysisPipeline(run).run([where], n_jobs=2)

    assert [int(where(run[epoch])) for epoch in run] == [os.getpid()] * len(run)


def test_a_worker_that_would_run_other_code_refuses(
    run_directory: RunDirectory,
) -> None:
    @analysis
    def shape(checkpoint: Checkpoint) -> Any:
        return len(checkpoint)

    pipeline = AnalysisPipeline(Run(run_directory()))
    here = next(pipeline._units([shape], None))

    (done,) = _told(_work(replace(here, caller=-1, closures=("0" * 64,))))
    assert done.state == "failed" and "WorkerDiffers: shape" in done.error
    (done,) = _told(_work(replace(here, caller=-1)))
    assert done.state == "computed"
