from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import zarr
from contract import StoreContract, key, provenance, publication

from artifact_store import arrays, listing, staging
from artifact_store.arrays import write_group
from artifact_store.artifacts import Artifact
from artifact_store.compressed import CompressedArray
from artifact_store.digests import digest_of
from artifact_store.errors import CorruptArtifact, UnknownFormat
from artifact_store.files import Signature
from artifact_store.keys import Key
from artifact_store.layout import Layout
from artifact_store.manifests import (
    DURABLE,
    MANIFEST_FORMAT,
    InputRecord,
    Manifest,
    Seal,
    boot_id,
    parse_manifest,
    render_manifest,
)
from artifact_store.stores import local
from artifact_store.stores.base import Entry, Publication
from artifact_store.stores.local import LocalStore, open_store
from artifact_store.verify import verify

VALUES = np.arange(6.0).reshape(2, 3)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "run" / "artifacts"


@pytest.fixture
def store(root: Path) -> LocalStore:
    return LocalStore(root)


@pytest.fixture
def digested(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The directory of each group that was read to be verified."""
    read: list[str] = []

    def noted(directory: str, stored: Any) -> Any:
        read.append(directory)
        return arrays.digest_group(directory, stored)

    monkeypatch.setattr(local, "digest_group", noted)
    return read


def restarted(store: LocalStore) -> LocalStore:
    """The store as another process finds it."""
    return LocalStore(store.location)


def manifest_of(store: LocalStore, one: Key) -> Path:
    return Path(Layout(store.location).manifest(one))


def data_of(entry: Entry, name: str = "mean") -> Path:
    (stored,) = [one for one in entry.manifest.arrays if one.name == name]
    return Path(entry.directory) / str(stored.file)


def flip(path: Path, where: int = -1) -> None:
    """Change one byte, at another time than that of the last write, as a clock's tick may be long."""
    before = path.stat().st_mtime_ns
    content = bytearray(path.read_bytes())
    content[where] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before + 1, before + 1))


def touch(path: Path) -> None:
    later = path.stat().st_mtime_ns + 1
    os.utime(path, ns=(later, later))


def rewrite(store: LocalStore, one: Key, **changes: Any) -> None:
    """Give a manifest other contents, and a right digest."""
    path = manifest_of(store, one)
    manifest = parse_manifest(path.read_bytes(), str(path))
    path.write_bytes(render_manifest(msgspec.structs.replace(manifest, **changes)))


def values(entry: Entry | None) -> Any:
    assert entry is not None
    return Artifact(entry).numpy()["mean"]


def quarantined(store: LocalStore) -> list[str]:
    folder = Path(Layout(store.location).quarantine)
    return sorted(one.name for one in folder.glob("*-*"))


def akin(kinship: str) -> Publication:
    return msgspec.structs.replace(publication(), kinship=kinship)


class TestLocalStore(StoreContract):
    pass


class TestLocalStoreOfALongName(StoreContract):
    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        return tmp_path / ("a strange näme, with = and 'quotes' " * 5) / "artifacts"


# Seals


def test_data_whose_stat_is_that_of_their_seal_are_not_read_again(
    store: LocalStore, digested: list[str]
) -> None:
    store.publish(key(), publication())

    assert values(store.find(key())).tolist() == VALUES.tolist()
    assert values(restarted(store).find(key())).tolist() == VALUES.tolist()
    assert digested == []


def test_touched_data_are_verified_once_and_then_sealed_again(
    store: LocalStore, digested: list[str]
) -> None:
    entry = store.publish(key(), publication())
    touch(data_of(entry))

    assert values(store.find(key())).tolist() == VALUES.tolist()
    assert values(store.find(key())).tolist() == VALUES.tolist()
    assert digested == [entry.directory]
    restarted(store).find(key())
    assert digested == [entry.directory]


