from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import chdir
from pathlib import Path
from shutil import rmtree
from types import ModuleType
from typing import Any

import pytest

from artifact_store import Run
from artifact_store.descriptors import _check_links
from artifact_store.keys import Key
from artifact_store.layout import Layout
from artifact_store.stores.base import Store
from artifact_store.stores.locate import store_at
from artifact_store.verify import verify

MODULE = """
from artifact_store import Checkpoint, analysis

@analysis
def doubled(checkpoint: Checkpoint):
    return {"w": checkpoint["w"] * 2}

@analysis(codec="zstd")
def packed(checkpoint: Checkpoint):
    return {"v": checkpoint["v"] * 2}
"""


@pytest.fixture
def store(
    write_module: Callable[[str, str], ModuleType], run_directory: Callable[[], Path]
) -> Store:
    probe, run = write_module("probe", MODULE), Run(run_directory())
    for checkpoint in run.values():
        probe.doubled(checkpoint)
        probe.packed(checkpoint)
    return store_at(run.path)


def problems(store: Store) -> list[str]:
    return [check.problem for check in verify(store, store.keys()) if check.problem]


def the(store: Store, folder: str, name: str) -> Path:
    return next((Path(store.location) / ".store" / folder).rglob(name))


def test_what_was_published_is_right(store: Store) -> None:
    checks = list(verify(store, store.keys()))

    assert len(checks) == 6
    assert [check.key for check in checks] == list(store.keys())
    assert not any(check.problem for check in checks)


@pytest.mark.parametrize("name", ["c.0", "zarr.json"])
def test_a_changed_byte_anywhere_is_found(store: Store, name: str) -> None:
    file = the(store, "data", name)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    status = file.stat()
    file.write_bytes(content)
    # As a bad disk would: without a trace in the stat.
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))

    assert len(problems(store)) == 1


def test_a_missing_file_is_found(store: Store) -> None:
    the(store, "data", "c.0").unlink()

    assert len(problems(store)) == 1


def test_a_damaged_manifest_is_found(store: Store) -> None:
    the(store, "entries", "*.json").write_text("{}")

    assert problems(store) == ["is not what was written"]


def put(path: Path, what: str, tmp_path: Path) -> None:
    """Something else in the place of a file: whoever opened it would wait, fail, or read elsewhere."""
    content = path.read_bytes()
    path.unlink()
    match what:
        case "pipe":
            os.mkfifo(path)
        case "socket":
            with socket.socket(socket.AF_UNIX) as one, chdir(path.parent):
                one.bind(path.name)
        case "folder":
            path.mkdir()
        case "link":
            (tmp_path / "elsewhere").write_bytes(content)
            path.symlink_to(tmp_path / "elsewhere")
        case "link to itself":
            path.symlink_to(path)
        case "device":
            path.symlink_to("/dev/zero")


@pytest.mark.parametrize(
    "what", ["nothing", "pipe", "socket", "folder", "link", "link to itself", "device"]
)
def test_something_else_in_the_place_of_any_file_is_a_finding(
    store: Store, tmp_path: Path, what: str
) -> None:
    hidden = Path(store.location) / ".store"
    entry = next(one for one in store.manifests() if one.analysis == "packed")
    data = hidden / "data" / entry.output[:2] / entry.output
    files = [one for one in data.rglob("*") if one.is_file()]
    assert len(files) == 3
    if what != "nothing":  # Without its manifest, it is no entry.
        files += hidden.glob(f"entries/packed/*/{entry.key[2:]}.json")
    for path in files:
        content, status = path.read_bytes(), path.stat()
        put(path, what, tmp_path)
        (problem,) = problems(store)
        assert "no regular file" in problem or "is missing" in problem
        rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        path.write_bytes(content)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        assert problems(store) == []


@pytest.mark.parametrize("depth", [0, 1, 2])
@pytest.mark.parametrize("what", ["link", "pipe", "file"])
def test_something_else_in_the_place_of_a_folder_is_a_finding(
    store: Store, tmp_path: Path, what: str, depth: int
) -> None:
    output, *_ = {one.output for one in store.manifests()}
    data = Path(store.location) / ".store/data"
    folder = [data, data / output[:2], data / output[:2] / output][depth]
    folder.rename(tmp_path / "away")
    match what:
        case "link":
            folder.symlink_to(tmp_path / "away")
        case "pipe":
            os.mkfifo(folder)
        case "file":
            folder.touch()
    # A process that has written there knows that it was a folder, and does not look again.
    _check_links.cache_clear()

    found = problems(store)
    assert len(found) == (6 if depth == 0 else 1)


def test_any_file_that_cannot_be_read_is_a_finding(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open
    files = [one for one in Path(store.location).rglob("*") if one.is_file()]
    found = 0
    for refused in map(str, files):

        def refusing(
            path: str, *more: Any, refused: str = refused, **named: Any
        ) -> int:
            if str(path) == refused:
                raise PermissionError(13, "Permission denied", path)
            return real(path, *more, **named)

        monkeypatch.setattr(os, "open", refusing)
        for problem in problems(store):
            assert "Permission denied" in problem
            found += 1
    # A manifest each; and of their data, three files.
    assert found == 6 + 6 * 3


def test_an_unreadable_file_is_a_problem_and_no_error(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object) -> None:
        raise PermissionError(13, "Permission denied", "c.0")

    monkeypatch.setattr("artifact_store.verify.digest_group", refuse)

    assert len(problems(store)) == 6


def test_shared_data_are_read_once_and_reported_for_each(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[object] = []

    def note(group: object, arrays: object) -> None:
        seen.append(group)
        raise OSError("unreadable")

    monkeypatch.setattr("artifact_store.verify.digest_group", note)
    keys = list(store.keys())

    assert len(list(verify(store, keys + keys))) == 12
    assert len(seen) == len({one.output for one in store.manifests()})


def test_looking_writes_nothing(store: Store) -> None:
    the(store, "data", "c.0").write_bytes(b"damaged")
    layout = Layout(store.location)

    def everything() -> dict[Path, tuple[int, int]]:
        paths = Path(layout.root).rglob("*")
        return {p: (p.lstat().st_mtime_ns, p.lstat().st_size) for p in paths}

    before = everything()
    problems(store)

    assert everything() == before


def test_no_more_is_read_ahead_than_a_few_manifests(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("artifact_store.verify.AHEAD", 4)
    keys, taken = list(store.keys()), list[Key]()

    def noted() -> Iterator[Key]:
        for key in keys:
            taken.append(key)
            yield key

    checks = verify(store, noted())

    assert [next(checks).key, next(checks).key] == keys[:2] and len(taken) == 4
    assert [check.key for check in checks] == keys[2:]
