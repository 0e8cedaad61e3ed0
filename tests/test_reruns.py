"""Stored results are computed again in fresh processes: impure functions are found, pure ones are not."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import pytest
from conftest import RunDirectory, WriteModule, times

from artifact_store import AnalysisPipeline, Run
from artifact_store.lookup import read_manifest
from artifact_store.offers import offered
from artifact_store.reruns import Rerun, rerun, sampled
from artifact_store.stores.base import Store
from artifact_store.stores.locate import store_at

PLANTED = """
import os
import random
import sys
import time
from enum import Enum
from pathlib import Path

import numpy as np

from artifact_store import Checkpoint, analysis

class Kind(Enum):
    ONE = 1


@analysis
def pure(checkpoint: Checkpoint, k: float = 1.0, names: tuple = ()):
    return {"w": checkpoint["w"] * k, "v": checkpoint["v"]}


@analysis
def clock(checkpoint: Checkpoint):
    return checkpoint["w"] + time.time_ns() % 1_000_003


@analysis
def unseeded(checkpoint: Checkpoint):
    return checkpoint["w"] + random.random()


@analysis
def of_a_file(checkpoint: Checkpoint):
    return checkpoint["w"] + len(Path(os.environ["RERUNS_FILE"]).read_text())


@analysis
def of_process(checkpoint: Checkpoint):
    sys.setrecursionlimit(sys.getrecursionlimit() + 1)
    return checkpoint["w"] + sys.getrecursionlimit()


@analysis
def of_hashes(checkpoint: Checkpoint):
    return np.array([ord(letter) for letter in {"a", "b", "c", "d", "e", "f", "g"}])


@analysis
def failing(checkpoint: Checkpoint):
    if os.environ.get("RERUNS_FAIL"):
        raise RuntimeError("out of order")
    return checkpoint["w"]


@analysis
def dying(checkpoint: Checkpoint):
    if os.environ.get("RERUNS_FAIL"):
        os._exit(7)
    return checkpoint["w"]


@analysis
def between(one: Checkpoint, other: Checkpoint, /, *scales: int):
    return (one["w"] - other["w"]) * sum(scales)


@analysis
def of_several(ones: list):
    return sum(one["w"].sum() for one in ones)


@analysis
def above(checkpoint: Checkpoint):
    return clock(checkpoint).sum() * 0


@analysis
def of_artifact(checkpoint: Checkpoint):
    return pure.artifact(checkpoint).numpy()["w"] + 1


@analysis
def given_kind(checkpoint: Checkpoint, kind=None):
    return checkpoint["v"]


@analysis
def of_run(run: Run):
    return sum(run[epoch]["w"].sum() for epoch in run)
