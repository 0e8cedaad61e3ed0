"""Entries that this process has read before: two `stat` instead of opening, reading, parsing and comparing.

Whether an entry is still there, and still what it was, is asked at each hit; only the answer to what it is, is kept.
"""

from __future__ import annotations

import os
import time
from typing import Final

import msgspec

from artifact_store.descriptors import FileStat
from artifact_store.files import Signature, is_racy
from artifact_store.groups import files_of
from artifact_store.keys import Key
from artifact_store.recent import Recent
from artifact_store.stores.base import Entry

# As many as a few runs have; each is a manifest in memory, about 5 kB.
_SEEN: Final = 4096


class _Seen(msgspec.Struct, frozen=True):
    """An entry, and the stat of its manifest and of its data when they were known to be right."""

    entry: Entry
    files: tuple[tuple[str, FileStat], ...]

    def stands(self) -> bool:
        try:
            for path, then in self.files:
                if FileStat.of(os.lstat(path)) != then:
                    return False
        except OSError:
            return False
        return True


class SeenEntries:
    """The entries of one store that were used last."""

    def __init__(self) -> None:
        self._recent: Recent[Key, _Seen] = Recent(_SEEN)

    def find(self, key: Key) -> Entry | None:
        """The entry under a key, provided that none of its files has changed; `None` if that is not known."""
        seen = self._recent.get(key)
        return seen.entry if seen is not None and seen.stands() else None

    def note(self, entry: Entry, manifest: str, status: os.stat_result) -> None:
        """Note an entry that was read and verified, and the stat of the manifest that was read at this path."""
        # One that could be written to without showing it is read again.
        if not is_racy((Signature.of(status),), time.time_ns()):
            stats = files_of(entry.group)
            data = [
                (f"{entry.directory}/{stored.file}", stats[stored.name])
                for stored in entry.manifest.arrays
                if stored.file
            ]
            files = ((manifest, FileStat.of(status)), *data)
            self._recent.put(entry.key, _Seen(entry, files))
