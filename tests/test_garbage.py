from __future__ import annotations

import contextlib
import errno
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import msgspec
import pytest
from conftest import EQUAL_RESULTS

from artifact_store import Run
from artifact_store.digests import Digest
from artifact_store.equivalence import bless
from artifact_store.errors import CorruptArtifact, UnknownFormat
from artifact_store.files import Signature
from artifact_store.garbage import GRACE_SECONDS, Kind, quarantined, removed, unneeded
from artifact_store.layout import Layout
from artifact_store.lookup import key_of
from artifact_store.manifests import Manifest, render_manifest
from artifact_store.staging import _locks_of, staged
from artifact_store.stores import records
from artifact_store.stores.base import Store
from artifact_store.stores.local import LocalStore
from artifact_store.stores.records import memo_name


@pytest.fixture
def store(equal_results: Store) -> Store:
    return equal_results


@pytest.fixture
def layout(store: Store) -> Layout:
    return Layout(store.location)


def of(store: Store, analysis: str) -> Manifest:
    return next(store.manifests(analysis))


def aged(path: str | Path, seconds: float = GRACE_SECONDS + 60) -> Path:
    """A path, written so long ago."""
    then = time.time() - seconds
    os.utime(path, (then, then))
    return Path(path)


def orphaned(store: Store, seconds: float = GRACE_SECONDS + 60) -> Path:
    """Data that no manifest names, written so long ago."""
    layout = Layout(store.location)
    group = layout.group(of(store, "same").output)
    for key in store.keys():
        Path(layout.manifest(key)).unlink()
    return aged(group, seconds)


def everything(store: Store) -> set[Path]:
    return set(Path(store.location).rglob("*"))


def found(store: Store, kind: str) -> list[str]:
    return [one.path for one in unneeded(store) if one.kind == kind]


def test_of_a_store_in_use_nothing_is_garbage_however_old(store: Store) -> None:
    for path in everything(store):
        os.utime(path, (0, 0), follow_symlinks=False)

    assert unneeded(store) == []


def test_data_without_a_manifest_are_removed_when_they_are_old(store: Store) -> None:
    group = orphaned(store)
    nbytes = sum(path.stat().st_size for path in group.rglob("*") if path.is_file())
    (data,) = [one for one in unneeded(store) if one.kind == "data"]

    assert (data.path, data.nbytes) == (str(group), nbytes)
    assert removed(store, [data]) == [data]
    assert not group.exists() and found(store, "data") == []


def test_data_whose_manifest_may_still_come_are_no_garbage(store: Store) -> None:
    orphaned(store, seconds=60)

    assert unneeded(store) == []


def test_data_that_were_published_again_since_are_not_removed(
    write_module: Callable[[str, str], ModuleType],
    run_directory: Callable[[], Path],
    store: Store,
) -> None:
    group = orphaned(store)
    data = unneeded(store)[:1]
    write_module("probe", EQUAL_RESULTS).same(Run(run_directory())[500])

    assert removed(store, data) == [] and group.exists()


def test_data_that_were_named_since_stay_however_long_that_is_ago(
    write_module: Callable[[str, str], ModuleType],
    run_directory: Callable[[], Path],
    store: Store,
) -> None:
    group = orphaned(store)
    data = unneeded(store)
    write_module("probe", EQUAL_RESULTS).same(Run(run_directory())[500])
    # This process is put to sleep, and goes on after hours.
    aged(group, GRACE_SECONDS + 30)

    assert [one for one in removed(store, data) if one.kind == "data"] == []
    assert (group / "zarr.json").exists()
    assert found(store, "data") == []


@pytest.mark.parametrize("hours", [-24, 24])
def test_what_is_young_is_no_garbage_whatever_the_clock_of_this_host_says(
    store: Store, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    orphaned(store, seconds=0)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + hours * 3600)
    monkeypatch.setattr(time, "time_ns", lambda: int((now + hours * 3600) * 1e9))

    assert [one.kind for one in unneeded(store)] == []


