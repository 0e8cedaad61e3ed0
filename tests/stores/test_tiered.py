from __future__ import annotations

import itertools
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from contract import LookingContract, StoreContract, key, publication

from artifact_store import Checkpoint, analysis, storing_in
from artifact_store.artifacts import Artifact
from artifact_store.buckets import open_bucket
from artifact_store.digests import digest_of
from artifact_store.errors import (
    BucketFailed,
    CorruptArtifact,
    NotShared,
    NotSigned,
)
from artifact_store.files import Signature
from artifact_store.manifests import _remembered
from artifact_store.signing import signing_key
from artifact_store.stores.around import ReadOnlyStore
from artifact_store.stores.base import Store
from artifact_store.stores.local import LocalStore
from artifact_store.stores.opening import store_opened
from artifact_store.stores.remote import RemoteStore
from artifact_store.stores.tiered import TieredStore, tier

_numbers = itertools.count()
LARGE = np.arange(400_000.0).reshape(100, 4000)


@pytest.fixture
def url() -> str:
    return f"memory://tier{next(_numbers)}"


@pytest.fixture
def shared(url: str) -> Store:
    return store_opened(url)


@pytest.fixture
def store(tmp_path: Path, shared: Store) -> TieredStore:
    return TieredStore(LocalStore(tmp_path / "near"), shared)


@pytest.fixture
def first(tmp_path: Path, shared: Store) -> TieredStore:
    """The machine that publishes, where a class calls another one `store`."""
    return TieredStore(LocalStore(tmp_path / "near"), shared)


@pytest.fixture
def another(tmp_path: Path, shared: Store) -> TieredStore:
    """The same shared store, from a machine that has nothing yet."""
    return TieredStore(LocalStore(tmp_path / "another"), shared)


