"""A server says `ESTALE`: another host replaced or removed a file since this one opened it, as happens over NFS."""

from __future__ import annotations

import errno
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import harness
import pytest
from conftest import Injected
from harness import failing_always, failing_at, in_child, operations
from sites import ANALYSES, BOOT, Site, is_right, new_site, ran, watched

from artifact_store.errors import FileChanged, NotStored
from artifact_store.events import Event, SetAside, listening
from artifact_store.stores.local import LocalStore, open_store
from artifact_store.verify import verify

ALL: Final = ("small", "large", "several", "packed", "nested")

# Whatever looks at files, or names them; and what reads those that are there.
LOOKS: Final = (
    *("open", "stat", "lstat", "fstat", "read", "pread", "preadv", "readlink"),
    *("listdir", "scandir", "utime", "rename", "unlink"),
)

READS: Final = ("open", "read", "pread", "preadv")


@pytest.fixture
def log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settled: None
) -> Iterator[Path]:
    """Where bodies note that they ran."""
    monkeypatch.setattr(harness, "OPERATIONS", LOOKS)
    yield from watched(tmp_path, monkeypatch)


@pytest.fixture
def site(tmp_path: Path, log: Path) -> Site:
    """A run with artifacts of every kind, of which this process knows nothing."""
    made = new_site(tmp_path / "run")
    assert in_child(lambda: made.call(*ALL)) == 0
    ran(log)
    return made


def called(name: str, site: Site) -> list[Event]:
    """Make a call as a new process does, whose result is right; what was told of it."""
    open_store.cache_clear()
    told = list[Event]()
    with listening(told.append):
        assert is_right(name, ANALYSES[name](site.checkpoint()))
    return told


def is_sound(site: Site) -> bool:
    store = LocalStore(site.store)
    aside = (site.store / ".store/quarantine").exists()
    return not aside and not any(one.problem for one in verify(store, store.keys()))


def each_stale(name: str, site: Site, log: Path) -> int:
    """Make a call again and again, with another operation told to be stale each time; how many there are."""
    count = len(operations(lambda: called(name, site), site.store))
    for number in range(1, count + 1):
        os.environ[BOOT] += "'"
        with failing_at(number, errno.ESTALE, site.store):
            told = called(name, site)
        assert [one for one in told if isinstance(one, SetAside)] == [], number
        assert ran(log) == [], number
    return count


@pytest.mark.parametrize("name", ALL)
def test_what_is_stale_once_is_looked_at_once_more(
    site: Site, log: Path, injected: Injected, name: str
) -> None:
    count = each_stale(name, site, log)

    assert count > 10 and is_sound(site)
    injected("operation of a hit stale, as another host has replaced the file", count)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("below", ["data", "entries", "records", "."])
def test_what_stays_stale_is_a_miss_and_stays_where_it_is(
    site: Site, log: Path, name: str, below: str
) -> None:
    with failing_always(READS, errno.ESTALE, site.store / ".store" / below):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotStored)  # where nothing can be read
            told = called(name, site)

    # Data that cannot be opened again and again count as gone, and nothing is there to be moved.
    if below != "data":
        assert [one for one in told if isinstance(one, SetAside)] == []
    assert is_sound(site)
    ran(log)
    called(name, site)
    assert ran(log) == []


def test_a_checkpoint_that_another_host_replaces_while_it_is_read_has_changed(
    site: Site, log: Path
) -> None:
    checkpoint = site.checkpoint()

    with failing_always(("pread", "preadv"), errno.ESTALE, site.path):
        with pytest.raises(FileChanged, match="another host"):
            checkpoint["w"]
