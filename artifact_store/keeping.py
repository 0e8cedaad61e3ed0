"""The steps between a call and its store: find, reuse, publish, replace, set aside. The procedure is in `memoize`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from artifact_store.artifacts import Artifact
from artifact_store.calls import Call
from artifact_store.errors import (
    ArtifactStoreError,
    CorruptArtifact,
    NotReadable,
    OnlyComputed,
    StoreFailed,
)
from artifact_store.events import Published, SetAside, emit, log
from artifact_store.keys import Key
from artifact_store.reads import Read
from artifact_store.results import returned
from artifact_store.stores.base import Entry, Publication
from artifact_store.traces import as_of, find, follow, follow_part, peek


def stored(call: Call) -> Artifact | None:
    """The artifact of `call`, if the store holds it."""
    try:
        found = peek(call)
    except CorruptArtifact:
        return None
    return Artifact(as_of(call, found)) if isinstance(found, Entry) else None


def reuse(call: Call, told: Sequence[Read] = ()) -> Entry | None:
    """The entry that was made from what `call` would read; the results of other analyses among it are computed.

    Parameters
    ----------
    told
        What it would read first, and be told, if that is known.
    """
    found = follow(call, materialized, told)
    if not isinstance(found, Entry):
        return None
    return adopt(call, found)


def reuse_part(call: Call) -> Entry | None:
    """The entry of the longest part of a run that was made from what `call` would read first, likewise."""
    return follow_part(call, materialized)


def adopt(call: Call, found: Entry) -> Entry:
    """An entry of another key as that of `call`; in the store too, if that can be written."""
    entry = as_of(call, found)
    if entry is not found:
        call.store.adopt(entry, call.label, call.kinship)
    return entry


def materialized(analysis: Any, call: Call) -> Entry | None:
    """The entry of a call of an analysis, computed if missing; `None` where it cannot be had."""
    try:
        artifact: Artifact = analysis.materialize(call)
        return artifact.entry
    except Exception as error:
        # The function would meet it too, if it still makes this call: it is for whoever runs it to see.
        log.info("%s: %s", call.key, error)
        return None


def find_sound(call: Call) -> Entry | None:
    """The entry of `call`; a corrupt one is moved out of the way and is as good as none."""
    try:
        return find(call)
    except CorruptArtifact as corrupt:
        set_aside(call, corrupt)
        return None


def set_aside(call: Call, corrupt: CorruptArtifact) -> None:
    """Move what was found corrupt out of the way."""
    emit(SetAside(call.key, str(corrupt)))
    call.store.set_aside(call.key, f"{corrupt.path} {corrupt.problem}")


def set_aside_if_there(call: Call, found: Entry, corrupt: CorruptArtifact) -> None:
    """The same of an entry that could not be read since it was found; if it was evicted since, it is not corrupt."""
    now = find_sound(call)
    if now is not None and now.group == found.group and not _can_be_read(now):
        set_aside(call, corrupt)


def _can_be_read(entry: Entry) -> bool:
    """Whether it can after all: its data may have been taken for superfluous, and put back."""
    try:
        Artifact(entry).numpy()
    except CorruptArtifact:
        return False
    except OSError:
        pass  # Which says nothing of the data.
    return True


def unreadable(call: Call, error: Exception, again: Publication) -> NotReadable:
    """What to say of an entry that cannot be read now, with what was computed instead."""
    result = returned(again.arrays, again.single)
    return NotReadable(str(call), call.store.location, str(error), result, call.key)


def only_computed(call: Call, made: Publication) -> OnlyComputed:
    """What to say of a result that is not to be kept."""
    result = returned(made.arrays, made.single)
    return OnlyComputed(str(call), call.store.location, result, call.key)


def publish(call: Call, publication: Publication) -> Entry:
    """Keep a result, unless somebody was faster; if that fails, the error carries the result."""
    return _kept(call, publication, call.store.publish)


def replace(call: Call, publication: Publication) -> Entry:
    """Keep a result in place of what is there, likewise."""
    return _kept(call, publication, call.store.replace)


def _kept(
    call: Call, publication: Publication, keep: Callable[[Key, Publication], Entry]
) -> Entry:
    try:
        made = keep(publication.key or call.key, publication)
    except (ArtifactStoreError, OSError) as error:
        result = returned(publication.arrays, publication.single)
        raise StoreFailed(
            str(call), call.store.location, str(error), result, call.key
        ) from error
    emit(Published(call.key, publication.provenance.seconds, made.manifest.nbytes))
    return adopt(call, made)
