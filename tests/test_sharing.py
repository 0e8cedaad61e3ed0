"""Entries on their way from one store to another: by URL, by directory, in one file."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import RunDirectory, Storage

from artifact_store import (
    AnalysisPipeline,
    Checkpoint,
    Run,
    analysis,
    buckets,
    storing_in,
)
from artifact_store.buckets import open_bucket
from artifact_store.errors import BucketFailed, NoBundle, NotTwoStores
from artifact_store.sharing import pack, share, unpack
from artifact_store.stores.base import Store
from artifact_store.stores.local import LocalStore
from artifact_store.stores.opening import store_opened
from artifact_store.stores.remote import RemoteStore
from artifact_store.verify import verify


@analysis
def doubled(checkpoint: Checkpoint) -> Any:
    return {
        "w": checkpoint["w"] * 2,
        "large": np.full((300, 1000), checkpoint["w"][0, 0]),
    }


@analysis
def summed(checkpoint: Checkpoint) -> Any:
    return {"sum": doubled(checkpoint)["w"].sum()}


@pytest.fixture
def run(run_directory: RunDirectory) -> Run:
    run = Run(run_directory())
    AnalysisPipeline(run).run([summed, doubled])
    return run


@pytest.fixture
def here(run: Run) -> LocalStore:
    return LocalStore(run.path / "artifacts")


@pytest.fixture(params=["directory", "bucket"])
def there(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "directory":
        return LocalStore(tmp_path / "there")
    storage: Storage = request.getfixturevalue("storage")
    return store_opened(storage.url)


def test_what_was_pushed_hits_and_is_pushed_once(
    run: Run, here: LocalStore, there: Store
) -> None:
    first, again = share(here, there), share(here, there)

    assert (first.sent, first.there, first.failures) == (6, 0, ())
    assert (again.sent, again.there) == (0, 6)
    with storing_in(there):
        assert AnalysisPipeline(run).run([summed, doubled]).counts() == {"hit": 6}


def test_what_was_pulled_is_whole_and_explains_itself(
    run: Run, here: LocalStore, there: Store, tmp_path: Path
) -> None:
    share(here, there)
    third = LocalStore(tmp_path / "third")
    assert share(there, third).sent == 6

    assert not [one for one in verify(third, third.keys()) if one.problem]
    with storing_in(third):
        assert AnalysisPipeline(run).run([summed, doubled]).counts() == {"hit": 6}
        assert "doubled" in str(summed.explain(run[500]))


def test_reads_lead_to_what_was_shared(
    run: Run,
    here: LocalStore,
    there: Store,
    run_directory: RunDirectory,
    tmp_path: Path,
) -> None:
    share(here, there)
    from safetensors.numpy import save_file

    other = tmp_path / "other/checkpoints/checkpoint_epoch_00500.safetensors"
    other.parent.mkdir(parents=True)
    # Another tensor differs, which nothing reads.
    save_file({"w": run[500]["w"], "v": np.zeros(9)}, other)
    with storing_in(there):
        assert summed.find(other) is not None  # type: ignore[arg-type]


def test_only_what_is_meant_is_shared(here: LocalStore, there: Store) -> None:
    found = share(here, there, lambda key: key.analysis == "summed")

    assert found.sent == 3 and {key.analysis for key in there.keys()} == {"summed"}


def test_what_is_damaged_is_not_shared_and_told(
    run: Run, here: LocalStore, there: Store
) -> None:
    entry = doubled.artifact(run[500])
    path = entry.path / "large/c.0.0"
    content = bytearray(path.read_bytes())
    content[7] ^= 1
    path.write_bytes(content)
    found = share(LocalStore(here.location), there)

    assert found.sent == 5
    [(key, why)] = found.failures
    assert key == f"doubled {entry.key.digest.short}" and "other data" in why


def test_a_bucket_that_is_away_is_told_once(
    here: LocalStore, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buckets, "_RETRIES", 1)
    with storage.line.failing("error", 10_000), pytest.raises(BucketFailed):
        share(here, RemoteStore(buckets.Bucket(storage.url)))


def test_whoever_was_interrupted_before_the_steps_brings_them_the_next_time(
    here: LocalStore, there: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted() -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(here, "noted", interrupted)
        with pytest.raises(KeyboardInterrupt):
            share(here, there)
    assert share(here, there).sent == 0

    assert dict(there.noted()).keys() == dict(here.noted()).keys()  # type: ignore[attr-defined]


def test_one_store_is_not_shared_with_itself(here: LocalStore) -> None:
    with pytest.raises(NotTwoStores, match="is both of them"):
        share(here, here)


# In one file


def test_a_store_in_one_file_comes_back_whole(
    run: Run, here: LocalStore, there: Store, tmp_path: Path
) -> None:
    bundle = tmp_path / "bundle.tar"
    assert pack(here, bundle).sent == 6
    assert unpack(bundle, there).sent == 6
    assert unpack(bundle, there).there == 6

    with storing_in(there):
        assert AnalysisPipeline(run).run([summed, doubled]).counts() == {"hit": 6}
    assert sorted(os.listdir(tmp_path))[0] == "bundle.tar"


def test_a_bundle_tells_nothing_of_who_made_it(
    here: LocalStore, tmp_path: Path
) -> None:
    bundle = tmp_path / "bundle.tar"
    pack(here, bundle)

    with tarfile.open(bundle) as members:
        assert {(one.uid, one.uname) for one in members} == {(0, "")}


@pytest.mark.parametrize(
    "name", ["../out", "/out", "out", ".store/../../out", ".store/link"]
)
def test_a_bundle_that_means_harm_is_refused(
    tmp_path: Path, there: Store, name: str
) -> None:
    bundle = tmp_path / "bundle.tar"
    with tarfile.open(bundle, "w") as members:
        member = tarfile.TarInfo(name)
        member.size = 1
        if name.endswith("link"):
            member.type, member.linkname, member.size = tarfile.SYMTYPE, "/etc", 0
        members.addfile(member, io.BytesIO(b"x"))

    with pytest.raises(NoBundle, match="of no store"):
        unpack(bundle, there)
    assert not (tmp_path / "out").exists() and not (tmp_path.parent / "out").exists()


def test_a_bundle_that_unfolds_to_any_size_is_refused(
    here: LocalStore, there: Store, tmp_path: Path
) -> None:
    folder = tmp_path / "sparse/.store/data"
    folder.mkdir(parents=True)
    with open(folder / "hole", "wb") as file:
        file.truncate(1 << 30)
    bundle = tmp_path / "bundle.tar"
    options = ["-S", "--format=gnu", "-cf", str(bundle), "-C", str(tmp_path / "sparse")]
    command = ["tar", *options, ".store"]
    subprocess.run(command, check=True)
    assert bundle.stat().st_size < 1 << 20

    with pytest.raises(NoBundle):
        unpack(bundle, there)


def test_what_is_no_bundle_is_told(tmp_path: Path, there: Store) -> None:
    (tmp_path / "file").write_bytes(b"no archive" * 100)

    with pytest.raises(NoBundle, match="no archive of a store"):
        unpack(tmp_path / "file", there)


def test_nothing_of_a_bundle_that_was_edited_is_believed(
    run: Run, here: LocalStore, there: Store, tmp_path: Path
) -> None:
    bundle = tmp_path / "bundle.tar"
    pack(here, bundle)
    content = bytearray(bundle.read_bytes())
    large = doubled.artifact(run[500])["large"][0].tobytes()
    at = content.index(large)
    content[at] ^= 1
    bundle.write_bytes(content)
    found = unpack(bundle, there)

    assert found.sent == 5 and len(found.failures) == 1


# The verbs are in tests/cli/test_push.py


def test_credentials_are_in_nothing_that_is_kept(
    run: Run, here: LocalStore, storage: Storage
) -> None:
    share(here, store_opened(storage.url))
    secret = storage.line.server.secret.encode()
    kept = [path.read_bytes() for path in run.path.rglob("*") if path.is_file()]
    bucket = open_bucket(storage.url)
    sent = [bytes(bucket.get(one.name).content) for one in bucket.listed("")]  # type: ignore[union-attr]

    assert kept and sent and not [one for one in kept + sent if secret in one]
