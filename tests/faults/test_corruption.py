"""Every byte of every file of an entry is changed, and files go, grow, shrink and become something else.

call ──► entry ──► *damage* ──► call as by another process: right values, the cause is named, the entry set aside

A manifest and data are checked, so their damage is found; records only save work, so theirs costs some.
"""

from __future__ import annotations

import itertools
import os
import random
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Injected, WriteCheckpoint, is_long, times

from artifact_store import Checkpoint, analysis, checkpoints, descriptors, manifests
from artifact_store.events import Event, Published, SetAside, listening
from artifact_store.layout import Layout
from artifact_store.recent import Recent
from artifact_store.stores import local
from artifact_store.stores.locate import store_at
from artifact_store.stores.quarantine import quarantined

LARGE = np.random.default_rng(5).integers(0, 1000, (300, 1000))


@analysis
def several(checkpoint: Checkpoint) -> Any:
    w = checkpoint["w"]
    return {"x": w * 2, "total": w.sum(), "none": w[:0]}


@analysis(codec="zstd")
def compressed(checkpoint: Checkpoint) -> Any:
    return {"x": checkpoint["w"] * 3, "y": checkpoint["w"][0]}


@analysis
def large(checkpoint: Checkpoint) -> Any:
    return LARGE + int(checkpoint["w"][0, 1])


@analysis(codec="zstd")
def large_compressed(checkpoint: Checkpoint) -> Any:
    return LARGE + int(checkpoint["w"][0, 1])


SMALL = {"several": several, "compressed": compressed}
BIG = {"large": large, "large_compressed": large_compressed}


class Site:
    """A checkpoint, its store, and calls that are made as by a new process each time, in the same boot or a new one."""

    def __init__(self, path: Path, called: Any, patch: pytest.MonkeyPatch) -> None:
        self.path, self.called, self._patch = path, called, patch
        self.root = path.parents[1] / "artifacts"
        self._boots = 0
        self.right = {n: v.tobytes() for n, v in self._named(called.__wrapped__)}

    def _named(self, call: Callable[[Any], Any]) -> Iterator[tuple[str, Any]]:
        result = call(Checkpoint(self.path))
        named = result if isinstance(result, dict) else {"value": result}
        yield from ((name, np.asarray(value)) for name, value in named.items())

    def begin(self, *, reboot: bool) -> None:
        """Forget what a process knows, as the next one does."""
        local.open_store.cache_clear()
        descriptors._check_links.cache_clear()
        self._patch.setattr(checkpoints, "_opened", Recent(1024))
        self._boots += reboot
        for module in (manifests, local):
            self._patch.setattr(module, "boot_id", lambda: f"boot {self._boots}")

    def call(self, *, reboot: bool = True) -> list[Event]:
        """What happens in a call, which returns what is right; and the next one hits."""
        self.begin(reboot=reboot)
        events = list[Event]()
        with listening(events.append):
            found = {n: v.tobytes() for n, v in self._named(self.called)}
        assert found == self.right
        self.begin(reboot=reboot)
        again = list[Event]()
        with listening(again.append):
            found = {n: v.tobytes() for n, v in self._named(self.called)}
        assert found == self.right
        assert not [one for one in again if isinstance(one, Published | SetAside)]
        return events

    def mended(self, *, reboot: bool = True) -> str:
        """The cause for which a call sets its entry aside and computes it again, once."""
        events = self.call(reboot=reboot)
        (aside,) = [one for one in events if isinstance(one, SetAside)]
        assert sum(isinstance(one, Published) for one in events) == 1
        noted = list(quarantined(Layout(str(self.root))))
        # Told as it is noted: what, and what is wrong with it.
        causes = [one.cause.split(" ", 1) for one in noted]
        assert any(all(part in aside.cause for part in cause) for cause in causes)
        assert all(one.key == str(aside.key) for one in noted)
        shutil.rmtree(self.root / ".store/quarantine")
        return aside.cause

    def ignored(self, *, reboot: bool = True) -> None:
        """A call sets nothing aside."""
        events = self.call(reboot=reboot)
        assert not [one for one in events if isinstance(one, SetAside)]

    def files(self, pattern: str) -> list[Path]:
        """The names of files below the store, of which each entry anew has the same but for one that holds a digest."""
        found = (self.root / ".store").glob(pattern)
        return sorted(
            one for one in found if one.is_file() and one.parent.name != "staging"
        )

    @property
    def guarded(self) -> list[Path]:
        """Files of which no byte may be another."""
        return [*self.files("entries/*/*/*"), *self.files("data/*/*/**/*")]


