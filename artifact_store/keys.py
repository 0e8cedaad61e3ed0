"""The key of a call: how a result is made, and nothing else.

Neither path, time nor machine is in it. The one crossing of three roads: what
the code is, what the params are, what the inputs hold.
"""

from __future__ import annotations

from dataclasses import dataclass

from artifact_store.digests import Digest, digest_of

# Part of every key: raise it when the meaning of a key changes, and say so in the changelog under *Keys*.
KEY_FORMAT = b"1"


@dataclass(frozen=True, slots=True)
class Key:
    """The digest of a call, and the analysis it is a call of."""

    analysis: str
    digest: Digest

    def __str__(self) -> str:
        return f"{self.analysis}:{self.digest}"


def key_of(
    analysis: str, closure: Digest, environment: bytes, params: bytes, inputs: bytes
) -> Key:
    """The key of calling `analysis`.

    Parameters
    ----------
    closure
        All first-party code and constants it can reach.
    environment
        What the decorator adds: declared dimensions and the versions it was told to count.
    params, inputs
        Canonical bytes of the arguments, by name.
    """
    parts = (KEY_FORMAT, analysis.encode(), bytes(closure), environment, params, inputs)
    return Key(analysis, digest_of("key", *parts))
