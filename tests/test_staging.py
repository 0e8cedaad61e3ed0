from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from artifact_store import staging
from artifact_store.staging import (
    appear,
    into_place,
    point,
    staged,
    sweep,
    sync,
    sync_upward,
)


def test_a_stage_is_gone_afterwards_with_all_that_is_in_it(tmp_path: Path) -> None:
    with staged(str(tmp_path / "staging")) as stage:
        Path(stage, "folder").mkdir()
        Path(stage, "folder", "file").touch()
        with staged(str(tmp_path / "staging")) as other:
            assert other != stage
    assert list((tmp_path / "staging").iterdir()) == []


def test_a_stage_is_gone_after_an_error_too(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), staged(str(tmp_path)) as stage:
        Path(stage, "file").touch()
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_what_was_put_in_place_survives_its_stage(tmp_path: Path) -> None:
    with staged(str(tmp_path / "staging")) as stage:
        Path(stage, "group").mkdir()
        into_place(f"{stage}/group", f"{tmp_path}/a/b/group")
        appear(b"content", stage, f"{tmp_path}/c/d/file")
    assert (tmp_path / "a/b/group").is_dir()
    assert (tmp_path / "c/d/file").read_bytes() == b"content"


def test_a_file_appears_whole_and_replaces_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    # The system may take fewer bytes than it is given.
    monkeypatch.setattr(os, "write", lambda d, data: write(d, bytes(data)[:3]))
    path = tmp_path / "file"
    path.write_text("old")
    held = path.open()
    with staged(str(tmp_path / "staging")) as stage:
        appear(b"much longer than three", stage, str(path))

    assert path.read_text() == "much longer than three"
    assert held.read() == "old"  # who had opened it still reads what he opened
    held.close()


def test_a_link_is_relative_and_replaces_a_link(tmp_path: Path) -> None:
    (tmp_path / "data/one").mkdir(parents=True)
    (tmp_path / "data/two").mkdir()
    with staged(str(tmp_path / "staging")) as stage:
        for name in ("one", "two"):
            point(f"{tmp_path}/data/{name}", stage, f"{tmp_path}/doors/door")

    assert os.readlink(tmp_path / "doors/door") == "../data/two"


def test_a_young_stage_is_not_swept_whoever_holds_it(tmp_path: Path) -> None:
    (tmp_path / "dead").mkdir()
    sweep(str(tmp_path))

    assert (tmp_path / "dead").exists()


def test_an_old_stage_is_swept_unless_its_writer_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dead/folder").mkdir(parents=True)
    (tmp_path / "a file").touch()
    old = time.time() - staging.UNLOCKED_SECONDS - 1
    with staged(str(tmp_path)) as alive:
        for stage in (tmp_path / "dead", Path(alive)):
            os.utime(stage, (old, old))
        sweep(str(tmp_path))
        assert Path(alive).is_dir()
    assert [path.name for path in tmp_path.iterdir()] == ["a file"]


def test_sweeping_where_nothing_was_staged_is_no_error(tmp_path: Path) -> None:
    sweep(str(tmp_path / "nothing"))


def test_syncing_upward_reaches_the_top_and_not_beyond(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    monkeypatch.setattr(staging, "sync", synced.append)
    sync_upward("/top/a/b/file", "/top")

    assert synced == ["/top/a/b/file", "/top/a/b", "/top/a", "/top"]


def test_files_and_folders_can_be_synced(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    sync(str(tmp_path / "file"))
    sync(str(tmp_path))
    with pytest.raises(FileNotFoundError):
        sync(str(tmp_path / "nothing"))
