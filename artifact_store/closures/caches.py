"""What `functools.cache` remembers of code that has changed meanwhile is forgotten.

A notebook edits a constant and calls an analysis again: its key is a new one, and a helper that remembers the
old answer would have it stored under the new key, for everybody else to read.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from weakref import WeakKeyDictionary

from artifact_store.closures.reach import Closure, closure_of, whole_of
from artifact_store.digests import Digest, digest_of

# All that each cache can reach, when it was last looked at.
_known: WeakKeyDictionary[Any, Digest] = WeakKeyDictionary()


def forget_stale(whole: Digest, closures: Iterable[Closure]) -> None:
    """Empty every `functools.cache` in closures, `whole` together, that may have been filled with other code."""
    for closure in closures:
        for cache in closure.guard.caches:
            # One that may hold results of analyses may have been given them to call.
            digest = whole if closure.remembers else _digest_of(cache, closure)
            # What was remembered before anybody looked may be of any code.
            if _known.get(cache) != digest:
                _known[cache] = digest
                cache.cache_clear()


def _digest_of(cache: Any, closure: Closure) -> Digest:
    # What cannot be followed was declared, or `closure` would not be there.
    own = closure_of(cache, (None,), tuple(closure.ours.own))
    return digest_of(
        "cache", bytes(own.digest), *(bytes(whole_of(one)[0]) for one in own.calls)
    )
