"""A store made of stores: a private one that is written to, above shared ones that are only looked into.

find:     private ► shared ► shared …
publish:  private

An entry is adopted where its data are. One that was found in a shared store by its reads is found so again by each
process: a manifest in the private store could only name data of its own, and to copy what may be gigabytes would take
longer than to follow some reads, while a hard link shares permissions and owner, and does not cross file systems.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, TypeVar

import msgspec

from artifact_store.digests import Digest
from artifact_store.errors import CorruptArtifact, LinkInStore, UnknownFormat
from artifact_store.events import log
from artifact_store.files import Signatures
from artifact_store.keys import Key
from artifact_store.layout import HIDDEN
from artifact_store.manifests import Manifest
from artifact_store.reads import Step
from artifact_store.stores.around import ReadOnlyStore, StoreAround
from artifact_store.stores.base import Entry, Store
from artifact_store.stores.opening import absolute, store_opened
from artifact_store.urls import is_url

T = TypeVar("T")


def overlay(
    private: str | os.PathLike[str], *shared: str | os.PathLike[str]
) -> OverlayStore:
    """The store in the directory `private`, with what the `shared` ones hold too; those are never written to.

    A `~` is expanded. `ARTIFACT_STORE=private:shared` means the same, so there the name of a directory cannot have a
    colon; here it can.
    """
    return _overlay(*map(absolute, (private, *shared)))


@lru_cache(maxsize=64)
def _overlay(private: str, *shared: str) -> OverlayStore:
    for one in shared:
        if not is_url(one) and not os.path.isdir(os.path.join(one, HIDDEN)):
            log.warning("there is no store in %s yet, so nothing is found there", one)
    return OverlayStore(store_opened(private), *map(store_opened, shared))


class OverlayStore(StoreAround):
    """Hits from all of some stores; whatever is written goes to the first."""

    def __init__(self, private: Store, *shared: Store) -> None:
        super().__init__(private)
        self._shared = [ReadOnlyStore(store) for store in shared]

    def __repr__(self) -> str:
        return f"OverlayStore({', '.join(map(repr, self._all))})"

    def __reduce__(self) -> tuple[Any, ...]:
        return OverlayStore, (self._inner, *(one.inner for one in self._shared))

    @property
    def shared(self) -> list[str]:
        """Where the stores are that are only looked into."""
        return [store.location for store in self._shared]

    @property
    def _all(self) -> list[Store]:
        return [self._inner, *self._shared]

    @property
    def is_far(self) -> bool:
        return any(store.is_far for store in self._all)

    def foresee(self, keys: Sequence[Key]) -> None:
        for store in self._all:
            store.foresee(keys)

    def find(self, key: Key) -> Entry | None:
        return self._first_sound(key, self._inner.find)

    def look(self, key: Key) -> Entry | None:
        return self._first_sound(key, self._inner.look)

    def _first_sound(
        self, key: Key, privately: Callable[[Key], Entry | None]
    ) -> Entry | None:
        """An entry that is right, from whichever store; what is wrong is raised where there is none."""
        try:
            entry, corrupt = privately(key), None
        except CorruptArtifact as error:
            entry, corrupt = None, error
        if entry is not None:
            return entry
        for store in self._shared:
            try:
                entry = store.find(key)
            except CorruptArtifact as error:
                corrupt = corrupt or error
                continue
            except (UnknownFormat, LinkInStore) as error:
                # Of a shared store, that is for its owner to see to; here it can be computed.
                log.warning("%s", error)
                continue
            if entry is not None:
                if corrupt is not None:
                    what = f"{corrupt.path}: {corrupt.problem}"
                    log.warning("%s, so that of %s is used", what, store.location)
                # What is made of it is ours, and is not kept beside what is not.
                return msgspec.structs.replace(entry, home=self.location)
        if corrupt is not None:
            raise corrupt
        return None

    def adopt(self, entry: Entry, label: str, kinship: str) -> None:
        if self._is_private(entry):
            self._inner.adopt(entry, label, kinship)

    def label(self, entry: Entry, label: str, kinship: str) -> None:
        if self._is_private(entry):
            self._inner.label(entry, label, kinship)

    def _is_private(self, entry: Entry) -> bool:
        return entry.directory.startswith(f"{self.location}/")

    def steps(self, node: Digest) -> Sequence[Step]:
        return [step for store in self._all for step in store.steps(node)]

    def keys(self, analysis: str | None = None) -> Iterator[Key]:
        every = chain.from_iterable(store.keys(analysis) for store in self._all)
        return iter(dict.fromkeys(every))

    def manifests(self, analysis: str | None = None) -> Iterator[Manifest]:
        return merged_manifests(self._all, analysis)

    def kin(self, key: Key, kinship: str) -> tuple[Sequence[Manifest], bool]:
        return merged_kin([store.kin(key, kinship) for store in self._all])

    def detail(self, kind: str, digest: str) -> Any:
        return _first(store.detail for store in self._all)(kind, digest)

    def recall(self, signature: Signatures) -> Mapping[str, Digest] | None:
        return _first(store.recall for store in self._all)(signature)


def merged_manifests(
    stores: Iterable[Store], analysis: str | None
) -> Iterator[Manifest]:
    """The manifests of some stores, of each key that of the first."""
    seen = set[str]()
    for store in stores:
        for manifest in store.manifests(analysis):
            if manifest.key not in seen:
                seen.add(manifest.key)
                yield manifest


def merged_kin(
    found: Sequence[tuple[Sequence[Manifest], bool]],
) -> tuple[Sequence[Manifest], bool]:
    """What some stores say of kin, as one would."""
    every = [manifest for known, _ in found for manifest in known]
    manifests = sorted(every, key=_created, reverse=True)
    return manifests, any(has_been for _, has_been in found)


def _created(manifest: Manifest) -> str:
    return manifest.provenance.created


def _first(ways: Iterable[Callable[..., T | None]]) -> Callable[..., T | None]:
    """The first of some answers that is one."""
    asked = list(ways)

    def ask(*question: Any) -> T | None:
        for way in asked:
            if (answer := way(*question)) is not None:
                return answer
        return None

    return ask
