"""Stores around another one: each does what that does, but for what it is named after.

ReadOnlyStore     serves what is there, and writes nothing
RefreshingStore   has at first nothing of what is there, and keeps what is new
RequiringStore    gives nobody the right to compute
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from artifact_store.digests import Digest
from artifact_store.errors import ComputationRefused, ReadOnly
from artifact_store.files import Signatures
from artifact_store.keys import Key
from artifact_store.manifests import Manifest, moment
from artifact_store.reads import Found, Step
from artifact_store.stores.base import Entry, Publication, Store


class StoreAround:
    """Does whatever another store does."""

    def __init__(self, inner: Store) -> None:
        self._inner = inner

    @property
    def inner(self) -> Store:
        """The store that it is around."""
        return self._inner

    @property
    def location(self) -> str:
        return self._inner.location

    @property
    def is_far(self) -> bool:
        return self._inner.is_far

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._inner!r})"

    def find(self, key: Key) -> Entry | None:
        return self._inner.find(key)

    def look(self, key: Key) -> Entry | None:
        return self._inner.look(key)

    def lease(self, key: Key) -> AbstractContextManager[None]:
        return self._inner.lease(key)

    def foresee(self, keys: Sequence[Key]) -> None:
        self._inner.foresee(keys)

    def publish(self, key: Key, publication: Publication) -> Entry:
        return self._inner.publish(key, publication)

    def replace(self, key: Key, publication: Publication) -> Entry:
        return self._inner.replace(key, publication)

    def steps(self, node: Digest) -> Sequence[Step]:
        return self._inner.steps(node)

    def adopt(self, entry: Entry, label: str, kinship: str) -> None:
        self._inner.adopt(entry, label, kinship)

    def label(self, entry: Entry, label: str, kinship: str) -> None:
        self._inner.label(entry, label, kinship)

    def remove(self, keys: Iterable[Key]) -> int:
        return self._inner.remove(keys)

    def set_aside(self, key: Key, cause: str) -> None:
        self._inner.set_aside(key, cause)

    def keys(self, analysis: str | None = None) -> Iterator[Key]:
        return self._inner.keys(analysis)

    def manifests(self, analysis: str | None = None) -> Iterator[Manifest]:
        return self._inner.manifests(analysis)

    def kin(self, key: Key, kinship: str) -> tuple[Sequence[Manifest], bool]:
        return self._inner.kin(key, kinship)

    def detail(self, kind: str, digest: str) -> Any:
        return self._inner.detail(kind, digest)

    def keep(self, kind: str, digest: str, detail: Any) -> None:
        self._inner.keep(kind, digest, detail)

    def recall(self, signature: Signatures) -> Mapping[str, Digest] | None:
        return self._inner.recall(signature)

    def remember(self, signature: Signatures, digests: Mapping[str, Digest]) -> None:
        self._inner.remember(signature, digests)


class ReadOnlyStore(StoreAround):
    """Serves what another store holds and writes nothing there: no seal, no memo, no door, no lock.

    What has to be changed on purpose raises `ReadOnly`, as does a lease: before hours of work, and not after them.
    Notes that save work are not made. That an entry is corrupt is not remembered either, for anybody may mend it.
    """

    def find(self, key: Key) -> Entry | None:
        return self._inner.look(key)

    def lease(self, key: Key) -> AbstractContextManager[None]:
        raise ReadOnly(self.location)

    def publish(self, key: Key, publication: Publication) -> Entry:
        raise ReadOnly(self.location)

    def replace(self, key: Key, publication: Publication) -> Entry:
        raise ReadOnly(self.location)

    def remove(self, keys: Iterable[Key]) -> int:
        raise ReadOnly(self.location)

    def keep(self, kind: str, digest: str, detail: Any) -> None:
        raise ReadOnly(self.location)

    def adopt(self, entry: Entry, label: str, kinship: str) -> None:
        pass

    def label(self, entry: Entry, label: str, kinship: str) -> None:
        pass

    def set_aside(self, key: Key, cause: str) -> None:
        pass

    def remember(self, signature: Signatures, digests: Mapping[str, Digest]) -> None:
        pass


class RefreshingStore(StoreAround):
    """What another store held before some moment counts as missing, until it is computed again."""

    def __init__(self, inner: Store, since: str) -> None:
        super().__init__(inner)
        self._since = since
        # By whatever clock they were computed: what was published through this store is fresh.
        self._fresh: set[Key] = set()

    def find(self, key: Key) -> Entry | None:
        return self._if_fresh(self._inner.find(key))

    def look(self, key: Key) -> Entry | None:
        return self._if_fresh(self._inner.look(key))

    def _if_fresh(self, entry: Entry | None) -> Entry | None:
        if entry is None or entry.key in self._fresh:
            return entry
        # Other threads and processes refresh too. What says that it is from the future tells nothing.
        return (
            entry
            if self._since <= entry.manifest.provenance.created <= moment()
            else None
        )

    def steps(self, node: Digest) -> Sequence[Step]:
        # What an entry was made of is known; that something was computed before leads nowhere.
        return [one for one in self._inner.steps(node) if isinstance(one, Found)]

    def publish(self, key: Key, publication: Publication) -> Entry:
        # What was there before is what is to be refreshed.
        return self.replace(key, publication)

    def replace(self, key: Key, publication: Publication) -> Entry:
        entry = self._inner.replace(key, publication)
        self._fresh.add(key)
        return entry

    def adopt(self, entry: Entry, label: str, kinship: str) -> None:
        self._inner.adopt(entry, label, kinship)
        self._fresh.add(entry.key)


class RequiringStore(StoreAround):
    """Serves and notes as another store does, and gives nobody the right to compute."""

    def lease(self, key: Key) -> AbstractContextManager[None]:
        raise ComputationRefused(str(key))
