"""Pins: statements that entries are to stay, whatever a budget says."""

from __future__ import annotations

import contextlib
import datetime
import os
import re
from typing import Final

import msgspec

from artifact_store.descriptors import read_file, refuse_links
from artifact_store.digests import Digest, Hex
from artifact_store.equivalence import user_name
from artifact_store.errors import ArtifactStoreError
from artifact_store.keys import Key
from artifact_store.layout import Layout
from artifact_store.manifests import NOT_JSON, as_json
from artifact_store.staging import staged, sync_upward

# The name of a pin: the key of the entry that is to stay.
_NAME: Final = re.compile(r"([0-9a-f]{64})[.]json")


class Pin(msgspec.Struct, frozen=True):
    """The statement that the entry under a key is to stay."""

    analysis: str
    digest: Hex
    label: str
    note: str
    who: str
    created: str

    @property
    def key(self) -> Key:
        """Of the entry."""
        return Key(self.analysis, Digest("blake3", self.digest))


def pin(location: str, key: Key, label: str, note: str = "") -> Pin:
    """State it for a store in a directory, in place of what was stated of this entry before."""
    layout = Layout(location)
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    stated = Pin(key.analysis, key.digest.hex, label, note, user_name(), now)
    with staged(layout.staging) as stage:
        stage.appear(as_json(stated), layout.pin(key))
    # What is stated once is not to be lost by a power cut.
    sync_upward(layout.pin(key), layout.root)
    return stated


def unpin(location: str, pinned: Pin) -> None:
    """Take it back."""
    layout = Layout(location)
    refuse_links(layout.pins, layout.root)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(layout.pin(pinned.key))


def pinned(location: str) -> frozenset[str]:
    """The digest of every key that is pinned: that a pin is there says so, whatever has become of its content."""
    return frozenset(_digests(Layout(location)))


def pins(location: str) -> list[Pin]:
    """All that are stated, in the order of their making; of entries that are gone, too."""
    layout = Layout(location)
    found = [_read(layout, digest) for digest in _digests(layout)]
    return sorted(found, key=lambda one: one.created)


def _digests(layout: Layout) -> list[str]:
    refuse_links(layout.pins, layout.root)
    try:
        names = os.listdir(layout.pins)
    except FileNotFoundError:
        return []
    return [found[1] for found in map(_NAME.fullmatch, names) if found]


def _read(layout: Layout, digest: str) -> Pin:
    with contextlib.suppress(ArtifactStoreError, OSError, *NOT_JSON):
        content = read_file(f"{layout.pins}/{digest}.json")
        stated = msgspec.json.decode(content, type=Pin)
        if stated.digest == digest:
            return stated
    return Pin("?", digest, "?", "what was noted of it cannot be read", "?", "")
