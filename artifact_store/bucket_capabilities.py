"""What a bucket can do of what a store relies on, tried out with pieces that are gone afterwards."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import Final, TypeAlias

from artifact_store.buckets import Bucket, Superseded
from artifact_store.capabilities import Finding
from artifact_store.errors import BucketFailed

Trial: TypeAlias = Callable[[Bucket, str], str]

_CONTENT: Final = bytes(range(256))


def tried_in(bucket: Bucket) -> list[Finding]:
    """Every trial, of which nothing is left."""
    found: list[Finding] = []
    for name, trial, means, is_needed in _TRIALS:
        # One that cannot be reached or written to fails all, each after as long.
        if found and not found[0].works:
            break
        found.append(_finding(bucket, name, trial, means, is_needed))
    return found


def _finding(
    bucket: Bucket, name: str, trial: Trial, means: str, is_needed: bool
) -> Finding:
    piece = f".store/doctor/{uuid.uuid4().hex}"
    try:
        return Finding(name, True, trial(bucket, piece), "", is_needed)
    except BucketFailed as error:
        found = f"it could not be {error.done} ({error.cause})"
        return Finding(name, False, found, means, is_needed)
    except (AssertionError, Superseded) as error:
        return Finding(name, False, str(error), means, is_needed)
    finally:
        with suppress(BucketFailed):
            bucket.delete([piece])


def _written(bucket: Bucket, piece: str) -> str:
    bucket.put(piece, _CONTENT)
    started = time.perf_counter()
    found = bucket.get(piece)
    took = time.perf_counter() - started
    assert found is not None and found.content == _CONTENT, "it holds something else"
    return f"what was written is read back, in {took * 1e3:.1f} ms"


def _conditional(bucket: Bucket, piece: str) -> str:
    assert bucket.is_conditional, "two who create a piece both hear that they did"
    return "of two who create a piece, one does"


def _tagged(bucket: Bucket, piece: str) -> str:
    tag = bucket.put(piece, _CONTENT)
    found = bucket.get_range(piece, 3, 9, tag)
    assert found is not None and found.content == _CONTENT[3:9], "it gives other bytes"
    bucket.put(piece, _CONTENT[::-1])
    try:
        bucket.get_range(piece, 3, 9, tag)
    except Superseded:
        return "ranges are read of the content that was meant"
    raise AssertionError("a range is read of whatever is there")


def _listed(bucket: Bucket, piece: str) -> str:
    bucket.put(piece, _CONTENT)
    names = [one.name for one in bucket.listed(".store/doctor")]
    assert piece in names, "what was just written is not listed"
    bucket.delete([piece])
    assert bucket.get(piece) is None, "what was deleted is there"
    return "what is there is listed, and what was deleted is gone"


def _clock(bucket: Bucket, piece: str) -> str:
    bucket.put(piece, b"")
    found = bucket.head(piece)
    assert found is not None, "it cannot be looked at"
    ahead = found.modified - time.time()
    assert abs(ahead) < 60, f"it is {ahead:+.0f} s off that of this host"
    return "its clock and that of this host go together"


_TRIALS: Final[tuple[tuple[str, Trial, str, bool], ...]] = (
    ("writing", _written, "Nothing can be kept here.", True),
    (
        "conditional writes",
        _conditional,
        "Of two hosts that compute one call at the same moment, the last is kept and not the first, and nobody is told "
        "if their results differ. No reader ever sees a part of either.",
        False,
    ),
    (
        "conditional reads",
        _tagged,
        "What was written over may be read in part. Do not keep a store here.",
        True,
    ),
    ("listing", _listed, "`gc`, `push` and `pull` miss what was just written.", True),
    ("clock", _clock, "`gc` goes by the clock of the server, and is right.", False),
)
