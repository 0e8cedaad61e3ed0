"""A store made of stores: a private one that is written to, above shared ones that are only looked into.

find:     private ► shared ► shared …
publish:  private
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, TypeVar

from artifact_store.digests import Digest
from artifact_store.errors import CorruptArtifact
from artifact_store.events import log
from artifact_store.files import Signatures
from artifact_store.keys import Key
from artifact_store.manifests import Manifest
from artifact_store.reads import Step
from artifact_store.stores.around import ReadOnlyStore, StoreAround
from artifact_store.stores.base import Entry, Store
from artifact_store.stores.local import open_store

T = TypeVar("T")


def overlay(
    private: str | os.PathLike[str], *shared: str | os.PathLike[str]
) -> OverlayStore:
    """The store in the directory `private`, with what the `shared` ones hold too; those are never written to."""
    return _overlay(
        *(os.path.abspath(os.path.expanduser(one)) for one in (private, *shared))
    )


@lru_cache(maxsize=64)
def _overlay(private: str, *shared: str) -> OverlayStore:
    return OverlayStore(open_store(private), *map(open_store, shared))


class OverlayStore(StoreAround):
    """Hits from all of some stores; whatever is written goes to the first."""

    def __init__(self, private: Store, *shared: Store) -> None:
        super().__init__(private)
        self._shared = [ReadOnlyStore(store) for store in shared]

    def __repr__(self) -> str:
        return f"OverlayStore({', '.join(map(repr, self._all))})"

    @property
    def _all(self) -> list[Store]:
        return [self._inner, *self._shared]

    def find(self, key: Key) -> Entry | None:
        return self._inner.find(key) or self._shared_entry(key)

    def look(self, key: Key) -> Entry | None:
        return self._inner.look(key) or self._shared_entry(key)

    def _shared_entry(self, key: Key) -> Entry | None:
        for store in self._shared:
            try:
                entry = store.find(key)
            except CorruptArtifact as error:
                # Not ours to set aside: it is computed here, and found first from then on.
                log.warning("%s", error)
                continue
            if entry is not None:
                return entry
        return None

    def adopt(self, entry: Entry, label: str, kinship: str) -> None:
        # A manifest of ours names data of ours. What lies in a shared store is found there again by what it read.
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
        seen = set[str]()
        for store in self._all:
            for manifest in store.manifests(analysis):
                if manifest.key not in seen:
                    seen.add(manifest.key)
                    yield manifest

    def kin(self, key: Key, kinship: str) -> tuple[Sequence[Manifest], bool]:
        found = [store.kin(key, kinship) for store in self._all]
        manifests = [manifest for known, _ in found for manifest in known]
        return manifests, any(has_been for _, has_been in found)

    def detail(self, kind: str, digest: str) -> Any:
        return _first(store.detail for store in self._all)(kind, digest)

    def recall(self, signature: Signatures) -> Mapping[str, Digest] | None:
        return _first(store.recall for store in self._all)(signature)


def _first(ways: Iterable[Callable[..., T | None]]) -> Callable[..., T | None]:
    """The first of some answers that is one."""
    asked = list(ways)

    def ask(*question: Any) -> T | None:
        for way in asked:
            if (answer := way(*question)) is not None:
                return answer
        return None

    return ask
