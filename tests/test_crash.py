"""A writer is killed between any two operations on the file system; the next call sees a miss or a whole entry."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import WriteCheckpoint

from artifact_store import Checkpoint, analysis, staging
from artifact_store.artifacts import Artifact
from artifact_store.stores.local import LocalStore

OPERATIONS = ("open", "write", "rename", "symlink", "mkdir", "unlink", "rmdir", "fsync")

MEGABYTE = 1 << 20


@analysis(ignore=("durable",))
def moments(checkpoint: Checkpoint, durable: Any = None) -> Any:
    return {"mean": checkpoint["w"].mean(axis=1), "w": checkpoint["w"]}


@analysis(durable=True)
def kept(checkpoint: Checkpoint) -> Any:
    return {"mean": checkpoint["w"].mean(axis=1), "w": checkpoint["w"]}


@analysis(ignore=("ready",))
def large(checkpoint: Checkpoint, ready: int | None = None) -> Any:
    return np.zeros(8 * MEGABYTE, np.uint8) + np.uint8(7)


def in_child(work: Callable[[], object]) -> int:
    """Do something in a forked process; its wait status."""
    child = os.fork()
    if not child:
        try:
            work()
            os._exit(0)
        except BaseException:
            os._exit(1)
    return os.waitpid(child, 0)[1]


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def dying_at(number: int, work: Callable[[], object], below: Path) -> bool:
    """Kill a child that does `work` before its operation `number` below a folder; whether it lived that long.

    A write that is killed has been half done.
    """
    count = 0

    def counted(name: str) -> Callable[..., Any]:
        real = getattr(os, name)

        def operation(*args: Any, **kwargs: Any) -> Any:
            nonlocal count
            path = str(args[0])
            if isinstance(args[0], int):
                path = os.readlink(f"/proc/self/fd/{args[0]}")
            elif name == "symlink":
                path = str(args[1])
            if path.startswith(str(below)):
                count += 1
                if count == number:
                    if name == "write":
                        real(args[0], bytes(args[1])[: len(args[1]) // 2])
                    die()
            return real(*args, **kwargs)

        return operation

    def with_operations_counted() -> None:
        for name in OPERATIONS:
            setattr(os, name, counted(name))
        work()

    status = in_child(with_operations_counted)
    assert status in (0, signal.SIGKILL)
    return status != 0


def whole_or_none(root: Path) -> None:
    """Whatever the dead left: every entry is whole, and every door leads to one."""
    store = LocalStore(root)
    for key in store.keys():
        entry = store.find(key)
        assert entry is not None
        found = Artifact(entry).numpy()
        assert found["mean"].tolist() == [1.0, 4.0] and found["w"].shape == (2, 3)
    for door in root.glob("[!.]*/*"):
        assert door.is_symlink() and (door / "w" / "c.0.0").is_file()


@pytest.mark.parametrize("function", [moments, kept], ids=["quick", "durable"])
def test_a_writer_killed_between_any_two_operations_leaves_a_miss_or_a_whole_entry(
    write_checkpoint: WriteCheckpoint,
    monkeypatch: pytest.MonkeyPatch,
    settled: None,
    function: Any,
) -> None:
    monkeypatch.setattr(staging, "UNLOCKED_SECONDS", -1.0)
    number = 0
    while True:
        number += 1
        # A run of its own for each death, so that the store is opened, and swept, anew.
        path = write_checkpoint(f"run{number}/checkpoints/epoch_1.safetensors")
        root = path.parents[1] / "artifacts"
        if not dying_at(number, lambda path=path: function(path), root):  # type: ignore[misc]
            break
        whole_or_none(root)

        found = function(path)
        assert found["mean"].tolist() == [1.0, 4.0] and found["w"].shape == (2, 3)
        whole_or_none(root)
        # The dead left stages and leases; now nothing is left of them, and nothing was found corrupt.
        hidden = root / ".store"
        staging.sweep(f"{hidden}/staging")
        # But the folder of this process, which lives.
        assert len(list(hidden.glob("staging/*"))) == 1
        assert list(hidden.glob("staging/*/*")) == []
        assert not (hidden / "quarantine").exists()
        assert function(path)["w"].shape == (2, 3)
    assert number > 30


def test_what_a_dead_writer_staged_is_swept_by_the_next_process_that_writes(
    write_checkpoint: WriteCheckpoint, monkeypatch: pytest.MonkeyPatch, settled: None
) -> None:
    monkeypatch.setattr(staging, "UNLOCKED_SECONDS", -1.0)
    path = write_checkpoint()
    root = path.parents[1] / "artifacts"

    left = list[Path]()
    for number in range(1, 40):
        dying_at(number, lambda: moments(path), root)  # type: ignore[arg-type]
        if left := list(root.glob(".store/staging/*/*")):
            break
    assert len(left) == 1
    # A whole process, so that its store has swept nothing yet.
    assert in_child(lambda: moments.recompute(path)) == 0  # type: ignore[arg-type]
    assert not left[0].parent.exists()


def test_a_writer_killed_in_the_midst_of_a_large_array_leaves_no_part_of_it(
    checkpoint: Path, settled: None
) -> None:
    ready, told = os.pipe()
    never, _ = os.pipe()
    child = os.fork()
    if not child:
        write, written = os.write, 0

        def slowly(descriptor: int, data: memoryview) -> int:
            nonlocal written
            if len(data) < MEGABYTE:
                return write(descriptor, data)
            if written >= 3 * MEGABYTE:
                write(told, b"x")
                os.read(never, 1)
            written += (count := write(descriptor, data[:MEGABYTE]))
            return count

        os.write = slowly  # type: ignore[assignment]
        large(Checkpoint(checkpoint))
        os._exit(1)
    assert os.read(ready, 1) == b"x"
    root = checkpoint.parents[1] / "artifacts"
    (half,) = root.glob(".store/staging/*/*/value/c.0")
    assert large.find(Checkpoint(checkpoint)) is None
    os.kill(child, signal.SIGKILL)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    for descriptor in (ready, told, never, _):
        os.close(descriptor)

    assert large.find(Checkpoint(checkpoint)) is None
    assert int(large(Checkpoint(checkpoint)).sum(dtype=np.int64)) == 7 * 8 * MEGABYTE


def test_the_stage_of_a_live_writer_is_never_swept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging, "UNLOCKED_SECONDS", -1.0)
    with staging.staged(str(tmp_path)) as stage:
        stage.appear(b"content", f"{tmp_path}/file")
        assert in_child(lambda: staging.sweep(str(tmp_path))) == 0
        stage.appear(b"again", f"{tmp_path}/file")


def test_the_lease_of_a_killed_holder_goes_to_the_next_at_once(
    checkpoint: Path, settled: None
) -> None:
    call = moments.call(Checkpoint(checkpoint))
    ready, told = os.pipe()
    never, _ = os.pipe()
    child = os.fork()
    if not child:
        with call.store.lease(call.key):
            os.write(told, b"x")
            os.read(never, 1)
        os._exit(1)
    assert os.read(ready, 1) == b"x"

    results: list[Any] = []
    waiting = threading.Thread(
        target=lambda: results.append(moments(Checkpoint(checkpoint)))
    )
    waiting.start()
    assert results == []
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    waiting.join(30)
    for descriptor in (ready, told, never, _):
        os.close(descriptor)

    assert results[0]["mean"].tolist() == [1.0, 4.0]
