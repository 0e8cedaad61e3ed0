"""Modes: what a call may do with its store."""

from __future__ import annotations

import errno
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import joblib
import msgspec
import numpy as np
import pytest
from conftest import RunDirectory, WriteCheckpoint, WriteModule
from joblib.externals.loky import get_reusable_executor

from artifact_store import (
    AnalysisPipeline,
    Artifact,
    Blocks,
    Checkpoint,
    analysis,
    mode,
    modes,
)
from artifact_store.arrays import file_stats
from artifact_store.errors import (
    BadDeclaration,
    BadSetting,
    KeepRefused,
    MissRefused,
    NotStored,
    OnlyComputed,
    PipelineFailed,
    StoreOff,
    Unstorable,
)
from artifact_store.layout import Layout
from artifact_store.manifests import render_manifest, seal_of
from artifact_store.stores.local import LocalStore

MODES = ("rw", "ro", "off", "refresh", "require")

LOG: list[str] = []
W = np.arange(6, dtype=np.float32).reshape(2, 3)


def log(name: str) -> None:
    LOG.append(name)


@analysis(ignore=("note",))
def doubled(checkpoint: Checkpoint, note: Any = log) -> Any:
    note("doubled")
    return {"w": checkpoint["w"] * 2}


@analysis(ignore=("note",))
def summed(checkpoint: Checkpoint, note: Any = log) -> Any:
    note("summed")
    return doubled(checkpoint)["w"].sum()


@analysis
def of_artifact(checkpoint: Checkpoint) -> Any:
    return doubled.artifact(checkpoint).numpy()["w"]


@analysis
def in_blocks(checkpoint: Checkpoint) -> Any:
    return Blocks((2, 3), np.float32, (row[None] for row in checkpoint["w"]))


@analysis(strict=False)
def labelled(made: Artifact, checkpoint: Checkpoint) -> Any:
    return made.numpy()["w"].sum() + len(checkpoint.label)


@analysis(strict=False, ignore=("note",))
def above_labelled(checkpoint: Checkpoint, note: Any = log) -> Any:
    note("above_labelled")
    return labelled(doubled.artifact(checkpoint), checkpoint)


BELOW = """
from artifact_store import Checkpoint, analysis

LOG = []


def log(name):
    LOG.append(name)


@analysis(ignore=("note",))
def below(checkpoint: Checkpoint, note=log):
    note("below")
    return checkpoint["w"] * 2


@analysis(ignore=("note",))
def above(checkpoint: Checkpoint, note=log):
    note("above")
    return below(checkpoint).sum()
"""


@analysis(mode="off")
def never_kept(checkpoint: Checkpoint) -> Any:
    return [checkpoint["w"][0, 1], np.float32(2)]


@analysis
def above_unkept(checkpoint: Checkpoint) -> Any:
    return never_kept(checkpoint) * 2


@pytest.fixture(autouse=True)
def empty_log() -> Iterator[None]:
    LOG.clear()
    yield
    LOG.clear()


@pytest.fixture
def new_workers() -> Iterator[None]:
    """Workers that find the modules of this test."""
    get_reusable_executor().shutdown(wait=True)
    yield
    get_reusable_executor().shutdown(wait=True)


@pytest.fixture
def new_process() -> Iterator[None]:
    """As if nothing had been refreshed by the environment before."""
    modes._since_now.cache_clear()
    yield
    modes._since_now.cache_clear()


def tree(root: Path) -> dict[str, tuple[int, int, int]]:
    """Everything below a folder, and when it was written last."""
    stats = {str(path): path.lstat() for path in [root, *root.rglob("*")]}
    return {
        path: (one.st_mtime_ns, one.st_ctime_ns, one.st_size)
        for path, one in stats.items()
    }


def store_of(checkpoint: Path) -> Path:
    return checkpoint.parents[1] / "artifacts"


