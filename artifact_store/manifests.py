"""Manifests: the JSON record that makes some arrays an entry.

    key ──► *Manifest* ──► output digest ──► arrays

It is written last, so seeing it means the arrays are there, and it begins with
the digest of the rest, so a damaged one is never believed.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import msgspec

from artifact_store.arrays import FileStat
from artifact_store.checked import UNSIGNED, fault, with_check
from artifact_store.digests import Digest, Hex, digest_of
from artifact_store.errors import (
    ArtifactStoreError,
    CorruptArtifact,
    NotSigned,
    UnknownFormat,
)
from artifact_store.reads import Read
from artifact_store.shards import StoredArray

MANIFEST_FORMAT: Final = 1

# How many boots, of hosts that share a store and of each before it was restarted, a seal has room for beside its own.
_BOOTS: Final = 32

# The boot of a seal that survives any: the data were synced to disk before the manifest was written.
DURABLE: Final = "durable"

# What decoding raises of bytes that are no record: text that is no UTF-8, nesting without end, and all else.
NOT_JSON: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


class ParamRecord(msgspec.Struct, frozen=True):
    """A param as people read it, and the digest of its canonical bytes."""

    shown: str
    digest: str
    is_default: bool = False


class InputRecord(msgspec.Struct, frozen=True):
    """An argument that has content: its label at the time, and the digest that counts."""

    name: str
    label: str
    digest: str


class Provenance(msgspec.Struct, frozen=True):
    """How an entry was made: `closure` is the code of the analysis alone, `whole` has that of those it calls too."""

    function: str
    closure: str
    params: dict[str, ParamRecord]
    inputs: tuple[InputRecord, ...]
    ignored: dict[str, str]
    environment: str
    versions: dict[str, str]
    python: str
    platform: str
    host: str
    created: str
    seconds: float
    whole: str = ""


def moment() -> str:
    """Now, as it is written down: in UTC, so that what is later is greater."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="microseconds")


class Seal(msgspec.Struct, frozen=True, omit_defaults=True):
    """The stat of each data file when its content was last known to be right, and the boot in which that was.

    Of what lies in a bucket, it is the tag that the server gave each, which changes whenever one is written.

    Attributes
    ----------
    boots
        Others in which the same was found, the newest first: each host of a shared directory has boots of its own.
    """

    boot: str
    files: dict[str, FileStat]
    tags: dict[str, str] = {}
    boots: tuple[str, ...] = ()


class Manifest(msgspec.Struct, frozen=True):
    """The record of an entry.

    Attributes
    ----------
    output
        The output digest, which names the data.
    single
        Whether the function returned one array and not a mapping.
    reads
        The digest of the reads that decided it, by which the store keeps them; `None` where they do not tell
        everything, so that all of the inputs counts.
    outside
        The reads among them that no input's digest tells: metadata and labels. They are asked again at every hit.
    flags
        What the function did that a pure one would not.
    first
        The key it was computed under, if that was another: the same reads had been seen before.
    """

    format: int
    key: Hex
    analysis: str
    output: str
    single: bool
    arrays: tuple[StoredArray, ...]
    seal: Seal
    provenance: Provenance
    reads: Hex | None = None
    outside: tuple[Read, ...] = ()
    flags: tuple[str, ...] = ()
    first: str = ""

    def __post_init__(self) -> None:
        # It becomes a path, and strangers write manifests too.
        if not _DIGEST.fullmatch(self.output):
            raise ValueError(f"{self.output!r} is no output digest")
        if self.single and len(self.arrays) != 1:
            raise ValueError(f"a single result is not {len(self.arrays)} arrays")

    @property
    def told(self) -> Digest:
        """What whoever calls the analysis is told: the arrays, and whether it was a single one."""
        output = bytes.fromhex(self.output)
        return digest_of("artifact", output, b"%d" % self.single)

    @property
    def nbytes(self) -> int:
        """Bytes of all data files."""
        return sum(array.size for array in self.arrays)


def render_manifest(manifest: Manifest) -> bytes:
    """The file of a manifest: one JSON object, whose first member is the digest of the rest."""
    return with_check("manifest", as_json(manifest))


def as_json(record: object) -> bytes:
    """A record as JSON, whatever its text: what is no Unicode, as in the names of some files, is written out in hex."""
    try:
        return msgspec.json.encode(record)
    except UnicodeEncodeError:
        return msgspec.json.encode(_printable(msgspec.to_builtins(record)))


def _printable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode(errors="backslashreplace").decode()
    if isinstance(value, dict):
        return {_printable(name): _printable(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_printable(one) for one in value]
    return value


def parse_manifest(content: bytes, path: str) -> Manifest:
    """The manifest in a file that `render_manifest` made.

    Raises
    ------
    CorruptArtifact
        It is not what was written, or (`NotSigned`) not signed with the key that is set here.
    UnknownFormat
        A newer release wrote it.
    """
    return (_remembered if len(content) <= _SMALL else _parsed)(content, path)


def _parsed(content: bytes, path: str) -> Manifest:
    if problem := fault("manifest", content):
        raise (NotSigned if problem == UNSIGNED else CorruptArtifact)(path, problem)
    try:
        manifest = _DECODER.decode(content)
    except (*NOT_JSON, ArtifactStoreError) as error:
        # What a newer release wrote need not have our fields.
        if (found := format_of(content)) == MANIFEST_FORMAT:
            raise CorruptArtifact(path, f"is not a manifest: {error}") from error
        raise UnknownFormat(path, found) from None
    if manifest.format != MANIFEST_FORMAT:
        raise UnknownFormat(path, manifest.format)
    return manifest


# A pure function of the bytes, which are read anew each time: hashing them again and decoding them would take longer.
# Larger ones would be held on to by the thousand, and are read seldom.
_SMALL: Final = 1 << 14
_remembered = lru_cache(maxsize=2048)(_parsed)


class _Format(msgspec.Struct):
    format: object


def format_of(content: bytes) -> object:
    """The format that the file of a manifest says it has; `None` if it says nothing."""
    try:
        return msgspec.json.decode(content, type=_Format).format
    except NOT_JSON:
        return None


_DECODER: Final = msgspec.json.Decoder(Manifest)


# What a boot is called that has no name; it is like no other.
NO_BOOT: Final = "unknown"


@lru_cache(maxsize=1)
def boot_id() -> str:
    """The name of this boot of the machine; of no boot at all where the kernel has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return NO_BOOT


def seal_of(
    files: Mapping[str, FileStat], boot: str, earlier: Seal | None = None
) -> Seal:
    """A seal for data that are known to be right now; what an earlier one says of the same stat is said on."""
    if earlier is None or earlier.files != files:
        return Seal(boot, dict(files))
    return Seal(boot, dict(files), boots=others_than(boot, earlier.boot, earlier.boots))


def others_than(boot: str, newest: str, older: tuple[str, ...]) -> tuple[str, ...]:
    """The boots to be named beside `boot`; the oldest of too many are dropped, and check once more."""
    known = (newest, *older)
    return tuple(one for one in known if one not in (boot, NO_BOOT))[:_BOOTS]


def is_sealed(seal: Seal, files: Mapping[str, FileStat]) -> bool:
    """Whether nobody can have written to `files` since they were sealed."""
    if seal.files != files:
        return False
    return seal.boot == DURABLE or is_of_this_boot(seal.boot, seal.boots)


def is_of_this_boot(boot: str, others: tuple[str, ...]) -> bool:
    """Whether this boot of this host, which has one, is among some."""
    here = boot_id()
    return here != NO_BOOT and (here == boot or here in others)
