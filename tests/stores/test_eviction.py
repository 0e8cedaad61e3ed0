"""What goes first where there is a budget, and what never goes."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from contract import key, provenance, publication

from artifact_store.errors import BadSetting
from artifact_store.eviction import evicted, eviction, weighed
from artifact_store.keys import Key
from artifact_store.layout import Layout
from artifact_store.listing import briefs, use_of
from artifact_store.manifests import InputRecord
from artifact_store.pins import pin, pinned, pins, unpin
from artifact_store.settings import amount, settings_of, whole_number
from artifact_store.stores.local import LocalStore
from artifact_store.weights import Budget, Weight, weight_of

DAY = 86400.0


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "artifacts")


def published(
    store: LocalStore,
    name: str,
    *,
    seconds: float = 1.0,
    days: float = 1.0,
    elements: int = 1000,
    values: float | None = None,
    checkpoint: str = "",
    created: str = "2026-01-01",
) -> Key:
    """An entry that took some seconds and was used some days ago."""
    made_of = InputRecord("checkpoint", "c", (checkpoint or name).ljust(64, "0"))
    made = msgspec.structs.replace(
        provenance(), seconds=seconds, inputs=(made_of,), created=created
    )
    content = random.Random(name).random() if values is None else values
    arrays = {"x": np.full(elements, content)}
    published = msgspec.structs.replace(
        publication(arrays, label=name), provenance=made
    )
    store.publish(key(name), published)
    path, status = store._layout.manifest(key(name)), os.stat(store.location)
    then = status.st_mtime - days * DAY
    os.utime(path, (then, then))
    return key(name)


def superseded(store: LocalStore, *names: str) -> None:
    """Newer entries of the same checkpoints, so that those of these names are no longer the newest."""
    for name in names:
        published(store, f"newer {name}", checkpoint=name, elements=1, days=0)


def order(store: LocalStore) -> list[str]:
    """Entries in the order in which they go, by the names they were published under."""
    total = weight_of(store.location)
    names = {key(name): name for name in "abcdef"}
    found = eviction(store, Budget(max_bytes=0), total)
    return [names[one] for held in found.evicted for one in held.keys]


def test_first_goes_what_is_cheap_large_and_long_unused(store: LocalStore) -> None:
    published(store, "a", seconds=100, days=1)  # dear
    published(store, "b", seconds=1, days=1)
    published(store, "c", seconds=1, days=50)  # long unused
    published(store, "d", seconds=1, days=1, elements=100_000)  # large
    published(store, "e", seconds=100, days=300, elements=100)
    superseded(store, "a", "b", "c", "d", "e")

    assert order(store) == ["d", "c", "b", "e", "a"]


def test_no_more_goes_than_the_budget_asks_for(store: LocalStore) -> None:
    for number, name in enumerate("abcd"):
        published(store, name, days=10 - number)
    superseded(store, *"abcd")
    total = weight_of(store.location)
    assert eviction(store, Budget(), total).evicted == ()
    assert eviction(store, Budget(total.nbytes, total.files), total).evicted == ()

    by_bytes = eviction(store, Budget(max_bytes=total.nbytes - 1), total)
    by_files = eviction(store, Budget(max_files=total.files - 10), total)
    assert by_bytes.keys == [key("a")]
    assert by_files.keys == [key("a"), key("b")]
    assert by_files.left.files <= total.files - 10
    store.remove(by_files.keys)
    assert weight_of(store.location) == by_files.left


def test_what_is_pinned_leased_or_newest_stays(store: LocalStore) -> None:
    for name in "abcd":
        published(store, name)
    superseded(store, "a", "b", "c")
    pin(store.location, key("a"), "c")
    total = weight_of(store.location)
    with store.lease(key("b")):
        found = eviction(store, Budget(max_bytes=0), total)
    reasons = {one: held.protected for held in found.kept for one in held.keys}

    assert found.keys == [key("c")]
    assert reasons[key("a")] == "pinned" and reasons[key("b")] == "being computed"
    assert reasons[key("d")] == reasons[key("newer a")] == "newest"
    assert found.left.exceeds(Budget(max_bytes=0))


def test_an_entry_of_a_clock_that_is_ahead_does_not_stay_the_newest(
    store: LocalStore,
) -> None:
    published(store, "a", days=2, created="2099-01-01")
    published(store, "b", days=1, created="2026-01-01", checkpoint="a")
    found = eviction(store, Budget(max_bytes=0), weight_of(store.location))

    assert found.keys == [key("a")]
    assert [one.protected for one in found.kept] == ["newest"]


def test_a_hit_makes_no_old_entry_the_newest(store: LocalStore) -> None:
    published(store, "a", days=2)
    published(store, "b", days=1, checkpoint="a")
    path = Path(store._layout.manifest(key("a")))
    (data,) = [
        one.output for one in store.manifests() if one.key == key("a").digest.hex
    ]
    os.utime(next(Path(store._layout.group(data)).glob("x/c.*")))
    before = path.stat()

    assert LocalStore(store.location).find(key("a")) is not None
    # It was sealed anew, which counts as a use even where no access times are kept.
    assert path.stat().st_ino != before.st_ino
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert use_of(path.stat()) > before.st_mtime + DAY
    found = eviction(store, Budget(max_bytes=0), weight_of(store.location))
    assert found.keys == [key("a")]


def test_data_go_with_all_their_entries_or_not_at_all(store: LocalStore) -> None:
    published(store, "a", values=1.0, seconds=1, days=100)
    published(store, "b", values=1.0, seconds=50, days=2)
    published(store, "c", values=1.0, checkpoint="d")
    published(store, "d", seconds=2, days=3)
    superseded(store, "a", "b", "c", "d")
    held = {one.output: one for one in weighed(Layout(store.location))}
    shared = next(one for one in held.values() if len(one.keys) == 3)
    assert shared.seconds == 50

    total = weight_of(store.location)
    found = eviction(store, Budget(max_bytes=0), total)
    assert found.keys[0] == key("d")
    assert set(found.keys[1:]) == {key("a"), key("b"), key("c")}
    store.remove(found.keys)
    assert weight_of(store.location).nbytes == found.left.nbytes


def test_what_is_wanted_by_then_stays_and_is_not_said_to_be_gone(
    store: LocalStore,
) -> None:
    for name in "abcd":
        published(store, name, days=30)
    superseded(store, *"abcd")
    total = weight_of(store.location)
    planned = eviction(store, Budget(max_bytes=0), total)
    assert set(planned.keys) == {key(name) for name in "abcd"}

    pin(store.location, key("a"), "label")
    assert LocalStore(store.location).find(key("b")) is not None
    with store.lease(key("c")):
        gone = evicted(store, planned)

    assert gone.keys == [key("d")]
    assert gone.left == planned.left + planned.freed - gone.freed
    assert {key(name) for name in "abc"} < set(store.keys())


def test_data_that_are_named_again_by_then_stay(store: LocalStore) -> None:
    published(store, "a", values=1.0, days=30)
    superseded(store, "a")
    planned = eviction(store, Budget(max_bytes=0), weight_of(store.location))
    published(store, "another", values=1.0)
    gone = evicted(store, planned)

    assert planned.keys == [key("a")] and gone.evicted == ()
    assert store.find(key("another")) is not None


def test_what_goes_while_it_is_weighed_is_not_counted(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "ab":
        published(store, name)
    os.symlink("nowhere", f"{store.location}/mean/dangling")
    listed = list(briefs(Layout(store.location)))
    store.remove([key("a")])
    monkeypatch.setattr("artifact_store.eviction.briefs", lambda layout: listed)

    assert [one.keys for one in weighed(Layout(store.location))] == [[key("b")]]
    gone = weight_of(f"{store.location}/nothing")
    assert gone == Weight(0, 0)


def test_a_door_that_goes_while_doors_are_weighed_hides_no_other(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abcd":
        published(store, name)
    weights = {one.output: one.weight for one in weighed(Layout(store.location))}
    real, going = os.readlink, [True]

    def gone(path: str) -> str:
        if going:
            going.pop()
            raise FileNotFoundError(2, "No such file or directory", path)
        return real(path)

    monkeypatch.setattr(os, "readlink", gone)
    found = {one.output: one.weight for one in weighed(Layout(store.location))}

    assert [one.files for one in weights.values()] == [5] * 4
    assert sorted(one.files for one in found.values()) == [4, 5, 5, 5]


def test_listing_is_no_use_and_a_hit_is(store: LocalStore) -> None:
    published(store, "a", days=30)
    path = Path(store._layout.manifest(key("a")))
    before = path.stat().st_atime_ns

    assert len(list(briefs(Layout(store.location)))) == 1
    assert path.stat().st_atime_ns == before
    assert LocalStore(store.location).find(key("a")) is not None
    assert path.stat().st_atime_ns > before  # as file systems with relatime do


def test_pins_are_listed_and_taken_back(store: LocalStore) -> None:
    assert pins(store.location) == []
    first = pin(store.location, key("a"), "label", "for the paper")
    assert first.note == "for the paper" and first.who and first.key == key("a")
    assert pins(store.location) == [first]
    (Path(Layout(store.location).pins) / "junk.json").write_text("{}")
    assert pins(store.location) == [first]
    assert pinned(store.location) == {first.digest}
    unpin(store.location, first)
    unpin(store.location, first)
    assert pins(store.location) == []


def test_no_damage_to_a_pin_lets_its_entry_go(store: LocalStore) -> None:
    published(store, "a")
    stated = pin(store.location, key("a"), "label")
    path = Path(Layout(store.location).pin(key("a")))
    content = path.read_bytes()

    for place in range(len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])  # fmt: skip
        assert pinned(store.location) == {stated.digest}
        (found,) = pins(store.location)
        assert found.digest == stated.digest
    for odd in (
        b"",
        b"{}",
        b"\xff",
        content.replace(stated.digest.encode(), b"0" * 64),
    ):
        path.write_bytes(odd)
        assert pinned(store.location) == {stated.digest}
        (found,) = pins(store.location)
        assert "cannot be read" in found.note
    unpin(store.location, found)
    assert pinned(store.location) == frozenset()


@pytest.mark.parametrize(
    "text, expected",
    [("500", 500), ("10 GB", 10**10), ("1.5GiB", 3 << 29), ("2kb", 2000), (7, 7), (" 3 B ", 3)],
)  # fmt: skip
def test_amounts_have_units(text: str | int, expected: int) -> None:
    assert amount(text, "max_bytes") == expected


@pytest.mark.parametrize("text", ["", "ten", "-1", "1 XB", "1e9", True, "GB"])
def test_what_is_no_amount_is_refused(text: str | int) -> None:
    with pytest.raises(BadSetting, match="no amount"):
        amount(text, "max_bytes")


@pytest.mark.parametrize("text", ["10 GB", "1.5", "-1", "", True, 2.5])
def test_files_are_counted_without_a_unit(text: str | int) -> None:
    assert whole_number("100_000", "max_files") == 100_000
    with pytest.raises(BadSetting, match="no number"):
        whole_number(text, "max_files")


def test_a_flag_comes_before_the_variable_and_that_before_the_file(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found(**given: int) -> list[tuple[int | None, str]]:
        flags = {"max_bytes": None, "max_files": None, **given}
        return [(one.value, one.source) for one in settings_of(store.location, flags)]

    assert found() == [(None, "not set")] * 2
    published(store, "a")
    config = Path(Layout(store.location).config)
    config.write_text('max_bytes = "1 GB"\nmax_files = 10\n')
    assert found() == [(10**9, str(config)), (10, str(config))]
    monkeypatch.setenv("ARTIFACT_STORE_MAX_BYTES", "2 GB")
    assert found()[0] == (2 * 10**9, "ARTIFACT_STORE_MAX_BYTES")
    assert found(max_bytes=5)[0] == (5, "--max-bytes")


@pytest.mark.parametrize(
    "content, problem",
    [
        ("max_bytes = 'much'", "no amount"),
        ("maxbytes = 1", "no such setting"),
        ("max_bytes", "cannot be read"),
        ("\xff", "cannot be read"),
        ("max_bytes = [1]", "no amount"),
    ],
)
def test_a_configuration_that_cannot_be_meant_is_refused(
    store: LocalStore, content: str, problem: str
) -> None:
    published(store, "a")
    Path(Layout(store.location).config).write_bytes(content.encode("latin-1"))
    with pytest.raises(BadSetting, match=problem) as caught:
        settings_of(store.location, {})
    assert "config.toml" in str(caught.value)


@pytest.mark.parametrize(
    "put, problem",
    [
        (lambda path: path.symlink_to("/etc/hostname"), "is no regular file"),
        (lambda path: path.symlink_to("nowhere"), "is no regular file"),
        (lambda path: path.mkdir(), "is no regular file"),
        (lambda path: os.mkfifo(path), "is no regular file"),
        (lambda path: path.write_bytes(b"#" * ((64 << 20) + 1)), "more than"),
    ],
    ids=["link", "dangling", "folder", "pipe", "large"],
)
def test_only_a_configuration_that_is_not_there_is_none(
    store: LocalStore, put: Callable[[Path], object], problem: str
) -> None:
    published(store, "a")
    put(Path(Layout(store.location).config))
    with pytest.raises(BadSetting, match=problem) as caught:
        settings_of(store.location, {})
    assert "take away what is there" in str(caught.value)


def test_a_configuration_that_may_not_be_read_is_not_none(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    published(store, "a")
    Path(Layout(store.location).config).write_text("max_bytes = 1")

    def refuse(path: str) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("artifact_store.settings.read_file", refuse)
    with pytest.raises(BadSetting, match="Permission denied"):
        settings_of(store.location, {})
