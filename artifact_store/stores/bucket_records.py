"""What a store in a bucket notes beside its entries: the records of a directory, each one piece.

A process remembers for a while what it read and wrote, also that there was nothing: records only save work, and one
request for each of a thousand checkpoints is what a run would notice.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from artifact_store.buckets import Bucket
from artifact_store.descriptors import MOST_BYTES
from artifact_store.digests import Digest
from artifact_store.errors import BucketFailed, CorruptArtifact
from artifact_store.events import log
from artifact_store.files import Signatures
from artifact_store.keys import Key
from artifact_store.layout import Layout
from artifact_store.manifests import moment
from artifact_store.reads import Step
from artifact_store.recent import Recent
from artifact_store.stores.base import Publication
from artifact_store.stores.records import (
    is_name,
    kin_mark,
    memo_name,
    parse_detail,
    parse_memo,
    parse_steps,
    render_detail,
    render_memo,
)

# What others note meanwhile is not seen so long: they may compute what could have been found by its reads.
_SECONDS: Final = 60.0

_NAMES: Final = Layout("")


class BucketRecords:
    """The records of the store in a bucket."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        # By node, when it was asked and what computations did next.
        self._steps: Recent[str, tuple[float, tuple[Step, ...]]] = Recent(1 << 16)
        self._sent: Recent[tuple[str, str], bool] = Recent(1 << 16)

    def steps(self, node: Digest) -> Sequence[Step]:
        """What computations did next that had read what `node` stands for."""
        known = self._steps.get(node.hex)
        if known is not None and time.monotonic() - known[0] < _SECONDS:
            return known[1]
        return self._read_steps(node.hex)

    def _read_steps(self, node: str) -> tuple[Step, ...]:
        content = self._read("steps", node)
        found = () if content is None else parse_steps(node, content)
        self._steps.put(node, (time.monotonic(), found))
        return found

    def detail(self, kind: str, digest: str) -> Any:
        """What is noted; `None` if nothing is, or nothing that can be read."""
        content = self._read(kind, digest)
        return None if content is None else parse_detail(kind, digest, content)

    def keep(self, kind: str, digest: str, detail: Any) -> None:
        """Note it, in the place of what was there."""
        self._bucket.put(_name(kind, digest), render_detail(kind, digest, detail))

    def notes_of(self, key: Key, publication: Publication) -> dict[str, bytes]:
        """What is to be noted of a result and is not there yet, by its name in the bucket."""
        notes = {_kin_name(key, publication.kinship): b""}
        for (kind, digest), make in publication.details.items():
            if self._sent.get((kind, digest)) is None:
                content = render_detail(kind, digest, make())
                notes[_name(kind, digest)] = content
                self._sent.put((kind, digest), True)
        for node, step in publication.steps.items():
            notes |= self._note_of_step(node, step)
        return notes

    def _note_of_step(self, node: str, step: Step) -> dict[str, bytes]:
        # However old: what another noted meanwhile and is lost here is computed once more, and noted again.
        remembered = self._steps.get(node)
        known = self._read_steps(node) if remembered is None else remembered[1]
        if step in known:
            return {}
        every = (*known, step)
        self._steps.put(node, (time.monotonic(), every))
        return {_name("steps", node): render_detail("steps", node, every)}

    def noted(self) -> Iterator[tuple[str, Sequence[Step]]]:
        """The steps after all that any computation has read, by node."""
        names = [one.name for one in self._bucket.listed(_NAMES.records("steps")[1:])]
        nodes = [name.rpartition("/")[2].removesuffix(".json") for name in names]
        yield from zip(nodes, self._bucket.each(self._read_steps, nodes), strict=True)

    def note(self, node: str, steps: Sequence[Step]) -> None:
        """Add steps of another store to those that are known."""
        known = self._read_steps(node)
        new = [one for one in steps if one not in known]
        if new:
            self.keep("steps", node, [*known, *new])
            self._steps.put(node, (time.monotonic(), (*known, *new)))

    def recall(self, signature: Signatures) -> Mapping[str, Digest] | None:
        """The digests of the tensors in files with this signature, if it says the same on every host."""
        if not all(one.is_tag for one in signature):
            return None
        name = memo_name(signature)
        content = self._read("digests", name)
        return None if content is None else parse_memo(name, content)

    def remember(self, signature: Signatures, digests: Mapping[str, Digest]) -> None:
        """Note them."""
        if all(one.is_tag for one in signature):
            name = _name("digests", memo_name(signature))
            try:
                self._bucket.put(name, render_memo(signature, digests))
            except BucketFailed as error:
                log.info("%s", error)  # What a memo would save is computed again.

    def kin(self, key: Key, kinship: str) -> list[str]:
        """The keys of the entries that are or were akin to that of `key`, newest first."""
        below = _kin_folder(key, kinship)
        names = sorted((one.name for one in self._bucket.listed(below)), reverse=True)
        known = (name.rpartition("_")[2] for name in names)
        return list(dict.fromkeys(one for one in known if is_name(one)))

    def keep_kin(self, key: Key, kinship: str) -> None:
        """Note `key` as the newest of its kin."""
        self._bucket.put(_kin_name(key, kinship), b"")

    def _read(self, kind: str, digest: str) -> bytes | None:
        if not is_name(digest):
            return None
        try:
            piece = self._bucket.get(_name(kind, digest), MOST_BYTES)
        except CorruptArtifact as error:
            log.info("%s", error)
            return None
        return None if piece is None else bytes(piece.content)


def _name(kind: str, digest: str) -> str:
    return _NAMES.record(kind, digest)[1:]


def _kin_folder(key: Key, kinship: str) -> str:
    return f"{_NAMES.journal(key.analysis)[1:]}/{kin_mark(kinship)}/"


def _kin_name(key: Key, kinship: str) -> str:
    # Where a directory has one journal, a bucket has a name for each line: nothing can be added to a piece.
    return f"{_kin_folder(key, kinship)}{moment()}_{key.digest.hex}"
