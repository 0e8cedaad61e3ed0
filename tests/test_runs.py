from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from artifact_store import errors
from artifact_store.checkpoints import Checkpoint
from artifact_store.runs import Run

RUNS = Path(__file__).parents[2] / "shared" / "runs"
PADDED = "checkpoints/checkpoint_epoch_{epoch:05d}.safetensors"


class NoMemo:
    def recall(self, signature: object) -> None:
        return None

    def remember(self, signature: object, digests: object) -> None: ...


def save(path: Path, value: float = 0.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({"w": np.full(2, value)}, path)
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A run of epochs 0, 500 and 123456, saved in another order."""
    for epoch in (500, 123456, 0):
        save(tmp_path / "run" / PADDED.format(epoch=epoch), value=epoch)
    return tmp_path / "run"


def test_a_run_maps_epochs_to_checkpoints_in_ascending_order(root: Path) -> None:
    run = Run(root)

    assert list(run) == [0, 500, 123456] and run.epochs == (0, 500, 123456)
    assert len(run) == 3 and 500 in run and 501 not in run
    assert [checkpoint.epoch for checkpoint in run.values()] == [0, 500, 123456]
    assert isinstance(run[500], Checkpoint) and run.at(500).path == run[500].path
    assert run[500]["w"].tolist() == [500.0, 500.0]


def test_a_run_up_to_an_epoch_is_what_it_was_then(root: Path) -> None:
    run, memo = Run(root), NoMemo()
    part = run.until(500)
    whole, until = run.identify(memo), part.identify(memo)

    assert part.epochs == (0, 500) and part.name == run.name
    assert run.beginnings()[until] == 500 and run.beginnings()[whole] == 123456
    assert run.until(123456).identify(memo) == whole
    with pytest.raises(errors.MissingEpoch):
        run.until(501)
    save(root / PADDED.format(epoch=7))
    assert part.epochs == (0, 500)


def test_a_part_of_a_run_is_not_called_as_the_whole(root: Path) -> None:
    run = Run(root)
    part = run.until(500)

    assert (run.label, part.label) == ("run", "run_until_00500")
    assert run.until(123456).label == "run" and part.until(500).label == part.label
    assert part.until(0).label == "run_until_00000"


def test_a_run_says_which_epoch_comes_next(root: Path) -> None:
    run = Run(root)

    assert [run.following(one) for one in (None, 0, 3, 500)] == [0, 500, 500, 123456]
    assert run.following(123456) is None


@pytest.mark.skipif(not RUNS.is_dir(), reason="the runs of the workshop are not here")
def test_a_real_run_is_read_with_its_records() -> None:
    run = Run(RUNS / "p59_seed485")

    assert (run.name, len(run), run.epochs[-1]) == ("p59_seed485", 14, 1499)
    assert run.config and run.metadata
    assert Run(RUNS / "p113_published").metadata == {}


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("ckpt_{epoch}.safetensors", "ckpt_7.safetensors"),
        ("{epoch:03}.safetensors", "007.safetensors"),
        ("step-{epoch}/model.safetensors", "step-7/model.safetensors"),
        ("a/b/{epoch}/c/w.safetensors", "a/b/7/c/w.safetensors"),
        ("{{x}}/w+{epoch}.safetensors", "{x}/w+7.safetensors"),
        ("step-{epoch}", "step-7/model.safetensors"),
    ],
)
def test_a_pattern_says_where_the_epoch_stands(
    tmp_path: Path, pattern: str, name: str
) -> None:
    save(tmp_path / name)

    run = Run(tmp_path, pattern)

    assert run.epochs == (7,) and len(run[7]) == 1


def test_a_pattern_may_lead_to_an_index(tmp_path: Path) -> None:
    save(tmp_path / "step-7" / "one.safetensors")
    index = {"weight_map": {"w": "one.safetensors"}}
    (tmp_path / "step-7" / "model.safetensors.index.json").write_text(json.dumps(index))
    (tmp_path / "step-8").mkdir()

    run = Run(tmp_path, "step-{epoch}/model.safetensors.index.json")

    assert run.epochs == (7,) and run[7].label == "step-7"


@pytest.mark.parametrize(
    "pattern",
    [
        "w.safetensors",
        "{epoch}/{epoch}.safetensors",
        "{step}.safetensors",
        "{epoch}{step}",
        "{}",
        "{epoch!r}",
        "{epoch:x}",
        "{epoch:5d}",
        "{epoch:,}",
        "{epoch.real}",
        "{epoch",
        "../{epoch}",
        "/runs/{epoch}",
    ],
)
def test_a_pattern_that_cannot_be_read_backwards_is_refused(
    tmp_path: Path, pattern: str
) -> None:
    with pytest.raises(errors.MalformedPattern) as caught:
        Run(tmp_path, pattern)

    assert repr(pattern) in str(caught.value)


def test_other_files_beside_checkpoints_are_ignored(root: Path) -> None:
    for name in (
        "checkpoint_epoch_00001.safetensors.tmp",
        "checkpoint_epoch_x.safetensors",
        "notes.txt",
    ):
        (root / "checkpoints" / name).touch()

    assert len(Run(root)) == 3


def test_a_new_run_sees_what_was_saved_since(root: Path) -> None:
    before = Run(root)
    assert len(before) == 3
    save(root / PADDED.format(epoch=1))

    assert 1 not in before and 1 in Run(root)


def test_a_broken_checkpoint_does_not_hide_the_others(root: Path) -> None:
    (root / PADDED.format(epoch=3)).touch()
    run = Run(root)

    assert len(run) == 4 and len(run[500]) == 1
    with pytest.raises(errors.EmptyCheckpoint):
        run[3]


@pytest.mark.parametrize(
    ("missing", "nearest"),
    [(499, "0 or 500"), (-1, "0."), (999999, "123456."), (501, "500 or 123456")],
)
def test_a_missing_epoch_is_a_key_error_that_names_the_nearest(
    root: Path, missing: int, nearest: str
) -> None:
    with pytest.raises(KeyError) as caught:
        Run(root)[missing]

    assert f"epoch {missing}; the nearest is {nearest}" in str(caught.value)
    assert Run(root).get(missing) is None


def test_a_run_that_is_not_there_is_missing(root: Path) -> None:
    with pytest.raises(FileNotFoundError, match="does not exist"):
        Run(root / "none")
    with pytest.raises(errors.MissingRun, match="not a directory"):
        Run(root / PADDED.format(epoch=500))


def test_a_run_without_checkpoints_says_what_there_is_instead(
    root: Path, tmp_path: Path
) -> None:
    with pytest.raises(
        errors.NoCheckpoints, match=r"'ckpt_\{epoch\}'; there is 'checkpoints'"
    ):
        len(Run(root, "ckpt_{epoch}"))
    with pytest.raises(errors.NoCheckpoints, match="there is 'run'"):
        Run(tmp_path).epochs
    (tmp_path / "empty").mkdir()
    with pytest.raises(errors.NoCheckpoints, match="there is nothing"):
        list(Run(tmp_path / "empty"))


def test_two_files_of_one_epoch_are_refused_and_both_named(root: Path) -> None:
    save(root / "checkpoints" / "checkpoint_epoch_500.safetensors")

    with pytest.raises(
        errors.DuplicateEpoch,
        match="Epoch 500 .*_00500.safetensors and .*_500.safetensors",
    ):
        len(Run(root))


def test_records_are_empty_where_there_are_none(root: Path) -> None:
    assert Run(root).config == Run(root).metadata == {}
    (root / "config.json").write_text('{"prime": 113}')
    assert Run(root).config == {"prime": 113}


@pytest.mark.parametrize(
    "text", ["{", "[1]", "\udcff", "[" * 200_000], ids=["cut", "list", "bytes", "deep"]
)
def test_a_broken_record_is_refused_by_name(root: Path, text: str) -> None:
    (root / "metadata.json").write_bytes(text.encode(errors="surrogateescape"))

    with pytest.raises(errors.MalformedRecord, match="metadata.json: its JSON"):
        Run(root).metadata


def test_a_run_is_identified_by_epochs_and_content(root: Path, tmp_path: Path) -> None:
    first = Run(root).identify(NoMemo())
    for epoch in (0, 500, 123456):
        save(tmp_path / "moved" / f"{epoch}.safetensors", value=epoch)
    moved = Run(tmp_path / "moved", "{epoch}.safetensors")
    assert moved.identify(NoMemo()) == first

    (tmp_path / "moved" / "500.safetensors").rename(
        tmp_path / "moved" / "501.safetensors"
    )
    assert Run(tmp_path / "moved", "{epoch}.safetensors").identify(NoMemo()) != first


def test_runs_are_equal_only_to_themselves_and_can_be_hashed(root: Path) -> None:
    run = Run(root)

    assert run == run and run != Run(root) and len({run, Run(root)}) == 2


def test_a_run_travels_to_a_worker(root: Path) -> None:
    arrived = pickle.loads(pickle.dumps(Run(root)))

    assert (arrived.path, arrived.pattern, arrived.epochs) == (
        root,
        PADDED,
        (0, 500, 123456),
    )


@pytest.mark.parametrize(
    "error",
    [
        errors.MissingRun(Path("run"), "does not exist"),
        errors.MalformedPattern("x", "is no format"),
        errors.NoCheckpoints(Path("run"), "{epoch}", ("a", "b")),
        errors.DuplicateEpoch(5, Path("5"), Path("05")),
        errors.MissingEpoch(Path("run"), 3, (2, 4)),
        errors.MalformedRecord(Path("config.json"), "its JSON is a list"),
        errors.MissingTensor(Path("w"), "a", ("b",)),
        errors.MissingFile(Path("w"), "does not exist"),
        errors.NotANumpyDtype(Path("w"), "a", "BF16"),
        errors.NotATorchDtype(Path("w"), "a", "F6_E2M3", (1,)),
        errors.CheckpointChanged(Path("w"), "was written"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_returns_whole_from_a_worker(error: Any) -> None:
    arrived = pickle.loads(pickle.dumps(error))

    assert type(arrived) is type(error)
    assert (str(arrived), vars(arrived)) == (str(error), vars(error))


def test_a_notebook_shows_how_far_a_run_goes(root: Path) -> None:
    assert "3, from 0 to 123456" in Run(root)._repr_html_()
    assert repr(Run(root)) == "Run(run)"
