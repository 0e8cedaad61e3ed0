"""Data are removed while others name, read or write the same: each of the moments at which something could be lost."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from contract import key, publication

from artifact_store.arrays import describe_group, file_stats
from artifact_store.artifacts import Artifact
from artifact_store.descriptors import _check_links
from artifact_store.errors import CorruptArtifact, LinkInStore
from artifact_store.layout import Layout
from artifact_store.listing import briefs, use_of
from artifact_store.manifests import render_manifest
from artifact_store.staging import take
from artifact_store.stores import local, removal
from artifact_store.stores.base import Entry
from artifact_store.stores.local import LocalStore
from artifact_store.stores.quarantine import quarantined

A_DAY = 86400


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "artifacts")


@pytest.fixture
def layout(store: LocalStore) -> Layout:
    return Layout(store.location)


@pytest.fixture
def waited(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was waited, by nobody."""
    seconds: list[float] = []
    monkeypatch.setattr(time, "sleep", seconds.append)
    return seconds


def once(before: Callable[[], object], real: Callable[..., Any]) -> Callable[..., Any]:
    """A function before whose first call something happens."""
    waiting = [before]

    def called(*args: Any, **kwargs: Any) -> Any:
        if waiting:
            waiting.pop()()
        return real(*args, **kwargs)

    return called


def is_whole(store: LocalStore, name: str = "one") -> bool:
    """Whether an entry is there, with what was published."""
    entry = LocalStore(store.location).find(key(name))
    return entry is not None and Artifact(entry).numpy()["mean"].shape == (2, 3)


