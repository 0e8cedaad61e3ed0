from __future__ import annotations

import itertools
import os
import pickle
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tensorstore
import zarr
from conftest import Storage
from contract import StoreContract, key, publication
from zarr.storage import ObjectStore

from artifact_store import buckets
from artifact_store.artifacts import Artifact
from artifact_store.bucket_garbage import superfluous
from artifact_store.buckets import open_bucket
from artifact_store.errors import (
    BucketFailed,
    BucketForked,
    CorruptArtifact,
    InThisProcess,
    ResultsDiffer,
    UnknownUrl,
)
from artifact_store.layout import Layout
from artifact_store.stores.opening import store_opened
from artifact_store.stores.remote import RemoteStore
from artifact_store.stores.tiered import tier
from benchmarks.object_storage import clients_of, s3rver

_numbers = itertools.count()
LARGE = np.arange(400_000.0).reshape(100, 4000)


def opened(url: str) -> RemoteStore:
    store = store_opened(url)
    assert isinstance(store, RemoteStore)
    return store


class TestMemory(StoreContract):
    @pytest.fixture
    def store(self) -> RemoteStore:
        return opened(f"memory://{next(_numbers)}")


class TestS3(StoreContract):
    @pytest.fixture
    def store(self, storage: Storage) -> RemoteStore:
        return opened(storage.url)


class TestTierOverS3(StoreContract):
    @pytest.fixture
    def store(self, storage: Storage, tmp_path: Path) -> object:
        return tier(str(tmp_path / "near"), storage.url)


@pytest.fixture
def store(storage: Storage) -> RemoteStore:
    return opened(storage.url)


def another_machine(storage: Storage) -> RemoteStore:
    """The same store, as a machine sees it that has seen nothing of it."""
    return RemoteStore(buckets.Bucket(storage.url))


def verbs(requests: list[object]) -> Counter[str]:
    return Counter(one.method for one in requests)  # type: ignore[attr-defined]


def is_manifest(method: str, path: str) -> bool:
    return method == "PUT" and "/entries/" in path


# Requests


def test_a_miss_that_nobody_computed_is_one_request(
    store: RemoteStore, storage: Storage
) -> None:
    with storage.line.noting() as requests:
        assert store.find(key()) is None

    assert [(one.method, one.status) for one in requests] == [("GET", 404)]


def test_a_hit_is_two_requests_for_its_manifest_and_its_array(
    store: RemoteStore, storage: Storage
) -> None:
    store.publish(key(), publication({"x": LARGE}))
    with storage.line.noting() as requests:
        found = another_machine(storage).find(key())
        assert found is not None
        values = Artifact(found).numpy()["x"]

    assert np.array_equal(values, LARGE)
    assert [(one.method, one.status) for one in requests] == [("GET", 200)] * 2


def test_rows_cost_their_bytes(store: RemoteStore, storage: Storage) -> None:
    store.publish(key(), publication({"x": LARGE}))
    entry = another_machine(storage).find(key())
    assert entry is not None
    with storage.line.noting() as requests:
        assert np.array_equal(Artifact(entry)["x"][3:5], LARGE[3:5])

    assert [one.received for one in requests] == [2 * LARGE[0].nbytes]


def test_what_was_just_published_is_not_fetched(
    store: RemoteStore, storage: Storage
) -> None:
    with storage.line.noting() as requests:
        entry = store.publish(key(), publication({"x": LARGE}))
        assert np.array_equal(Artifact(entry).numpy()["x"], LARGE)
        assert not Artifact(entry).numpy()["x"].flags.writeable
        again = pickle.loads(pickle.dumps(entry))

    assert not [one for one in requests if one.method == "GET" and "/data/" in one.path]
    assert np.array_equal(Artifact(again).numpy()["x"], LARGE)


def test_nothing_is_listed_on_the_path_of_a_call(
    store: RemoteStore, storage: Storage
) -> None:
    with storage.line.noting() as requests:
        store.find(key())
        entry = store.publish(key(), publication())
        Artifact(entry).numpy()
        store.find(key())

    assert requests and not [one for one in requests if "list-type" in one.path]


def test_many_keys_are_looked_up_before_they_are_found(
    store: RemoteStore, storage: Storage
) -> None:
    keys = [key(str(number)) for number in range(40)]
    for one in keys[:20]:
        store.publish(one, publication())
    store.foresee(keys)
    with storage.line.noting() as requests:
        found = [store.find(one) for one in keys]

    assert (
        requests == []
        and [one is not None for one in found] == [True] * 20 + [False] * 20
    )


