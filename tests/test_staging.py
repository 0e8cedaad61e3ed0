from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from artifact_store import staging
from artifact_store.descriptors import sync
from artifact_store.staging import (
    leads,
    staged,
    storage_time_ns,
    sweep,
    sync_upward,
    touched,
)


def test_what_did_not_move_to_its_place_is_gone_afterwards(tmp_path: Path) -> None:
    with staged(str(tmp_path / "staging")) as stage:
        folder, file = Path(stage.name()), Path(stage.name())
        folder.mkdir()
        (folder / "file").touch()
        file.touch()
        with staged(str(tmp_path / "staging")) as other:
            link = Path(other.name())
            link.symlink_to(folder)
        assert folder.exists() and not link.is_symlink()
    assert list((tmp_path / "staging").glob("*/*")) == []


def test_a_folder_that_cannot_be_opened_is_not_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*given: object) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr("artifact_store.staging.os.open", fail)
    for _ in range(3):
        with pytest.raises(OSError, match="Too many"), staged(str(tmp_path / "staging")):  # fmt: skip
            pass
    assert list((tmp_path / "staging").iterdir()) == []


def test_after_an_error_too(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), staged(str(tmp_path)) as stage:
        Path(stage.name()).touch()
        raise ZeroDivisionError
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_process_has_one_folder_and_takes_it_along(tmp_path: Path) -> None:
    script = """
import os, sys
from artifact_store.staging import staged
for _ in range(3):
    with staged(sys.argv[1]) as stage:
        open(stage.name(), "w").close()
print(len(os.listdir(sys.argv[1])), flush=True)
if not os.fork():
    with staged(sys.argv[1]) as stage:
        print(len(os.listdir(sys.argv[1])), flush=True)
    sys.exit()
os.wait()
print(len(os.listdir(sys.argv[1])))
"""
    command = [sys.executable, "-c", script, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["1", "2", "1"]
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_somebody_removed_is_made_again(tmp_path: Path) -> None:
    for _ in range(2):
        with staged(str(tmp_path / "staging")) as stage:
            stage.appear(b"content", f"{tmp_path}/file")
        shutil.rmtree(tmp_path / "staging")
    assert (tmp_path / "file").read_bytes() == b"content"


def test_threads_write_beside_one_another(tmp_path: Path) -> None:
    def write(number: int) -> None:
        for one in range(20):
            with staged(str(tmp_path / "staging")) as stage:
                stage.appear(b"%d" % number, f"{tmp_path}/{number}/{one}")

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    written = sorted(path.read_bytes() for path in tmp_path.glob("[0-9]/*"))
    assert written == sorted(b"%d" % number for number in range(8) for _ in range(20))


def test_what_was_put_in_place_survives_its_stage(tmp_path: Path) -> None:
    with staged(str(tmp_path / "staging")) as stage:
        group = stage.name()
        Path(group).mkdir()
        stage.into_place(group, f"{tmp_path}/a/b/group")
        stage.appear(b"content", f"{tmp_path}/c/d/file")
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
        stage.appear(b"much longer than three", str(path))

    assert path.read_text() == "much longer than three"
    assert held.read() == "old"  # who had opened it still reads what he opened
    held.close()


def test_a_link_replaces_a_link(tmp_path: Path) -> None:
    door = f"{tmp_path}/doors/door"
    with staged(str(tmp_path / "staging")) as stage:
        for name in ("one", "two"):
            stage.point(f"../data/{name}", door)

    assert os.readlink(door) == "../data/two"
    assert leads(door, "../data/two") and not leads(door, "../data/one")
    assert not leads(str(tmp_path), "") and not leads(f"{door}s", "../data/two")


def test_what_is_about_to_be_named_is_young_again(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert not touched(str(path))
    path.touch()
    os.utime(path, (0, 0))

    assert touched(str(path))
    assert time.time() - path.stat().st_mtime < 60


def test_a_young_stage_is_not_swept_whoever_holds_it(tmp_path: Path) -> None:
    (tmp_path / "dead").mkdir()
    sweep(str(tmp_path))

    assert (tmp_path / "dead").exists()


def test_an_old_stage_is_swept_unless_its_writer_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = tmp_path / f"{staging._locks_of(str(tmp_path))}-dead"
    (dead / "folder").mkdir(parents=True)
    (tmp_path / "a file").touch()
    old = time.time() - staging.UNLOCKED_SECONDS - 1
    with staged(str(tmp_path)) as stage:
        alive = Path(stage.name()).parent
        for folder in (dead, alive):
            os.utime(folder, (old, old))
        sweep(str(tmp_path))
        assert alive.is_dir()
    assert {path.name for path in tmp_path.iterdir()} == {"a file", alive.name}


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


def test_many_stores_hold_few_descriptors(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for number in range(100):
        with staged(f"{tmp_path}/{number}") as stage:
            stage.appear(b"content", f"{tmp_path}/file")

    assert len(os.listdir("/proc/self/fd")) <= before + staging._FOLDERS
    assert len(list(tmp_path.glob("*/*"))) <= staging._FOLDERS
    with staged(f"{tmp_path}/0") as stage:
        stage.appear(b"again", f"{tmp_path}/file")
    assert (tmp_path / "file").read_bytes() == b"again"


def test_the_clock_is_that_of_the_files_whatever_this_host_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    before = (tmp_path / "file").stat().st_mtime_ns
    monkeypatch.setattr(time, "time", lambda: 0.0)
    monkeypatch.setattr(time, "time_ns", lambda: 0)

    assert storage_time_ns(str(tmp_path)) >= before
    assert sorted(tmp_path.iterdir()) == [tmp_path / "file"]


@pytest.mark.parametrize("code", [errno.EOPNOTSUPP, errno.EISDIR])
def test_the_clock_of_a_server_is_asked_where_no_file_is_without_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    real = os.open

    def refuse(path: str, flags: int, *mode: int) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(code, os.strerror(code))
        return real(path, flags, *mode)

    monkeypatch.setattr(os, "open", refuse)
    monkeypatch.setattr(time, "time_ns", lambda: 0)

    assert storage_time_ns(str(tmp_path)) > 0
    assert list(tmp_path.iterdir()) == []


def test_who_asks_for_the_time_makes_no_folder(tmp_path: Path) -> None:
    hidden = tmp_path / "artifacts/.store"
    hidden.mkdir(parents=True)

    assert storage_time_ns(f"{hidden}/staging") > 0
    assert list(hidden.iterdir()) == []
