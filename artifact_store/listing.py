"""All entries of a store, one by one: as quickly as files can be opened, and a million in no more memory than one.

    entries/<analysis>/3f/9a….json ──► *listed_keys* ──► Key
                                   └─► *briefs* ──► Brief

Lists believe what a manifest says of itself; `verify` tells whether it is what was written, and a hit makes sure.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

import msgspec

from artifact_store.descriptors import check_size, once_more, open_unnoted, refuse_links
from artifact_store.digests import Count, Digest, Hex
from artifact_store.errors import (
    ArtifactStoreError,
    CorruptArtifact,
    UnknownFormat,
)
from artifact_store.keys import Key
from artifact_store.layout import Layout
from artifact_store.manifests import (
    MANIFEST_FORMAT,
    NOT_JSON,
    Manifest,
    format_of,
    parse_manifest,
)

# Why a manifest is not listed.
Unread: TypeAlias = CorruptArtifact | UnknownFormat

# What bears another name is none of ours.
_PREFIX: Final = re.compile("[0-9a-f]{2}")
_MANIFEST: Final = re.compile("[0-9a-f]{62}[.]json")
_STEM: Final = -len(".json")
# Manifests are small; one that is not takes another read.
_BLOCK: Final = 1 << 16


class BriefArray(msgspec.Struct, frozen=True, gc=False):
    """An array, as lists show it."""

    name: str
    dtype: str
    shape: tuple[Count, ...]
    size: Count


class BriefParam(msgspec.Struct, frozen=True, gc=False):
    """A param, as people read it."""

    shown: str


class BriefInput(msgspec.Struct, frozen=True, gc=False):
    """An input, by its label and by what it holds."""

    label: str
    digest: str


class BriefProvenance(msgspec.Struct, frozen=True, gc=False):
    """How an entry was made, in short."""

    function: str
    closure: str
    params: dict[str, BriefParam]
    inputs: tuple[BriefInput, ...]
    environment: str
    created: str
    seconds: float


class Brief(msgspec.Struct, frozen=True, gc=False):
    """The part of a manifest that lists are made of: read in a tenth of the time that all of it takes."""

    format: int
    key: str
    analysis: str
    output: Hex
    arrays: tuple[BriefArray, ...]
    provenance: BriefProvenance
    reads: str | None = None

    @property
    def address(self) -> Key:
        """The key that the manifest is under."""
        return Key(self.analysis, Digest("blake3", self.key))

    @property
    def nbytes(self) -> int:
        """Bytes of all data files."""
        return sum(array.size for array in self.arrays)


_BRIEFS: Final = msgspec.json.Decoder(Brief)


def listed_analyses(layout: Layout) -> list[str]:
    """The name of every analysis that may have entries."""
    return [
        name
        for name in _names(layout.entries)
        if os.path.isdir(f"{layout.entries}/{name}")
    ]


def listed_keys(layout: Layout, analysis: str | None = None) -> Iterator[Key]:
    """Every key that has a manifest, readable or not, of one analysis or all; in order."""
    for of, prefix, names in _folders(layout, analysis):
        for name in names:
            yield Key(of, Digest("blake3", prefix + name[:_STEM]))


def number_of_entries(layout: Layout, analysis: str | None = None) -> int:
    """How many there are."""
    return sum(len(names) for _, _, names in _folders(layout, analysis))


def briefs(
    layout: Layout,
    analysis: str | None = None,
    advance: Callable[[int, str], None] = lambda count, note: None,
    refuse: Callable[[Unread], None] = lambda error: None,
) -> Iterator[Brief]:
    """What every manifest says of its entry, in the order of keys.

    Parameters
    ----------
    advance
        Told how many have been looked at, some hundreds at a time.
    refuse
        Given each that cannot be read, which is then left out unless this raises.
    """
    for of, prefix, names in _folders(layout, analysis):
        folder = f"{layout.entries}/{of}/{prefix}"
        for name in names:
            try:
                brief = _brief(f"{folder}/{name}")
                if (brief.analysis, brief.key) != (of, prefix + name[:_STEM]):
                    problem = f"is the manifest of another key, {brief.key}"
                    raise CorruptArtifact(f"{folder}/{name}", problem)
            except (CorruptArtifact, UnknownFormat) as error:
                refuse(error)
            else:
                yield brief
        advance(len(names), of)


def refuse_unread(error: Unread) -> None:
    """Go on without a manifest only if it is none, or is gone; one that cannot be read at this moment names data."""
    cause = error.__cause__
    is_unread = isinstance(cause, OSError) and not isinstance(cause, FileNotFoundError)
    if is_unread or not isinstance(error, CorruptArtifact):
        raise error


def _folders(
    layout: Layout, analysis: str | None
) -> Iterator[tuple[str, str, list[str]]]:
    """The manifests of a store, folder by folder: analysis, beginning of the key, file names."""
    refuse_links(layout.entries, layout.root)
    for of in [analysis] if analysis else listed_analyses(layout):
        for prefix in filter(_PREFIX.fullmatch, _names(f"{layout.entries}/{of}")):
            folder = f"{layout.entries}/{of}/{prefix}"
            refuse_links(folder, layout.root)
            found = list(filter(_MANIFEST.fullmatch, _names(folder)))
            if found:
                yield of, prefix, found


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _brief(path: str) -> Brief:
    content = read_unnoted(path)
    try:
        brief = _BRIEFS.decode(content)
    except NOT_JSON as error:
        # What a newer release wrote need not have our fields.
        if (found := format_of(content)) in (None, MANIFEST_FORMAT):
            raise CorruptArtifact(path, f"is not a manifest: {error}") from error
        raise UnknownFormat(path, found) from None
    if brief.format != MANIFEST_FORMAT:
        raise UnknownFormat(path, brief.format)
    return brief


def manifest_at(layout: Layout, key: Key) -> Manifest | None:
    """The whole manifest under a key, if it can be read; to look at it here is no use of the entry."""
    path = layout.manifest(key)
    try:
        found = parse_manifest(read_unnoted(path), path)
    except (ArtifactStoreError, OSError):
        return None
    # Its names become paths; those of a stranger may lead anywhere but here.
    is_here = (found.analysis, found.key) == (key.analysis, key.digest.hex)
    return found if is_here else None


def read_unnoted(path: str) -> bytes:
    """A manifest as it is on disk, which does not count as a use of its entry."""
    try:
        try:
            return _read_unnoted(path)
        except OSError as error:
            return once_more(lambda: _read_unnoted(path), error)
    except OSError as error:
        raise CorruptArtifact(path, f"cannot be read ({error.strerror})") from error


def _read_unnoted(path: str) -> bytes:
    descriptor = open_unnoted(path)
    try:
        check_size(os.fstat(descriptor).st_size, path)
        content = os.read(descriptor, _BLOCK)
        if len(content) == _BLOCK:
            content = _whole(descriptor, path)
        return content
    finally:
        os.close(descriptor)


def _whole(descriptor: int, path: str) -> bytes:
    size = os.fstat(descriptor).st_size
    check_size(size, path)
    return os.pread(descriptor, size, 0)


def used_last(layout: Layout, brief: Brief) -> float:
    """When an entry was used last, in seconds of the storage's clock, as far as the file system notes it; 0 if gone."""
    try:
        return use_of(os.lstat(layout.manifest(brief.address)))
    except FileNotFoundError:
        return 0.0


def use_of(status: os.stat_result) -> float:
    """The same by the stat of its manifest, which a hit reads and a list does not."""
    return max(status.st_atime, status.st_mtime)
