"""Counts: what the calls of one analysis have found in stores, in this process.

each call ──► hit or miss ──► *Counts* ──► *CacheInfo*
"""

from __future__ import annotations

from collections.abc import Iterable
from threading import get_ident
from typing import Final, TypeAlias

import msgspec

from artifact_store.markup import Html, facts
from artifact_store.quantities import duration, size
from artifact_store.stores.base import Entry


class CacheInfo(msgspec.Struct, frozen=True):
    """How often an analysis found its result in a store, and what that saved.

    Attributes
    ----------
    hits, misses
        Calls that found it, and calls that did not.
    nbytes
        Of what was found, each time that it was found.
    seconds_saved
        How long it took to compute what was found, each time that it was found.
    """

    hits: int = 0
    misses: int = 0
    nbytes: int = 0
    seconds_saved: float = 0.0

    def __str__(self) -> str:
        saved = (
            f"{duration(self.seconds_saved)} saved" if self.hits else "nothing saved"
        )
        return f"{self.hits:,} hit, {self.misses:,} missed, {size(self.nbytes)} found, {saved}"

    def _repr_html_(self) -> Html:
        known = {
            "hits": f"{self.hits:,}",
            "misses": f"{self.misses:,}",
            "found": size(self.nbytes),
            "saved": duration(self.seconds_saved),
        }
        return facts(known)


_Part: TypeAlias = Entry | CacheInfo

_MISS: Final = CacheInfo(misses=1)

# A hit takes 17 µs, and adding up what it found a fifth of one among other work, but a tenth where many are added.
_MANY: Final = 256


class Counts:
    """Counts of all threads.

    Each has its own list, of entries that were found and of what former ones came to, and whoever asks adds them all
    up: so none waits for another, and none gets lost. A thread with the number of one that has ended goes on with its.
    """

    def __init__(self) -> None:
        self._by_thread: dict[int, list[_Part]] = {}

    def hit(self, entry: _Part) -> None:
        """Count a call that found its entry."""
        thread = get_ident()
        mine = self._by_thread.get(thread)
        if mine is None:
            mine = self._by_thread[thread] = []
        mine.append(entry)
        if len(mine) == _MANY:
            mine[:] = [_total(mine)]

    def miss(self) -> None:
        """Count a call that did not."""
        self.hit(_MISS)

    def info(self) -> CacheInfo:
        """All that was counted."""
        # Copies, for what others add to may not be walked.
        every = [list(parts) for parts in list(self._by_thread.values())]
        return _total(part for parts in every for part in parts)


def _total(parts: Iterable[_Part]) -> CacheInfo:
    hits = misses = nbytes = 0
    seconds = 0.0
    for part in parts:
        if isinstance(part, CacheInfo):
            hits += part.hits
            misses += part.misses
            nbytes += part.nbytes
            seconds += part.seconds_saved
        else:
            hits += 1
            nbytes += part.manifest.nbytes
            seconds += part.manifest.provenance.seconds
    return CacheInfo(hits, misses, nbytes, seconds)
