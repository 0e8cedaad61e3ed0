"""Checkpoints and runs in a bucket: the same keys, and no more bytes than an analysis asks for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import RunDirectory, Storage, WriteCheckpoint
from safetensors.numpy import save_file

from artifact_store import Checkpoint, File, Run, analysis, storing_in, tier
from artifact_store.buckets import Bucket, open_bucket
from artifact_store.checkpoints import _opened, open_checkpoint
from artifact_store.errors import (
    CheckpointChanged,
    MissingCheckpoint,
    NoCheckpoints,
    TruncatedCheckpoint,
)
from artifact_store.stores.opening import absolute, store_opened
from artifact_store.urls import UrlPath, located

SMALL = np.arange(6, dtype=np.float32).reshape(2, 3)
LARGE = np.arange(5_000_000, dtype=np.float32)


@analysis
def small(checkpoint: Checkpoint) -> Any:
    return {"sum": checkpoint["small"].sum(axis=0)}


def uploaded(folder: Path, url: str) -> str:
    """The URL of everything in a folder, once it is in a bucket."""
    for path in folder.rglob("*"):
        if path.is_file():
            open_bucket(url).put(f"{folder.name}/{path.relative_to(folder)}", path)
    return f"{url}/{folder.name}"


@pytest.fixture
def remote(storage: Storage, tmp_path: Path) -> Any:
    """The URL of a checkpoint of 20 MB."""
    _opened._held.clear()
    path = tmp_path / "checkpoints/checkpoint_epoch_00007.safetensors"
    path.parent.mkdir()
    save_file({"small": SMALL, "large": LARGE}, path)
    folder = f"{storage.url}/run/checkpoints"
    open_bucket(folder).put(path.name, path)
    return f"{folder}/{path.name}"


def test_a_url_is_a_path_with_a_scheme() -> None:
    url = UrlPath("s3://bucket/run/checkpoints/one.safetensors")

    assert str(url.parent / "two") == "s3://bucket/run/checkpoints/two"
    assert (url.name, url.stem) == ("one.safetensors", "one")
    assert str(UrlPath("s3://bucket")) == "s3://bucket"
    assert str(located("s3://bucket/x")) == "s3://bucket/x"
    assert located("s3:/x") == Path("s3:/x").absolute()


def test_a_file_has_a_url_too_which_is_its_path(
    tmp_path: Path, write_checkpoint: WriteCheckpoint
) -> None:
    path = write_checkpoint()

    assert open_checkpoint(f"file://{path}") is not None
    assert Checkpoint(f"file://{path}").path == path
    assert store_opened(absolute(f"file://{tmp_path}/x")).location == f"{tmp_path}/x"


def test_a_checkpoint_in_a_bucket_is_the_same_checkpoint(
    remote: Any, tmp_path: Path
) -> None:
    here = Checkpoint(tmp_path / "checkpoints/checkpoint_epoch_00007.safetensors")
    there = Checkpoint(remote)

    assert there.root == here.root and there.epoch == 7
    assert there.label == here.label and dict(there.metadata) == dict(here.metadata)
    assert np.array_equal(there["large"], LARGE)
    assert there.tensor("small").tolist() == SMALL.tolist()


def test_to_open_one_reads_its_header_alone(remote: Any, storage: Storage) -> None:
    with storage.line.noting() as requests:
        found = Checkpoint(remote)
        assert found.shape("large") == LARGE.shape

    assert [one.method for one in requests] == ["HEAD", "GET"]
    assert sum(one.received for one in requests) <= 1 << 17


def test_a_tensor_is_read_by_its_range(remote: Any, storage: Storage) -> None:
    found = Checkpoint(remote)
    with storage.line.noting() as requests:
        assert np.array_equal(found["large"], LARGE)

    assert sum(one.received for one in requests) == LARGE.nbytes


def test_a_checkpoint_is_digested_once_for_all_machines(
    remote: Any, storage: Storage, tmp_path: Path
) -> None:
    with storing_in(tier(str(tmp_path / "one"), storage.url)):
        first = small(remote)
    _opened._held.clear()
    with storing_in(tier(str(tmp_path / "two"), storage.url)):
        with storage.line.noting() as requests:
            second = small(remote)

    assert second["sum"].tolist() == first["sum"].tolist() == [3.0, 5.0, 7.0]
    # Of 20 MB: the header, the digests, the manifest and the array.
    assert sum(one.received for one in requests) < 200_000


def test_results_of_a_checkpoint_in_a_bucket_lie_beside_it(
    remote: Any, storage: Storage
) -> None:
    small(remote)

    names = Bucket(f"{storage.url}/run").names("")
    assert names == ["artifacts", "checkpoints"]
    assert small.find(remote) is not None


def test_the_same_checkpoint_has_the_same_key_wherever_it_is(
    remote: Any, storage: Storage, tmp_path: Path
) -> None:
    here: Any = tmp_path / "checkpoints/checkpoint_epoch_00007.safetensors"

    assert small.key(remote) == small.key(here)


def test_a_run_in_a_bucket_has_its_epochs_and_records(
    run_directory: RunDirectory, storage: Storage, tmp_path: Path
) -> None:
    folder = run_directory("run", (0, 500, 1000))
    (folder / "config.json").write_text('{"lr": 1}')
    url = uploaded(folder, storage.url)
    run, same = Run(url), Run(folder)

    assert run.epochs == same.epochs == (0, 500, 1000)
    assert run.config == {"lr": 1} and run.metadata == {}
    assert run[500].root == same[500].root and run.name == "run"
    with pytest.raises(NoCheckpoints):
        Run(f"{storage.url}/nothing").epochs


def test_shards_in_a_bucket_are_one_checkpoint(
    write_checkpoint: WriteCheckpoint, storage: Storage, tmp_path: Path
) -> None:
    write_checkpoint("model/a.safetensors", w=np.ones(3))
    write_checkpoint("model/b.safetensors", v=np.zeros(2))
    index = '{"weight_map": {"w": "a.safetensors", "v": "b.safetensors"}}'
    (tmp_path / "model/model.safetensors.index.json").write_text(index)
    url = uploaded(tmp_path / "model", storage.url)

    for name in (url, f"{url}/model.safetensors.index.json"):
        assert Checkpoint(name).root == Checkpoint(tmp_path / "model").root


def test_one_that_was_written_over_is_told_and_opened_anew(
    remote: Any, tmp_path: Path
) -> None:
    found = open_checkpoint(remote)
    assert open_checkpoint(remote) is found
    url = UrlPath(remote)
    content = bytearray(found.signature[0].size)
    content[:] = bytes(open_bucket(str(url.parent)).get(url.name).content)  # type: ignore[union-attr]
    content[-1] ^= 1
    open_bucket(str(url.parent)).put(url.name, bytes(content))

    with pytest.raises(CheckpointChanged):
        found["large"]
    again = open_checkpoint(remote)
    assert (
        again is not found and again.root != Checkpoint(tmp_path / "checkpoints").root
    )


def test_what_is_not_there_or_broken_is_told(remote: Any, storage: Storage) -> None:
    with pytest.raises(MissingCheckpoint, match="does not exist"):
        Checkpoint(f"{storage.url}/nothing.safetensors")
    open_bucket(storage.url).put("cut.safetensors", b"\x10" + bytes(7) + b"{")
    with pytest.raises(TruncatedCheckpoint):
        Checkpoint(f"{storage.url}/cut.safetensors")


def test_a_file_in_a_bucket_is_known_by_its_bytes(
    storage: Storage, tmp_path: Path
) -> None:
    (tmp_path / "table").write_bytes(b"1,2,3")
    open_bucket(storage.url).put("table", b"1,2,3")
    there = File(f"{storage.url}/table")

    assert there.root == File(tmp_path / "table").root
    assert there.read_bytes() == b"1,2,3"
