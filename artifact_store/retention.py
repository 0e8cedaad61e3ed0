"""Which entries are not needed any more, and what removing some would free."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from artifact_store.keys import Key
from artifact_store.lookup import key_of
from artifact_store.manifests import Manifest
from artifact_store.stores.base import Store


def is_stale(
    manifest: Manifest, closure: str, environment: str, contents: Mapping[str, str]
) -> bool:
    """Whether no call would find this entry today, whatever its params.

    Parameters
    ----------
    closure, environment
        Of the analysis as it is now: the digest of its code, and what its decorator adds.
    contents
        The digest of each input that is known to be there now, by label.
    """
    then = manifest.provenance
    return (
        then.closure != closure
        or then.environment != environment
        or any(contents.get(one.label, one.digest) != one.digest for one in then.inputs)
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
