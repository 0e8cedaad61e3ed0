"""What a store in a bucket holds and nothing needs: data that no manifest names, and what was set aside.

    listing ──► data ──► named by no manifest, and older than the grace period by the server's clock ──► deleted

Whoever publishes writes his data first, so that young ones may be about to be named. To know what is named, every
manifest is read once: a request for each.
"""

from __future__ import annotations

import re
import uuid
from collections import defaultdict
from typing import Final

import msgspec

from artifact_store.buckets import Bucket, Listed
from artifact_store.errors import BucketFailed
from artifact_store.layout import Layout
from artifact_store.stores.remote import RemoteStore

# Longer than any result takes to upload.
GRACE_SECONDS: Final = 24 * 3600.0

_NAMES: Final = Layout("")

# What else somebody has put there is none of ours.
_DATA: Final = re.compile(re.escape(_NAMES.data[1:]) + "/[0-9a-f]{2}/([0-9a-f]{64})/")


class Group(msgspec.Struct, frozen=True):
    """The pieces of data that nothing names."""

    output: str
    pieces: tuple[str, ...]
    nbytes: int


def superfluous(store: RemoteStore, grace: float = GRACE_SECONDS) -> list[Group]:
    """The data that no manifest names, if all of them are older than the grace period.

    Raises
    ------
    CorruptArtifact, UnknownFormat
        A manifest cannot be read, and may name any data.
    """
    bucket = store.bucket
    now = _now(bucket)
    # Data are listed before manifests: what is published meanwhile is not among them, or is young.
    pieces: dict[str, list[Listed]] = defaultdict(list)
    for one in bucket.listed(_NAMES.data[1:]):
        if found := _DATA.match(one.name):
            pieces[found[1]].append(one)
    named = {manifest.output for manifest in store.every_manifest()}
    return [
        Group(
            output,
            tuple(one.name for one in some),
            sum(one.size for one in some),
        )
        for output, some in sorted(pieces.items())
        if output not in named and max(one.modified for one in some) < now - grace
    ]


def delete(store: RemoteStore, groups: list[Group]) -> None:
    """Remove data."""
    store.bucket.delete(name for group in groups for name in group.pieces)


def _now(bucket: Bucket) -> float:
    """What time it is by the clock of the server."""
    piece = f".store/clock/{uuid.uuid4().hex}"
    bucket.put(piece, b"")
    found = bucket.head(piece)
    bucket.delete([piece])
    if found is None:
        raise BucketFailed(bucket.url, "written", "what was just written is not there")
    return found.modified
