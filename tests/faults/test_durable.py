"""What is published durably is on disk, and only then is that said; nobody else waits for a disk."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import OPERATIONS, in_child, interposed, path_of
from sites import Site, is_right, new_site, ran, small, synced, watched

from artifact_store.errors import NotStored
from artifact_store.manifests import DURABLE
from artifact_store.pins import pin
from artifact_store.stores.local import LocalStore


@pytest.fixture
def log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settled: None
) -> Iterator[Path]:
    """Where bodies note that they ran."""
    yield from watched(tmp_path, monkeypatch)


def test_what_was_published_durably_is_not_read_again_after_a_boot(
    tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = new_site(tmp_path / "run")
    assert in_child(lambda: site.call("synced", "small")) == 0
    ran(log)
    site.restart()
    digested: list[str] = []
    real = LocalStore.__init__.__globals__["digest_group"]

    def noted(directory: Any, stored: Any) -> Any:
        digested.append(str(directory))
        return real(directory, stored)

    monkeypatch.setattr("artifact_store.stores.local.digest_group", noted)

    site.call("synced")
    assert digested == []
    site.call("small")
    assert len(digested) == 1
    assert ran(log) == []
    (manifest,) = LocalStore(site.store).manifests("synced")
    assert manifest.seal.boot == DURABLE


Done = list[tuple[str, str, str]]


def operations_in(site: Site, work: Callable[[], object]) -> Done:
    """What is done in a run, in order: each operation, the path that it is about, and where that is renamed to."""
    done: Done = []

    def note(name: str, real: Callable[[], Any], args: tuple[Any, ...]) -> Any:
        done.append((name, path_of(name, args, {}), str(args[-1])))
        return real()

    with interposed(site.root, note):
        work()
    return done


def test_durable_data_are_on_disk_before_their_manifest_is_there_and_that_before_the_call_returns(
    tmp_path: Path, log: Path
) -> None:
    site = new_site(tmp_path / "run")
    done = operations_in(site, lambda: site.call("synced"))
    (manifest,), (data,) = site.manifests(), site.store.glob(".store/data/*/*")
    appears = done.index(
        next(one for one in done if one[0] == "rename" and one[2] == str(manifest))
    )

    def synced_in(part: Done) -> set[str]:
        return {path for name, path, _ in part if name == "fsync"}

    whole = {str(one) for one in (data, *data.rglob("*"))}
    above = {str(one) for one in data.parents if one.is_relative_to(site.root)}
    assert whole | above <= synced_in(done[:appears])
    folders = [one for one in manifest.parents if one.is_relative_to(site.store)]
    assert {str(one) for one in (manifest, *folders)} <= synced_in(done[appears:])
    # What is synced is whole by then.
    last_write = max(
        number for number, one in enumerate(done[:appears]) if _ends_at(one, data)
    )
    first_sync = min(n for n, one in enumerate(done) if one[:2] == ("fsync", str(data)))
    assert last_write < first_sync


def _ends_at(one: tuple[str, str, str], data: Path) -> bool:
    return one[0] == "rename" and one[2] == str(data)


def test_a_pin_is_on_disk_when_that_is_said(tmp_path: Path, log: Path) -> None:
    site = new_site(tmp_path / "run")
    key = small.key(site.checkpoint())
    site.call("small")
    done = operations_in(site, lambda: pin(str(site.store), key, "epoch_1"))
    (pinned,) = site.store.glob(".store/pins/*")

    waited_for = [path for name, path, _ in done if name == "fsync"]
    assert waited_for[:2] == [str(pinned), str(pinned.parent)]
    assert done[-1][0] == "fsync"


def test_nobody_waits_for_the_disk_who_did_not_ask_for_it(
    tmp_path: Path, log: Path
) -> None:
    site = new_site(tmp_path / "run")
    done = operations_in(site, lambda: site.call("small", "large", "packed"))

    assert "write" in {name for name, *_ in done} <= set(OPERATIONS)
    assert "fsync" not in {name for name, *_ in done}


def test_pages_that_the_disk_lost_are_written_again_by_the_next_durable_call(
    tmp_path: Path, log: Path
) -> None:
    site = new_site(tmp_path / "run")
    is_bad = True

    def act(name: str, real: Callable[[], Any], args: tuple[Any, ...]) -> Any:
        nonlocal is_bad
        if name == "fsync" and is_bad:
            # As of Linux: an error is told once, and what is in memory then counts as written.
            is_bad = False
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real()

    with interposed(site.store, act), pytest.warns(NotStored, match="Input/output"):
        found = synced(site.checkpoint())
    assert is_right("synced", found)
    assert list(site.store.glob(".store/data/*/*")) == []
    done = operations_in(site, lambda: site.call("synced"))
    (data,) = site.store.glob(".store/data/*/*")
    written = {path for name, path, _ in done if name == "write"}
    assert any(path.endswith("/w/c.0.0") for path in written)
    assert ("fsync", str(data)) in {one[:2] for one in done}


def test_a_store_that_is_a_link_as_a_whole_keeps_durably_too(
    tmp_path: Path, log: Path
) -> None:
    site = new_site(tmp_path / "run")
    (tmp_path / "disk").mkdir()
    site.store.symlink_to(tmp_path / "disk")
    site.call("synced")

    assert synced.find(site.checkpoint()) is not None
    pin(str(site.store), synced.key(site.checkpoint()), "epoch_1")