# Readers of their own


def test_plain_zarr_and_tensorstore_read_what_is_there(
    store: RemoteStore, storage: Storage
) -> None:
    entry = store.publish(key(), publication({"x": LARGE}))
    bucket = open_bucket(storage.url)
    path = entry.directory.removeprefix(f"{storage.url}/")
    group = zarr.open_group(
        ObjectStore(bucket.opened, read_only=True), path=path, mode="r"
    )
    spec = {
        "driver": "zarr3",
        "kvstore": {
            "driver": "s3",
            "bucket": storage.url.split("/")[2],
            "path": f"prefix/{path}/x/",
            "endpoint": storage.line.url,
            "aws_region": "us-east-1",
        },
    }

    assert np.array_equal(group["x"][...], LARGE)  # type: ignore[index, arg-type]
    assert np.array_equal(Artifact(entry).zarr["x"][1:2], LARGE[1:2])  # type: ignore[index, arg-type]
    assert np.array_equal(tensorstore.open(spec).result().read().result(), LARGE)


# What is not as it was


@pytest.mark.parametrize("codec", ["raw", "zstd"])
def test_data_that_were_written_over_are_never_returned(
    store: RemoteStore, storage: Storage, codec: str
) -> None:
    entry = store.publish(key(), publication({"x": LARGE}, codec=codec))  # type: ignore[arg-type]
    bucket = open_bucket(storage.url)
    name = f"{Layout('').group(entry.manifest.output)[1:]}/x/c.0.0"
    piece = bucket.get(name)
    assert piece is not None
    content = bytearray(piece.content)
    content[100] ^= 1
    bucket.put(name, bytes(content))
    found = another_machine(storage).find(key())
    assert found is not None

    with pytest.raises(CorruptArtifact):
        Artifact(found).numpy()
    for index in (3, ...):
        with pytest.raises(CorruptArtifact):
            Artifact(found)["x"][index]
    store.set_aside(key(), "damaged")
    assert store.find(key()) is None
    assert list(bucket.listed(".store/quarantine"))


def test_data_of_another_tag_are_digested_once(
    store: RemoteStore, storage: Storage
) -> None:
    entry = store.publish(key(), publication({"x": LARGE}))
    bucket = open_bucket(storage.url)
    name = f"{Layout('').group(entry.manifest.output)[1:]}/x/c.0.0"
    piece = bucket.get(name)
    assert piece is not None
    # As a copy of the bucket has it, that was uploaded in other parts.
    import obstore

    obstore.put(bucket.opened, name, bytes(piece.content), chunk_size=6 << 20)
    bucket.put(f"{name}", bytes(piece.content))
    found = another_machine(storage).find(key())
    assert found is not None

    assert np.array_equal(Artifact(found)["x"][3], LARGE[3])
    with storage.line.noting() as requests:
        assert np.array_equal(Artifact(found)["x"][4], LARGE[4])
    assert len(requests) == 1


def test_a_missing_piece_is_corrupt_and_not_zeros(
    store: RemoteStore, storage: Storage
) -> None:
    entry = store.publish(key(), publication({"x": LARGE}))
    name = f"{Layout('').group(entry.manifest.output)[1:]}/x/c.0.0"
    open_bucket(storage.url).delete([name])
    found = store.find(key())
    assert found is not None

    with pytest.raises(CorruptArtifact, match="missing"):
        Artifact(found).numpy()
    with pytest.raises(CorruptArtifact, match="missing"):
        Artifact(found)["x"][3]


# Who is first


def test_who_is_first_is_found_by_all_machines(
    store: RemoteStore, storage: Storage
) -> None:
    store.publish(key(), publication({"x": np.zeros(2)}))
    with pytest.warns(ResultsDiffer, match="is returned"):
        other = another_machine(storage).publish(key(), publication({"x": np.ones(2)}))

    assert Artifact(other).numpy()["x"].tolist() == [0.0, 0.0]


def test_an_answer_that_was_lost_is_no_rival(
    store: RemoteStore, storage: Storage
) -> None:
    is_manifest = (
        lambda method, path: method == "PUT" and "/entries/" in path
    )  # noqa: E731
    with storage.line.failing("lose", meets=is_manifest) as fault:
        entry = store.publish(key(), publication())

    assert fault.met == 1 and store.find(key()) == entry