@pytest.fixture
def unreachable(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Have the server of a URL be away."""

    def away(url: str) -> None:
        def fail(*given: object) -> None:
            raise BucketFailed(url, "read", "nobody answers")

        bucket = open_bucket(url)
        for verb in ("get", "get_range", "put", "create", "delete", "listed"):
            monkeypatch.setattr(bucket, verb, fail)

    return away


class TestTier(StoreContract):
    @pytest.fixture
    def store(self, store: TieredStore) -> TieredStore:
        return store


class TestTierOfDirectories(StoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> TieredStore:
        return tier(str(tmp_path / "near"), str(tmp_path / "shared"))


class TestAnother(LookingContract):
    """What another machine sees of what was published by the first."""

    @pytest.fixture
    def kept(self, first: TieredStore) -> TieredStore:
        return first

    @pytest.fixture
    def store(self, another: TieredStore) -> TieredStore:
        return another

    def test_digests_are_recalled_by_the_whole_signature(
        self, store: Store, kept: Store
    ) -> None:
        signature = (Signature(1, 2, 3, 4),)
        kept.publish(key(), publication())
        kept.remember(signature, {"w": digest_of("tensor", b"w")})

        assert store.recall(signature) is None  # It means nothing on another host.


def test_what_is_published_is_in_both(store: TieredStore, shared: Store) -> None:
    store.publish(key(), publication())

    assert shared.find(key()) is not None
    assert LocalStore(store.location).find(key()) is not None


def test_what_is_found_stays_away_until_it_is_read_whole(
    store: TieredStore, another: TieredStore
) -> None:
    store.publish(key(), publication({"x": LARGE}))
    near = LocalStore(another.location)
    found = another.find(key())
    assert found is not None and near.find(key()) is None

    assert np.array_equal(Artifact(found)["x"][7], LARGE[7])
    assert near.find(key()) is None
    assert np.array_equal(Artifact(found).numpy()["x"], LARGE)
    kept = near.find(key())
    assert kept is not None and kept.manifest.output == found.manifest.output
    again = another.find(key())
    assert again is not None and again.directory.startswith(another.location)


def test_what_was_read_whole_is_read_near_by_who_found_it_before(
    store: TieredStore,
    another: TieredStore,
    url: str,
    unreachable: Callable[[str], None],
) -> None:
    store.publish(key(), publication({"x": LARGE}))
    found = another.find(key())
    assert found is not None
    Artifact(found).numpy()
    unreachable(url)

    assert np.array_equal(Artifact(found)["x"][7], LARGE[7])


def test_a_shared_store_that_is_away_is_done_without(
    store: TieredStore, url: str, unreachable: Callable[[str], None]
) -> None:
    unreachable(url)
    assert store.find(key("cold")) is None
    with pytest.warns(NotShared, match="artifact-store push"):
        store.publish(key(), publication())

    assert store.find(key()) is not None


def test_a_shared_store_that_is_away_is_not_asked_at_each_call(
    store: TieredStore, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    def fail(*given: object) -> None:
        asked.append(given)
        raise BucketFailed(url, "read", "nobody answers")

    for verb in ("get", "put", "create"):
        monkeypatch.setattr(open_bucket(url), verb, fail)
    for number in range(10):
        assert store.find(key(str(number))) is None
        with pytest.warns(NotShared, match="a moment ago"):
            store.publish(key(str(number)), publication())

    assert len(asked) == 1


def test_a_shared_store_that_cannot_be_written_to_is_read_all_the_same(
    store: TieredStore, shared: Store, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared.publish(key("theirs"), publication())

    def fail(*given: object) -> None:
        raise BucketFailed(url, "written", "403 Forbidden")

    for verb in ("put", "create"):
        monkeypatch.setattr(open_bucket(url), verb, fail)
    with pytest.warns(NotShared, match="403"):
        store.publish(key(), publication())

    assert store.find(key("theirs")) is not None


def test_what_the_near_store_has_no_room_for_is_kept_far_away(
    store: TieredStore, shared: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*given: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(LocalStore, "publish", fail)
    entry = store.publish(key(), publication({"x": LARGE}))

    assert np.array_equal(Artifact(entry).numpy()["x"], LARGE)
    assert shared.find(key()) is not None


def test_what_was_not_replaced_in_the_shared_store_is_told_as_that(
    store: TieredStore, url: str, unreachable: Callable[[str], None]
) -> None:
    store.publish(key(), publication({"x": np.zeros(2)}))
    unreachable(url)

    with pytest.warns(NotShared, match="a push leaves alone"):
        store.replace(key(), publication({"x": np.ones(2)}))


def test_who_only_looks_keeps_nothing(store: TieredStore, another: TieredStore) -> None:
    store.publish(key(), publication({"x": LARGE}))
    found = ReadOnlyStore(another).find(key())
    assert found is not None

    assert np.array_equal(Artifact(found).numpy()["x"], LARGE)
    assert not Path(another.location).exists()


def test_data_that_were_damaged_in_the_shared_store_are_never_kept(
    store: TieredStore, another: TieredStore, url: str
) -> None:
    entry = store.publish(key(), publication({"x": LARGE}))
    far = store_opened(url).find(key())
    assert far is not None
    name = f"{far.directory.removeprefix(url + '/')}/x/c.0.0"
    content = bytearray(Path(entry.directory, "x/c.0.0").read_bytes())
    content[0] ^= 1
    open_bucket(url).put(name, bytes(content))
    found = another.find(key())
    assert found is not None

    with pytest.raises(CorruptArtifact, match="other data"):
        Artifact(found).numpy()
    assert LocalStore(another.location).find(key()) is None


@analysis
def tripled(checkpoint: Checkpoint) -> Any:
    return {"w": checkpoint["w"] * 3}


def test_damaged_data_of_a_shared_store_are_computed_again_and_healed(
    checkpoint: Path, store: TieredStore, another: TieredStore, url: str
) -> None:
    given: Any = checkpoint
    with storing_in(store):
        right = tripled(given)["w"]
        entry = tripled.artifact(given).entry
    name = f"{entry.directory.removeprefix(store.location + '/')}/w/c.0.0"
    piece = open_bucket(url).get(name)
    assert piece is not None
    open_bucket(url).put(name, bytes(len(piece.content)))
    with storing_in(another):
        assert np.array_equal(tripled(given)["w"], right)
    third = RemoteStore(open_bucket(url)).find(entry.key)

    assert third is not None and np.array_equal(Artifact(third).numpy()["w"], right)
    assert tripled.cache_info().misses >= 2


def test_what_others_signed_or_did_not_is_left_to_them(
    store: TieredStore,
    another: TieredStore,
    shared: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store.publish(key(), publication())
    monkeypatch.setenv("ARTIFACT_STORE_KEY", "k" * 64)
    for memory in (signing_key, _remembered):
        memory.cache_clear()
    with pytest.raises(NotSigned):
        another.find(key())
    another.set_aside(key(), "it is not signed")
    shared.set_aside(key(), "it is not signed")
    monkeypatch.delenv("ARTIFACT_STORE_KEY")
    for memory in (signing_key, _remembered):
        memory.cache_clear()

    assert shared.find(key()) is not None


def test_a_shared_store_that_is_only_read_gets_nothing(
    tmp_path: Path, url: str, shared: Store
) -> None:
    store = tier(str(tmp_path / "near"), f"ro:{url}")
    shared.publish(key("theirs"), publication())
    store.publish(key("ours"), publication())
    store.remove([key("theirs")])

    assert store.find(key("theirs")) is not None
    assert list(shared.keys()) == [key("theirs")]


def test_who_is_second_gets_what_the_first_has_shared(
    store: TieredStore, another: TieredStore
) -> None:
    store.publish(key(), publication({"x": np.zeros(2)}))
    with pytest.warns(UserWarning, match="with different results"):
        found = another.publish(key(), publication({"x": np.ones(2)}))

    assert Artifact(found).numpy()["x"].tolist() == [0.0, 0.0]


def test_a_store_travels_by_its_name(tmp_path: Path) -> None:
    for name in (str(tmp_path / "near"), "s3://bucket/prefix"):
        store = store_opened(name)
        assert pickle.loads(pickle.dumps(store)) is store
    far = str(tmp_path / "far")
    again = pickle.loads(pickle.dumps(tier(str(tmp_path / "near"), f"ro:{far}")))
    again.publish(key(), publication())
    assert list(store_opened(far).keys()) == []
