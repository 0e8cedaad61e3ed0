"""A call that is made again is recognised by its arguments, and only as long as they mean the same."""

from __future__ import annotations

import math
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import WriteCheckpoint

from artifact_store import Checkpoint, analysis
from artifact_store.memoize import Analysis
from artifact_store.spellings import spelling_of

SCALE = 1.0


@analysis
def scaled(checkpoint: Checkpoint, by: Any = 1.0, *, shift: Any = 0.0) -> Any:
    return np.asarray(str((by, shift)).encode("utf-8").hex().__len__() + 0 * SCALE)


@pytest.fixture(autouse=True)
def stable(settled: None) -> None: ...


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (1, True),
        (1, 1.0),
        (0.0, -0.0),
        (0.0, False),
        (0, -0.0),
        ("a", b"a"),
        (1.0, complex(1, -0.0)),
        (None, 0),
        ((1,), (1.0,)),
        ([0], [False]),
    ],
)
def test_arguments_that_are_equal_and_not_the_same_are_other_calls(
    checkpoint: Path, first: Any, second: Any
) -> None:
    def keys(*values: Any) -> list[Any]:
        return [scaled.key(str(checkpoint), one, shift=one) for one in values]  # type: ignore[arg-type]

    assert keys(first, second, first) == keys(first, second, first)
    assert keys(first)[0] != keys(second)[0]


def test_what_cannot_change_has_a_spelling() -> None:
    assert spelling_of(("a", 1), {"k": 0.5}) == spelling_of(("a", 1), {"k": 0.5})
    assert spelling_of(("a", 1), {"k": 0.5}) != spelling_of(("a", 1), {"j": 0.5})
    assert spelling_of(("a", 1), {}) != spelling_of(("a",), {"k": 1})
    assert spelling_of(("a", [1]), {}) is spelling_of((), {"k": {1: 2}}) is None
    assert spelling_of((math.inf, -0.0), {}) != spelling_of((math.inf, 0.0), {})


def test_a_list_that_was_changed_is_another_param(checkpoint: Path) -> None:
    ks = [1, 2]
    before = scaled.key(Checkpoint(checkpoint), ks)
    ks.append(3)
    assert scaled.key(Checkpoint(checkpoint), ks) != before


def test_a_default_that_was_changed_is_another_param(checkpoint: Path) -> None:
    default = [1]

    @analysis
    def counted(checkpoint: Checkpoint, ks: list[int] = default) -> Any:
        return np.asarray(ks)

    before = counted.key(str(checkpoint))  # type: ignore[arg-type]
    default.append(2)
    assert counted.key(str(checkpoint)) != before  # type: ignore[arg-type]


def test_a_call_made_again_is_the_same_object(checkpoint: Path) -> None:
    first = scaled.call(str(checkpoint), 2)  # type: ignore[arg-type]

    assert scaled.call(str(checkpoint), 2) is first  # type: ignore[arg-type]
    assert scaled.call(str(checkpoint), 2, shift=0.0).key == first.key  # type: ignore[arg-type]
    assert scaled.call(checkpoint, 2) is not first  # type: ignore[arg-type]


def test_a_checkpoint_written_anew_is_another_input(
    checkpoint: Path, write_checkpoint: WriteCheckpoint
) -> None:
    before = scaled.key(str(checkpoint))  # type: ignore[arg-type]
    write_checkpoint(w=np.zeros(3))
    assert scaled.key(str(checkpoint)) != before  # type: ignore[arg-type]
    checkpoint.unlink()
    with pytest.raises(FileNotFoundError):
        scaled.key(str(checkpoint))  # type: ignore[arg-type]


def test_a_relative_path_is_of_the_directory_of_today(
    write_checkpoint: WriteCheckpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = write_checkpoint("one/checkpoints/c.safetensors")
    other = write_checkpoint("other/checkpoints/c.safetensors", w=np.ones(2))
    linked = one.parent.parent.parent / "linked/checkpoints/c.safetensors"
    linked.parent.mkdir(parents=True)
    os.link(one, linked)
    calls = []
    for path in (one, other, linked):
        monkeypatch.chdir(path.parent)
        calls.append(scaled.call("c.safetensors"))  # type: ignore[arg-type]

    assert calls[0].key == calls[2].key != calls[1].key
    assert len({call.store.location for call in calls}) == 3


def test_the_store_is_the_one_of_today(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def location() -> str:
        return scaled.call(str(checkpoint)).store.location  # type: ignore[arg-type]

    beside = location()
    monkeypatch.setenv("ARTIFACT_STORE", "elsewhere")
    monkeypatch.chdir(tmp_path)
    assert location() == str(tmp_path / "elsewhere")
    monkeypatch.chdir(checkpoint.parent)
    assert location() == str(checkpoint.parent / "elsewhere")
    monkeypatch.delenv("ARTIFACT_STORE")
    assert location() == beside


def test_code_that_was_changed_is_other_code(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = scaled.key(str(checkpoint))  # type: ignore[arg-type]
    monkeypatch.setitem(globals(), "SCALE", 2.0)
    assert scaled.key(str(checkpoint)) != before  # type: ignore[arg-type]
    monkeypatch.setitem(globals(), "SCALE", 1.0)
    assert scaled.key(str(checkpoint)) == before  # type: ignore[arg-type]


def test_an_analysis_that_was_called_can_be_sent(checkpoint: Path) -> None:
    import cloudpickle

    @analysis
    def local(checkpoint: Checkpoint) -> Any:
        return checkpoint["w"].sum()

    before = local.key(str(checkpoint))  # type: ignore[arg-type]
    sent: Analysis[..., Any] = cloudpickle.loads(cloudpickle.dumps(local))

    assert sent.key(str(checkpoint)) == before


def test_large_texts_are_not_held_on_to(checkpoint: Path) -> None:
    first = scaled.call(str(checkpoint), "x" * 10_000)  # type: ignore[arg-type]
    assert scaled.call(str(checkpoint), "x" * 10_000) is not first  # type: ignore[arg-type]
    assert scaled.call(str(checkpoint), 10**5000, shift=0.0).key  # type: ignore[arg-type]


def test_whoever_writes_to_a_result_all_the_same_writes_to_his_own(
    checkpoint: Path,
) -> None:
    import torch

    @analysis
    def ones(checkpoint: Checkpoint) -> Any:
        return np.ones(100)

    for _ in range(3):
        found = ones(Checkpoint(checkpoint))
        assert found.tolist() == [1.0] * 100 and not found.flags.writeable
        with warnings.catch_warnings():
            # Torch warns once in a process, and writes.
            warnings.simplefilter("ignore")
            torch.from_numpy(found).mul_(10)
        assert found[0] == 10
        assert isinstance(found.base, bytes)
