"""Checkpoints change, or go, at any moment; clocks are wrong: no result is kept under the key of another content."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Injected
from safetensors.numpy import save_file

from artifact_store import Checkpoint, File, analysis, files, staging
from artifact_store.errors import (
    CheckpointChanged,
    FileChanged,
    MalformedCheckpoint,
    NotStored,
)
from artifact_store.files import Signature
from artifact_store.garbage import removed, unneeded
from artifact_store.keys import Key
from artifact_store.stores.local import LocalStore

W = np.arange(6, dtype=np.float32).reshape(2, 3)


@pytest.fixture(autouse=True)
def lenient(monkeypatch: pytest.MonkeyPatch, settled: None) -> None:
    # What reads or writes behind the store's back is what this is about.
    monkeypatch.setenv("ARTIFACT_STORE_STRICT", "0")


def nothing(path: Path) -> None:
    """Leave a checkpoint as it is while an analysis reads it."""


@analysis
def double(checkpoint: Checkpoint) -> Any:
    return checkpoint["w"] * 2


@analysis(ignore=("act", "path"))
def between(checkpoint: Checkpoint, act: Any = nothing, path: Any = None) -> Any:
    before = checkpoint["w"]
    act(path)
    return {"before": before, "after": checkpoint["v"]}


@analysis(ignore=("act", "path"))
def all_read(checkpoint: Checkpoint, act: Any = nothing, path: Any = None) -> Any:
    result = {"w": checkpoint["w"], "v": checkpoint["v"]}
    act(path)
    return result


@analysis(ignore=("act", "path"))
def forgiving(checkpoint: Checkpoint, act: Any = nothing, path: Any = None) -> Any:
    try:
        act(path)
        return checkpoint["v"]
    except Exception:
        return np.zeros(4)


@analysis
def optional(checkpoint: Checkpoint) -> Any:
    try:
        return checkpoint["bias"]
    except KeyError:
        return checkpoint["v"] * 0


@analysis(ignore=("act", "path"))
def bytes_of(file: File, act: Any = nothing, path: Any = None) -> Any:
    act(path)
    return np.frombuffer(file.read_bytes(), np.uint8)


def save(path: Path, w: Any, v: Any) -> None:
    """One file, or shards if it is the index of some."""
    if path.suffix == ".json":
        save_file({"w": w}, path.with_name("one.safetensors"))
        save_file({"v": v}, path.with_name("two.safetensors"))
        placed = {"w": "one.safetensors", "v": "two.safetensors"}
        path.write_text(json.dumps({"metadata": {}, "weight_map": placed}))
        return
    save_file({"w": w, "v": v}, path)


@pytest.fixture(params=["1.safetensors", "model.safetensors.index.json"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A checkpoint: one file, or the index of two shards."""
    path = tmp_path / "run/checkpoints/1" / request.param
    path.parent.mkdir(parents=True)
    save(path, W, np.ones(4))
    return Path(path)


def keys(path: Path) -> list[Key]:
    """Of all that is stored."""
    return [
        key
        for store in path.parents[2].glob("**/.store")
        for key in LocalStore(store.parent).keys()
    ]


def data_of(path: Path) -> Path:
    """The file that holds `v`."""
    return path.with_name("two.safetensors") if path.suffix == ".json" else path


def rewritten(path: Path) -> None:
    """The same size, other weights."""
    save(path, W + 1, np.zeros(4))


def written_in_place(path: Path) -> None:
    """The same file with other weights and its old time of modification."""
    file, then = data_of(path), data_of(path).stat()
    content = file.read_bytes()
    with file.open("r+b") as opened:
        opened.seek(content.index(np.ones(4).tobytes()))
        opened.write(np.float64(7).tobytes())
    os.utime(file, ns=(then.st_atime_ns, then.st_mtime_ns))


def replaced(path: Path) -> None:
    """Another file of the same size in its place, whose time of modification is that of the first."""
    file = data_of(path)
    (aside := path.parent / "aside").mkdir()
    save(aside / path.name, W + 1, np.zeros(4))
    then = file.stat()
    os.utime(aside / file.name, ns=(then.st_atime_ns, then.st_mtime_ns))
    os.replace(aside / file.name, file)


