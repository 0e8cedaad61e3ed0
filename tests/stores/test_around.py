"""Stores around another one: read-only, refreshing, requiring."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from contract import LookingContract, key, provenance, publication

from artifact_store.errors import ComputationRefused, CorruptArtifact, ReadOnly
from artifact_store.manifests import moment
from artifact_store.reads import Ask, Found, Question
from artifact_store.stores.around import (
    ReadOnlyStore,
    RefreshingStore,
    RequiringStore,
)
from artifact_store.stores.base import Publication, Store
from artifact_store.stores.local import LocalStore


@pytest.fixture
def kept(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


def tree(root: Path) -> dict[str, tuple[int, int]]:
    """Everything below a folder, and when it was written last."""
    stats = {str(path): path.lstat() for path in [root, *root.rglob("*")]}
    return {path: (one.st_mtime_ns, one.st_ctime_ns) for path, one in stats.items()}


def made(created: str) -> Publication:
    return msgspec.structs.replace(
        publication(), provenance=provenance(created=created)
    )


class TestReadOnly(LookingContract):
    @pytest.fixture
    def store(self, kept: LocalStore) -> ReadOnlyStore:
        return ReadOnlyStore(kept)


class TestRequiring(LookingContract):
    @pytest.fixture
    def store(self, kept: LocalStore) -> RequiringStore:
        return RequiringStore(kept)


class TestRefreshing(LookingContract):
    @pytest.fixture
    def store(self, kept: LocalStore) -> RefreshingStore:
        return RefreshingStore(kept, "2024")  # before anything was made


def test_a_read_only_store_looks_and_refuses_to_be_changed(
    kept: LocalStore, tmp_path: Path
) -> None:
    kept.publish(key(), publication())
    before, store = tree(tmp_path), ReadOnlyStore(kept)

    found = store.find(key())
    assert found is not None and store.look(key()) == found
    for change in (
        lambda: store.publish(key("two"), publication()),
        lambda: store.remove([key()]),
        lambda: store.keep("blessings", "a" * 64, []),
        lambda: store.lease(key("two")),
    ):
        with pytest.raises(ReadOnly, match="reading alone"):
            change()
    store.adopt(found, "door", "kin")
    store.label(found, "door", "kin")
    store.set_aside(key(), "why")
    store.remember((), {})
    assert tree(tmp_path) == before


def test_what_is_corrupt_is_read_only_too_until_it_is_mended(
    kept: LocalStore, tmp_path: Path
) -> None:
    data = Path(kept.publish(key(), publication()).directory) / "mean/c.0.0"
    sound = data.read_bytes()
    data.write_bytes(bytes(len(sound)))
    before, store = tree(tmp_path), ReadOnlyStore(LocalStore(kept.location))

    for _ in range(2):
        with pytest.raises(CorruptArtifact, match="damaged"):
            store.find(key())
    store.set_aside(key(), "why")
    assert tree(tmp_path) == before
    data.write_bytes(sound)
    assert store.find(key()) is not None


def test_what_was_made_before_a_moment_counts_as_missing_until_it_is_made_again(
    kept: LocalStore,
) -> None:
    kept.publish(key(), made(moment()))
    store: Store = RefreshingStore(kept, moment())
    assert store.find(key()) is None and store.look(key()) is None
    assert list(store.keys()) == [key()]

    kept.publish(key("another"), made(moment()))  # as another process would
    assert store.find(key("another")) is not None
    assert store.find(key()) is None
    store.publish(key(), made("1999"))  # by a clock that goes backwards
    assert store.find(key()) is not None and store.look(key()) is not None


def test_what_says_that_it_is_from_the_future_is_not_fresh(kept: LocalStore) -> None:
    kept.publish(key(), made("9999-01-01T00:00:00.000000+00:00"))
    assert RefreshingStore(kept, moment()).find(key()) is None


def test_where_results_are_refreshed_nothing_is_found_by_what_it_read(
    kept: LocalStore,
) -> None:
    start, then = "1" * 64, "2" * 64
    steps = {start: Ask((Question("tensor", "0", "w"),)), then: Found("3" * 64, ())}
    kept.publish(key(), msgspec.structs.replace(publication(), steps=steps))
    store, digest = RefreshingStore(kept, moment()), key().digest

    for node, one in steps.items():
        at = type(digest)("blake3", node)
        assert list(kept.steps(at)) == [one]
        assert list(store.steps(at)) == ([one] if node == then else [])


def test_where_results_are_required_nobody_may_compute(kept: LocalStore) -> None:
    with pytest.raises(ComputationRefused, match="the mode is require"):
        RequiringStore(kept).lease(key())
    assert not Path(kept.location).exists()