def test_in_ro_hits_are_served_and_misses_computed_and_nothing_is_written(
    checkpoint: Path, write_checkpoint: WriteCheckpoint, settled: None
) -> None:
    other = write_checkpoint(
        "run/checkpoints/checkpoint_epoch_01000.safetensors", w=np.ones((2, 3))
    )
    doubled(Checkpoint(checkpoint))
    before = tree(checkpoint.parents[1])
    LOG.clear()

    with mode("ro"):
        assert doubled(Checkpoint(checkpoint))["w"].sum() == 30 and LOG == []
        assert doubled(Checkpoint(other))["w"].sum() == 12
        assert summed(Checkpoint(checkpoint)) == 30
        assert summed(Checkpoint(other)) == 12
        assert doubled.find(Checkpoint(checkpoint)) is not None
        assert summed.find(Checkpoint(checkpoint)) is None
    assert LOG == ["doubled", "summed", "summed", "doubled"]
    assert tree(checkpoint.parents[1]) == before


@analysis
def in_a_thread(checkpoint: Checkpoint) -> Any:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(doubled, checkpoint).result()["w"].sum()


def test_in_ro_a_thread_of_a_computation_writes_nothing_either(
    checkpoint: Path,
) -> None:
    with mode("ro"):
        assert in_a_thread(Checkpoint(checkpoint)) == 30
    assert not store_of(checkpoint).exists()
    assert in_a_thread(Checkpoint(checkpoint)) == 30
    with mode("require"):
        assert in_a_thread(Checkpoint(checkpoint)) == 30
    assert LOG == ["doubled"] * 2


@analysis
def in_a_thread_without(checkpoint: Checkpoint) -> Any:
    def work() -> Any:
        with mode("off"):
            return doubled(checkpoint)

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()["w"].sum()


def test_a_thread_of_a_computation_may_choose_a_mode_itself(checkpoint: Path) -> None:
    assert in_a_thread_without(Checkpoint(checkpoint)) == 30
    assert doubled.find(Checkpoint(checkpoint)) is None


def test_in_ro_no_store_is_made(checkpoint: Path) -> None:
    with mode("ro"):
        assert summed(Checkpoint(checkpoint)) == 30
    assert not store_of(checkpoint).exists()


def test_in_ro_what_is_corrupt_is_computed_and_left_where_it_is(
    checkpoint: Path, settled: None
) -> None:
    data = doubled.artifact(Checkpoint(checkpoint)).path / "w/c.0.0"
    data.write_bytes(bytes(data.stat().st_size))
    before = tree(checkpoint.parents[1])

    with mode("ro"):
        for _ in range(2):
            assert doubled(Checkpoint(checkpoint))["w"].sum() == 30
    assert tree(checkpoint.parents[1]) == before


@analysis(codec="zstd", ignore=("note",))
def packed(checkpoint: Checkpoint, note: Any = log) -> Any:
    note("packed")
    return np.tile(checkpoint["w"], (100, 1))


def damage_unseen(artifact: Artifact) -> None:
    """Damage data whose seal goes on to say that nobody wrote to them, as a disk does: decoding brings it to light."""
    data = artifact.path / "value/c.0.0"
    data.write_bytes(bytes(data.stat().st_size))
    manifest = artifact.entry.manifest
    seal = seal_of(file_stats(artifact.path, manifest.arrays), manifest.seal.boot)
    path = Layout(artifact.entry.home or str(artifact.path.parents[3])).manifest(
        artifact.entry.key
    )
    Path(path).write_bytes(
        render_manifest(msgspec.structs.replace(manifest, seal=seal))
    )


def test_in_ro_what_only_reading_shows_to_be_corrupt_is_computed_too(
    checkpoint: Path, settled: None
) -> None:
    damage_unseen(packed.artifact(Checkpoint(checkpoint)))
    before, right = tree(checkpoint.parents[1]), np.tile(W, (100, 1))

    with mode("ro"), pytest.warns(NotStored, match="cannot be read there"):
        assert (packed(Checkpoint(checkpoint)) == right).all()
    assert tree(checkpoint.parents[1]) == before
    # Where it can be set aside, it is kept anew.
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert (packed(Checkpoint(checkpoint)) == right).all()
        assert (packed(Checkpoint(checkpoint)) == right).all()
    assert LOG == ["packed"] * 3


