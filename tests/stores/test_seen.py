"""An entry that was read before is found without reading it again, unless something happened to it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from contract import key, publication

from artifact_store.artifacts import Artifact
from artifact_store.errors import CorruptArtifact
from artifact_store.layout import Layout
from artifact_store.stores import local, records
from artifact_store.stores.local import LocalStore


@pytest.fixture
def store(tmp_path: Path, settled: None) -> LocalStore:
    return LocalStore(tmp_path / "run/artifacts")


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The path of each manifest that was read to find an entry."""
    paths: list[str] = []

    def noted(path: str, look: Callable[[str], object] = records.look) -> object:
        paths.append(path)
        return look(path)

    monkeypatch.setattr(local, "look", noted)
    return paths


def test_a_manifest_is_read_once(store: LocalStore, read: list[str]) -> None:
    store.publish(key(), publication())
    read.clear()  # of whether somebody was faster
    found = [store.find(key()) for _ in range(3)]

    assert len(read) == 1
    assert found[0] is found[1] is found[2] is not None


def test_a_young_manifest_is_read_each_time(
    store: LocalStore, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("artifact_store.files.RACY_NS", 2_000_000_000)
    store.publish(key(), publication())
    read.clear()
    for _ in range(3):
        store.find(key())

    assert len(read) == 3


def test_what_was_removed_is_gone(store: LocalStore) -> None:
    store.publish(key(), publication())
    assert store.find(key()) is not None
    LocalStore(store.location).remove([key()])
    assert store.find(key()) is None

    store.publish(key(), publication())
    assert store.find(key()) is not None
    shutil.rmtree(store.location)
    assert store.find(key()) is None


def test_what_was_written_to_is_noticed(store: LocalStore) -> None:
    entry = store.publish(key(), publication())
    manifest = Path(Layout(store.location).manifest(key()))
    data = Path(entry.directory, str(entry.manifest.arrays[0].file))
    for path in (data, manifest):
        kept = path.read_bytes()
        for where in (0, len(kept) // 2, -1):
            assert store.find(key()) is not None
            content = bytearray(kept)
            content[where] ^= 1
            write(path, bytes(content))
            with pytest.raises(CorruptArtifact):
                store.find(key())
            write(path, kept)


def test_a_handle_on_data_that_are_gone_gives_what_was_read_or_says_so(
    store: LocalStore,
) -> None:
    store.publish(key(), publication())
    found = store.find(key())
    assert found is not None
    before = Artifact(found).numpy()
    shutil.rmtree(found.directory)

    assert [one.tobytes() for one in Artifact(found).numpy().values()] == [
        one.tobytes() for one in before.values()
    ]
    with pytest.raises(CorruptArtifact):
        store.find(key())


def write(path: Path, content: bytes) -> None:
    """Write at another time than before, as a clock's tick may be long."""
    before = path.stat().st_mtime_ns
    path.write_bytes(content)
    os.utime(path, ns=(before + 1, before + 1))