# Faults on the way


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have requests be tried again sooner, and not for long."""
    monkeypatch.setattr(buckets, "_RETRIES", 3)
    monkeypatch.setattr(buckets, "_PAUSE_SECONDS", 0.01)


@pytest.mark.parametrize(
    "kind, status",
    [
        *(("drop", 0), ("lose", 0), ("delay", 0), ("cut", 0)),
        *(("error", 500), ("error", 503), ("error", 429)),
    ],
)
def test_what_fails_on_the_way_is_tried_again(
    quick: None, storage: Storage, kind: str, status: int
) -> None:
    store = another_machine(storage)
    with storage.line.failing(kind, 2, status=status, seconds=0.05) as fault:  # type: ignore[arg-type]
        assert store.find(key()) is None
    assert fault.met == (1 if kind == "delay" else 2)
    with storage.line.failing(kind, 2, status=status, seconds=0.05):  # type: ignore[arg-type]
        published = store.publish(key(), publication({"x": LARGE}))
    with storage.line.failing(kind, 1, status=status, seconds=0.05):  # type: ignore[arg-type]
        found = another_machine(storage).find(key())
    assert found is not None and found.manifest == published.manifest
    with storage.line.failing(kind, 1, status=status, seconds=0.05):  # type: ignore[arg-type]
        assert np.array_equal(Artifact(found).numpy()["x"], LARGE)


def test_an_answer_that_breaks_off_is_asked_for_again_whatever_was_asked(
    quick: None, storage: Storage
) -> None:
    bucket = buckets.Bucket(storage.url)
    assert bucket.create("folder/x", b"first")
    for ask, found in (
        (lambda: bucket.create("folder/x", b"other"), False),
        (lambda: bucket.names("folder"), ["x"]),
        (lambda: len(bucket.put("large", bytes(9 << 20))) > 0, True),
        (lambda: bucket.delete(["folder/x"]), None),
    ):
        with storage.line.failing("cut") as fault:
            assert ask() == found
        assert fault.met == 1
    assert bucket.get("folder/x") is None


def test_what_fails_for_good_is_a_clear_error_without_secrets(
    quick: None, storage: Storage
) -> None:
    store = another_machine(storage)
    with storage.line.failing("error", 1000):
        for act in (
            lambda: store.find(key()),
            lambda: store.publish(key(), publication()),
            lambda: list(store.keys()),
        ):
            with pytest.raises(BucketFailed, match="could not be") as failed:
                act()
            said = str(failed.value)
            assert "an-access-key" not in said and "secret" not in said
            assert "<" not in said and len(said) < 900, said


def test_a_bucket_that_is_not_there_is_told(quick: None, storage: Storage) -> None:
    with pytest.raises(BucketFailed, match="Look whether the bucket is there"):
        RemoteStore(buckets.Bucket("s3://no-such-bucket/x")).publish(
            key(), publication()
        )


def test_a_url_of_no_known_kind_is_told() -> None:
    with pytest.raises(UnknownUrl, match="Write s3://"):
        store_opened("gopher://x/y")


def test_every_letter_of_a_url_is_one_of_a_name(storage: Storage) -> None:
    names = ["dir", "dir#2", "dir?x", "a b", "a%20b", "100%", "ü"]
    for number, name in enumerate(names):
        open_bucket(f"{storage.url}/{name}").put("x", b"%d" % number)

    for number, name in enumerate(names):
        piece = open_bucket(f"{storage.url}/{name}").get("x")
        assert piece is not None and piece.content == b"%d" % number
    assert open_bucket(storage.url).names("") == sorted(names)


def test_a_forked_child_has_no_bucket_that_is_new_to_it_either(
    storage: Storage,
) -> None:
    open_bucket(storage.url).get("x")
    child = os.fork()
    if not child:
        signal.alarm(20)
        try:
            open_bucket(f"{storage.url}/another").get("x")
        except BucketForked:
            os._exit(7)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_what_is_too_large_to_be_ours_is_not_read(
    store: RemoteStore, storage: Storage
) -> None:
    store.publish(key(), publication())
    (manifest,) = open_bucket(storage.url).listed(".store/entries")
    open_bucket(storage.url).put(manifest.name, bytes(17 << 20))
    with storage.line.noting() as requests:
        with pytest.raises(CorruptArtifact, match="are the most"):
            another_machine(storage).find(key())
        store.set_aside(key(), "damaged")

    assert not [one for one in requests if one.sent > 1 << 20]
    assert store.find(key()) is None


def test_what_lies_about_in_a_bucket_is_none_of_ours(
    store: RemoteStore, storage: Storage
) -> None:
    for name in ("data/", "entries/", "data/README", "entries/note.json"):
        open_bucket(storage.url).put(f".store/{name}", b"")
    store.publish(key(), publication())

    assert list(store.keys()) == [key()]
    assert superfluous(store, -10.0) == []


def test_memory_lasts_whatever_else_is_opened_and_goes_nowhere() -> None:
    store = opened("memory://lasting")
    entry = store.publish(key(), publication({"x": LARGE}))
    for number in range(300):
        open_bucket(f"memory://other{number}")
    found = store.find(key())

    assert found is not None and np.array_equal(Artifact(found).numpy()["x"], LARGE)
    assert entry.manifest == found.manifest
    with pytest.raises(InThisProcess, match="no worker has it"):
        pickle.dumps(store)


def test_a_forked_child_is_told_and_does_not_wait_forever(storage: Storage) -> None:
    bucket = open_bucket(storage.url)
    bucket.get("x")
    child = os.fork()
    if not child:
        try:
            bucket.get("x")
        except BucketForked:
            os._exit(7)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


_PUBLISHES = """
import sys
sys.path[:0] = {path!r}
from contract import key, publication
from artifact_store.stores.opening import store_opened
import numpy as np
store_opened({url!r}).publish(key(), publication({{"x": np.arange(10.0), "y": np.arange(3)}}))
"""


def test_a_publisher_that_is_killed_at_any_request_leaves_a_miss_or_a_whole_entry(
    storage: Storage, injected: object
) -> None:
    program = _PUBLISHES.format(path=sys.path, url=storage.url)
    seen, whole = 0, False
    for number in range(1, 30):
        child: list[subprocess.Popen[bytes]] = []
        count = itertools.count(1)

        def kill(method: str, path: str, at: int = number) -> bool:
            if next(count) == at:
                child[0].send_signal(signal.SIGKILL)
            return False

        with storage.line.failing("drop", 1, meets=kill):
            child.append(subprocess.Popen([sys.executable, "-c", program]))
            status = child[0].wait(60)
        found = another_machine(storage).find(key())
        if found is not None:
            whole = True
            assert Artifact(found).numpy()["x"].tolist() == list(range(10))
        if status == 0:
            break
        seen += 1
    assert whole and seen >= 4
    injected("publisher killed at a request", seen)  # type: ignore[operator]


# A server that knows nothing of conditions


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with s3rver(tmp_path_factory.mktemp("s3rver")) as server:
        server.make_bucket("plain")
        with clients_of(server):
            yield "s3://plain"


def test_a_profile_has_credentials_too(
    plain: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "credentials"
    lines = (
        "[default]",
        "aws_access_key_id = S3RVER",
        "aws_secret_access_key = S3RVER",
    )
    file.write_text("\n".join(lines))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    bucket = buckets.Bucket(f"{plain}/profile")
    bucket.put("x", b"1")

    assert bucket.head("x") is not None
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(BucketFailed, match="403"):
        buckets.Bucket(f"{plain}/profile").put("x", b"1")


def test_rows_that_were_written_over_are_not_returned_where_conditions_mean_nothing(
    plain: str,
) -> None:
    url = f"{plain}/rows"
    entry = opened(url).publish(key(), publication({"x": LARGE}))
    bucket = open_bucket(url)
    name = f"{Layout('').group(entry.manifest.output)[1:]}/x/c.0.0"
    piece = bucket.get(name)
    assert piece is not None
    content = bytearray(piece.content)
    content[3 * LARGE[0].nbytes + 4] ^= 1
    bucket.put(name, bytes(content))
    found = RemoteStore(buckets.Bucket(url)).find(key())
    assert found is not None

    with pytest.raises(CorruptArtifact):
        Artifact(found)["x"][3]


def test_a_range_is_of_the_content_that_is_meant_where_conditions_mean_nothing(
    plain: str,
) -> None:
    bucket = open_bucket(f"{plain}/ranges")
    tag = bucket.put("x", b"first")
    bucket.put("x", b"other")

    with pytest.raises(buckets.Superseded):
        bucket.get_range("x", 0, 2, tag)


class TestPlainServer(StoreContract):
    @pytest.fixture
    def store(self, plain: str) -> RemoteStore:
        return opened(f"{plain}/{next(_numbers)}")