def cut(path: Path) -> None:
    os.truncate(data_of(path), 50)


def emptied(path: Path) -> None:
    data_of(path).write_bytes(b"")


def deleted(path: Path) -> None:
    data_of(path).unlink()


CHANGES = [rewritten, written_in_place, replaced, cut, emptied, deleted]


@pytest.mark.parametrize("act", CHANGES)
def test_a_checkpoint_that_changes_while_it_is_read_gives_no_result_that_is_kept(
    path: Path,
    act: Callable[[Path], None],
    injected: Injected,
) -> None:
    with pytest.raises(CheckpointChanged, match="safetensors"):
        between(Checkpoint(path), act=act, path=path)
    assert keys(path) == []
    if act in (rewritten, written_in_place):
        found = between(Checkpoint(path))
        assert found["after"].tolist() == Checkpoint(path)["v"].tolist()
        assert found["after"].tolist() != [1] * 4
    injected("checkpoint replaced, written, cut or deleted during a call", 1)


@pytest.mark.parametrize("act", CHANGES)
def test_a_checkpoint_that_changes_between_digest_and_reading_is_named(
    path: Path,
    act: Callable[[Path], None],
    injected: Injected,
) -> None:
    checkpoint = Checkpoint(path)
    key = all_read.key(checkpoint)
    act(path)

    with pytest.raises(CheckpointChanged, match="safetensors"):
        all_read(checkpoint)
    assert keys(path) == []
    if act in (rewritten, written_in_place):
        assert all_read.key(Checkpoint(path)) != key
    injected("checkpoint replaced, written, cut or deleted during a call", 1)


@pytest.mark.parametrize("act", CHANGES)
def test_what_was_read_before_the_change_is_kept_under_the_key_of_what_was_read(
    path: Path,
    act: Callable[[Path], None],
    injected: Injected,
) -> None:
    checkpoint = Checkpoint(path)
    key = all_read.key(checkpoint)
    found = all_read(checkpoint, act=act, path=path)

    assert found["w"].tolist() == W.tolist() and found["v"].tolist() == [1] * 4
    assert keys(path) == [key]
    # Whoever holds it still gets it; whoever opens what is there now gets something else.
    assert all_read(checkpoint)["v"].tolist() == [1] * 4
    if act in (rewritten, written_in_place):
        assert all_read(Checkpoint(path))["v"].tolist() != [1] * 4
    injected("checkpoint replaced, written, cut or deleted during a call", 1)


@pytest.mark.parametrize("act", CHANGES)
def test_what_a_function_makes_of_a_failure_to_read_is_not_kept(
    path: Path,
    act: Callable[[Path], None],
    injected: Injected,
) -> None:
    checkpoint = Checkpoint(path)

    with pytest.warns(NotStored, match="could not read 'v'"):
        assert forgiving(checkpoint, act=act, path=path).tolist() == [0] * 4
    assert keys(path) == []
    injected("checkpoint replaced, written, cut or deleted during a call", 1)


