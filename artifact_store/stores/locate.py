"""Which store: that of the block around, the one that was declared, `ARTIFACT_STORE`, or the one beside the input."""

from __future__ import annotations

import os
from pathlib import Path

from artifact_store.errors import MissingStore, StoreInBucket
from artifact_store.layout import (
    ARTIFACTS,
    CHECKPOINTS,
    HIDDEN,
    home_of,
    home_of_group,
    home_of_run,
)
from artifact_store.modes import ModeName, seen_by_mode
from artifact_store.remote_files import remote_names
from artifact_store.stores.base import Store
from artifact_store.stores.opening import absolute, store_opened
from artifact_store.stores.places import (
    above_shared,
    block_store,
    said,
    store_named,
)
from artifact_store.urls import UrlPath, is_url, located


def chosen_store(
    declared: Store | str | None, home: Path | None, mode: ModeName | None = None
) -> Store | None:
    """The store of a call whose first input has its artifacts at `home`; `None` if nothing says which.

    Parameters
    ----------
    mode
        As declared; `modes.py` says what else decides.

    Raises
    ------
    StoreOff
        The mode is off.
    """
    return seen_by_mode(_store_meant(declared, home), mode)


def _store_meant(declared: Store | str | None, home: Path | None) -> Store | None:
    if (block := block_store()) is not None:
        return block
    meant = said()
    store = _store_above(declared, meant.store, home)
    return None if store is None else above_shared(store, meant.shared)


def _store_above(
    declared: Store | str | None, named: str | None, home: Path | None
) -> Store | None:
    """The store that is meant, without what is shared below it."""
    if declared:
        if isinstance(declared, str | os.PathLike):
            return store_opened(absolute(declared))
        return declared
    if named is not None:
        return store_named(named)
    return None if home is None else store_opened(str(home))


def store_at(path: Path) -> Store:
    """The store in a directory that a person means by a path: of a store, a door, a run or a checkpoint.

    Raises
    ------
    MissingStore
        Nothing was ever kept there.
    StoreInBucket
        It is in none.
    """
    store = home_meant(path)
    if store is not None and is_url(store.location):
        raise StoreInBucket(store.location)
    if store is None or not os.path.isdir(os.path.join(store.location, HIDDEN)):
        where = path.absolute() if store is None else Path(store.location)
        raise MissingStore(
            where, "holds no store" if where.exists() else "is not there"
        )
    return store


def home_meant(path: Path) -> Store | None:
    """As `store_at`, wherever it is, and whether anything was kept there yet or not."""
    if isinstance(path, UrlPath):
        return store_opened(str(_home_in_bucket(path)))
    home = _home_within(path)
    declared = None if home is None else str(home)
    return _store_above(declared, said().store, _home_beside(path))


def _home_in_bucket(url: UrlPath) -> UrlPath:
    """The store that is at a URL, or belongs to the run or checkpoint there."""
    if CHECKPOINTS in url.parts:
        return UrlPath(str(home_of(located(url))))
    return url / ARTIFACTS if CHECKPOINTS in remote_names(url) else url


def _home_within(path: Path) -> Path | None:
    """The store that `path` is, or is a door of."""
    if (path / HIDDEN).is_dir():
        return path
    group = group_at(path)
    return None if group is None else home_of_group(group)


def group_at(path: Path) -> Path | None:
    """The zarr group that `path` is, or is a door of the same store to."""
    try:
        found = path.resolve()
    except RuntimeError:  # of links that go round in circles, until Python 3.13
        return None
    inside = [parent.name for parent in found.parents[2:3]] == [HIDDEN]
    if not inside or not found.is_dir():
        return None
    # Whoever made a door that leads out of its store may have meant a trap.
    is_ours = path.parent.parent.resolve() == home_of_group(found)
    return found if is_ours or not path.is_symlink() else None


def _home_beside(path: Path) -> Path | None:
    found = path.absolute()
    if not found.exists():
        return None
    # A checkpoint may be a directory, of shards.
    is_run = (found / CHECKPOINTS).is_dir() or CHECKPOINTS not in found.parts
    is_run = is_run and found.is_dir()
    return home_of_run(found) if is_run else home_of(found)
