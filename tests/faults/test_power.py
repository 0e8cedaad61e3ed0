"""The power fails: what was written need not be there, or be zeros, though its size and its times are right."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import pytest
import zarr
from conftest import Injected, is_long, times
from harness import in_child
from sites import (
    ANALYSES,
    RIGHT,
    Site,
    W,
    is_right,
    is_same,
    new_site,
    ran,
    small,
    watched,
)

from artifact_store import Checkpoint
from artifact_store.descriptors import FileStat
from artifact_store.events import Event, SetAside, listening
from artifact_store.manifests import parse_manifest, render_manifest
from artifact_store.staging import _locks_of
from artifact_store.stores.local import LocalStore
from artifact_store.verify import verify

ALL: Final = ("small", "several", "packed", "large", "nested")


@pytest.fixture
def log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settled: None
) -> Iterator[Path]:
    """Where bodies note that they ran."""
    yield from watched(tmp_path, monkeypatch)


@pytest.fixture
def site(tmp_path: Path, log: Path) -> Site:
    """A run with artifacts of every kind, of which this process knows nothing."""
    made = new_site(tmp_path / "run")
    assert in_child(lambda: made.call(*ALL)) == 0
    assert in_child(lambda: Site.identify(made)) == 0
    ran(log)
    return made


Loss = Callable[[bytes], bytes | None]

# What may be found in the place of what was written.
OF_THE_SAME_SIZE: Final[dict[str, Loss]] = {
    "zeros": lambda content: bytes(len(content)),
    "late zeros": lambda content: content[: len(content) // 2].ljust(
        len(content), b"\0"
    ),
    "old data": lambda content: (b"what was here before" * len(content))[
        : len(content)
    ],
}
OF_ANY_SIZE: Final[dict[str, Loss]] = {
    **OF_THE_SAME_SIZE,
    "shorter": lambda content: content[:-1],
    "half": lambda content: content[: len(content) // 2],
    "longer": lambda content: content + bytes(4096),
    "empty": lambda content: b"",
    "gone": lambda content: None,
}


def losses(number: int) -> list[tuple[str, Loss]]:
    """What happens to a file; in the short version every other loss, of the next file the others."""
    return list(OF_ANY_SIZE.items())[0 if is_long() else number % 2 :: times(2, 1)]


def lose(path: Path, loss: Loss) -> None:
    """Have a file hold something else, and nothing show it but what cannot be set."""
    then, content = path.stat(), loss(path.read_bytes())
    if content is None:
        path.unlink()
        return
    path.write_bytes(content)
    os.utime(path, ns=(then.st_atime_ns, then.st_mtime_ns))


def show_nothing(site: Site) -> None:
    """Have each seal fit the files as they are: a file system may have brought back the very stat."""
    for path in site.manifests():
        manifest = parse_manifest(path.read_bytes(), str(path))
        data = site.store / ".store/data" / manifest.output[:2] / manifest.output
        files = {
            name: FileStat.of(os.lstat(data / stored.file))
            for name, stored in ((one.name, one) for one in manifest.arrays)
            if stored.file and (data / stored.file).exists()
        }
        seal = msgspec.structs.replace(manifest.seal, files=files)
        path.write_bytes(render_manifest(msgspec.structs.replace(manifest, seal=seal)))


def causes_after(site: Site, names: Iterable[str] = ALL) -> list[str]:
    """Start a process that makes all calls, and gets what is right; why it set something aside."""
    told = site.root.parent / "causes"

    def call() -> None:
        seen: list[Event] = []
        with listening(seen.append):
            site.call(*names)
        causes = [one.cause for one in seen if isinstance(one, SetAside)]
        told.write_text("\n".join(causes))

    assert in_child(call) == 0
    return told.read_text().splitlines()


def all_is_well(site: Site) -> None:
    """Nothing is left to do: verification finds nothing, and plain zarr reads what is right."""
    store = LocalStore(site.store)
    assert [one.problem for one in verify(store, store.keys()) if one.problem] == []
    for manifest in store.manifests():
        group = site.store / ".store/data" / manifest.output[:2] / manifest.output
        assert is_same(zarr.open_group(group, mode="r"), RIGHT[manifest.analysis])
    for name in ALL:
        door = site.store / name / "epoch_1"
        assert is_same(zarr.open_group(door, mode="r"), RIGHT[name])


def owner(site: Site, path: Path) -> set[str]:
    """The analyses whose data a file belongs to."""
    return {
        manifest.parts[-3]
        for manifest in site.manifests()
        if parse_manifest(manifest.read_bytes(), str(manifest)).output in path.parts
    }


def restart(site: Site, number: int) -> None:
    """Have everything written by the boots before be of the boots before."""
    os.environ["fault_boot"] = f"boot {number}"


def test_within_a_boot_what_shows_nothing_is_believed(site: Site, log: Path) -> None:
    # Or else what follows would test nothing: only the boot tells.
    (path,) = site.store.glob("small/epoch_1/value/c.0.0")
    lose(path, OF_THE_SAME_SIZE["zeros"])
    show_nothing(site)

    def call() -> None:
        assert np.asarray(small(site.checkpoint())).tolist() == [[0] * 3] * 2

    assert in_child(call) == 0
    assert ran(log) == []


def test_every_lost_data_file_is_found_out_by_its_first_use_after_the_boot(
    site: Site,
    log: Path,
    injected: Injected,
) -> None:
    lost = 0
    for number, path in enumerate(site.data_files()):
        names = owner(site, path)
        for kind, loss in losses(number):
            lose(path, loss)
            show_nothing(site)
            restart(site, lost := lost + 1)
            causes = causes_after(site, names)
            assert len(causes) == 1 and str(path.parents[1]) in causes[0], (path, kind)
            assert set(ran(log)) == names
            assert path.exists()
    assert lost >= times(30, 60)
    all_is_well(site)
    injected("file lost its content in a power cut", lost)


def test_every_lost_piece_of_metadata_is_found_out_too(
    site: Site, log: Path, injected: Injected
) -> None:
    lost = 0
    for number, path in enumerate(site.store.glob(".store/data/**/zarr.json")):
        for kind, loss in losses(number):
            names = owner(site, path)
            lose(path, loss)
            restart(site, lost := lost + 1)
            causes = causes_after(site, names)
            assert len(causes) == 1 and str(path) in causes[0], (path, kind)
            assert set(ran(log)) == names
    assert lost >= times(50, 100)
    all_is_well(site)
    injected("file lost its content in a power cut", lost)


def test_every_lost_manifest_is_found_out(
    site: Site, log: Path, injected: Injected
) -> None:
    lost = 0
    for number, path in enumerate(site.manifests()):
        for kind, loss in losses(number):
            lose(path, loss)
            restart(site, lost := lost + 1)
            causes = causes_after(site, {path.parts[-3]})
            if kind == "gone":
                assert causes == []
            else:
                assert len(causes) == 1 and str(path) in causes[0], (path, kind)
            # What is found by its reads is as good, and so is what another one found before.
            assert set(ran(log)) <= {path.parts[-3]}
    assert lost >= times(20, 40)
    all_is_well(site)
    injected("file lost its content in a power cut", lost)


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_a_folder_whose_renaming_was_lost_is_made_again(
    site: Site,
    log: Path,
    depth: int,
    injected: Injected,
) -> None:
    for number, name in enumerate(ALL):
        array = next((site.store / name / "epoch_1").resolve().glob("*/zarr.json"))
        # The folder of an array, of the whole, and of all whose digests begin alike.
        shutil.rmtree(array.parents[depth])
        restart(site, number)
        assert len(causes_after(site)) == 1
        assert ran(log) == [name]
    all_is_well(site)
    injected("renaming of a folder lost in a power cut", len(ALL))


def test_data_whose_manifests_were_lost_are_found_right_and_taken_again(
    site: Site, log: Path
) -> None:
    before = {path: path.stat().st_ino for path in site.data_files()}
    shutil.rmtree(site.store / ".store/entries")
    restart(site, 1)

    assert causes_after(site) == []
    assert sorted(ran(log)) == sorted(ALL)
    assert {path: path.stat().st_ino for path in site.data_files()} == before


def test_data_that_lost_their_manifest_and_their_content_are_written_anew(
    site: Site, log: Path
) -> None:
    shutil.rmtree(site.store / ".store/entries")
    for path in site.data_files():
        lose(path, OF_THE_SAME_SIZE["zeros"])
    restart(site, 1)

    causes_after(site)
    all_is_well(site)


@pytest.mark.parametrize("kind", OF_ANY_SIZE)
def test_lost_records_make_nothing_wrong_and_nothing_fail(
    site: Site,
    log: Path,
    kind: str,
    injected: Injected,
) -> None:
    records = [
        path for path in site.store.glob(".store/records/**/*") if path.is_file()
    ]
    for path in [*records, site.store / ".store/lock", site.store / ".gitignore"]:
        lose(path, OF_ANY_SIZE[kind])
    restart(site, 1)

    assert causes_after(site) == []
    assert ran(log) == []

    # What is new is found by its reads only if these were kept, and computed otherwise.
    def call() -> None:
        assert is_right("nested", ANALYSES["nested"](site.twin()))

    assert in_child(call) == 0
    all_is_well(site)
    assert len(records) >= 12
    injected("record lost in a power cut", len(records))


def test_a_line_that_was_cut_off_a_journal_spoils_no_other(
    site: Site, log: Path
) -> None:
    store = LocalStore(site.store)
    (key,) = store.keys("small")
    for journal in site.store.glob(".store/records/kin/small"):
        whole = journal.read_bytes()
        for size in range(0, 200, times(7, 1)):
            journal.write_bytes((whole + whole)[:size].ljust(size + size % 7, b"\0"))
            found, _ = store.kin(key, "epoch_1")
            assert all(one.key == key.digest.hex for one in found)
            store.adopt(store.find(key), "epoch_1", "epoch_1")  # type: ignore[arg-type]
            assert [one.key for one in store.kin(key, "epoch_1")[0]] == [key.digest.hex]


def test_doors_that_lead_nowhere_and_stages_of_the_dead_hinder_nobody(
    site: Site, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("artifact_store.staging.UNLOCKED_SECONDS", -1.0)
    for door in site.store.glob("[!.]*/epoch_1"):
        door.unlink()
        door.symlink_to(f"../.store/data/00/{'0' * 64}")
    staging = site.store / ".store/staging"
    (left := staging / f"{_locks_of(str(staging))}-{'0' * 32}").mkdir()
    (left / "1").write_bytes(bytes(100))
    (left / "2").mkdir()
    restart(site, 1)

    assert causes_after(site) == []
    assert ran(log) == []
    # Hits mend no doors; whoever asks for one does.
    for manifest in site.manifests():
        manifest.unlink()
    causes_after(site)
    assert not left.exists()
    all_is_well(site)


def zeroed_checkpoint(site: Site) -> None:
    """Have the tensors of a checkpoint hold zeros, and its digests of before be noted for the stat that it has now."""
    digests = site.checkpoint().digests
    whole = site.path.read_bytes()
    head = len(whole) - W.nbytes
    assert whole[head:] == W.tobytes()
    lose(site.path, lambda content: content[:head] + bytes(W.nbytes))
    LocalStore(site.store).remember(site.checkpoint().signature, digests)


def test_digests_that_were_noted_before_a_boot_are_not_believed_of_a_checkpoint(
    site: Site, log: Path
) -> None:
    key = small.key(site.checkpoint())
    zeroed_checkpoint(site)

    def believes() -> None:
        assert small.key(site.checkpoint()) == key

    # The memo does what it should; without a boot between, nobody can tell.
    assert in_child(believes) == 0
    restart(site, 1)

    def looks_again() -> None:
        checkpoint = site.checkpoint()
        assert small.key(checkpoint) != key
        assert small(checkpoint).tolist() == [[0] * 3] * 2

    assert in_child(looks_again) == 0
    assert ran(log) == ["small"]
    # And once it has been looked at in this boot, that is noted again.
    memo = LocalStore(site.store).recall(site.checkpoint().signature)
    assert memo == Checkpoint(site.path).digests


def test_digests_noted_by_an_older_release_are_made_again(
    site: Site, log: Path
) -> None:
    from artifact_store.checked import with_check

    store, checkpoint = LocalStore(site.store), site.checkpoint()
    assert store.recall(checkpoint.signature) == checkpoint.digests
    for path in site.store.glob(".store/records/digests/*"):
        record = {name: digest.hex for name, digest in checkpoint.digests.items()}
        content = msgspec.json.encode({"record": record})
        path.write_bytes(with_check(f"digests/{path.stem}", content))
    assert store.recall(checkpoint.signature) is None

    checkpoint.identify(store)
    site.checkpoint().identify(store)
    assert store.recall(checkpoint.signature) == checkpoint.digests


def test_a_checkpoint_that_is_whole_keeps_its_results_over_a_boot(
    site: Site, log: Path
) -> None:
    restart(site, 1)

    assert causes_after(site) == []
    assert ran(log) == []