Begun = Callable[..., Site]


@pytest.fixture
def begun(
    write_checkpoint: WriteCheckpoint, monkeypatch: pytest.MonkeyPatch, settled: None
) -> Iterator[Begun]:
    """A site whose entry is stored; in memory, for on a disk thousands of renames take minutes."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=memory) as folder:

        def begin(called: Any) -> Site:
            written = write_checkpoint()
            path = Path(folder, "run", "checkpoints", written.name)
            path.parent.mkdir(parents=True)
            shutil.copy(written, path)
            site = Site(path, called, monkeypatch)
            site.call(reboot=False)
            return site

        yield begin


def write(path: Path, content: bytes) -> None:
    """Overwrite a file in place, at another time than that of the last write, as a clock's tick may be long."""
    before = path.stat().st_mtime_ns
    path.write_bytes(content)
    os.utime(path, ns=(before + 1, before + 1))


def flip(path: Path, where: int, mask: int) -> None:
    content = bytearray(path.read_bytes())
    # One that was made anew may be a digit shorter, as it says how long that took.
    content[where % len(content)] ^= mask
    write(path, bytes(content))


def places(path: Path) -> Iterator[tuple[int, int]]:
    """Where to change a file, and which bits: all of every byte at once, in the long version each by itself."""
    if is_long():
        return itertools.product(range(path.stat().st_size), [1 << bit for bit in range(8)])  # fmt: skip
    return itertools.product(range(path.stat().st_size), [0xFF])


@pytest.mark.parametrize("name", SMALL)
def test_no_changed_byte_of_a_manifest_or_of_data_goes_unnoticed_after_a_boot(
    begun: Begun,
    name: str,
    injected: Injected,
) -> None:
    site = begun(SMALL[name])
    changed = 0
    for path in site.guarded:
        for where, mask in places(path):
            flip(path, where, mask)
            cause = site.mended()
            assert path.name in cause or "holds other data" in cause
            changed += 1

    assert changed > 3000
    injected("byte of a small entry changed", changed)


@pytest.mark.parametrize("name", SMALL)
def test_no_changed_byte_of_a_manifest_or_of_data_goes_unnoticed_within_a_boot(
    begun: Begun,
    name: str,
    injected: Injected,
) -> None:
    site = begun(SMALL[name])
    changed = 0
    for path in site.guarded:
        # One more boot changes nothing for a manifest: in the short version, some of its bytes will do.
        for where, mask in itertools.islice(places(path), 0, None, times(5, 1)):
            flip(path, where, mask)
            if path.name == "zarr.json":
                # Of which no hit needs a byte; whoever opens it with zarr through us is told.
                site.ignored(reboot=False)
                flip(path, where, mask)
            else:
                site.mended(reboot=False)
            changed += 1

    assert changed > times(700, 20000)
    injected("byte of a small entry changed", changed)


