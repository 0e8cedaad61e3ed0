"""The key of a call: how a result is made, and nothing else.

Neither path, time nor machine is in it. The one crossing of three roads: what
the code is, what the params are, what the inputs hold. An entry that misses by
its key may still be found by its reads; those begin at its *start*.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from artifact_store.digests import Digest, digest_of
from artifact_store.reads import Read, after

# Part of every key: raise it when the meaning of a key changes, and say so in the changelog under *Keys*.
KEY_FORMAT = b"2"


class Key(msgspec.Struct, frozen=True):
    """The digest of a call, and the analysis it is a call of."""

    analysis: str
    digest: Digest

    def __str__(self) -> str:
        return f"{self.analysis}:{self.digest}"


def key_of(analysis: str, closure: Digest, params: bytes, inputs: bytes) -> Key:
    """The key of calling `analysis`.

    Parameters
    ----------
    closure
        All first-party code and constants that it and the analyses it calls can reach, and what was declared of them.
    params, inputs
        Canonical bytes of the arguments, by name.
    """
    parts = (KEY_FORMAT, analysis.encode(), bytes(closure), params, inputs)
    return Key(analysis, digest_of("key", *parts))


def key_told(key: Key, reads: Iterable[Read]) -> Key:
    """The key of a result that also depends on `reads`, which `key` does not tell."""
    return Key(key.analysis, after(key.digest, reads))


def start_of(
    analysis: str, closure: Digest, environment: bytes, params: bytes, form: bytes
) -> Digest:
    """What calls have in common that read the same as long as they are told the same.

    Parameters
    ----------
    closure
        Its own code alone: what the analyses it calls return is among its reads.
    environment
        What the decorator adds: declared dimensions and the versions it was told to count.
    form
        Canonical bytes of the inputs but for what they hold.
    """
    parts = (KEY_FORMAT, analysis.encode(), bytes(closure), environment, params, form)
    return digest_of("start", *parts)
