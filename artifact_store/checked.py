"""Records that say so themselves if they are damaged: a JSON object whose first member is the digest of the rest.

    record ──► *with_check* ──► {"check": …, "signature": …, …} ──► *fault*

Who has the key of a store signs too what he writes, and believes only what was signed with it; see `signing.py`.
"""

from __future__ import annotations

from typing import Final

from artifact_store.digests import digest_of
from artifact_store.signing import signature_of

# What is wrong with what is whole, and is not signed with our key.
UNSIGNED: Final = "is not signed with the key that is set here"

_CHECK: Final = b'{"check":"'
_SIGNATURE: Final = b',"signature":"'
_HEX: Final = 64
_REST: Final = len(_CHECK) + _HEX + 1
_SIGNED: Final = _REST + len(_SIGNATURE) + _HEX + 1


def with_check(kind: str, record: bytes) -> bytes:
    """A JSON object, with the digest of its members before them, and their signature if there is a key."""
    rest = b"," + record[1:]
    signature = signature_of(kind, rest)
    if signature is not None:
        rest = _SIGNATURE + signature.encode() + b'"' + rest
    return _CHECK + digest_of(kind, rest).hex.encode() + b'"' + rest


def fault(kind: str, content: bytes) -> str:
    """Why this is not what `with_check` made here; nothing, if it is."""
    check = digest_of(kind, content[_REST:]).hex.encode()
    if not content.startswith(_CHECK + check + b'"'):
        return "is not what was written"
    signature = signature_of(kind, content[_SIGNED:])
    if signature is not None:
        if content[_REST:_SIGNED] != _SIGNATURE + signature.encode() + b'"':
            return UNSIGNED
    return ""


def is_signed(content: bytes) -> bool:
    """Whether a record says that it is signed, with whatever key."""
    return content.startswith(_SIGNATURE, _REST)


def is_whole(kind: str, content: bytes) -> bool:
    """Whether this is what `with_check` made here."""
    return not fault(kind, content)
