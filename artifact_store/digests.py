"""Digests: names made from content.

Everything the store identifies (a tensor, a checkpoint, a closure, a call, a
result) is named here and nowhere else, so two kinds of thing can never share a
digest and two spellings of one thing never differ.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

import msgspec
from blake3 import blake3

# What a hasher reads without a copy. `collections.abc.Buffer` arrives with Python 3.12.
Bytes: TypeAlias = bytes | bytearray | memoryview


# The form of a digest where records are read that strangers may have written.
Hex: TypeAlias = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]

# A number of bytes, or of something that takes one byte at least.
Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class Digest(msgspec.Struct, frozen=True, order=True):
    """The hash of some content; `str()` gives its hexadecimal form."""

    algorithm: str
    hex: str

    def __str__(self) -> str:
        return self.hex

    def __bytes__(self) -> bytes:
        return bytes.fromhex(self.hex)

    @property
    def short(self) -> str:
        """The first 12 characters: enough for people, never used as a name."""
        return self.hex[:12]


class Hasher:
    """Digests content that arrives in pieces; `digest_of` is the same at once.

    A part is announced with its length and may then be fed in any number of
    pieces, so reading a file block by block gives the digest of the whole.

    Parameters
    ----------
    kind, parts
        As of `digest_of`; more may follow.
    """

    def __init__(self, kind: str, *parts: bytes) -> None:
        # On one thread: those that blake3 can share its work with are missing in a forked child, which waits for them.
        self._blake3 = blake3(_framed(kind, parts))

    def announce(self, length: int) -> None:
        """Begin a part of `length` bytes."""
        self._blake3.update(length.to_bytes(8, "big"))

    def feed(self, piece: Bytes) -> None:
        """Add a piece of the announced part."""
        self._blake3.update(piece)

    def part(self, whole: Bytes) -> None:
        """Add a part that is already whole."""
        self.announce(memoryview(whole).nbytes)
        self.feed(whole)

    def digest(self) -> Digest:
        """The digest of all parts so far."""
        return Digest("blake3", self._blake3.hexdigest())


def digest_of(kind: str, *parts: bytes) -> Digest:
    """Digest `parts` as one thing of this `kind`; two kinds can never share a digest."""
    return Digest("blake3", blake3(_framed(kind, parts)).hexdigest())


def _framed(kind: str, parts: tuple[bytes, ...]) -> bytes:
    framed: list[bytes] = []
    for part in (kind.encode(), *parts):
        framed.append(len(part).to_bytes(8, "big"))
        framed.append(part)
    return b"".join(framed)
