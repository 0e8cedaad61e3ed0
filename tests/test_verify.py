from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from artifact_store import Run
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
    monkeypatch.setattr("artifact_store.verify.AHEAD", 2)
    keys, taken = list(store.keys()), list[Key]()

    def noted() -> Iterator[Key]:
        for key in keys:
            taken.append(key)
            yield key

    checks = verify(store, noted())

    assert [next(checks).key, next(checks).key] == keys[:2] and len(taken) == 4
    assert [check.key for check in checks] == keys[2:]
