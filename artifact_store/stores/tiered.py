"""A tier: a store near at hand, above one that is shared.

    find:     near ► shared, whose arrays are kept near as soon as one is read whole
    publish:  near, then shared

What is looked up costs one request and what is read is read once: of a run that hits, only manifests come over the
network. Where the shared store cannot be reached, the near one does alone, and `push` catches up.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from artifact_store.digests import Digest
from artifact_store.errors import (
    ArtifactStoreError,
    BucketForked,
    CorruptArtifact,
    LinkInStore,
    NotReplaced,
    NotShared,
    NotSigned,
    ReadOnly,
    UnknownFormat,
)
from artifact_store.events import log
from artifact_store.files import Signatures
from artifact_store.groups import Group
from artifact_store.keys import Key
from artifact_store.manifests import Manifest
from artifact_store.reads import Step
from artifact_store.shards import AnyArray, StoredArray
from artifact_store.stores.around import ReadOnlyStore, StoreAround
from artifact_store.stores.base import Entry, Publication, Store
from artifact_store.stores.local import LocalStore, open_store
from artifact_store.stores.opening import absolute, store_opened
from artifact_store.stores.overlay import merged_kin, merged_manifests

if TYPE_CHECKING:
    import zarr

T = TypeVar("T")

# How long nobody asks a shared store again that could not be reached, which takes a minute to find out.
_AWAY_SECONDS: Final = 60.0


def tier(near: str, shared: str) -> TieredStore:
    """The store in the directory `near`, above the `shared` one of a path or URL.

    What the shared one holds is found, and kept in the near one as soon as it is read whole. What is computed is kept
    in both; with `ro:` before its name, the shared one is only looked into.
    """
    return _tier(absolute(near), shared)


@lru_cache(maxsize=256)
def _tier(near: str, shared: str) -> TieredStore:
    name = shared.removeprefix(READ_ONLY)
    store = store_opened(absolute(name))
    seen = ReadOnlyStore(store) if name != shared else store
    return TieredStore(open_store(near), seen)


# Before the name of a shared store that is not to be written to.
READ_ONLY: Final = "ro:"


class TieredStore(StoreAround):
    """Hits from a near store and a shared one; what is new goes to both."""

    def __init__(self, near: LocalStore, shared: Store) -> None:
        super().__init__(near)
        self._near, self._shared = near, shared
        # A store that can be read need not be writable.
        self._away_until = self._unsent_until = 0.0

    def __repr__(self) -> str:
        return f"TieredStore({self._near!r}, {self._shared!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return TieredStore, (self._near, self._shared)

    @property
    def shared(self) -> str:
        """Where the shared store is."""
        return self._shared.location

    @property
    def is_far(self) -> bool:
        return self._shared.is_far

    def find(self, key: Key) -> Entry | None:
        entry = self._first(key, self._near.find, self._shared.find)
        if entry is None or self._is_near(entry):
            return entry
        return msgspec.structs.replace(entry, group=_TierGroup(self.location, entry))

    def look(self, key: Key) -> Entry | None:
        return self._first(key, self._near.look, self._shared.look)

    def _first(
        self,
        key: Key,
        nearby: Callable[[Key], Entry | None],
        beyond: Callable[[Key], Entry | None],
    ) -> Entry | None:
        corrupt: CorruptArtifact | None = None
        try:
            if entry := nearby(key):
                return entry
        except CorruptArtifact as error:
            corrupt = error
        try:
            entry = self._asked(lambda: beyond(key), None)
        except (UnknownFormat, LinkInStore) as error:
            # That is for the owner of the shared store to see to; here it can be computed.
            log.warning("%s", error)
            entry = None
        if entry is not None:
            return msgspec.structs.replace(entry, home=self.location)
        if corrupt is not None:
            raise corrupt
        return None

    def foresee(self, keys: Sequence[Key]) -> None:
        absent = [key for key in keys if not self._near.has(key)]
        self._asked(lambda: self._shared.foresee(absent), None)

    def publish(self, key: Key, publication: Publication) -> Entry:
        def send() -> Entry:
            return self._shared.publish(key, publication)

        try:
            entry = self._near.publish(key, publication)
        except OSError as error:
            # There is no room, say: better kept far away than not at all.
            first = self._sent(key, send)
            if first is None:
                raise
            log.warning("%s is kept in %s alone: %s", key, self.shared, error)
            return first
        first = self._sent(key, send)
        if first is None or first.manifest.output == entry.manifest.output:
            return entry
        # Somebody else was first, and his result is that of all.
        self._near.remove([key])
        return self.find(key) or entry

    def replace(self, key: Key, publication: Publication) -> Entry:
        entry = self._near.replace(key, publication)
        self._sent(key, lambda: self._shared.replace(key, publication), NotReplaced)
        return entry

    def _sent(
        self, key: Key, send: Callable[[], Entry], unsent: type[NotShared] = NotShared
    ) -> Entry | None:
        """The entry in the shared store, if it could be written there."""
        why = "it could not be written to a moment ago."
        if time.monotonic() >= max(self._away_until, self._unsent_until):
            try:
                return send()
            except ReadOnly:
                return None
            except (ArtifactStoreError, OSError) as error:
                self._unsent_until = time.monotonic() + _AWAY_SECONDS
                why = str(error)
        shared, near = self._shared.location, self.location
        warnings.warn(unsent(str(key), shared, near, why), stacklevel=2)
        return None

    def _asked(self, ask: Callable[[], T], otherwise: T) -> T:
        """What the shared store says, or nothing while it cannot be reached."""
        if time.monotonic() < self._away_until:
            return otherwise
        try:
            return ask()
        except (OSError, BucketForked) as error:
            if isinstance(error, LinkInStore):
                raise
            self._away_until = time.monotonic() + _AWAY_SECONDS
            log.warning("%s", error)
            return otherwise

    def adopt(self, entry: Entry, label: str, kinship: str) -> None:
        if self._is_near(entry):
            self._near.adopt(entry, label, kinship)

    def label(self, entry: Entry, label: str, kinship: str) -> None:
        if self._is_near(entry):
            self._near.label(entry, label, kinship)

    def _is_near(self, entry: Entry) -> bool:
        return entry.directory.startswith(f"{self.location}/")

    def steps(self, node: Digest) -> Sequence[Step]:
        none: Sequence[Step] = ()
        beyond = self._asked(lambda: self._shared.steps(node), none)
        return [*beyond, *self._near.steps(node)]

    def remove(self, keys: Iterable[Key]) -> int:
        every = list(keys)
        gained = self._near.remove(every)
        try:
            return max(gained, self._shared.remove(every))
        except ReadOnly:
            return gained

    def set_aside(self, key: Key, cause: str) -> None:
        self._near.set_aside(key, cause)
        self._asked(lambda: self._set_aside_beyond(key, cause), None)

    def _set_aside_beyond(self, key: Key, cause: str) -> None:
        try:
            self._shared.look(key)
        except NotSigned:
            return  # Whoever has its key may find it sound.
        except CorruptArtifact:
            pass
        self._shared.set_aside(key, cause)

    def keys(self, analysis: str | None = None) -> Iterator[Key]:
        every = [*self._near.keys(analysis), *self._shared.keys(analysis)]
        return iter(dict.fromkeys(every))

    def manifests(self, analysis: str | None = None) -> Iterator[Manifest]:
        return merged_manifests([self._near, self._shared], analysis)

    def kin(self, key: Key, kinship: str) -> tuple[Sequence[Manifest], bool]:
        nearby = self._near.kin(key, kinship)
        none: tuple[Sequence[Manifest], bool] = ((), False)
        beyond = self._asked(lambda: self._shared.kin(key, kinship), none)
        return merged_kin([nearby, beyond])

    def detail(self, kind: str, digest: str) -> Any:
        known = self._near.detail(kind, digest)
        if known is None:
            known = self._asked(lambda: self._shared.detail(kind, digest), None)
        return known

    def recall(self, signature: Signatures) -> Mapping[str, Digest] | None:
        known = self._near.recall(signature)
        if known is None and all(one.is_tag for one in signature):
            known = self._asked(lambda: self._shared.recall(signature), None)
        return known

    def remember(self, signature: Signatures, digests: Mapping[str, Digest]) -> None:
        self._near.remember(signature, digests)
        if all(one.is_tag for one in signature):
            self._asked(lambda: self._shared.remember(signature, digests), None)


class _TierGroup(msgspec.Struct, frozen=True):
    """The group of an entry that was found in the shared store, until it is read whole; then it is near.

    Attributes
    ----------
    near
        The directory of the near store.
    """

    near: str
    entry: Entry

    @property
    def place(self) -> str:
        return self.entry.directory

    def open(self, stored: StoredArray) -> AnyArray:
        return self._kept().open(stored)

    def rows(self, stored: StoredArray, rows: slice) -> AnyArray:
        near = open_store(self.near).look(self.entry.key)
        return (near or self.entry).group.rows(stored, rows)

    def save(self, folder: str, arrays: Iterable[StoredArray]) -> None:
        self._kept().save(folder, arrays)

    def as_zarr(self) -> zarr.Group:
        return self._kept().as_zarr()

    def _kept(self) -> Group:
        """The same in the near store, read over once."""
        try:
            return open_store(self.near).take_in(self.entry).group
        except OSError as error:
            # There is no room, or nothing is to be written: it is read where it is.
            log.warning("%s is not kept: %s", self.entry.key, error)
            return self.entry.group