def test_in_ro_what_its_owner_evicts_before_it_is_read_is_computed(
    checkpoint: Path, settled: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = packed.artifact(Checkpoint(checkpoint))
    real = Artifact.numpy

    def evicting(artifact: Artifact) -> Any:
        monkeypatch.setattr(Artifact, "numpy", real)
        LocalStore(store_of(checkpoint)).remove([entry.key])
        return artifact.numpy()

    monkeypatch.setattr(Artifact, "numpy", evicting)
    with mode("ro"):
        assert packed(Checkpoint(checkpoint)).shape == (200, 3)
    assert LOG == ["packed"] * 2


def test_in_ro_there_is_no_artifact_of_a_miss_and_nothing_is_computed_for_it(
    checkpoint: Path,
) -> None:
    with mode("ro"), pytest.raises(KeepRefused, match="so there is no artifact"):
        doubled.artifact(Checkpoint(checkpoint))
    assert LOG == []
    # Whoever asks for it inside a function meets that too.
    with mode("ro"), pytest.raises(KeepRefused, match="doubled"):
        of_artifact(Checkpoint(checkpoint))
    assert not store_of(checkpoint).exists()


def test_in_ro_a_recomputation_is_in_the_error(checkpoint: Path, settled: None) -> None:
    doubled(Checkpoint(checkpoint))
    before = tree(checkpoint.parents[1])
    for _ in range(2):
        with mode("ro"), pytest.raises(OnlyComputed, match="mode") as caught:
            doubled.recompute(Checkpoint(checkpoint))
        assert caught.value.result["w"].sum() == 30  # type: ignore[index]
    assert LOG == ["doubled"] * 3
    assert tree(checkpoint.parents[1]) == before


def test_in_ro_what_is_below_is_computed_once(
    checkpoint: Path, write_module: WriteModule, settled: None
) -> None:
    write_module("below", BELOW).above(checkpoint)
    before = tree(checkpoint.parents[1])
    edited = write_module("below", BELOW.replace("* 2", "* 3"))

    with mode("ro"):
        assert edited.above(checkpoint) == 45
    assert edited.LOG == ["above", "below"]
    assert tree(checkpoint.parents[1]) == before


def test_in_ro_arrays_larger_than_memory_leave_no_trace(checkpoint: Path) -> None:
    def traced() -> float:
        return float(in_blocks(Checkpoint(checkpoint)).sum())

    doubled(Checkpoint(checkpoint))
    before = tree(checkpoint.parents[1])
    for name in ("ro", "off"):
        with mode(name):
            assert traced() == 15
    assert tree(checkpoint.parents[1]) == before


def test_a_call_that_was_made_in_a_mode_is_known_in_its_next_block(
    checkpoint: Path, settled: None
) -> None:
    doubled(Checkpoint(checkpoint))
    given = Checkpoint(checkpoint)
    calls = []
    for name in ("ro", "ro", "refresh", "refresh"):
        with mode(name):
            calls += [doubled.call(given), doubled.call(given)]

    # But two blocks that refresh are two beginnings.
    assert len({id(call) for call in calls}) == 3
    assert len({id(call) for call in calls[:4]}) == 1


def test_with_the_store_off_the_function_just_runs_and_needs_none(
    checkpoint: Path, tmp_path: Path
) -> None:
    with mode("off"):
        found = doubled(Checkpoint(checkpoint))["w"]
        assert found.sum() == 30 and not found.flags.writeable
        assert summed(Checkpoint(checkpoint)).shape == ()
        assert doubled(str(checkpoint))["w"].sum() == 30  # type: ignore[arg-type]
        assert doubled.find(Checkpoint(checkpoint)) is None
        for ask in (doubled.artifact, doubled.recompute, doubled.key, doubled.explain):
            with pytest.raises(StoreOff, match="off"):
                ask(Checkpoint(checkpoint))
    assert not store_of(checkpoint).exists()


def test_with_the_store_off_what_cannot_be_stored_is_refused_all_the_same() -> None:
    def words() -> Any:
        return {"words": np.array(["a", "b"])}

    with mode("off"), pytest.raises(Unstorable) as caught:
        analysis(words)()
    assert list(caught.value.result["words"]) == ["a", "b"]  # type: ignore[index]


def test_with_the_store_off_what_has_no_key_can_be_called(
    checkpoint: Path, write_module: WriteModule
) -> None:
    module = write_module(
        "unresolved",
        "from artifact_store import analysis\n\n\n@analysis\n"
        "def f(x, how):\n    return eval('x') + globals()[how]()\n\n\ndef two():\n    return 2\n",
    )
    with mode("off"):
        assert module.f(1, "two") == 3
        with pytest.raises(TypeError):
            module.f(1)


def test_what_calls_an_analysis_without_store_depends_on_its_code(
    checkpoint: Path, write_module: WriteModule, settled: None
) -> None:
    body = (
        "from artifact_store import Checkpoint, analysis\n\n\n"
        "@analysis(mode='off')\ndef below(checkpoint: Checkpoint):\n    return checkpoint['w'] * 2\n\n\n"
        "@analysis\ndef above(checkpoint: Checkpoint):\n    return below(checkpoint).sum()\n"
    )
    assert write_module("offed", body).above(checkpoint) == 30
    edited: ModuleType = write_module("offed", body.replace("* 2", "* 3"))
    assert edited.above(checkpoint) == 45


def test_a_refreshed_entry_is_replaced_once(checkpoint: Path, settled: None) -> None:
    summed(Checkpoint(checkpoint))
    made = doubled.artifact(Checkpoint(checkpoint)).provenance.created
    LOG.clear()

    for _ in range(2):
        with mode("refresh"):
            assert doubled.find(Checkpoint(checkpoint)) is None
            for _ in range(2):
                assert summed(Checkpoint(checkpoint)) == 30
                assert doubled(Checkpoint(checkpoint))["w"].sum() == 30
    assert LOG == ["summed", "doubled"] * 2
    again = doubled.find(Checkpoint(checkpoint))
    assert again is not None and again.provenance.created > made


def test_what_reads_labels_through_others_is_refreshed_once(
    checkpoint: Path, settled: None
) -> None:
    given = Checkpoint(checkpoint)
    above_labelled(given)
    LOG.clear()
    with mode("refresh"):
        assert above_labelled(given) == above_labelled(given)
    assert LOG.count("above_labelled") == 1


def test_what_is_refreshed_is_said_to_be_so(checkpoint: Path, settled: None) -> None:
    doubled(Checkpoint(checkpoint))
    with mode("refresh"):
        why = doubled.explain(Checkpoint(checkpoint))
        assert [cause.kind for cause in why.causes] == ["refresh"]
        doubled(Checkpoint(checkpoint))
        assert doubled.explain(Checkpoint(checkpoint)).hit


def test_where_results_are_required_a_miss_says_why_and_computes_nothing(
    checkpoint: Path, write_checkpoint: WriteCheckpoint, settled: None
) -> None:
    with mode("require"), pytest.raises(MissRefused, match="never computed") as missed:
        summed(Checkpoint(checkpoint))
    assert "summed(checkpoint_epoch_00500" in str(missed.value)
    doubled(Checkpoint(checkpoint))
    LOG.clear()

    with mode("require"):
        assert doubled(Checkpoint(checkpoint))["w"].sum() == 30
        assert doubled.find(Checkpoint(checkpoint)) is not None
        for ask in (summed, summed.artifact, summed.recompute, doubled.recompute):
            with pytest.raises(MissRefused):
                ask(Checkpoint(checkpoint))
    assert LOG == []


def test_where_results_are_required_one_that_cannot_be_read_now_is_not_computed(
    checkpoint: Path, settled: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_more(artifact: Artifact) -> Any:
        raise OSError(errno.EMFILE, "Too many open files")

    doubled(Checkpoint(checkpoint))
    LOG.clear()
    monkeypatch.setattr(Artifact, "numpy", no_more)

    with mode("require"), pytest.raises(MissRefused, match="Too many open files"):
        doubled(Checkpoint(checkpoint))
    assert LOG == []
    with mode("ro"), pytest.warns(NotStored, match="Too many open files"):
        assert doubled(Checkpoint(checkpoint))["w"].sum() == 30


def test_where_results_are_required_none_is_computed_again(
    checkpoint: Path,
) -> None:
    doubled(Checkpoint(checkpoint))
    with mode("require"), pytest.raises(MissRefused, match="to be computed again"):
        doubled.recompute(Checkpoint(checkpoint))
    assert LOG == ["doubled"]


def test_where_results_are_required_a_corrupt_one_is_named(
    checkpoint: Path, settled: None
) -> None:
    data = doubled.artifact(Checkpoint(checkpoint)).path / "w/c.0.0"
    data.write_bytes(bytes(data.stat().st_size))

    for _ in range(2):  # The first call sets it aside.
        with mode("require"), pytest.raises(MissRefused, match="corrupt"):
            doubled(Checkpoint(checkpoint))


@pytest.mark.parametrize("name", MODES)
def test_the_block_comes_before_the_decorator_and_that_before_the_environment(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch, settled: None, name: str
) -> None:
    monkeypatch.setenv("ARTIFACT_STORE_MODE", "require")
    with pytest.raises(MissRefused):
        doubled(Checkpoint(checkpoint))
    assert never_kept(Checkpoint(checkpoint)).tolist() == [1, 2]
    with mode("rw"):
        assert never_kept.artifact(Checkpoint(checkpoint)).numpy().tolist() == [1, 2]
    with mode("ro"):
        assert doubled(Checkpoint(checkpoint))["w"].sum() == 30
        with mode(name):  # type: ignore[arg-type]
            if name == "require":
                with pytest.raises(MissRefused):
                    doubled(Checkpoint(checkpoint))
            else:
                assert doubled(Checkpoint(checkpoint))["w"].sum() == 30
    is_kept = name in ("rw", "refresh")
    with mode("rw"):
        assert (doubled.find(Checkpoint(checkpoint)) is not None) == is_kept


def test_a_mode_from_the_environment_counts_from_call_to_call(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch, settled: None
) -> None:
    def call() -> Any:
        return doubled(str(checkpoint))["w"].sum()  # type: ignore[arg-type]

    monkeypatch.setenv("ARTIFACT_STORE_MODE", "ro")
    assert [call(), call()] == [30, 30] and len(LOG) == 2
    monkeypatch.setenv("ARTIFACT_STORE_MODE", "rw")
    assert [call(), call()] == [30, 30] and len(LOG) == 3
    monkeypatch.setenv("ARTIFACT_STORE_MODE", "off")
    assert call() == 30 and len(LOG) == 4
    monkeypatch.delenv("ARTIFACT_STORE_MODE")
    assert call() == 30 and len(LOG) == 4


def test_there_are_five_modes(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BadSetting, match="rw, ro, off, refresh, require"):
        with mode("readonly"):  # type: ignore[arg-type]
            pass
    monkeypatch.setenv("ARTIFACT_STORE_MODE", "r")
    with pytest.raises(BadSetting, match="ARTIFACT_STORE_MODE='r'"):
        doubled(Checkpoint(checkpoint))
    with pytest.raises(BadDeclaration, match="mode is 'no'"):
        analysis(mode="no")(doubled.__wrapped__)  # type: ignore[call-overload]


PIPED = """
import os

from artifact_store import Checkpoint, Run, analysis


@analysis(ignore=("log",))
def first(checkpoint: Checkpoint, log: str = os.environ["MODES_LOG"]):
    with open(log, "a") as file:
        file.write("first\\n")
    return checkpoint["w"] * 2


@analysis
def second(checkpoint: Checkpoint):
    return first(checkpoint).sum()


@analysis
def of_run(run: Run):
    return [float(second(run[epoch])) for epoch in run]
"""


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("by", ["block", "environment"])
def test_a_mode_travels_to_the_workers_of_a_pipeline(
    run_directory: RunDirectory,
    write_module: WriteModule,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    new_workers: None,
    new_process: None,
    n_jobs: int,
    by: str,
) -> None:
    log = tmp_path / "log"
    monkeypatch.setenv("MODES_LOG", str(log))
    monkeypatch.setenv("ARTIFACT_STORE_STRICT", "0")
    module = write_module(f"piped_{by}_{n_jobs}", PIPED)
    pipeline = AnalysisPipeline(str(run_directory()))
    three = [module.first, module.second, module.of_run]

    def run(name: str) -> Callable[[], Any]:
        def go() -> Any:
            if by == "environment":
                monkeypatch.setenv("ARTIFACT_STORE_MODE", name)
                try:
                    return pipeline.run(three, n_jobs=n_jobs)
                finally:
                    monkeypatch.delenv("ARTIFACT_STORE_MODE")
            with mode(name):  # type: ignore[arg-type]
                return pipeline.run(three, n_jobs=n_jobs)

        return go

    for name, error in (
        ("require", "MissRefused"),
        ("ro", "KeepRefused"),
        ("off", "StoreOff"),
    ):
        with pytest.raises(PipelineFailed, match=error):
            run(name)()
    assert not log.exists()
    run("rw")()
    assert log.read_text().count("first") == 3
    for name in ("require", "ro"):
        assert run(name)().count("hit") == 7
    # By whichever worker: what another one has just refreshed is fresh.
    outcome = run("refresh")()
    assert outcome.count("computed") + outcome.count("hit") == 7
    assert log.read_text().count("first") == 6


def test_threads_of_one_block_refresh_a_key_once(
    checkpoint: Path, settled: None
) -> None:
    import contextvars

    doubled(Checkpoint(checkpoint))
    LOG.clear()
    with mode("refresh"), ThreadPoolExecutor(8) as pool:
        contexts = [contextvars.copy_context() for _ in range(8)]
        calls = [
            pool.submit(one.run, lambda: doubled(Checkpoint(checkpoint))["w"].sum())
            for one in contexts
        ]
        assert {call.result() for call in calls} == {30}
    assert LOG == ["doubled"]


def test_threads_of_a_pipeline_are_in_its_mode(
    run_directory: RunDirectory, settled: None
) -> None:
    run = run_directory()
    pipeline = AnalysisPipeline(str(run))
    with joblib.parallel_config(backend="threading"):
        with mode("require"), pytest.raises(PipelineFailed, match="MissRefused"):
            pipeline.run([doubled, summed], n_jobs=2)
        assert LOG == [] and not (run / "artifacts").exists()
        pipeline.run([doubled, summed], n_jobs=2)
        LOG.clear()
        with mode("refresh"):
            outcome = pipeline.run([doubled, summed], n_jobs=2)
    assert outcome.count("failed") == 0
    assert sorted(LOG) == ["doubled"] * 3 + ["summed"] * 3


def test_a_process_refreshes_a_key_once_by_its_environment(
    checkpoint: Path,
    monkeypatch: pytest.MonkeyPatch,
    settled: None,
    new_process: None,
) -> None:
    summed(Checkpoint(checkpoint))
    LOG.clear()
    monkeypatch.setenv("ARTIFACT_STORE_MODE", "refresh")
    for _ in range(2):
        assert summed(Checkpoint(checkpoint)) == 30
    assert LOG == ["summed", "doubled"]


@pytest.mark.parametrize("name", MODES)
def test_a_plan_tells_what_would_happen_in_a_mode(
    run_directory: RunDirectory, settled: None, name: str
) -> None:
    pipeline = AnalysisPipeline(str(run_directory()))
    pipeline.run([doubled])
    before = tree(pipeline.run_of_checkpoints.path)
    LOG.clear()

    with mode(name):  # type: ignore[arg-type]
        plan = pipeline.plan([doubled])
    states = {"refresh": "stale", "off": "missing"}
    assert {step.state for step in plan.steps} == {states.get(name, "fresh")}
    assert LOG == [] and tree(pipeline.run_of_checkpoints.path) == before