@pytest.mark.parametrize("error", [OSError, MemoryError])
def test_nor_is_what_it_makes_of_a_disk_that_fails_or_too_little_memory(
    path: Path, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = Checkpoint(path)
    assert forgiving.key(checkpoint)

    def fail(*args: Any) -> None:
        raise error("now")

    with monkeypatch.context() as patched:
        patched.setattr("artifact_store.checkpoints.fill", fail)
        with pytest.warns(NotStored, match="now"):
            assert forgiving(checkpoint).tolist() == [0] * 4
    assert forgiving(checkpoint).tolist() == [1] * 4


def test_that_a_tensor_is_not_there_is_no_failure(path: Path) -> None:
    assert optional(Checkpoint(path)).tolist() == [0] * 4
    assert [one.analysis for one in keys(path)] == ["optional"]


@pytest.mark.parametrize("act", [rewritten, written_in_place])
def test_a_change_that_no_time_stamp_shows_is_seen_by_reading(
    path: Path, act: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    # As on file systems that stamp in steps of seconds, where a file is written twice within one.
    coarse = Signature(0, 0, 0, 0)
    monkeypatch.setattr(files, "RACY_NS", 10**19)
    monkeypatch.setattr(
        Signature, "of", lambda status: coarse._replace(size=status.st_size)
    )
    checkpoint = Checkpoint(path)
    key = all_read.key(checkpoint)
    act(path)

    with pytest.raises(CheckpointChanged, match="written"):
        all_read(checkpoint)
    assert keys(path) == []
    assert all_read.key(Checkpoint(path)) != key
    assert all_read(Checkpoint(path))["v"].tolist() != [1] * 4


def test_a_file_that_changes_without_showing_it_is_seen_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    coarse = Signature(0, 0, 0, 0)
    monkeypatch.setattr(files, "RACY_NS", 10**19)
    monkeypatch.setattr(
        Signature, "of", lambda status: coarse._replace(size=status.st_size)
    )
    monkeypatch.setenv("ARTIFACT_STORE", str(tmp_path / "store"))
    path = tmp_path / "text"
    path.write_text("before")

    with pytest.raises(FileChanged, match="written"):
        bytes_of(File(path), act=lambda file: file.write_text("behind"), path=path)
    assert not list(LocalStore(tmp_path / "store").keys())
    assert bytes(bytes_of(File(path))) == b"behind"


@pytest.mark.parametrize("content", [b"", b"\0" * 7, bytes(8), bytes(200)])
def test_a_checkpoint_of_nothing_or_of_zeros_is_named(
    path: Path,
    content: bytes,
    injected: Injected,
) -> None:
    data_of(path).write_bytes(content)

    with pytest.raises(MalformedCheckpoint, match="safetensors"):
        double(Checkpoint(path))
    assert keys(path) == []
    injected("checkpoint of nothing or of zeros", 1)


@pytest.mark.parametrize("seconds", [-1e9, -3600.0, 3600.0, 1e9])
def test_a_clock_that_is_set_wrong_loses_nothing(
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    seconds: float,
    injected: Injected,
) -> None:
    double(Checkpoint(path))
    now, now_ns = time.time, time.time_ns
    monkeypatch.setattr(time, "time", lambda: now() + seconds)
    monkeypatch.setattr(time, "time_ns", lambda: now_ns() + int(seconds * 1e9))

    assert double(Checkpoint(path)).tolist() == (W * 2).tolist()
    assert all_read(Checkpoint(path))["v"].tolist() == [1] * 4
    root = next(path.parents[2].glob("**/.store"))
    # Data that somebody publishes at this moment, and has not named yet.
    (manifest,) = root.glob("entries/all_read/*/*.json")
    manifest.unlink()
    store = LocalStore(root.parent)
    removed(store, unneeded(store))
    assert len(list(root.glob("data/*/*"))) == 2
    assert all_read(Checkpoint(path))["v"].tolist() == [1] * 4
    injected("clock set wrong, or files of another time", 1)


@pytest.mark.parametrize("years", [-50, 50])
def test_files_of_another_time_are_served_removed_and_swept_as_others_are(
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    years: int,
    injected: Injected,
) -> None:
    stamp = time.time() + years * 31_556_952
    os.utime(path, (stamp, stamp))
    double(Checkpoint(path))
    root = next(path.parents[2].glob("**/.store"))
    for one in root.rglob("*"):
        os.utime(one, (stamp, stamp), follow_symlinks=False)

    # Its stat is another one, so the data are digested once, and are right.
    assert double(Checkpoint(path)).tolist() == (W * 2).tolist()
    staging.sweep(f"{root}/staging")
    store = LocalStore(root.parent)
    assert [one.kind for one in unneeded(store) if one.kind == "data"] == []
    assert store.remove(list(store.keys())) > 0
    assert list(root.glob("data/*/*")) == []
    injected("clock set wrong, or files of another time", 1)
