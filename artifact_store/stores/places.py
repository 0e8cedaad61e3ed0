"""Where results are to be kept, as it is said: by the block around a call, by the environment, or in a file.

    with storing_in("s3://bucket/prefix"):     the block, before what the decorator says
    ARTIFACT_STORE, ARTIFACT_STORE_SHARED      the environment, before
    ~/.config/artifact_store/config.toml       the file: `store` and `shared`

`store` is one store, or a private one and those below it, as of PATH. `shared` lies below whatever directory is
meant, also that beside a run: see `tiered`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Final

import msgspec

from artifact_store.environment import variable
from artifact_store.errors import BadSetting
from artifact_store.stores.base import Store
from artifact_store.stores.local import LocalStore
from artifact_store.stores.opening import absolute, store_opened
from artifact_store.stores.overlay import overlay
from artifact_store.stores.tiered import READ_ONLY, tier

STORE_VARIABLE: Final = "ARTIFACT_STORE"
SHARED_VARIABLE: Final = "ARTIFACT_STORE_SHARED"

# Where one name ends and the next begins, which is not within a URL.
_BETWEEN: Final = re.compile(f"{os.pathsep}(?!//)")


class Places(msgspec.Struct, frozen=True):
    """Stores by name, and that of the block around; `None` where nothing is said. They travel to other processes."""

    store: str | None = None
    shared: str | None = None
    block: Store | None = None


_block: ContextVar[Store | None] = ContextVar("artifact_store_block", default=None)


@contextmanager
def storing_in(store: Store | str | os.PathLike[str]) -> Iterator[None]:
    """Keep and find the results of calls in this block in one store, whatever the decorator or environment says.

    Threads that the block starts do not inherit it, unless they run in a copy of its context; the workers of a
    pipeline do.

    Parameters
    ----------
    store
        A path, a URL, or what `overlay` and `tier` give.
    """
    if isinstance(store, str | os.PathLike):
        store = store_opened(absolute(store))
    token = _block.set(store)
    try:
        yield
    finally:
        _block.reset(token)


def block_store() -> Store | None:
    """The store of the block around, if there is one."""
    return _block.get()


def said() -> Places:
    """What the environment says, or else the file."""
    store, shared = variable(STORE_VARIABLE), variable(SHARED_VARIABLE)
    written = _written(variable("XDG_CONFIG_HOME"), variable("HOME"))
    if store is None and shared is None:
        return written
    return Places(store or written.store, shared or written.shared)


# Each hit asks; and what was once written down is read once by each process.
@lru_cache(maxsize=8)
def _written(config: str | None, home: str | None) -> Places:
    folder = config or os.path.join(home or os.path.expanduser("~"), ".config")
    return written_in(f"{folder}/artifact_store/config.toml")


def written_in(path: str) -> Places:
    """What the file at `path` says."""
    import tomllib  # of its weight, see `versions`

    try:
        with open(path, "rb") as file:
            found = tomllib.load(file)
    except (FileNotFoundError, NotADirectoryError):
        return Places()
    except (OSError, ValueError) as error:
        advice = 'Write lines such as: shared = "s3://bucket/prefix"'
        raise BadSetting(path, "...", f"it cannot be read ({error})", advice) from None
    for name, value in found.items():
        if name not in ("store", "shared") or not isinstance(value, str):
            advice = "Known are `store` and `shared`, each the name of one."
            raise BadSetting(path, name, "there is no such setting", advice)
    return Places(**found)


def store_named(name: str) -> Store:
    """As of PATH: one store, or a private one and those that lie below it."""
    private, *shared = named = _BETWEEN.split(name)
    if not all(named):
        advice = (
            "Name directories or URLs, with the private one first. A directory whose name has a colon is named by "
            "@analysis(store=...), or by overlay(...)."
        )
        raise BadSetting(STORE_VARIABLE, name, "a name is empty", advice)
    return overlay(private, *shared) if shared else store_opened(absolute(private))


def above_shared(store: Store, shared: str | None) -> Store:
    """The store in a directory, above the shared one that is meant; any other store as it is."""
    if shared is None or not isinstance(store, LocalStore):
        return store
    return tier(store.location, shared)


def places_here() -> Places:
    """What is meant here, as it is to be said in a process that was started in another directory."""
    meant = said()
    named = _BETWEEN.split(meant.store or "")
    store = meant.store and os.pathsep.join(one and absolute(one) for one in named)
    return Places(store, meant.shared and _absolute_shared(meant.shared), _block.get())


def _absolute_shared(name: str) -> str:
    bare = name.removeprefix(READ_ONLY)
    return name[: len(name) - len(bare)] + absolute(bare)


@contextmanager
def as_meant(places: Places) -> Iterator[None]:
    """Keep results in this block where `places` says; setting the environment is left to others."""
    token = _block.set(places.block)
    try:
        yield
    finally:
        _block.reset(token)