""".replace("import Checkpoint, analysis", "import Checkpoint, Run, analysis")

IMPURE = ["clock", "unseeded", "of_a_file", "of_process", "of_hashes"]
HINTS = {
    "clock": "two computations in one process differ",
    "unseeded": "two computations in one process differ",
    "of_process": "two computations in one process differ",
    "of_a_file": "two computations in one process agree",
    "of_hashes": "two computations in one process agree",
}


@pytest.fixture
def run(run_directory: RunDirectory) -> Run:
    return Run(run_directory(epochs=(500,)))


@pytest.fixture
def planted(
    write_module: WriteModule, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> ModuleType:
    """The module of planted functions; what is flagged is not refused."""
    (tmp_path / "file").write_text("1234")
    monkeypatch.setenv("RERUNS_FILE", str(tmp_path / "file"))
    monkeypatch.setenv("ARTIFACT_STORE_STRICT", "0")
    return write_module("planted", PLANTED)


def functions_in(store: Store) -> set[str]:
    """Of every entry that can be read."""
    return {one.provenance.function for one in store.manifests()}


def rerun_all(run: Run) -> dict[str, Rerun]:
    store = store_at(run.path)
    found = rerun(store, run, list(store.keys()), functions_in(store), 2)
    return {one.key.analysis: one for one in found}


def compute(planted: ModuleType, run: Run, names: Sequence[str]) -> None:
    AnalysisPipeline(run).run([getattr(planted, name) for name in names])


def test_planted_impure_functions_are_found_and_pure_ones_are_not(
    planted: ModuleType, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compute(planted, run, [*IMPURE, "pure", "failing", "dying", "of_run"])
    (tmp_path / "file").write_text("12345")
    monkeypatch.setenv("RERUNS_FAIL", "1")
    before = {path: path.lstat().st_mtime_ns for path in tmp_path.rglob("*")}

    found = rerun_all(run)

    states = {name: one.state for name, one in found.items()}
    assert states == {
        **dict.fromkeys(IMPURE, "differs"),
        "pure": "same",
        "of_run": "same",
        "failing": "fails",
        "dying": "fails",
    }
    assert "ended with status 7" in found["dying"].why
    assert "out of order" in found["failing"].why
    (difference,) = found["of_a_file"].differences
    assert difference.absolute == 1.0 and difference.elements == 6
    assert difference.relative == pytest.approx(1 / 504)
    assert any("it reads the clock" in hint for hint in found["clock"].hints)
    for name, words in HINTS.items():
        assert any(words in hint for hint in found[name].hints), name
    after = {path: path.lstat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert after == before


def test_a_function_is_imported_only_if_it_is_trusted(
    planted: ModuleType, run: Run
) -> None:
    compute(planted, run, ["pure"])
    store = store_at(run.path)

    (found,) = rerun(store, run, list(store.keys()), {"other:pure"}, 1)
    assert found.state == "skipped" and "--analysis planted:pure" in found.why


def test_a_difference_is_the_doing_of_the_analysis_that_makes_it(
    planted: ModuleType, run: Run
) -> None:
    compute(planted, run, ["above"])

    found = rerun_all(run)
    assert found["clock"].state == "differs" and found["above"].state == "same"


def test_an_artifact_that_was_evicted_is_no_fault_of_who_asks_for_it(
    planted: ModuleType, run: Run
) -> None:
    compute(planted, run, ["of_artifact"])
    store = store_at(run.path)
    store.remove(list(store.keys("pure")))

    found = rerun_all(run)["of_artifact"]
    assert found.state == "skipped" and "artifact that is not stored" in found.why


def test_a_checkpoint_that_goes_meanwhile_is_no_fault_of_the_others(
    planted: ModuleType, run_directory: RunDirectory
) -> None:
    run = Run(run_directory(epochs=(0, 1, 2, 3)))
    compute(planted, run, ["pure"])
    store = store_at(run.path)
    gone = run[0]
    keys = [
        key
        for key in store.keys()
        if read_manifest(store, key).provenance.inputs[0].label != gone.label
    ]
    states = []
    for one in rerun(store, Run(run.path), keys, functions_in(store), 1):
        states.append(one.state)
        gone.path.unlink(missing_ok=True)

    assert states == ["same"] * 3


def test_what_cannot_be_computed_again_is_said_with_its_reason(
    planted: ModuleType, run: Run, write_module: WriteModule
) -> None:
    checkpoint = run[500]
    planted.pure(checkpoint, k=2.5, names=("a", "b"))
    planted.given_kind(checkpoint, kind=planted.Kind.ONE)
    planted.failing(checkpoint)
    planted.unseeded(checkpoint)
    body = PLANTED.replace('return checkpoint["w"]\n', 'return checkpoint["w"] + 0\n')
    write_module("planted", body.replace("def unseeded", "def gone"))

    found = rerun_all(run)
    assert found["pure"].state == "same"
    assert "kind=" in found["given_kind"].why
    assert "cannot be read back" in found["given_kind"].why
    assert "other code" in found["failing"].why
    assert "cannot be imported" in found["unseeded"].why
    assert {one.state for one in found.values()} == {"same", "skipped"}


def test_an_input_that_the_run_does_not_have_is_said(
    planted: ModuleType, run: Run, run_directory: RunDirectory
) -> None:
    compute(planted, run, ["pure"])
    store, other = store_at(run.path), Run(run_directory("other", epochs=(1000,)))

    (found,) = rerun(store, other, list(store.keys()), functions_in(store), 1)
    assert found.state == "skipped"
    assert "other has nothing that holds what checkpoint_epoch_00500 held" in found.why


def test_several_inputs_are_found_by_what_they_hold(
    planted: ModuleType, run_directory: RunDirectory
) -> None:
    run = Run(run_directory(epochs=(0, 500)))
    planted.between(run[500], run[0], 2, 3)
    planted.of_several([run[0], run[500]])
    (run.path / "checkpoints/checkpoint_epoch_00500.safetensors").rename(
        run.path / "checkpoints/checkpoint_epoch_00700.safetensors"
    )

    found = rerun_all(Run(run.path))
    assert found["between"].state == "same"
    assert found["of_several"].why == "several inputs were given as ones"


def test_damage_is_a_finding(planted: ModuleType, run: Run) -> None:
    compute(planted, run, ["pure", "failing", "of_run"])
    hidden = run.path / "artifacts/.store"
    next((hidden / "entries/failing").rglob("*.json")).write_text("{}")
    data = (run.path / "artifacts/pure").glob("*/w/c.*")
    next(data).write_bytes(b"damaged")

    found = rerun_all(run)
    states = {name: one.state for name, one in found.items()}
    assert states == {"pure": "corrupt", "failing": "corrupt", "of_run": "same"}
    assert "is not what was written" in found["failing"].why


def test_a_checkpoint_that_cannot_be_read_keeps_no_other_from_being_looked_at(
    planted: ModuleType, run_directory: RunDirectory
) -> None:
    run = Run(run_directory(epochs=(0, 500)))
    compute(planted, run, ["pure"])
    (run.path / "checkpoints/checkpoint_epoch_00000.safetensors").write_bytes(b"")
    store = store_at(run.path)

    found = list(
        rerun(store, Run(run.path), list(store.keys()), functions_in(store), 1)
    )
    assert sorted(one.state for one in found) == ["same", "skipped"]


def test_other_versions_are_a_hint(
    planted: ModuleType, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.python_version", lambda: "3.9.0")
    compute(planted, run, ["clock", "pure"])
    monkeypatch.undo()
    monkeypatch.syspath_prepend(str(Path(planted.__file__ or "").parent))

    found = rerun_all(run)
    assert any("made with python 3.9.0" in hint for hint in found["clock"].hints)
    assert found["pure"].hints == ()


def test_our_analyses_come_out_again_bit_by_bit(tmp_path: Path) -> None:
    shared = Path(__file__).parents[2] / "shared/runs/p59_seed485"
    shutil.copytree(shared, tmp_path / "run")
    run = Run(tmp_path / "run")
    epochs = run.epochs[:: times(7, 1)]
    AnalysisPipeline(run).run(epochs=epochs)
    store = store_at(run.path)

    keys = list(store.keys())
    along = [one for one in offered() if not one.takes_run]

    found = list(rerun(store, run, keys, functions_in(store), 2))

    assert {one.state for one in found} == {"same"}
    assert len(found) == len(keys) == len(along) * len(epochs)


def test_a_sample_is_the_same_for_the_same_seed(planted: ModuleType, run: Run) -> None:
    for k in range(40):
        planted.pure(run[500], k=float(k))
    keys = list(store_at(run.path).keys())

    assert len(keys) == 40
    assert len(sampled(keys, "5%", 1)) == 2 and len(sampled(keys, "1%", 1)) == 1
    assert len(sampled(keys, "7", 1)) == 7 and len(sampled(keys, "99", 1)) == 40
    assert sampled(keys, "all", 1) == sorted(keys, key=str)
    assert sampled(keys, "20%", 3) == sampled(reversed(keys), "20%", 3)
    assert sampled(keys, "20%", 3) != sampled(keys, "20%", 4)
