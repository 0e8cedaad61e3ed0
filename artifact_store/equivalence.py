"""Which closures are as good as another: because someone said so, or because a constant became a parameter.

Results of one closure then are results of the other. Both are statements: *bless* is kept in the store, listed and
taken back at will; `@analysis(was=...)` stands in the code, and is believed only where the code bears it out.
"""

from __future__ import annotations

import datetime
import getpass
import os
from collections.abc import Iterator, Sequence
from functools import lru_cache

import msgspec

from artifact_store.calls import Call, closure_in_words
from artifact_store.closures.promotion import is_promotion
from artifact_store.digests import Digest, digest_of
from artifact_store.encoding import decode, encode
from artifact_store.keys import start_of
from artifact_store.manifests import Manifest
from artifact_store.params import encode_param, encode_params, form_of
from artifact_store.stores.base import Store

_KIND = "blessings"


class Blessing(msgspec.Struct, frozen=True):
    """The statement that two closures of an analysis give the same results."""

    analysis: str
    was: str
    now: str
    note: str
    who: str
    created: str

    @property
    def name(self) -> str:
        """By which it is taken back."""
        return digest_of("blessing", self.was.encode(), self.now.encode()).short


def bless(store: Store, analysis: str, was: str, now: str, note: str = "") -> Blessing:
    """State that closure `now` of an analysis gives the same results as `was`."""
    created = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    blessing = Blessing(analysis, was, now, note, user_name(), created)
    others = [one for one in blessings(store, analysis) if one.name != blessing.name]
    _keep(store, analysis, [*others, blessing])
    return blessing


def user_name() -> str:
    """Who states something."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        # In a container, a user may have no name.
        return str(os.getuid())


def unbless(store: Store, blessing: Blessing) -> None:
    """Take a statement back; what was computed is kept, and misses."""
    kept = [one for one in blessings(store, blessing.analysis) if one != blessing]
    _keep(store, blessing.analysis, kept)


def blessings(store: Store, analysis: str) -> Sequence[Blessing]:
    """All statements about an analysis, in the order in which they were made."""
    kept = store.detail(_KIND, _record_of(analysis))
    try:
        return msgspec.convert(kept or [], list[Blessing])
    except msgspec.ValidationError:
        return []


def _keep(store: Store, analysis: str, kept: Sequence[Blessing]) -> None:
    store.keep(_KIND, _record_of(analysis), msgspec.to_builtins(kept))


def _record_of(analysis: str) -> str:
    return digest_of(_KIND, analysis.encode()).hex


def starts_of(call: Call) -> Iterator[Digest]:
    """Where the reads of `call` may begin: with its own closure, or with one that is as good."""
    yield call.start
    for closure in _blessed(call):
        yield call.start_with(Digest("blake3", closure))
    for promoted in _promoted(call):
        yield promoted.start


def is_equivalent(manifest: Manifest, call: Call) -> bool:
    """Whether the closure that made an entry still is as good as that of `call`."""
    made_by = manifest.provenance.closure
    return made_by in _blessed(call) or any(
        one.closure == made_by for one in _promoted(call)
    )


def as_good(store: Store, analysis: str, closure: str) -> set[str]:
    """A closure, and those that are said to be as good, directly or by way of others."""
    pairs = [{one.was, one.now} for one in blessings(store, analysis)]
    found = {closure}
    while grown := [one for one in pairs if one & found and not one <= found]:
        found = found.union(*grown)
    return found


def _blessed(call: Call) -> set[str]:
    own = call.closure.digest.hex
    return as_good(call.store, call.key.analysis, own) - {own}


class _Promoted(msgspec.Struct, frozen=True):
    """A closure with constants in place of params, and where the reads of its computations begin."""

    closure: str
    start: Digest


def _promoted(call: Call) -> Iterator[_Promoted]:
    was, params = call.declaration.was, call.arguments.params
    if not was or any(
        encode_param(params[name]) != encode_param(value) for name, value in was.items()
    ):
        return
    others = {name: value for name, value in params.items() if name not in was}
    known, _ = call.store.kin(call.key, call.kinship)
    for closure in dict.fromkeys(
        one.provenance.closure for one in known if one.provenance.params.keys() == others.keys()
    ):  # fmt: skip
        if _is_promotion_of(call, closure):
            start = start_of(
                call.key.analysis,
                Digest("blake3", closure),
                call.declaration.environment_bytes,
                encode_params(call.key.analysis, others),
                form_of(call.arguments.inputs),
            )
            yield _Promoted(closure, start)


def _is_promotion_of(call: Call, closure: str) -> bool:
    recorded = call.store.detail("closures", closure)
    if not isinstance(recorded, list):
        return False
    now = msgspec.json.encode(closure_in_words(call.closure))
    return _checked(
        msgspec.json.encode(recorded), now, encode(dict(call.declaration.was))
    )


# A comparison of two programs, made for every checkpoint of a run.
@lru_cache(maxsize=64)
def _checked(before: bytes, now: bytes, was: bytes) -> bool:
    values = decode(was, lambda payload: payload)
    return is_promotion(msgspec.json.decode(before), msgspec.json.decode(now), values)
