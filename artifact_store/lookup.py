"""Which entry a person means: by the beginning of its key, by its door, or as ANALYSIS@LABEL."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from artifact_store.digests import Digest
from artifact_store.errors import (
    AmbiguousEntry,
    ArtifactStoreError,
    CorruptArtifact,
    NoSuchEntry,
)
from artifact_store.keys import Key
from artifact_store.layout import Layout
from artifact_store.listing import Brief, briefs, listed_keys, read_unnoted
from artifact_store.manifests import Manifest, parse_manifest
from artifact_store.staging import leads
from artifact_store.stores.base import Store
from artifact_store.stores.locate import group_at


def entry_meant(store: Store, wanted: str) -> Manifest:
    """The manifest of the one entry that goes by `wanted`.

    Raises
    ------
    NoSuchEntry
        There is none.
    AmbiguousEntry
        There are several.
    """
    analysis, at, label = wanted.partition("@")
    door = Path(Layout(store.location).door(analysis, label) if at else wanted)
    found = _behind(door, store)
    if not found and at:
        found = _read(
            store,
            lambda one: label in [given.label for given in one.provenance.inputs],
            analysis,
        )
    if not found and not at:
        every = listed_keys(Layout(store.location))
        keys = [key for key in every if key.digest.hex.startswith(wanted)]
        if len(keys) > 1:
            names = tuple(f"{key.digest.short} {key.analysis}" for key in keys)
            raise AmbiguousEntry(wanted, names)
        found = [read_manifest(store, key) for key in keys]
    if len(found) > 1:
        raise AmbiguousEntry(wanted, tuple(map(_described, found)))
    if not found:
        raise NoSuchEntry(wanted, store.location)
    return found[0]


def _behind(door: Path, store: Store) -> list[Manifest]:
    """The entries that a door may stand for: of each params, the newest."""
    group = group_at(door)
    if group is None:
        return []
    analysis = door.absolute().parent.name if door.is_symlink() else None
    same = _read(store, lambda one: one.output == group.name, analysis)
    # Equal results share their data, so that the data alone do not say whose door it is.
    fitting = [one for one in same if _fits(one, door.name)] or same
    fitting.sort(key=lambda one: one.provenance.created)
    return list({str(one.provenance.params): one for one in fitting}.values())


def _read(
    store: Store, is_meant: Callable[[Brief], bool], analysis: str | None
) -> list[Manifest]:
    """The manifests that can be read among those that are meant."""
    found = []
    for brief in briefs(Layout(store.location), analysis):
        if is_meant(brief):
            with contextlib.suppress(ArtifactStoreError):
                found.append(read_manifest(store, brief.address))
    return found


def _fits(manifest: Manifest, door: str) -> bool:
    of, *params = door.split(",")
    made = manifest.provenance
    shown = {f"{name}={record.shown}" for name, record in made.params.items()}
    return set(params) <= shown and any(of.endswith(one.label) for one in made.inputs)


def _described(manifest: Manifest) -> str:
    params = manifest.provenance.params.items()
    given = ", ".join(f"{name}={record.shown}" for name, record in params)
    return f"{manifest.key[:12]} {manifest.analysis}({given})"


def key_of(manifest: Manifest) -> Key:
    """The key that a manifest is under."""
    return Key(manifest.analysis, Digest("blake3", manifest.key))


def read_manifest(store: Store, key: Key) -> Manifest:
    """The manifest under a key that has one, whatever became of its data.

    Raises
    ------
    CorruptArtifact
        It is not what was written, or is gone.
    """
    path = Layout(store.location).manifest(key)
    try:
        manifest = parse_manifest(read_unnoted(path), path)
    except OSError as error:
        raise CorruptArtifact(path, f"cannot be read ({error.strerror})") from error
    if key_of(manifest) != key:
        raise CorruptArtifact(path, f"is the manifest of another key, {manifest.key}")
    return manifest


def doors_of(store: Store, manifest: Manifest) -> tuple[Path, ...]:
    """The readable names of an entry's data; where equal results share them, only its own."""
    layout = Layout(store.location)
    folder, target = layout.door(manifest.analysis, ""), layout.behind_door(manifest.output)  # fmt: skip
    found = []
    # One store of many runs may have a million doors here: of each, its text is looked at and not where it leads.
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as doors:
        found = sorted(Path(one.path) for one in doors if leads(one.path, target))
    return tuple([door for door in found if _fits(manifest, door.name)] or found)
