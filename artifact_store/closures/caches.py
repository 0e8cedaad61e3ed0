"""What `functools.cache` remembers of code that has changed meanwhile is forgotten.

A notebook edits a constant and calls an analysis again: its key is a new one, and a helper that remembers the
old answer would have it stored under the new key, for everybody else to read.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from artifact_store.closures.reach import Closure, closure_of
from artifact_store.digests import Digest

# What each cache was filled with: the code and constants that it reaches, when it was last looked at.
_known: WeakKeyDictionary[Any, Digest] = WeakKeyDictionary()


def forget_stale(closure: Closure, followed: tuple[str, ...]) -> None:
    """Empty every `functools.cache` in a closure whose code or constants are not what they were."""
    for cache in closure.guard.caches:
        # What cannot be followed was declared, or the closure would not be there.
        digest = closure_of(cache, (None,), followed).digest
        if _known.setdefault(cache, digest) != digest:
            _known[cache] = digest
            cache.cache_clear()