def test_where_nothing_can_be_written_touched_data_are_verified_once_per_process(
    store: LocalStore, digested: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = store.publish(key(), publication())
    touch(data_of(entry))

    def refuse(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, "rename", refuse)
    for process in (restarted(store), restarted(store)):
        assert values(process.find(key())).tolist() == VALUES.tolist()
        assert values(process.find(key())).tolist() == VALUES.tolist()
    assert digested == [entry.directory] * 2


def test_after_a_reboot_data_are_verified_once(
    store: LocalStore, digested: list[str]
) -> None:
    entry = store.publish(key(), publication())
    rewrite(store, key(), seal=Seal("another boot", entry.manifest.seal.files))

    for _ in range(2):
        found = restarted(store).find(key())
        assert values(found).tolist() == VALUES.tolist()
    assert digested == [entry.directory]
    assert restarted(store).find(key()).manifest.seal.boot == boot_id()  # type: ignore[union-attr]


def test_where_the_kernel_knows_no_boot_every_process_verifies(
    store: LocalStore, digested: list[str]
) -> None:
    entry = store.publish(key(), publication())
    rewrite(store, key(), seal=Seal("unknown", entry.manifest.seal.files))

    restarted(store).find(key())
    assert digested == [entry.directory]


def test_durable_data_are_trusted_over_reboots(
    store: LocalStore, digested: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    published = store.publish(key(), publication(durable=True))
    monkeypatch.setattr("artifact_store.manifests.boot_id", lambda: "the next boot")

    assert published.manifest.seal.boot == DURABLE
    assert values(restarted(store).find(key())).tolist() == VALUES.tolist()
    assert digested == []


def test_data_manifest_and_the_folders_above_are_on_disk_before_a_durable_publish_returns(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: set[str] = set()
    fsync = os.fsync

    def noted(descriptor: int) -> None:
        synced.add(os.readlink(f"/proc/self/fd/{descriptor}"))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    store.publish(key("quick"), publication())
    assert synced == set()

    entry = store.publish(key(), publication(durable=True))
    manifest, data = manifest_of(store, key()), data_of(entry)
    for path in (manifest, data, data.parent / "zarr.json"):
        while path != Path(store.location).parent:
            assert str(path) in synced
            path = path.parent


def test_a_copied_store_verifies_each_entry_once(
    store: LocalStore, tmp_path: Path, digested: list[str]
) -> None:
    # Two of the three have their data in common.
    for name, shift in {"one": 0, "two": 1, "three": 1}.items():
        store.publish(key(name), publication({"mean": VALUES + shift}))
    shutil.copytree(store.location, tmp_path / "copy", symlinks=True)
    digested.clear()

    for _ in range(2):
        copy = LocalStore(tmp_path / "copy")
        assert [copy.find(one) is None for one in copy.keys()] == [False] * 3
    assert len(digested) == 2


# Damage


@pytest.mark.parametrize("where", [0, 8, 47, -1, -5], ids=str)
def test_a_flipped_byte_of_the_data_is_corrupt(store: LocalStore, where: int) -> None:
    entry = store.publish(key(), publication())
    flip(data_of(entry), where)

    with pytest.raises(CorruptArtifact):
        store.find(key())
    with pytest.raises(CorruptArtifact):
        restarted(store).find(key())


def test_no_flipped_byte_of_a_manifest_goes_unnoticed(store: LocalStore) -> None:
    store.publish(key(), publication())
    path = manifest_of(store, key())
    whole = path.read_bytes()

    for where in range(len(whole)):
        damaged = bytearray(whole)
        damaged[where] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(CorruptArtifact):
            store.find(key())


def test_no_prefix_of_a_manifest_is_one(store: LocalStore) -> None:
    store.publish(key(), publication())
    path = manifest_of(store, key())
    whole = path.read_bytes()

    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(CorruptArtifact):
            store.find(key())


def damages() -> dict[str, Callable[[Path], Any]]:
    return {
        "truncated": lambda path: os.truncate(path, path.stat().st_size // 2),
        "emptied": lambda path: os.truncate(path, 0),
        "longer": lambda path: path.write_bytes(path.read_bytes() + b"x"),
        "deleted": lambda path: path.unlink(),
        "a directory": lambda path: (path.unlink(), path.mkdir()),
        "a dangling link": lambda path: (path.unlink(), path.symlink_to("nothing")),
        "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    }


@pytest.mark.parametrize("damage", damages().values(), ids=damages())
def test_damaged_data_are_corrupt_and_can_be_set_aside_and_published_again(
    store: LocalStore, damage: Callable[[Path], Any]
) -> None:
    entry = store.publish(key(), publication())
    damage(data_of(entry))

    with pytest.raises(CorruptArtifact):
        Artifact(store.find(key()) or entry).numpy()
    store.set_aside(key(), "damaged")
    assert store.find(key()) is None
    assert len(quarantined(store)) == 2  # the manifest, and the data
    again = store.publish(key(), publication())
    assert values(again).tolist() == VALUES.tolist()
    assert values(restarted(store).find(key())).tolist() == VALUES.tolist()


@pytest.mark.parametrize("damage", damages().values(), ids=damages())
def test_a_damaged_manifest_is_none_or_corrupt_and_can_be_published_again(
    store: LocalStore, damage: Callable[[Path], Any]
) -> None:
    store.publish(key(), publication())
    damage(manifest_of(store, key()))

    try:
        assert store.find(key()) is None
    except CorruptArtifact:
        store.set_aside(key(), "damaged")
    assert store.find(key()) is None and list(store.manifests()) == []
    store.publish(key(), publication())
    assert values(store.find(key())).tolist() == VALUES.tolist()


@pytest.mark.parametrize("name", ["zarr.json", "mean/zarr.json"])
def test_damaged_metadata_never_reach_a_reader_and_are_mended_by_publishing(
    store: LocalStore, name: str
) -> None:
    entry = store.publish(key(), publication())
    flip(Path(entry.directory) / name, 40)

    # Values come from data and manifest alone; zarr, which would believe the metadata, is not let near.
    assert values(store.find(key())).tolist() == VALUES.tolist()
    with pytest.raises(CorruptArtifact):
        _ = Artifact(entry).zarr
    mended = store.publish(key(), publication())
    assert zarr.open_group(mended.directory)["mean"][...].tolist() == VALUES.tolist()  # type: ignore[index, union-attr]


def test_damaged_data_are_not_taken_for_those_of_a_new_entry(store: LocalStore) -> None:
    entry = store.publish(key("one"), publication())
    flip(data_of(entry))
    other = store.publish(key("two"), publication())

    assert values(other).tolist() == VALUES.tolist()
    assert values(store.find(key("one"))).tolist() == VALUES.tolist()


def test_data_that_were_written_between_find_and_read_are_refused(
    store: LocalStore,
) -> None:
    store.publish(key(), publication())
    entry = store.find(key())
    assert entry is not None
    flip(data_of(entry))

    with pytest.raises(CorruptArtifact, match="after it was verified"):
        Artifact(entry).numpy()
    with pytest.raises(CorruptArtifact):
        Artifact(entry)["mean"][0]


def test_a_manifest_under_a_name_that_is_not_its_key_is_corrupt(
    store: LocalStore,
) -> None:
    store.publish(key("one"), publication())
    store.publish(key("two"), publication({"mean": VALUES + 1}))
    shutil.copy(manifest_of(store, key("one")), manifest_of(store, key("two")))

    with pytest.raises(CorruptArtifact, match="another key"):
        store.find(key("two"))
    store.set_aside(key("two"), "damaged")
    assert store.find(key("two")) is None
    assert values(store.find(key("one"))).tolist() == VALUES.tolist()


def test_a_manifest_of_a_later_format_is_refused_and_kept(store: LocalStore) -> None:
    store.publish(key(), publication())
    rewrite(store, key(), format=MANIFEST_FORMAT + 1)

    with pytest.raises(UnknownFormat, match="newer artifact-store"):
        store.find(key())
    assert list(store.keys()) == [key()] and list(store.manifests()) == []


@pytest.mark.parametrize("output", ["../" * 6 + "precious", "x" * 64, "", "A" * 64])
def test_a_manifest_cannot_point_out_of_its_store(
    store: LocalStore, tmp_path: Path, output: str
) -> None:
    (tmp_path / "precious").mkdir()
    entry = store.publish(key(), publication())
    path = manifest_of(store, key())
    fields = msgspec.json.decode(path.read_bytes())
    del fields["check"]
    rest = b"," + msgspec.json.encode(fields | {"output": output})[1:]
    check = digest_of("manifest", rest).hex.encode()
    path.write_bytes(b'{"check":"' + check + b'"' + rest)

    with pytest.raises(CorruptArtifact, match="no output digest"):
        store.find(key())
    store.set_aside(key(), "damaged")
    store.remove([key()])
    assert (tmp_path / "precious").is_dir() and Path(entry.directory).is_dir()


def test_setting_aside_where_nothing_can_be_written_leaves_the_entry_corrupt(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = store.publish(key(), publication())
    flip(data_of(entry))

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(os, "makedirs", refuse)
        patch.setattr(os, "rename", refuse)
        store.set_aside(key(), "damaged")
    with pytest.raises(CorruptArtifact):
        store.find(key())


def test_a_memo_of_digests_that_was_damaged_is_not_recalled(store: LocalStore) -> None:
    signature = (Signature(1, 2, 3, 4),)
    store.publish(key(), publication())
    store.remember(signature, {"w": digest_of("tensor", b"w")})
    (path,) = Path(store.location).glob(".store/records/digests/*.json")
    content = json.loads(path.read_bytes())
    content["record"]["w"] = digest_of("tensor", b"v").hex
    path.write_text(json.dumps(content))

    assert store.recall(signature) is None
    path.write_text("{")
    assert store.recall(signature) is None


# Disk


def test_a_result_of_one_array_takes_five_files_and_folders_and_its_manifest(
    store: LocalStore,
) -> None:
    entry = store.publish(key(), publication())
    group = Path(entry.directory)

    assert len([group, *group.rglob("*")]) == 5
    assert [path.name for path in group.rglob("c*")] == ["c.0.0"]
    assert manifest_of(store, key()).is_file()


def test_equal_results_are_one_group_on_disk(store: LocalStore) -> None:
    one = store.publish(key("one"), publication(label="a"))
    two = store.publish(key("two", analysis="other"), publication(label="b"))
    groups = list(Path(store.location).glob(".store/data/*/*"))

    assert [str(path) for path in groups] == [one.directory] == [two.directory]


def test_doors_go_with_the_last_entry_of_their_analysis_that_needs_them(
    store: LocalStore, root: Path
) -> None:
    store.publish(key("one"), publication(label="a"))
    store.publish(key("two"), publication({"mean": VALUES + 1}, label="b"))
    store.publish(key("three", analysis="other"), publication(label="a"))

    store.remove([key("one")])
    assert [path.name for path in (root / "mean").iterdir()] == ["b"]
    assert (root / "other" / "a").exists()
    store.remove([key("two")])
    assert not (root / "mean").exists()
    assert (root / "other" / "a" / "mean").exists()


def test_removing_leaves_neither_data_nor_stages(store: LocalStore, root: Path) -> None:
    store.publish(key(), publication())
    store.remove([key()])

    assert list(root.glob(".store/data/*/*")) == []
    assert list(root.glob(".store/staging/*/*")) == []


def test_a_door_is_a_relative_link_and_opens_with_zarr_wherever_the_store_goes(
    store: LocalStore, root: Path, tmp_path: Path
) -> None:
    store.publish(key(), publication(label="epoch_5"))
    door = Path(os.readlink(root / "mean" / "epoch_5"))
    os.rename(root.parent, tmp_path / "moved")

    assert not door.is_absolute()
    group = zarr.open_group(tmp_path / "moved/artifacts/mean/epoch_5", mode="r")
    assert group["mean"][...].tolist() == VALUES.tolist()  # type: ignore[index, union-attr]


def test_a_door_moves_to_what_was_published_last(store: LocalStore, root: Path) -> None:
    store.publish(key("old"), publication(label="door"))
    new = store.publish(key("new"), publication({"mean": VALUES + 1}, label="door"))

    assert os.path.realpath(root / "mean/door") == os.path.realpath(new.directory)


def test_a_missing_door_is_made_again(store: LocalStore, root: Path) -> None:
    entry = store.publish(key(), publication(label="door"))
    (root / "mean/door").unlink()
    store.label(entry, "door", "kin")

    assert os.path.realpath(root / "mean/door") == os.path.realpath(entry.directory)


def test_no_hit_depends_on_a_door(store: LocalStore, root: Path) -> None:
    (root / "mean/door").mkdir(parents=True)
    (root / "mean/door/file").touch()
    store.publish(key(), publication(label="door"))
    shutil.rmtree(root / "mean")

    assert values(store.find(key())).tolist() == VALUES.tolist()


def test_a_store_keeps_itself_out_of_git_and_respects_what_is_there(
    store: LocalStore, root: Path
) -> None:
    store.publish(key(), publication())
    assert "*" in (root / ".gitignore").read_text().splitlines()

    (root / ".gitignore").write_text("mine")
    restarted(store).publish(key("two"), publication())
    assert (root / ".gitignore").read_text() == "mine"


def test_finding_makes_no_file(store: LocalStore, root: Path) -> None:
    assert store.find(key()) is None
    assert not root.exists()


def test_stages_of_the_dead_are_swept_by_the_first_publish(
    store: LocalStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = root / ".store/staging"
    folder.mkdir(parents=True)
    dead = folder / f"{staging._locks_of(str(folder))}-dead"
    dead.mkdir()
    (dead / "half").touch()
    store.publish(key("young"), publication())
    assert dead.exists()

    monkeypatch.setattr(staging, "UNLOCKED_SECONDS", -1.0)
    restarted(store).publish(key(), publication())
    assert not dead.exists()


def test_a_writer_whose_stage_another_host_swept_begins_anew(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []

    def swept_once(aside: str, *given: Any, **named: Any) -> Any:
        stored = write_group(aside, *given, **named)
        written.append(aside)
        if len(written) == 1:
            folder = os.path.dirname(aside)
            os.utime(folder, (0, 0))
            with monkeypatch.context() as of_another_host:
                of_another_host.setattr(staging, "_locks_of", lambda staging: "others")
                of_another_host.setattr("fcntl.flock", lambda *given: None)
                staging.sweep(os.path.dirname(folder))
            assert not os.path.exists(folder)
        return stored

    monkeypatch.setattr(local, "write_group", swept_once)
    store.publish(key(), publication())

    assert len(written) == 2
    assert values(restarted(store).find(key())).tolist() == VALUES.tolist()
    assert not any(one.problem for one in verify(store, [key()]))


def test_one_directory_is_one_store_in_a_process(tmp_path: Path) -> None:
    assert open_store(str(tmp_path)) is open_store(str(tmp_path))
    assert LocalStore(str(tmp_path)).location == str(tmp_path)


def test_the_manifest_appears_last(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    placed: list[str] = []
    rename = os.rename

    def noted(source: str, target: str) -> None:
        rename(source, target)
        placed.append(os.path.relpath(target, store.location))

    monkeypatch.setattr(os, "rename", noted)
    store.publish(key(), publication(details={("closures", "c" * 64): list}))
    kinds = [path.removeprefix(".store/").split("/")[0] for path in placed]

    assert kinds == [".gitignore", "data", "records", "entries", "mean"]


def test_provenance_with_odd_text_survives(store: LocalStore) -> None:
    odd = 'quote " slash \\ newline \n nul \0 émoji 🙂'
    made = provenance(function=odd, versions={odd: odd})
    store.publish(key(), msgspec.structs.replace(publication(), provenance=made))
    found = store.find(key())

    assert found is not None and isinstance(found.manifest, Manifest)
    assert found.manifest.provenance == made


# Trouble of the file system


def refuse(*_: Any, **__: Any) -> Any:
    raise OSError(errno.EIO, "Input/output error")


def test_data_that_cannot_be_read_are_not_taken_for_damaged(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = store.publish(key(), publication())
    monkeypatch.setattr(local, "digest_group", refuse)

    with pytest.raises(OSError, match="Input/output"):
        store.publish(key("another"), publication())
    store.set_aside(key(), "damaged")

    assert Path(entry.directory).is_dir() and manifest_of(store, key()).is_file()
    assert quarantined(store) == []


def test_touched_data_that_cannot_be_read_are_no_bare_error(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(data_of(store.publish(key(), publication())))
    monkeypatch.setattr(local, "digest_group", refuse)

    with pytest.raises(CorruptArtifact, match="cannot be read"):
        store.find(key())


def test_data_for_which_memory_does_not_suffice_are_not_taken_for_damaged(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = publication(codec="zstd")
    entry = store.publish(key(), made)
    touch(data_of(entry))

    def exhausted(*_: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(CompressedArray, "__getitem__", exhausted)

    with pytest.raises(CorruptArtifact, match="cannot be read .Cannot allocate memory"):
        store.find(key())
    with pytest.raises(OSError, match="Cannot allocate memory"):
        store.publish(key("another"), made)
    store.set_aside(key(), "damaged")

    assert Path(entry.directory).is_dir() and manifest_of(store, key()).is_file()
    assert quarantined(store) == []


def test_a_manifest_that_cannot_be_read_says_so_and_is_not_moved(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.publish(key(), publication())
    for module, name in ((local, "look"), (local, "read"), (listing, "read_unnoted")):
        monkeypatch.setattr(module, name, refuse)

    with pytest.raises(CorruptArtifact, match="cannot be read .Input/output"):
        store.find(key())
    store.set_aside(key(), "damaged")

    assert manifest_of(store, key()).is_file() and quarantined(store) == []
    assert list(store.manifests()) == []


def test_labels_that_are_no_unicode_are_kept_readable(store: LocalStore) -> None:
    record = InputRecord("checkpoint", "model_\udcff\ud800", "e" * 64)
    odd = provenance(inputs=(record,), ignored={"\udcff": "x"})
    details = {("inputs", "e" * 64): lambda: {"\udcff": "d" * 64}}
    store.publish(
        key(),
        msgspec.structs.replace(publication(), provenance=odd, details=details),
    )
    found = store.find(key())

    assert found is not None
    assert found.manifest.provenance.inputs[0].label == "model_\\udcff\\ud800"
    assert store.detail("inputs", "e" * 64) == {"\\udcff": "d" * 64}


# What is not ours


@pytest.mark.parametrize("leased_first", [True, False])
def test_a_directory_that_was_there_before_gets_no_gitignore(
    store: LocalStore, root: Path, leased_first: bool
) -> None:
    root.mkdir(parents=True)
    with store.lease(key()) if leased_first else contextlib.nullcontext():
        store.publish(key(), publication())

    assert not (root / ".gitignore").exists()


def test_a_store_whose_lease_made_its_directory_keeps_itself_out_of_git(
    store: LocalStore, root: Path
) -> None:
    with store.lease(key()):
        store.publish(key(), publication())

    assert (root / ".gitignore").is_file()


def test_remembering_digests_makes_no_store(store: LocalStore, root: Path) -> None:
    store.remember((Signature(1, 2, 3, 4),), {"w": digest_of("tensor", b"w")})

    assert not root.exists()


# Sealing again


@pytest.mark.parametrize("meanwhile", ["removed", "replaced"])
def test_sealing_again_neither_resurrects_nor_overwrites(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch, meanwhile: str
) -> None:
    touch(data_of(store.publish(key(), publication())))

    def slowly(directory: str, stored: Any) -> Any:
        found = arrays.digest_group(directory, stored)
        if meanwhile == "removed":
            manifest_of(store, key()).unlink()
        else:
            restarted(store).replace(key(), publication({"mean": np.zeros(2)}))
        return found

    monkeypatch.setattr(local, "digest_group", slowly)
    restarted(store).find(key())
    monkeypatch.undo()

    left = store.find(key())
    if meanwhile == "removed":
        assert left is None
    else:
        assert values(left).tolist() == [0, 0]


def test_kin_are_the_newest_that_are_still_there(store: LocalStore) -> None:
    names = [f"{number:02}" for number in range(50)]
    for name in names:
        store.publish(key(name), akin("label"))
    store.publish(key("other"), akin("another"))
    store.remove([key(name) for name in names[10:]])

    found, has_been = store.kin(key("30"), "label")

    assert [one.key for one in found] == [
        key(name).digest.hex for name in reversed(names[:10])
    ]
    assert has_been
    assert store.kin(key("never"), "label")[1] is False
    assert [one.key for one in store.kin(key(), "another")[0]] == [
        key("other").digest.hex
    ]


def test_a_journal_of_kin_that_is_cut_off_or_cannot_be_written_costs_nothing_else(
    store: LocalStore,
) -> None:
    journal = Path(Layout(store.location).journal("mean"))
    store.publish(key("one"), akin("label"))
    with journal.open("ab") as file:
        file.write(b"\n0123 \xff" + journal.read_bytes()[:40])
    store.publish(key("two"), akin("label"))
    assert [one.key for one in store.kin(key(), "label")[0]] == [
        key(name).digest.hex for name in ("two", "one")
    ]

    journal.unlink()
    journal.mkdir()
    store.publish(key("three"), akin("label"))
    assert store.find(key("three")) is not None
    assert store.kin(key(), "label") == ([], False)
