"""A function never sees what its key does not say, so no call gets the answer to another."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import RunDirectory, WriteCheckpoint, WriteModule

from artifact_store import Artifact, Checkpoint, File, Run, analysis
from artifact_store.anonymity import AnonymousCheckpoint, AnonymousRun
from artifact_store.errors import (
    CheckpointChanged,
    FileChanged,
    LabelRead,
    MissingEpoch,
    NotStored,
    StoreFailed,
)
from artifact_store.reads import Recorder
from artifact_store.stores.local import LocalStore

METHOD = """
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

@dataclass(frozen=True)
class Settings:
    factor: float = 2.0
    def apply(self, x): return x {operator} self.factor

class Mode(Enum):
    ONE = 1
    def apply(self, x): return x {operator} self.value

class Pair(NamedTuple):
    factor: float = 2.0
    def apply(self, x): return x {operator} self.factor
"""


@analysis
def applied(checkpoint: Checkpoint, *, settings: Any) -> Any:
    return settings.apply(checkpoint["w"])


@analysis
def scaled(checkpoint: Checkpoint, *, factor: Any) -> Any:
    return np.float32(1) * factor


@pytest.mark.parametrize("make", ["Settings()", "Mode.ONE", "Pair()", "[Settings()]"])
def test_the_methods_of_a_param_are_in_the_key(
    checkpoint: Path, write_module: WriteModule, make: str
) -> None:
    times, minus, again = (
        eval(make, vars(write_module(name, METHOD.replace("{operator}", operator))))
        for name, operator in (("times", "*"), ("minus", "-"), ("again", "*"))
    )
    given = Checkpoint(checkpoint)

    assert applied.key(given, settings=times) != applied.key(given, settings=minus)
    assert applied.key(given, settings=times) == applied.key(given, settings=again)


@pytest.mark.parametrize("factor", [np.float64(0.1), np.int64(3), [np.float64(0.1)]])
def test_a_function_gets_the_plain_number_that_its_key_names(
    checkpoint: Path, factor: Any
) -> None:
    @analysis
    def types(checkpoint: Checkpoint, *, factor: Any) -> Any:
        inner = factor[0] if isinstance(factor, list) else factor
        return isinstance(inner, np.generic)

    given = Checkpoint(checkpoint)

    assert not types(given, factor=factor)
    plain = [0.1] if isinstance(factor, list) else factor.item()
    assert types.key(given, factor=factor) == types.key(given, factor=plain)


@pytest.mark.parametrize("label", ["path", "pattern", "name", "label"])
def test_the_labels_of_a_run_are_refused(
    run_directory: RunDirectory, label: str
) -> None:
    @analysis
    def curious(run: Run) -> Any:
        return len(str(getattr(run, label)))

    with pytest.raises(LabelRead, match=label):
        curious(Run(run_directory()))


def test_a_run_inside_an_analysis_has_its_epochs_and_unlabelled_checkpoints(
    run_directory: RunDirectory,
) -> None:
    run = Run(run_directory())

    @analysis
    def along(run: Run) -> Any:
        with pytest.raises(LabelRead):
            run[run.epochs[0]].path
        return np.array([one["w"].sum() for one in run.values()])

    wanted = [run[epoch]["w"].sum() for epoch in run]
    np.testing.assert_array_equal(along(run), wanted)


def test_a_part_of_a_run_inside_an_analysis_is_unlabelled_too(
    run_directory: RunDirectory,
) -> None:
    @analysis
    def curious(run: Run) -> Any:
        return len(run.until(500).name)

    with pytest.raises(LabelRead, match="name"):
        curious(Run(run_directory()))


def test_what_a_part_of_a_run_says_of_the_training_is_asked_for_again(
    run_directory: RunDirectory,
) -> None:
    @analysis
    def rate(run: Run) -> Any:
        return float(run.until(500).config["rate"])

    folder, told = run_directory(), []
    for number in (1, 2, 1):
        (folder / "config.json").write_text(json.dumps({"rate": number}))
        told.append(rate(Run(folder)))

    assert told == [1, 2, 1]


def test_a_checkpoint_replaced_before_a_part_of_the_run_is_read_is_not_taken_for_the_old(
    run_directory: RunDirectory, write_checkpoint: WriteCheckpoint, settled: None
) -> None:
    run, recorder = Run(run_directory()), Recorder(is_strict=True)
    run.identify(LocalStore(run.path / "artifacts"))
    given = AnonymousRun(run, recorder, "0")
    write_checkpoint(
        "run/checkpoints/checkpoint_epoch_00500.safetensors", v=np.full(4, 7)
    )

    with pytest.raises(CheckpointChanged):
        given.until(500)[500]["v"]


def test_a_part_of_a_run_has_the_epochs_up_to_its_last(
    run_directory: RunDirectory,
) -> None:
    @analysis
    def told(run: Run) -> Any:
        part = run.until(500).until(500)
        assert (7 in part, 500 in part, 1000 in part) == (False, True, False)
        with pytest.raises(MissingEpoch):
            part[1000]
        first = part.following(None)
        return np.array([*part, first, part.following(first), part.following(500) or 9])

    assert told(Run(run_directory())).tolist() == [0, 500, 0, 500, 9]


def test_what_another_analysis_makes_of_a_part_of_the_run_is_not_taken_for_that_of_the_whole(
    run_directory: RunDirectory,
) -> None:
    @analysis
    def number(run: Run) -> Any:
        return float(len(run))

    @analysis
    def both(run: Run) -> Any:
        return np.array([number(run), number(run.until(500))])

    with pytest.warns(NotStored, match="none of its own"):
        assert both(Run(run_directory())).tolist() == [3, 2]


def test_an_analysis_may_hand_its_run_to_another(run_directory: RunDirectory) -> None:
    @analysis
    def inner(run: Run) -> Any:
        return float(len(run))

    @analysis
    def outer(run: Run) -> Any:
        return inner(run) + 1

    run = Run(run_directory())
    assert outer(run) == len(run) + 1


def test_an_unlabelled_checkpoint_neither_shows_nor_pickles_its_label(
    checkpoint: Path,
) -> None:
    recorder = Recorder(is_strict=True)
    hidden = AnonymousCheckpoint(Checkpoint(checkpoint), recorder, "0")

    assert checkpoint.stem not in repr(hidden) + hidden._repr_html_()
    with pytest.raises(LabelRead):
        pickle.loads(pickle.dumps(hidden)).path


def test_a_file_that_changes_while_it_is_analysed_is_not_stored(tmp_path: Path) -> None:
    path = tmp_path / "words.json"
    path.write_text(json.dumps([1, 2]))

    @analysis
    def count(file: File) -> Any:
        Path(file.path).write_text(json.dumps([1, 2, 3]))
        return len(json.loads(Path(file.path).read_text()))

    with pytest.raises(FileChanged):
        count(File(path))
    assert not list(tmp_path.glob("artifacts/count/*"))


def test_one_array_and_a_mapping_of_it_are_two_inputs(checkpoint: Path) -> None:
    @analysis
    def bare(checkpoint: Checkpoint) -> Any:
        return checkpoint["w"]

    @analysis
    def named(checkpoint: Checkpoint) -> Any:
        return {"value": checkpoint["w"]}

    @analysis
    def is_mapping(artifact: Artifact) -> Any:
        return isinstance(artifact.numpy(), dict)

    given = Checkpoint(checkpoint)
    one, other = bare.artifact(given), named.artifact(given)

    assert one.output_digest == other.output_digest
    assert not is_mapping(one) and is_mapping(other)


def test_a_failure_to_keep_what_a_function_asked_for_is_not_its_result(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @analysis
    def inner(checkpoint: Checkpoint) -> Any:
        return 111.0

    @analysis
    def outer(checkpoint: Checkpoint) -> Any:
        return inner.artifact(checkpoint).numpy() + 1

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("artifact_store.stores.local.write_group", full)

    with pytest.raises(StoreFailed, match="inner"):
        outer(Checkpoint(checkpoint))
    with pytest.warns(NotStored):
        assert inner(Checkpoint(checkpoint)) == 111.0


def test_a_function_may_call_itself_with_other_ignored_arguments(
    checkpoint: Path,
) -> None:
    @analysis(ignore=("device",))
    def robust(checkpoint: Checkpoint, *, device: str = "fast") -> Any:
        if device == "fast":
            return robust(checkpoint, device="safe")
        return checkpoint["w"].sum()

    given = Checkpoint(checkpoint)
    assert robust(given) == given["w"].sum()
