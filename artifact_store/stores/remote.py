"""A store in a bucket, reached over a network.

    find:     key → manifest, in one request; each array is one more, when it is read
    publish:  data and records, all at once → manifest, unless there is one

The names are those of a store in a directory, but for what a bucket has no use for: doors, locks and stages. Data are
named by what they hold and the manifest is created last, so every reader sees a whole entry or none; of two who
publish one call, the first has (`winners`). Nothing is listed on the path of a call.
"""

from __future__ import annotations

import os
import re
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, Final

import msgspec

from artifact_store.arrays import (
    StoredArray,
    digest_arrays,
    digest_group,
    metadata_files,
    write_group,
)
from artifact_store.buckets import MEMORY, Bucket, Piece, open_bucket
from artifact_store.descriptors import MOST_BYTES
from artifact_store.digests import Digest, digest_of
from artifact_store.errors import (
    ArtifactStoreError,
    BucketFailed,
    CorruptArtifact,
    InThisProcess,
    NotSigned,
    UnknownFormat,
)
from artifact_store.events import log
from artifact_store.files import Signatures
from artifact_store.keys import Key
from artifact_store.layout import Layout, key_of_manifest
from artifact_store.leases import leased, place_of
from artifact_store.manifests import (
    Manifest,
    Seal,
    as_json,
    moment,
    parse_manifest,
    render_manifest,
)
from artifact_store.reads import Step
from artifact_store.recent import Recent
from artifact_store.signing import signing_key
from artifact_store.stores.base import Entry, Publication
from artifact_store.stores.bucket_groups import SentGroup, group_of
from artifact_store.stores.bucket_records import BucketRecords
from artifact_store.stores.winners import compare, is_same_call
from artifact_store.urls import UrlPath, joined

# How many of the newest entries a miss is compared with.
_KIN: Final = 20

# How long a manifest that was looked up beforehand is waited for.
_FORESEEN_SECONDS: Final = 60.0

# Names in a bucket have no beginning.
_NAMES: Final = Layout("")
_MANIFEST: Final = re.compile(
    re.escape(_NAMES.entries[1:]) + "/[^/]+/[0-9a-f]{2}/[0-9a-f]{62}[.]json"
)


@lru_cache(maxsize=256)
def open_remote(url: str) -> RemoteStore:
    """The store at a URL; one object per process, which keeps its connections."""
    return RemoteStore(open_bucket(url))


