"""Records that say so themselves if they are damaged: a JSON object whose first member is the digest of the rest."""

from __future__ import annotations

from typing import Final

from artifact_store.digests import digest_of

_HEAD: Final = b'{"check":"'
_HEX: Final = 64
_REST: Final = len(_HEAD) + _HEX + 1


def with_check(kind: str, record: bytes) -> bytes:
    """A JSON object, with the digest of its members before them."""
    rest = b"," + record[1:]
    return _HEAD + digest_of(kind, rest).hex.encode() + b'"' + rest


def is_whole(kind: str, content: bytes) -> bool:
    """Whether this is what `with_check` made."""
    digest = digest_of(kind, content[_REST:]).hex.encode()
    return content.startswith(_HEAD + digest + b'"')