def test_data_that_an_unreadable_manifest_may_name_stay(
    store: LocalStore, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.publish(key("one"), publication())
    store.publish(key("two"), publication())
    real, unreadable = os.open, layout.manifest(key("one"))

    def refuse(path: str, flags: int, *mode: int, **more: Any) -> int:
        if path == unreadable:
            raise OSError(24, "Too many open files")
        return real(path, flags, *mode, **more)

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", refuse)
        assert store.remove([key("two")]) == 0

    assert is_whole(store) and list(store.keys()) == [key("one")]


def test_to_remove_one_entry_is_no_use_of_the_others(
    store: LocalStore, layout: Layout
) -> None:
    for name in ("one", "two"):
        store.publish(key(name), publication())
    manifest = layout.manifest(key("one"))
    long_ago = time.time() - 30 * A_DAY
    os.utime(manifest, (long_ago, long_ago))

    store.remove([key("two")])
    store.kin(key("two"), "")
    assert len(list(store.manifests())) == len(list(briefs(layout))) == 1
    assert use_of(os.stat(manifest)) == pytest.approx(long_ago, abs=1)


def test_a_publication_whose_data_are_taken_meanwhile_begins_anew(
    store: LocalStore, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = store.publish(key("one"), publication()).manifest.output
    take = once(lambda: shutil.rmtree(layout.group(output)), file_stats)
    monkeypatch.setattr(local, "file_stats", take)

    assert store.publish(key("two"), publication()).manifest.output == output
    assert is_whole(store, "two")


def test_data_that_appear_and_go_while_others_are_put_in_their_place_are_written_again(
    store: LocalStore, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = store.publish(key("one"), publication()).manifest.output
    known = store._known_data
    # At first nobody sees them; the rename that they are in the way of does; then they are gone.
    answers: list[Callable[[], None]] = [
        lambda: None,
        lambda: shutil.rmtree(layout.group(output)),
    ]

    def told(output: str, *more: Any) -> Any:
        if answers:
            return answers.pop(0)()
        return known(output, *more)

    monkeypatch.setattr(store, "_known_data", told)
    store.publish(key("two"), publication())

    assert answers == [] and is_whole(store, "two")


def test_what_is_in_the_way_and_cannot_be_moved_is_an_error_in_the_end(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.publish(key("one"), publication())
    monkeypatch.setattr(store, "_known_data", lambda *_: None)

    with pytest.raises(OSError, match="not empty"):
        store.publish(key("two"), publication())
    assert list(store.keys()) == [key("one")]


def test_data_that_were_replaced_while_they_were_read_are_not_set_aside(
    store: LocalStore, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = Path(layout.group(store.publish(key("one"), publication()).manifest.output))

    def replaced() -> None:
        """Somebody takes them, so that who reads them fails; another publishes them again."""
        group.rename(group.parent / "taken")
        shutil.copytree(group.parent / "taken", group)
        shutil.rmtree(group.parent / "taken")
        raise CorruptArtifact(str(group / "mean"), "is missing")

    monkeypatch.setattr(local, "describe_group", once(replaced, describe_group))
    store.publish(key("two"), publication())

    assert list(quarantined(layout)) == []
    assert is_whole(store, "one") and is_whole(store, "two")


def test_who_finds_data_that_are_being_put_back_waits_for_them(
    store: LocalStore,
    layout: Layout,
    waited: list[float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    group = layout.group(store.publish(key("one"), publication()).manifest.output)
    os.rename(group, group + "-taken")
    back = once(lambda: os.rename(group + "-taken", group), lambda seconds: None)
    monkeypatch.setattr(time, "sleep", back)

    assert is_whole(store)


def test_who_finds_an_entry_that_is_evicted_at_this_moment_finds_none(
    store: LocalStore, waited: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    store.publish(key("one"), publication())
    evict = once(lambda: LocalStore(store.location).remove([key("one")]), file_stats)
    monkeypatch.setattr(local, "file_stats", evict)

    assert LocalStore(store.location).find(key("one")) is None


def test_data_that_do_not_come_back_are_missed_in_the_end(
    store: LocalStore, layout: Layout, waited: list[float]
) -> None:
    group = layout.group(store.publish(key("one"), publication()).manifest.output)
    shutil.rmtree(group)

    with pytest.raises(CorruptArtifact, match="is missing"):
        LocalStore(store.location).find(key("one"))
    assert 0 < sum(waited) < 0.2


def test_damaged_data_are_not_waited_for(
    store: LocalStore, layout: Layout, waited: list[float]
) -> None:
    entry = store.publish(key("one"), publication())
    (path,) = Path(entry.directory, "mean").glob("c.*")
    content = path.read_bytes()
    path.write_bytes(bytes([content[0] ^ 1]) + content[1:])

    with pytest.raises(CorruptArtifact, match="other data"):
        LocalStore(store.location).find(key("one"))
    assert waited == []


def adopted(entry: Entry, name: str) -> Entry:
    """The same data, as an entry under another key."""
    made = msgspec.structs.replace(entry.manifest, key=key(name).digest.hex)
    return Entry(key(name), made, entry.group)


def test_what_was_taken_while_it_was_adopted_is_no_entry(
    store: LocalStore, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = store.publish(key("one"), publication())
    take = once(lambda: shutil.rmtree(entry.directory), render_manifest)
    monkeypatch.setattr(local, "render_manifest", take)

    store.adopt(adopted(entry, "two"), "door", "")

    assert list(store.keys()) == [key("one")]


def test_what_is_adopted_while_it_is_removed_stays(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = store.publish(key("one"), publication())
    other = LocalStore(store.location)
    # After the manifests were listed, and before data that none of them names are taken.
    adopt = once(lambda: other.adopt(adopted(entry, "two"), "door", ""), take)
    monkeypatch.setattr(removal, "take", adopt)

    assert store.remove([key("one")]) == 0
    assert is_whole(store, "two") and list(store.keys()) == [key("two")]


@pytest.mark.parametrize(
    "target",
    ["/etc/hostname", "nowhere", "../other", "../.store/data/ff/" + "f" * 64],
)
def test_a_link_that_is_no_door_to_what_goes_stays(
    store: LocalStore, layout: Layout, target: str
) -> None:
    entry = store.publish(key("one"), publication(label="mine"))
    theirs = [Path(layout.door("mean", name)) for name in ("theirs", "to-its-data")]
    theirs[0].symlink_to(target)
    theirs[1].symlink_to(entry.directory)

    store.remove([key("one")])

    assert not os.path.lexists(layout.door("mean", "mine"))
    assert [os.readlink(one) for one in theirs] == [target, entry.directory]


def test_a_file_among_doors_keeps_none_from_going(
    store: LocalStore, layout: Layout
) -> None:
    store.publish(key("one"), publication(label="mine"))
    (Path(layout.root) / "mean" / "a-note").write_text("of somebody")

    store.remove([key("one")])

    assert os.listdir(Path(layout.root) / "mean") == ["a-note"]


@pytest.mark.parametrize("is_shared", [False, True])
def test_the_door_of_what_is_published_meanwhile_stays(
    store: LocalStore,
    layout: Layout,
    monkeypatch: pytest.MonkeyPatch,
    is_shared: bool,
) -> None:
    store.publish(key("one"), publication(label="door"))
    if is_shared:
        store.publish(key("three", analysis="other"), publication())
    other, real = LocalStore(store.location), removal._kept

    def published_then(*given: Any) -> Any:
        kept = real(*given)
        other.publish(key("two"), publication(label="door"))
        return kept

    monkeypatch.setattr(removal, "_kept", published_then)
    store.remove([key("one")])

    assert is_whole(store, "two")
    assert os.path.exists(layout.door("mean", "door"))


def test_where_doors_lie_behind_a_link_nothing_is_removed(
    store: LocalStore, layout: Layout, tmp_path: Path
) -> None:
    store.publish(key("one"), publication(label="door"))
    doors = Path(layout.root) / "mean"
    doors.rename(tmp_path / "elsewhere")
    doors.symlink_to(tmp_path / "elsewhere")
    _check_links.cache_clear()

    with pytest.raises(LinkInStore):
        store.remove([key("one")])
    assert is_whole(store)


def test_what_is_removed_frees_what_it_says(store: LocalStore) -> None:
    entry = store.publish(key("one"), publication({"mean": np.zeros((2, 3))}))

    assert store.remove([key("one")]) == entry.manifest.nbytes
    assert not os.path.exists(entry.directory)
