"""The closure of a function: all first-party code and constants it can reach, as one digest.

function ──► *Walk* ──► members, calls ──► *Closure* ──► with those of the analyses that it calls: its *whole*
"""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from artifact_store.closures.constants import MAKE_PLAIN
from artifact_store.closures.guards import Guard
from artifact_store.closures.origins import FirstParty, first_party
from artifact_store.closures.walk import Member, Walk, in_words
from artifact_store.digests import Digest, digest_of


class Callee(Protocol):
    """An analysis, as the closure of another sees it."""

    __name__: str

    @property
    def closure(self) -> Closure: ...

    @property
    def identity(self) -> bytes:
        """What decides its key beside its closure: its name and what was declared of it."""

    @property
    def defaults(self) -> bytes:
        """What those who call it may leave to it."""


class Closure(msgspec.Struct, frozen=True):
    """Everything first-party that decides what a function returns, up to the analyses that it calls.

    Attributes
    ----------
    calls
        The analyses it can call, by the number that it knows them by. Their code is not in the digest: their results
        are reads of each computation.
    packages
        Installed packages that it uses.
    externals
        Every name of installed code that it uses: module, name and place.
    ours
        What counted as first-party.
    remembers
        Whether `functools.cache` or the like may keep the result of another analysis from one computation to the next.
    """

    digest: Digest
    members: tuple[Member, ...]
    calls: tuple[Callee, ...]
    packages: tuple[str, ...]
    externals: tuple[tuple[str, str, str], ...]
    guard: Guard
    ours: FirstParty
    remembers: bool


def closure_of(
    function: Any, depends_on: tuple[Any, ...] = (), followed: tuple[str, ...] = ()
) -> Closure:
    """The closure of `function` and of everything in `depends_on`.

    Parameters
    ----------
    function
        A function, a partial, or any callable made of first-party code.
    depends_on
        What it reaches by ways that cannot be followed. Naming any says that no lookup by a computed name reaches
        more; a value among them, that what has no content of its own decides nothing more.
    followed
        Installed packages that count as first-party.

    Raises
    ------
    BadSetting
        `ARTIFACT_STORE_FIRST_PARTY` names what is no package.
    UnresolvedDependency
        Something it reaches cannot be known without running it, or has no canonical form.
    SourceChanged, SourceUnavailable
        The running code has no source any more, or never had one.
    """
    walk = Walk(first_party(_package_of(function), followed))
    roots = [walk.describe(function, "@analysis", in_words(function))]
    roots += [walk.describe(one, "@analysis", "depends_on") for one in depends_on]
    if walk.unknown:
        raise walk.unknown[0]  # What is declared has to be known itself.
    members = walk.members()
    # Functions may be declared in the place of lookups, and values in the place of other values.
    has_values = not all(map(callable, depends_on))
    for one in walk.unknown:
        if not depends_on or (one.advice == MAKE_PLAIN and not has_values):
            raise one
    digests = [
        bytes(digest)
        for one in members
        for digest in (one.digest, *(reference.digest for reference in one.references))
    ]
    lengths = [b"%d" % len(one.references) for one in members]
    digest = digest_of("closure", *roots, *lengths, *digests)
    return Closure(
        digest,
        tuple(members),
        tuple(walk.calls),
        tuple(sorted(walk.packages)),
        tuple(sorted(walk.externals)),
        walk.guard,
        walk.ours,
        any(_calls_analysis(one, walk.ours) for one in walk.cached if walk.calls),
    )


def whole_of(analysis: Callee) -> tuple[Digest, tuple[tuple[Callee, Closure], ...]]:
    """The digest of all that an analysis and those that it calls can reach, and the closures that make it up."""
    numbers, met = {id(analysis): 0}, [(analysis, analysis.closure)]
    parts: list[bytes] = []
    for one, closure in met:
        parts += one.identity, bytes(closure.digest), b"%d" % len(closure.calls)
        for called in closure.calls:
            number = numbers.setdefault(id(called), len(met))
            if number == len(met):
                met.append((called, called.closure))
            parts += b"%d" % number, called.defaults
    return digest_of("whole", *parts), tuple(met)


def _calls_analysis(function: Any, ours: FirstParty) -> bool:
    walk = Walk(ours)
    walk.describe(function, "", "")
    walk.members()
    return walk.calls_analysis()


def _package_of(function: Any) -> str:
    while hasattr(function, "func"):
        function = function.func
    return str(getattr(function, "__module__", "")).partition(".")[0]
