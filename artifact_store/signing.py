"""The key that a group may have for its stores: what was not signed with it is not believed.

    ARTIFACT_STORE_KEY_FILE, or ARTIFACT_STORE_KEY ──► key ──► *signature_of* a record

A signature is the keyed mode of BLAKE3, which is a message authentication code by design (section 2.3 of its
specification) and does what HMAC does with other hashes.
"""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Final

from blake3 import blake3

from artifact_store.errors import BadSetting

KEY_VARIABLE: Final = "ARTIFACT_STORE_KEY"
KEY_FILE_VARIABLE: Final = "ARTIFACT_STORE_KEY_FILE"

# The use of the key is part of what it is derived to: the same secret may serve something else elsewhere.
_CONTEXT: Final = "artifact_store 2026-11-24 signatures of records"
_LEAST_BYTES: Final = 32
_ADVICE: Final = "Make one with: python -c 'import secrets; print(secrets.token_hex())'"


def signature_of(kind: str, record: bytes) -> str | None:
    """The signature of a record of this kind in hexadecimal; `None` where there is no key.

    Raises
    ------
    BadSetting
        The key cannot be read, or is too short to be one.
    """
    key = signing_key()
    if key is None:
        return None
    named = kind.encode()
    return blake3(b"%d:" % len(named) + named + record, key=key).hexdigest()


# A process has one key, or none: it is read when it is first needed.
@lru_cache(maxsize=1)
def signing_key() -> bytes | None:
    """The key of this process, derived to the 32 bytes that BLAKE3 takes."""
    file = os.environ.get(KEY_FILE_VARIABLE)
    if file:
        variable, secret = KEY_FILE_VARIABLE, _content_of(file)
    else:
        variable, secret = KEY_VARIABLE, os.fsencode(os.environ.get(KEY_VARIABLE, ""))
        if not secret:
            return None
    if len(secret.strip()) < _LEAST_BYTES:
        problem = f"it has {len(secret.strip())} bytes, and {_LEAST_BYTES} at least are needed"
        raise BadSetting(variable, file or "...", problem, _ADVICE)
    return blake3(secret.strip(), derive_key_context=_CONTEXT).digest()


def _content_of(file: str) -> bytes:
    try:
        with open(file, "rb") as opened:
            return opened.read()
    except OSError as error:
        problem = f"the key cannot be read ({error.strerror})"
        raise BadSetting(KEY_FILE_VARIABLE, file, problem, _ADVICE) from error