def test_a_door_to_data_that_have_come_back_is_kept(
    write_module: Callable[[str, str], ModuleType],
    run_directory: Callable[[], Path],
    store: Store,
) -> None:
    orphaned(store)
    doors = [one for one in unneeded(store) if one.kind == "door"]
    write_module("probe", EQUAL_RESULTS).same(Run(run_directory())[500])

    assert len(doors) == 2 and removed(store, doors) == []
    assert all(os.path.exists(one.path) for one in doors)


def test_what_goes_while_it_is_looked_at_is_no_garbage(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = orphaned(store)
    real = os.walk

    def gone(path: str, *more: object) -> object:
        if path == str(group):
            shutil.rmtree(path)
            return [(path, [], ["zarr.json"])]
        return real(path)

    monkeypatch.setattr(os, "walk", gone)

    assert [one.nbytes for one in unneeded(store) if one.kind == "data"] == [0]
    assert removed(store, unneeded(store)) != [] and not group.exists()


def test_steps_that_lead_to_no_entry_any_more_are_garbage(
    store: Store, layout: Layout
) -> None:
    every = {aged(path) for path in Path(layout.records("steps")).iterdir()}
    node = of(store, "same").reads
    assert node is not None and found(store, "record") == []
    gone = key_of(of(store, "same"))

    without = [one for one in unneeded(store, without=[gone]) if one.kind == "record"]
    assert layout.record("steps", node) in [one.path for one in without]
    os.unlink(layout.manifest(gone))
    assert layout.record("steps", node) in found(store, "record")
    removed(store, unneeded(store))
    left = set(Path(layout.records("steps")).iterdir())
    # The questions of an analysis are those of its next computation, too.
    assert left == every - {Path(layout.record("steps", node))}


def test_steps_that_cannot_be_read_may_lead_anywhere(
    store: Store, layout: Layout
) -> None:
    node = str(of(store, "same").reads)
    os.unlink(layout.manifest(key_of(of(store, "same"))))
    record = Path(layout.record("steps", node))
    record.write_bytes(record.read_bytes().replace(b"found", b"fount"))
    aged(record)

    assert str(record) not in found(store, "record")


def test_data_that_are_touched_while_they_are_taken_are_put_back(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = orphaned(store)
    data = unneeded(store)[:1]
    rename = os.rename

    def touch_first(path: str, target: str) -> None:
        os.utime(path)
        rename(path, target)

    monkeypatch.setattr(os, "rename", touch_first)

    assert removed(store, data) == [] and (group / "zarr.json").exists()


def test_what_is_looked_at_is_not_changed(store: Store) -> None:
    orphaned(store)
    before = everything(store)
    unneeded(store)

    assert everything(store) == before


def test_on_a_full_disk_garbage_is_removed_all_the_same(
    store: Store, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    orphaned(store)
    garbage = unneeded(store)
    # A folder of this process would do, and there is none yet in one that begins.
    monkeypatch.setattr("artifact_store.staging._free", [])
    real = os.mkdir

    def mkdir(path: str, *given: int) -> None:
        if path.startswith(layout.staging):
            raise OSError(errno.ENOSPC, "No space left on device")
        real(path, *given)

    monkeypatch.setattr(os, "mkdir", mkdir)
    before = set(os.listdir(layout.staging))
    assert removed(store, garbage) == garbage != []
    assert unneeded(store) == []
    assert set(os.listdir(layout.staging)) == before


def test_a_link_of_somebody_beside_the_doors_is_left_alone(
    store: Store, layout: Layout, tmp_path: Path
) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/door").symlink_to(f"../.store/data/00/{'0' * 64}")
    for name, target in (("latest", "same"), ("elsewhere", tmp_path / "outside")):
        (Path(layout.root) / name).symlink_to(target)

    assert unneeded(store) == []


def test_a_store_that_is_a_link_as_a_whole_is_collected_too(
    store: Store, tmp_path: Path
) -> None:
    group = orphaned(store)
    (tmp_path / "linked").symlink_to(store.location)
    linked = LocalStore(tmp_path / "linked")

    assert len(removed(linked, unneeded(linked))) > 0
    assert not group.exists()


def test_doors_go_with_their_data(store: Store, layout: Layout) -> None:
    orphaned(store)
    doors = {layout.door(name, "checkpoint_epoch_00500") for name in ("same", "copied")}

    assert set(found(store, "door")) == doors
    removed(store, unneeded(store))
    assert not any(map(os.path.lexists, doors))


def test_doors_to_data_that_are_gone_are_garbage(store: Store, layout: Layout) -> None:
    door = Path(layout.door("same", "old"))
    door.symlink_to(f"../.store/data/ff/{'f' * 64}")
    Path(layout.door("same", "elsewhere")).symlink_to("../nowhere")

    assert found(store, "door") == [str(door)]


@pytest.mark.parametrize(("kind", "empty"), [("closures", []), ("inputs", {})])
def test_records_that_no_manifest_names_are_garbage_when_they_are_old(
    store: Store, layout: Layout, kind: str, empty: object
) -> None:
    store.keep(kind, "a" * 64, empty)
    store.keep(kind, "b" * 64, empty)
    old = aged(layout.record(kind, "a" * 64))

    assert found(store, "record") == [str(old)]
    removed(store, unneeded(store))
    assert store.detail(kind, "a" * 64) is None
    assert store.detail(kind, "b" * 64) == empty


@pytest.mark.parametrize("boot", ["another", "unknown"])
def test_digests_that_were_noted_in_another_boot_are_garbage_when_they_are_old(
    store: Store, layout: Layout, monkeypatch: pytest.MonkeyPatch, boot: str
) -> None:
    signatures = [(Signature(number, 2, 3, 4),) for number in range(3)]
    digests = {"w": Digest("blake3", "a" * 64)}
    store.remember(signatures[0], digests)
    with monkeypatch.context() as patched:
        patched.setattr(records, "boot_id", lambda: boot)
        store.remember(signatures[1], digests)
    kept, memo = (
        Path(layout.record("digests", memo_name(one))) for one in signatures[:2]
    )
    assert found(store, "record") == []
    aged(kept), aged(memo)
    assert found(store, "record") == [str(memo)]

    removed(store, unneeded(store))
    assert not memo.exists() and store.recall(signatures[0]) == digests


def test_digests_that_are_damaged_are_garbage_when_they_are_old(
    store: Store, layout: Layout
) -> None:
    signature = (Signature(1, 2, 3, 4),)
    store.remember(signature, {"w": Digest("blake3", "a" * 64)})
    memo = Path(layout.record("digests", memo_name(signature)))
    memo.write_text("{}")
    aged(memo)

    assert found(store, "record") == [str(memo)]


def test_code_that_a_blessing_names_is_kept(store: Store, layout: Layout) -> None:
    for closure in ("a" * 64, "b" * 64):
        store.keep("closures", closure, [])
        aged(layout.record("closures", closure))
    bless(store, "same", "a" * 64, "b" * 64)

    assert unneeded(store) == []


def test_digests_that_two_hosts_noted_are_recalled_by_both_and_kept(
    store: Store, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    signature = (Signature(1, 2, 3, 4),)
    digests = {"w": Digest("blake3", "a" * 64)}

    def boot(name: str) -> None:
        for module in ("manifests", "stores.records"):
            monkeypatch.setattr(f"artifact_store.{module}.boot_id", lambda: name)

    for name in ("one", "another"):
        boot(name)
        store.remember(signature, digests)
    memo = Path(layout.record("digests", memo_name(signature)))
    for name in ("one", "another"):
        boot(name)
        aged(memo)
        assert store.recall(signature) == digests and found(store, "record") == []
    # After a power cut, the same stat may stand for other bytes.
    boot("one again")
    assert store.recall(signature) is None
    store.remember(signature, {"w": Digest("blake3", "b" * 64)})
    boot("another")
    assert store.recall(signature) is None


def test_the_stages_of_dead_writers_are_garbage(store: Store, layout: Layout) -> None:
    Path(layout.staging).mkdir(parents=True, exist_ok=True)
    dead = Path(layout.staging, f"{_locks_of(layout.staging)}-dead")
    dead.mkdir()
    (dead / "file").write_bytes(b"12345")
    with staged(layout.staging):
        every = [aged(stage) for stage in Path(layout.staging).iterdir()]
        stages = [one for one in unneeded(store) if one.kind == "stage"]

        assert [(one.path, one.nbytes) for one in stages] == [(str(dead), 5)]
        assert removed(store, stages) == stages
        assert len(every) > 1 and not dead.exists()
        assert all(alive.is_dir() for alive in every if alive != dead)


def test_what_was_set_aside_is_kept_until_somebody_asks(
    store: Store, layout: Layout
) -> None:
    key = key_of(of(store, "same"))
    Path(layout.manifest(key)).write_text("{}")
    store.set_aside(key, "damaged")
    aside = quarantined(store)

    assert unneeded(store) == []
    assert sorted(one.kind for one in aside) == ["note", "quarantine"]
    assert {one.kind: one.nbytes for one in aside}["quarantine"] == 2
    assert removed(store, aside) == aside and quarantined(store) == []
    assert os.listdir(layout.quarantine) == []


@pytest.mark.parametrize("gone", ["quarantine", "note"])
def test_of_what_was_set_aside_and_its_note_one_may_be_gone(
    store: Store, layout: Layout, gone: Kind
) -> None:
    key = key_of(of(store, "same"))
    Path(layout.manifest(key)).write_text("{}")
    store.set_aside(key, "damaged")
    both = {one.kind: one for one in quarantined(store)}
    os.unlink(both.pop(gone).path)

    assert quarantined(store) == removed(store, both.values()) == [*both.values()]
    assert os.listdir(layout.quarantine) == []


def test_what_was_set_aside_may_go_while_it_is_listed(
    store: Store, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = key_of(of(store, "same"))
    Path(layout.manifest(key)).write_text("{}")
    store.set_aside(key, "damaged")
    real = os.scandir

    def listed_and_gone(path: str) -> object:
        found = real(path)
        if path == layout.quarantine:
            every = list(found)
            shutil.rmtree(path)
            return contextlib.nullcontext(every)
        return found

    monkeypatch.setattr(os, "scandir", listed_and_gone)

    aside = quarantined(store)
    assert [one.nbytes for one in aside] == [0, 0] and removed(store, aside) == []


def test_what_is_gone_by_then_is_not_counted(store: Store) -> None:
    orphaned(store)
    data = unneeded(store)

    assert removed(store, data) == data
    assert removed(store, data) == []


def test_nothing_is_garbage_where_a_manifest_is_of_a_newer_release(
    store: Store, layout: Layout
) -> None:
    manifest = of(store, "same")
    path = Path(layout.manifest(key_of(manifest)))
    path.write_bytes(render_manifest(msgspec.structs.replace(manifest, format=99)))

    with pytest.raises(UnknownFormat):
        unneeded(store)


def test_nothing_is_garbage_where_a_manifest_cannot_be_read(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open

    def refuse(path: str, flags: int, mode: int = 0o777) -> int:
        if path.endswith(".json") and "/entries/" in path:
            raise PermissionError(13, "Permission denied")
        return real(path, flags, mode)

    monkeypatch.setattr(os, "open", refuse)

    with pytest.raises(CorruptArtifact, match="Permission denied"):
        unneeded(store)


def test_a_damaged_manifest_names_nothing(store: Store, layout: Layout) -> None:
    group = aged(layout.group(of(store, "same").output))
    for key in store.keys():
        Path(layout.manifest(key)).write_text("{}")

    assert found(store, "data") == [str(group)]


def test_every_manifest_and_every_door_is_told_as_it_is_looked_at(store: Store) -> None:
    told: list[int] = []
    unneeded(store, lambda number, note: told.append(number))
    assert sum(told) >= 4

    orphaned(store)
    garbage, told = unneeded(store), []
    removed(store, garbage, lambda number, note: told.append(number))
    assert sum(told) == len(garbage) > 1