def test_no_changed_byte_of_a_record_makes_a_wrong_result_or_an_error(
    begun: Begun,
    write_checkpoint: WriteCheckpoint,
    injected: Injected,
) -> None:
    site = begun(several)
    # Equal in what is read, so that its entry is found by way of the records.
    w = np.arange(6, dtype=np.float32).reshape(2, 3)
    other = site.path.with_name("checkpoint_epoch_01000.safetensors")
    shutil.copy(write_checkpoint("other.safetensors", w=w, unread=w[0]), other)
    akin = Site(other, several, site._patch)
    before = {*site.files("entries/*/*/*")}
    akin.call(reboot=False)
    records = {path: path.read_bytes() for path in site.files("records/**/*")}
    (adopted,) = {*site.files("entries/*/*/*")} - before
    kinds = {path.parent.name for path in records}
    assert kinds >= {"steps", "digests", "kin", "closures", "inputs"}

    changed = 0
    for path, pristine in records.items():
        write(path, pristine)
        for number, (where, mask) in enumerate(places(path)):
            flip(path, where, mask)
            adopted.unlink(missing_ok=True)
            akin.ignored(reboot=False)
            if number % 16 == 0:
                adopted.unlink()
                akin.begin(reboot=False)
                assert str(several.explain(Checkpoint(other)))
            write(path, pristine)
            changed += 1
    assert changed > 1500
    injected("byte of a record changed", changed)


@pytest.mark.parametrize("name", BIG)
def test_a_random_flip_in_a_large_array_is_found(
    begun: Begun, name: str, injected: Injected
) -> None:
    site, chance = begun(BIG[name]), random.Random(name)
    (path,) = site.files("data/*/*/*/c.*")
    assert path.stat().st_size > (1 << 20) or name == "large_compressed"
    for number in range(times(100, 5000)):
        flip(path, chance.randrange(path.stat().st_size), 1 << chance.randrange(8))
        site.mended(reboot=number % 2 == 0)
    injected("random bit of a large array flipped", times(100, 5000))


