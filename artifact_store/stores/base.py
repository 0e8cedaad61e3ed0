"""What every store can do, whatever it is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import msgspec

from artifact_store.arrays import ArraySet, Codec, StoredArray
from artifact_store.digests import Digest
from artifact_store.files import DigestMemo
from artifact_store.groups import Group
from artifact_store.keys import Key
from artifact_store.manifests import MANIFEST_FORMAT, Manifest, Provenance, Seal
from artifact_store.reads import Read, Step


class Entry(msgspec.Struct, frozen=True):
    """What a store holds under a key.

    Attributes
    ----------
    group
        Its arrays, whose content is known to be right.
    home
        Where to keep what is made of it, if not beside it.
    """

    key: Key
    manifest: Manifest
    group: Group
    home: str = ""

    @property
    def directory(self) -> str:
        """The path or URL of its zarr group."""
        return self.group.place


class Publication(msgspec.Struct, frozen=True):
    """A result to be kept.

    Attributes
    ----------
    key
        Under which it is kept, if not under that of the call.
    label
        The name of its door.
    kinship
        By which to find entries to compare with.
    reads, outside, flags
        As in a manifest.
    steps
        What its computation did next after each of its reads, by the digest of those before.
    details
        What makes parts of the inputs and of the closure, by the digest that manifests refer to them by; kept to
        explain misses.
    """

    arrays: ArraySet
    single: bool
    codec: Codec
    durable: bool
    label: str
    provenance: Provenance
    details: Mapping[tuple[str, str], Callable[[], Any]]
    reads: str | None = None
    outside: tuple[Read, ...] = ()
    flags: tuple[str, ...] = ()
    steps: Mapping[str, Step] = msgspec.field(default_factory=dict)
    kinship: str = ""
    key: Key | None = None

    def manifest(
        self, key: Key, output: str, stored: tuple[StoredArray, ...], seal: Seal
    ) -> Manifest:
        """The record of it, with its arrays as they were stored."""
        return Manifest(
            format=MANIFEST_FORMAT,
            key=key.digest.hex,
            analysis=key.analysis,
            output=output,
            single=self.single,
            arrays=stored,
            seal=seal,
            provenance=self.provenance,
            reads=self.reads,
            outside=self.outside,
            flags=self.flags,
        )


class Store(DigestMemo, Protocol):
    """Keeps entries.

    Looking never changes which entries a store holds nor what they are, and makes no store where there is none. It
    may note what it found: that data are right, and the digests of an input.
    """

    @property
    def location(self) -> str:
        """Where it is, for people."""

    @property
    def is_far(self) -> bool:
        """Whether each look takes a round trip, so that `foresee` is worth its while."""

    def find(self, key: Key) -> Entry | None:
        """The entry under `key`, its data unchanged since they were known to be right; `CorruptArtifact` if not."""

    def look(self, key: Key) -> Entry | None:
        """As `find`, but without noting anything on disk."""

    def lease(self, key: Key) -> AbstractContextManager[None]:
        """The right to compute `key`, as soon as nobody else has it."""

    def foresee(self, keys: Sequence[Key]) -> None:
        """Look many keys up at once, where that is quicker, so that the next `find` of each need not."""

    def publish(self, key: Key, publication: Publication) -> Entry:
        """Make a result visible, all at once.

        Who was first to publish the same call under its key has published it for all: his entry is given, and a
        result that differs from his is told (`winners`).
        """

    def replace(self, key: Key, publication: Publication) -> Entry:
        """As `publish`, but in place of whatever is there."""

    def steps(self, node: Digest) -> Sequence[Step]:
        """What computations did next whose reads so far have this digest."""

    def adopt(self, entry: Entry, label: str, kinship: str) -> None:
        """Make data that are there an entry under another key too, if that can be written."""

    def label(self, entry: Entry, label: str, kinship: str) -> None:
        """Make sure that there is a door of this name to the entry, and that it is found among its kin."""

    def remove(self, keys: Iterable[Key]) -> int:
        """Remove entries, and the data that no other entry needs; the bytes gained."""

    def set_aside(self, key: Key, cause: str) -> None:
        """Move a corrupt entry and its data where no reader looks, and note why."""

    def keys(self, analysis: str | None = None) -> Iterator[Key]:
        """Every key that has an entry, readable or not, of one analysis or all."""

    def manifests(self, analysis: str | None = None) -> Iterator[Manifest]:
        """Every manifest that can be read, of one analysis or all."""

    def kin(self, key: Key, kinship: str) -> tuple[Sequence[Manifest], bool]:
        """The newest manifests of the analysis with this kinship, newest first, and whether `key` had one once."""

    def detail(self, kind: str, digest: str) -> Any:
        """What `Publication.details` or `keep` held; `None` if it is not there."""

    def keep(self, kind: str, digest: str, detail: Any) -> None:
        """Keep a detail in place of what is there."""
