"""Which entries are of code or inputs that are no more, and what removing some would free."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from artifact_store.keys import Key
from artifact_store.layout import Layout, key_of_manifest
from artifact_store.listing import Brief, Unread, briefs, refuse_unread, used_last
from artifact_store.manifests import Manifest
from artifact_store.stores.base import Store


def is_stale(
    entry: Manifest | Brief,
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
    then = entry.provenance
    return (
        then.closure not in closures
        or then.environment != environment
        # The first decides where an entry is kept; others may be of other runs, where equal labels mean nothing.
        or any(
            contents.get(one.label, one.digest) != one.digest for one in then.inputs[:1]
        )
    )


def is_made_of(entry: Manifest | Brief, names: Collection[str]) -> bool:
    """Whether one of the inputs of an entry has one of these digests or labels."""
    inputs = entry.provenance.inputs
    return any(one.digest in names or one.label in names for one in inputs)


def freed_by(store: Store, keys: Iterable[Key]) -> int:
    """Bytes of data that no entry but those under `keys` needs.

    Raises
    ------
    UnknownFormat, CorruptArtifact
        A manifest that is under none of them cannot be read now, and may name any data: as long as that is so, to
        remove entries frees nothing.
    """
    removed = set(keys)
    gone: dict[str, int] = {}
    kept: set[str] = set()

    def refuse(error: Unread) -> None:
        if key_of_manifest(Path(error.path)) not in removed:
            refuse_unread(error)

    for brief in briefs(Layout(store.location), refuse=refuse):
        if brief.address in removed:
            gone[brief.output] = brief.nbytes
        else:
            kept.add(brief.output)
    return sum(nbytes for output, nbytes in gone.items() if output not in kept)


@dataclass(frozen=True, slots=True)
class Sum:
    """Some entries of an analysis.

    Attributes
    ----------
    nbytes
        Of their data, those that several name counted once.
    used
        When one of them was used last, in seconds of the storage's clock; 0 if none can be read.
    """

    entries: int = 0
    nbytes: int = 0
    used: float = 0.0


def weighed_by_analysis(store: Store, keys: Iterable[Key]) -> dict[str, Sum]:
    """What the entries under some keys are, by analysis."""
    layout, wanted = Layout(store.location), set(keys)
    sums = {
        name: Sum(number)
        for name, number in sorted(Counter(key.analysis for key in wanted).items())
    }
    counted = set[tuple[str, str]]()
    for analysis in sums:
        for brief in briefs(layout, analysis):
            if brief.address in wanted:
                then, data = sums[analysis], (analysis, brief.output)
                nbytes = 0 if data in counted else brief.nbytes
                counted.add(data)
                used = max(then.used, used_last(layout, brief))
                sums[analysis] = Sum(then.entries, then.nbytes + nbytes, used)
    return sums
