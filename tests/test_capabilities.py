"""What a file system can do, as `doctor` tries it."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from artifact_store import capabilities
from artifact_store.capabilities import Mount, ahead_in, mount_of, tried


def test_everything_that_is_relied_on_works_here_and_nothing_is_left(
    tmp_path: Path,
) -> None:
    findings = tried(str(tmp_path))

    assert [one.name for one in findings if one.is_needed and not one.works] == []
    assert len(findings) == 11 and list(tmp_path.iterdir()) == []
    assert abs(ahead_in(str(tmp_path))) < 5


@pytest.mark.parametrize(
    "call, name, means",
    [
        ("symlink", "links", "no doors"),
        ("rename", "rename", "Do not keep a store here"),
    ],
)
def test_what_does_not_work_is_said_with_what_follows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, name: str, means: str
) -> None:
    def refused(*args: Any, **kwargs: Any) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, call, refused)
    found = {one.name: one for one in tried(str(tmp_path))}

    assert not found[name].works and means in found[name].means
    assert "not permitted" in found[name].found and found["maps"].works


def test_a_lock_that_locks_nothing_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fcntl.flock", lambda *args: None)
    (stages,) = [one for one in tried(str(tmp_path)) if one.name == "locks of folders"]

    assert not stages.works and stages.found == "two hold one lock"


def test_a_lock_that_another_process_does_not_see_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As where locks are those of a host, or of a process, alone.
    monkeypatch.setattr(capabilities, "is_leased", lambda path, place: False)
    (leases,) = [one for one in tried(str(tmp_path)) if one.name == "locks of bytes"]

    assert not leases.works and leases.is_needed
    assert leases.found == "a lock that is held is not seen"


def test_where_reading_is_not_noted_that_is_no_reason_to_stay_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unnoted(path: str, mode: str = "r") -> Any:
        flags = os.O_NOATIME if mode == "rb" else os.O_RDWR | os.O_CREAT
        return os.fdopen(os.open(path, flags), mode)

    monkeypatch.setattr(capabilities, "open", unnoted, raising=False)
    (uses,) = [one for one in tried(str(tmp_path)) if one.name == "uses"]

    assert not uses.works and not uses.is_needed
    assert "made longest ago" in uses.means


def test_files_that_all_bear_one_time_are_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capabilities, "_LONGEST_STEP", 0.05)
    write = capabilities._write

    def at_noon(path: str, content: bytes) -> None:
        write(path, content)
        os.utime(path, (1e9, 1e9))

    monkeypatch.setattr(capabilities, "_write", at_noon)
    (times,) = [one for one in tried(str(tmp_path)) if one.name == "times"]

    assert not times.works and "bear one time" in times.found


def test_a_folder_is_on_the_mount_that_is_nearest(tmp_path: Path) -> None:
    assert mount_of(str(tmp_path)).kind not in ("", "unknown")
    assert mount_of("/proc").kind == "proc"


@pytest.mark.parametrize(
    "written, name",
    [
        ("/mnt/café".encode(), "/mnt/café"),
        (rb"/mnt/two\040words\134", "/mnt/two words\\"),
        ("/mnt/no\u00a0break".encode(), "/mnt/no\u00a0break"),
        (b"/mnt/\xff", os.fsdecode(b"/mnt/\xff")),
        (rb"/mnt/\x41\134", "/mnt/\\x41\\"),
    ],
    ids=str,
)
def test_the_name_of_a_mount_is_as_the_kernel_means_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, written: bytes, name: str
) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_bytes(
        b"22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
        b"23 22 8:2 / " + written + b" rw,noatime - xfs /dev/sda2 rw\n"
    )
    monkeypatch.setattr(
        capabilities, "open", lambda path, *how: open(mounts, *how), raising=False
    )
    monkeypatch.setattr(os.path, "realpath", lambda path: path)

    assert mount_of(f"{name}/run") == Mount("xfs", name, "rw,noatime")


@pytest.mark.parametrize(
    "mount, is_remote, kept",
    [
        (Mount("ext4", "/", "rw,relatime"), False, "about once a day"),
        (Mount("nfs4", "/home", "rw,noatime"), True, "not kept"),
        (Mount("fuse.sshfs", "/mnt", "ro"), True, "not kept"),
        (Mount("xfs", "/", "rw,strictatime"), False, "kept"),
    ],
    ids=str,
)
def test_what_follows_from_a_mount_is_said(
    mount: Mount, is_remote: bool, kept: str
) -> None:
    assert mount.is_remote == is_remote and kept in mount.access_times