def lengths(size: int) -> list[int]:
    """To cut a file to: all that there are, or some."""
    every = range(size)
    return list(every if is_long() else every[:: max(1, size // 12)])


@pytest.mark.parametrize("name", [*SMALL, *BIG])
def test_a_file_that_is_cut_short_or_longer_is_found(
    begun: Begun, name: str, injected: Injected
) -> None:
    site = begun((SMALL | BIG)[name])
    for path in site.guarded:
        content = path.read_bytes()
        chosen = lengths(len(content)) if name in SMALL else [0, 1, len(content) // 2]
        injected("file cut short or longer", len(chosen) + 3)
        for length in chosen:
            write(path, content[:length])
            site.mended()
        for more in (b"\0", b"}", content):
            write(path, path.read_bytes() + more)
            site.mended()


def to_folder(path: Path, other: Path) -> None:
    """What becomes of a file: a folder."""
    path.unlink()
    path.mkdir()


def to_full_folder(path: Path, other: Path) -> None:
    to_folder(path, other)
    (path / "zarr.json").write_bytes(other.read_bytes())


def to_link_inside(path: Path, other: Path) -> None:
    """A link to the same bytes, within the store."""
    moved = path.with_name(f"{path.name}.moved")
    path.rename(moved)
    path.symlink_to(moved.name)


def to_link_outside(path: Path, other: Path) -> None:
    """A link to the same bytes, somewhere else."""
    moved = Path(shutil.move(path, other.parent / "moved"))
    path.symlink_to(moved)


def to_dangling_link(path: Path, other: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


def to_link_to_itself(path: Path, other: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def to_fifo(path: Path, other: Path) -> None:
    """A pipe, which waits for a writer until the end of days."""
    path.unlink()
    os.mkfifo(path)


def to_socket(path: Path, other: Path) -> None:
    path.unlink()
    # A path to bind to has 107 characters at most.
    here = os.getcwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind("s")
        os.rename("s", path.name)
    finally:
        os.chdir(here)


def to_other(path: Path, other: Path) -> None:
    """The file that has this part in another entry."""
    path.write_bytes(other.read_bytes())


BECOMES = (
    *(to_folder, to_full_folder, to_link_inside, to_link_outside, to_dangling_link),
    *(to_link_to_itself, to_fifo, to_socket, to_other),
)


@pytest.mark.parametrize("become", BECOMES, ids=lambda become: become.__name__)
@pytest.mark.parametrize("name", SMALL)
def test_a_file_that_became_something_else_is_found(
    begun: Begun,
    name: str,
    tmp_path: Path,
    become: Callable[[Path, Path], None],
    injected: Injected,
) -> None:
    site, other = begun(SMALL[name]), tmp_path / "elsewhere" / "other"
    other.parent.mkdir()
    for path in site.guarded:
        other.write_bytes(path.read_bytes()[::-1])
        become(path, other)
        site.mended()
        assert path.is_file() and not path.is_symlink()
        (other.parent / "moved").unlink(missing_ok=True)
    injected(
        "file became a folder, link, pipe, socket or another file", len(site.guarded)
    )


def test_files_swapped_between_entries_are_found(
    begun: Begun,
    write_checkpoint: WriteCheckpoint,
    injected: Injected,
) -> None:
    site = begun(several)
    w = np.ones((2, 3), np.float32)
    path = write_checkpoint("b/checkpoints/epoch_1.safetensors", w=w)
    other = Site(path, several, site._patch)
    other.call(reboot=False)
    pairs = list(zip(site.guarded, other.guarded, strict=True))
    assert len(pairs) == 7
    for mine, its in pairs:
        if mine.read_bytes() == its.read_bytes():
            continue  # Metadata of equal shapes are equal.
        mine.write_bytes(its.read_bytes())
        site.mended()
    # All at once: whole, but another's.
    for mine, its in pairs:
        mine.write_bytes(its.read_bytes())
    site.mended()
    injected("files of two entries swapped", len(pairs) + 1)


@pytest.mark.parametrize("name", SMALL)
def test_a_file_or_folder_that_is_gone_is_found_or_a_miss(
    begun: Begun,
    name: str,
    injected: Injected,
) -> None:
    site = begun(SMALL[name])
    for path in site.files("data/*/*/**/*"):
        path.unlink()
        site.mended()
        injected("file or folder deleted", 1)
    for folder in sorted(site.root.glob(".store/data/*/*/*/")):
        shutil.rmtree(folder)
        site.mended()
        injected("file or folder deleted", 1)
    for pattern in ("data/*/*", "data/*", "data"):
        (folder,) = site.root.glob(f".store/{pattern}")
        shutil.rmtree(folder)
        site.mended()
        injected("file or folder deleted", 1)
    for pattern in ("entries/*/*/*", "entries/*/*", "entries/*", "entries", ""):
        (path,) = site.root.glob(f".store/{pattern}")
        path.unlink() if path.is_file() else shutil.rmtree(path)
        assert sum(isinstance(one, Published) for one in site.call()) == 1
        injected("file or folder deleted", 1)


@pytest.mark.parametrize("name", SMALL)
def test_a_hard_link_is_the_file_itself(begun: Begun, name: str) -> None:
    site = begun(SMALL[name])
    for number, path in enumerate(site.guarded):
        same = site.root.parent / f"{number}"
        os.link(path, same)
        site.ignored(reboot=False)
        flip(same, -1, 1)
        site.mended()


@pytest.mark.parametrize("target", ["nowhere", "/etc", "../../..", "../.store"])
def test_no_hit_depends_on_where_a_door_leads_and_a_miss_sets_it_right(
    begun: Begun,
    target: str,
    injected: Injected,
) -> None:
    site = begun(several)
    (door,) = site.root.glob("several/*")
    right = os.readlink(door)
    door.unlink()
    door.symlink_to(target)
    site.ignored()
    site.guarded[0].unlink()
    site.call()
    assert os.readlink(door) == right and door.is_dir()
    injected("door leads elsewhere or nowhere", 1)


def test_a_record_that_became_something_else_costs_work_at_most(begun: Begun) -> None:
    site = begun(several)
    for path in [*site.files("records/**/*"), *site.files("lock")]:
        for become in (to_folder, to_dangling_link, to_link_to_itself, to_fifo, to_socket):  # fmt: skip
            pristine = path.read_bytes()
            become(path, path)
            site.ignored()
            os.rmdir(path) if path.is_dir() else path.unlink(missing_ok=True)
            path.write_bytes(pristine)
    assert store_at(site.root).location == str(site.root)
