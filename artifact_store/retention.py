"""Which entries and data are not needed any more, and what removing some would free."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from artifact_store.errors import CorruptArtifact
from artifact_store.keys import Key
from artifact_store.layout import Layout
from artifact_store.lookup import key_of, read_manifest
from artifact_store.manifests import Manifest
from artifact_store.staging import staged
from artifact_store.stores.base import Store

# Between data and the manifest that names them; a live writer needs milliseconds, on a bad day seconds.
GRACE_SECONDS: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Leftover:
    """What a store holds and nothing in it needs: data that no manifest names, or what was set aside as corrupt."""

    kind: Literal["data", "quarantine"]
    path: str
    nbytes: int


def is_stale(
    manifest: Manifest,
    closures: Collection[str],
    environment: str,
    contents: Mapping[str, str],
) -> bool:
    """Whether an entry is of other code than today's, or of an input that has been replaced.

    Parameters
    ----------
    closures, environment
        Of the analysis as it is now: the digests of its code and of what is as good, and what its decorator adds.
    contents
        The digest of each input that the store is for and that is known to be there now, by label.
    """
    then = manifest.provenance
    return (
        then.closure not in closures
        or then.environment != environment
        # The first decides where an entry is kept; others may be of other runs, where equal labels mean nothing.
        or any(
            contents.get(one.label, one.digest) != one.digest for one in then.inputs[:1]
        )
    )


def is_made_of(manifest: Manifest, names: Collection[str]) -> bool:
    """Whether one of the inputs of an entry has one of these digests or labels."""
    inputs = manifest.provenance.inputs
    return any(one.digest in names or one.label in names for one in inputs)


def freed_by(store: Store, keys: Iterable[Key]) -> int:
    """Bytes of data that no entry but those under `keys` needs."""
    removed, gone, kept = set(keys), {}, set()
    for manifest in store.manifests():
        if key_of(manifest) in removed:
            gone[manifest.output] = manifest.nbytes
        else:
            kept.add(manifest.output)
    return sum(nbytes for output, nbytes in gone.items() if output not in kept)


def leftovers(store: Store) -> list[Leftover]:
    """What nothing in a store in a directory needs.

    Raises
    ------
    UnknownFormat, CorruptArtifact
        A manifest that cannot be read now may name any of the data.
    """
    layout = Layout(store.location)
    # Before the manifests: data that appear later are not in it.
    groups, old = list(_within(layout.data, "??/*")), time.time() - GRACE_SECONDS
    needed = {layout.group(output) for output in _outputs(store)}
    found = [
        Leftover("data", str(path), _nbytes(path))
        for path in groups
        if str(path) not in needed and _is_older(path, old)
    ]
    aside = _within(layout.quarantine, "*")
    return found + [Leftover("quarantine", str(path), _nbytes(path)) for path in aside]


def remove_leftovers(store: Store, found: Iterable[Leftover]) -> int:
    """Remove what `leftovers` found and is still not needed; the bytes gained."""
    old, gained = time.time() - GRACE_SECONDS, 0
    with staged(Layout(store.location).staging) as stage:
        for one in found:
            # Who publishes the same data again touches them first, as their manifest is not there yet.
            if one.kind == "data" and not _is_older(Path(one.path), old):
                continue
            # Renamed first, so that nobody ever finds half of it; the stage takes it along.
            try:
                os.rename(one.path, f"{stage}/{uuid.uuid4().hex}")
            except FileNotFoundError:
                continue
            gained += one.nbytes
    return gained


def _outputs(store: Store) -> Iterator[str]:
    for key in store.keys():
        try:
            yield read_manifest(store, key).output
        except CorruptArtifact as error:
            # One that cannot be read at this moment may name data all the same.
            if isinstance(error.__cause__, OSError) and not isinstance(
                error.__cause__, FileNotFoundError
            ):
                raise


def _within(folder: str, pattern: str) -> Iterator[Path]:
    return iter(sorted(Path(folder).glob(pattern)))


def _is_older(path: Path, when: float) -> bool:
    try:
        return path.lstat().st_mtime < when
    except FileNotFoundError:
        return False


def _nbytes(path: Path) -> int:
    if not path.is_dir():
        return path.lstat().st_size
    return sum(one.lstat().st_size for one in path.rglob("*") if not one.is_dir())