class RemoteStore:
    """A store in a bucket."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._records = BucketRecords(bucket)
        self._foreseen: Recent[Key, tuple[float, Piece | None]] = Recent(1 << 16)
        # Of files of this host, whose signatures mean nothing elsewhere.
        self._memo: Recent[Signatures, Mapping[str, Digest]] = Recent(4096)

    @property
    def bucket(self) -> Bucket:
        """What it lies in."""
        return self._bucket

    @property
    def location(self) -> str:
        return self._bucket.url

    @property
    def is_far(self) -> bool:
        return True

    def __repr__(self) -> str:
        return f"RemoteStore({self.location!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        if self.location.startswith(MEMORY):
            raise InThisProcess(self.location)
        return open_remote, (self.location,)

    def find(self, key: Key) -> Entry | None:
        manifest = self._manifest(key)
        return None if manifest is None else self._entry(key, manifest)

    def look(self, key: Key) -> Entry | None:
        return self.find(key)

    def _entry(self, key: Key, manifest: Manifest) -> Entry:
        return Entry(key, manifest, group_of(self.location, manifest))

    def _manifest(self, key: Key) -> Manifest | None:
        name = _manifest_name(key)
        foreseen = self._foreseen.pop(key)
        is_young = foreseen and time.monotonic() - foreseen[0] < _FORESEEN_SECONDS
        piece = foreseen[1] if foreseen and is_young else self._read(name)
        if piece is None:
            return None
        path = joined(self.location, name)
        manifest = parse_manifest(bytes(piece.content), path)
        if (manifest.analysis, manifest.key) != (key.analysis, key.digest.hex):
            other = f"{manifest.analysis}:{manifest.key}"
            raise CorruptArtifact(path, f"is the manifest of another key, {other}")
        return manifest

    def _read(self, name: str) -> Piece | None:
        return self._bucket.get(name, MOST_BYTES)

    def foresee(self, keys: Sequence[Key]) -> None:
        def look_up(key: Key) -> None:
            piece = self._read(_manifest_name(key))
            self._foreseen.put(key, (time.monotonic(), piece))

        self._bucket.each(look_up, dict.fromkeys(keys))

    def lease(self, key: Key) -> AbstractContextManager[None]:
        # A key that is none would be found out when there is something to sign: after hours of work.
        signing_key()
        # Callers on this host wait for each other. Those of another one may compute it too, and the first is kept.
        return leased(_lock_of(self.location), place_of(key.digest.hex))

    def publish(self, key: Key, publication: Publication) -> Entry:
        ours = self._stored(key, publication)
        kept = self._kept(key, ours)
        return (
            self._sent(key, ours, publication)
            if kept is ours
            else self._entry(key, kept)
        )

    def _kept(self, key: Key, ours: Manifest) -> Manifest:
        """What is under a key once ours was to be there."""
        if self._bucket.create(_manifest_name(key), render_manifest(ours)):
            return ours
        return self._first(key, ours)

    def _first(self, key: Key, ours: Manifest) -> Manifest:
        """The manifest of who was faster, if he published the same call; else ours, which takes its place."""
        try:
            there = self._manifest(key)
        except CorruptArtifact as error:
            log.warning("%s", error)
            there = None
        if there is not None and is_same_call(ours, there):
            compare(key, ours, there, self.location)
            return there
        self._bucket.put(_manifest_name(key), render_manifest(ours))
        return ours

    def replace(self, key: Key, publication: Publication) -> Entry:
        ours = self._stored(key, publication)
        self._bucket.put(_manifest_name(key), render_manifest(ours))
        return self._sent(key, ours, publication)

    def _sent(self, key: Key, ours: Manifest, publication: Publication) -> Entry:
        """The entry of what was just sent, which need not be fetched to be read."""
        group = SentGroup(group_of(self.location, ours), publication.arrays)
        return Entry(key, ours, group)

    def _stored(self, key: Key, publication: Publication) -> Manifest:
        """The manifest of a result all of which is in the bucket, but for this."""
        arrays = publication.arrays
        with tempfile.TemporaryDirectory(prefix="artifact_store-") as folder:
            group = os.path.join(folder, "group")
            stored = write_group(group, arrays, codec=publication.codec)
            output = digest_arrays(arrays).hex
            try:
                notes = self._records.notes_of(key, publication)
                tags = self._upload(group, output, stored, notes)
            except BaseException:
                # It takes for sent what is not.
                self._records = BucketRecords(self._bucket)
                raise
        return publication.manifest(key, output, stored, Seal("", {}, tags))

    def _upload(
        self,
        group: str,
        output: str,
        stored: Sequence[StoredArray],
        notes: Mapping[str, bytes],
    ) -> dict[str, str]:
        """Put the data in a folder into the bucket, and notes by their names; the tag of each data file, by array."""
        below = _NAMES.group(output)[1:]
        sent: dict[str, bytes | Path] = {**notes}
        for name, content in metadata_files(stored).items():
            sent[f"{below}/{name}"] = content
        for one in stored:
            if one.file:
                sent[f"{below}/{one.file}"] = Path(group, one.file)
        put = self._bucket.each(lambda name: self._bucket.put(name, sent[name]), sent)
        tags = dict(zip(sent, put, strict=True))
        return {one.name: tags[f"{below}/{one.file}"] for one in stored if one.file}

    def has(self, key: Key) -> bool:
        """Whether there is something under a key, readable or not."""
        return self._bucket.head(_manifest_name(key)) is not None

    def take_in(self, entry: Entry) -> Entry:
        """An entry of another store as one of this; who was first to publish it stays."""
        made = entry.manifest
        with tempfile.TemporaryDirectory(prefix="artifact_store-") as folder:
            group = os.path.join(folder, "group")
            entry.group.save(group, made.arrays)
            if digest_group(group, made.arrays).hex != made.output:
                problem = "holds other data than were published under its name"
                raise CorruptArtifact(entry.directory, problem)
            tags = self._upload(group, made.output, made.arrays, {})
        ours = msgspec.structs.replace(made, seal=Seal("", {}, tags))
        return self._entry(entry.key, self._kept(entry.key, ours))

    def noted(self) -> Iterator[tuple[str, Sequence[Step]]]:
        """The steps after all that any computation has read, by node."""
        return self._records.noted()

    def note(self, node: str, steps: Sequence[Step]) -> None:
        """Add steps of another store to those that are known."""
        self._records.note(node, steps)

    def note_kin(self, key: Key, kinship: str) -> None:
        """Have an entry be found among its kin."""
        self._records.keep_kin(key, kinship)

    def adopt(self, entry: Entry, label: str, kinship: str) -> None:
        # Where we may not write, it is found again each time by what it reads.
        try:
            self._bucket.put(_manifest_name(entry.key), render_manifest(entry.manifest))
            self._records.keep_kin(entry.key, kinship)
        except BucketFailed as error:
            log.info("%s", error)

    def label(self, entry: Entry, label: str, kinship: str) -> None:
        pass  # A bucket has no links, and to look at each hit whether there are notes would cost as much as the hit.

    def steps(self, node: Digest) -> Sequence[Step]:
        return self._records.steps(node)

    def detail(self, kind: str, digest: str) -> Any:
        return self._records.detail(kind, digest)

    def keep(self, kind: str, digest: str, detail: Any) -> None:
        self._records.keep(kind, digest, detail)

    def recall(self, signature: Signatures) -> Mapping[str, Digest] | None:
        return self._memo.get(signature) or self._records.recall(signature)

    def remember(self, signature: Signatures, digests: Mapping[str, Digest]) -> None:
        self._memo.put(signature, digests)
        self._records.remember(signature, digests)

    def kin(self, key: Key, kinship: str) -> tuple[Sequence[Manifest], bool]:
        known = self._records.kin(key, kinship)
        newest = [Key(key.analysis, Digest("blake3", one)) for one in known[:_KIN]]
        manifests = [one for one in self._bucket.each(self._readable, newest) if one]
        is_there = any(one.key == key.digest.hex for one in manifests)
        return manifests, key.digest.hex in known and not is_there

    def keys(self, analysis: str | None = None) -> Iterator[Key]:
        below = f"{_NAMES.entries[1:]}/{analysis}/" if analysis else _NAMES.entries[1:]
        for listed in self._bucket.listed(below):
            # What else somebody has put there is none of ours.
            if _MANIFEST.fullmatch(listed.name):
                yield key_of_manifest(UrlPath(listed.name))

    def manifests(self, analysis: str | None = None) -> Iterator[Manifest]:
        return self._each(self._readable, self.keys(analysis))

    def every_manifest(self) -> Iterator[Manifest]:
        """Every manifest; raises of one that cannot be read what `find` would."""
        return self._each(self._manifest, self.keys())

    def _each(
        self, read: Callable[[Key], Manifest | None], keys: Iterator[Key]
    ) -> Iterator[Manifest]:
        while some := list(islice(keys, 1000)):
            yield from (one for one in self._bucket.each(read, some) if one)

    def _readable(self, key: Key) -> Manifest | None:
        try:
            return self._manifest(key)
        except BucketFailed:
            raise
        except ArtifactStoreError as error:
            log.info("%s", error)
            return None

    def remove(self, keys: Iterable[Key]) -> int:
        gone = list(keys)
        found = [one for one in self._bucket.each(self._readable, gone) if one]
        sizes = {one.output: one.nbytes for one in found}
        self._bucket.delete(map(_manifest_name, gone))
        if sizes:
            try:
                for one in self.every_manifest():
                    sizes.pop(one.output, None)
            except (CorruptArtifact, UnknownFormat) as error:
                # What cannot be read may name any data: they stay until `gc` can tell.
                log.warning("%s", error)
                return 0
        self._bucket.each(self._delete_group, sizes)
        return sum(sizes.values())

    def _delete_group(self, output: str) -> None:
        below = f"{_NAMES.group(output)[1:]}/"
        self._bucket.delete(listed.name for listed in self._bucket.listed(below))

    def set_aside(self, key: Key, cause: str) -> None:
        name = _manifest_name(key)
        try:
            if self._is_sound(key):
                return
            note = {"path": joined(self.location, name), "cause": cause}
            note |= {"key": str(key), "manifest": self._text_of(name)}
            aside = f"{_NAMES.quarantine[1:]}/{moment()}-{key.digest.short}.json"
            self._bucket.put(aside, as_json(note))
            self._bucket.delete([name])
        except BucketFailed as error:
            log.info("%s", error)

    def _text_of(self, name: str) -> str:
        try:
            piece = self._read(name)
        except CorruptArtifact:
            return ""  # It is too large to be one of ours.
        return "" if piece is None else bytes(piece.content).decode("latin1")

    def _is_sound(self, key: Key) -> bool:
        try:
            manifest = self._manifest(key)
            if manifest is not None:
                group_of(self.location, manifest).verify()
        except BucketFailed:
            raise
        except NotSigned:
            return True  # Whoever has its key may find it sound: a bucket is not ours alone.
        except ArtifactStoreError:
            return False
        return True


def _manifest_name(key: Key) -> str:
    return _NAMES.manifest(key)[1:]


def _lock_of(url: str) -> str:
    """The file whose bytes are locked on this host, each for a key of the store at a URL."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return f"{cache}/artifact_store/{digest_of('url', url.encode()).short}.lock"
