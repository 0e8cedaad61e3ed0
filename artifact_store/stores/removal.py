"""Entries go from a store in a directory, and with them what no other entry needs.

    keys ──► manifests, unlinked ──► what the others still name ──► data are taken, doors removed

Whoever names the same data meanwhile touches them first and looks afterwards whether they still are there; so those
alone are taken that nobody touched since before the manifests went (`take`).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator

import msgspec

from artifact_store.descriptors import FileStat, refuse_links
from artifact_store.digests import Digest
from artifact_store.errors import CorruptArtifact, UnknownFormat
from artifact_store.events import log
from artifact_store.keys import Key
from artifact_store.layout import Layout
from artifact_store.listing import Brief, briefs, manifest_at, refuse_unread
from artifact_store.reads import Found
from artifact_store.staging import removing, staged, take, wait_past
from artifact_store.stores.records import Records


def remove(layout: Layout, records: Records, keys: Iterable[Key]) -> int:
    """Remove entries, and the data that no other entry needs; the bytes gained."""
    removed = list(keys)
    found = [one for one in (manifest_at(layout, key) for key in removed) if one]
    outputs = {one.output: one.nbytes for one in found}
    then = {output: _touched_last(layout, output) for output in outputs}
    doors = list(_doors(layout, {one.analysis for one in found}, outputs))
    # So that whoever touches them from now on leaves another time there.
    wait_past(layout.staging, max(then.values(), default=0))
    for key in removed:
        path = layout.manifest(key)
        refuse_links(os.path.dirname(path), layout.root)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
    try:
        kept = _kept(layout, records, {one.reads for one in found})
    except (CorruptArtifact, UnknownFormat) as error:
        # What cannot be read now may name any data: they stay until `gc` can tell.
        log.warning("%s", error)
        return 0
    superfluous = outputs.keys() - {one for of in kept.values() for one in of}
    with removing(layout.staging) as stage:
        gone = [
            output
            for output in superfluous
            if take(layout.group(output), stage, then[output])
        ]
    for door in doors:
        if door.output not in kept.get(door.analysis, ()):
            door.remove()
    return sum(outputs[output] for output in gone)


def _touched_last(layout: Layout, output: str) -> int:
    """When data were published or named again, by the clock of the storage; 0 if they are not there."""
    group = layout.group(output)
    refuse_links(os.path.dirname(group), layout.root)
    try:
        return os.lstat(group).st_mtime_ns
    except FileNotFoundError:
        return 0


def _kept(
    layout: Layout, records: Records, orphans: set[str | None]
) -> dict[str, set[str]]:
    """The data that entries name, by analysis; reads that led to none any more lead to those made from the same."""
    kept: dict[str, set[str]] = {}
    for brief in briefs(layout, refuse=refuse_unread):
        kept.setdefault(brief.analysis, set()).add(brief.output)
        if brief.reads and brief.reads in orphans:
            orphans.remove(brief.reads)
            _lead_to(layout, records, brief)
    return kept


def _lead_to(layout: Layout, records: Records, brief: Brief) -> None:
    """Have reads that led to an entry that was removed lead to this one, which was made from the same."""
    node = str(brief.reads)
    for step in records.steps(Digest("blake3", node)):
        if isinstance(step, Found) and not records.leads(step, brief.address):
            found = Found(brief.key, step.reads)
            with contextlib.suppress(OSError), staged(layout.staging) as stage:
                records.keep_step(stage, node, found, brief.address)
            return


class _Door(msgspec.Struct, frozen=True):
    """A door, and its stat by which it is told from one that is made in its place."""

    analysis: str
    output: str
    path: str
    made: FileStat

    def remove(self) -> None:
        """Take it away, and its folder with the last; whoever publishes meanwhile has made another."""
        with contextlib.suppress(OSError):
            if FileStat.of(os.lstat(self.path)) == self.made:
                os.unlink(self.path)
                os.rmdir(os.path.dirname(self.path))


def _doors(
    layout: Layout, analyses: Iterable[str], outputs: Iterable[str]
) -> Iterator[_Door]:
    """The doors of some analyses to some data; a link that says anything else is none of ours."""
    behind = {layout.behind_door(output): output for output in outputs}
    for analysis in analyses:
        folder = f"{layout.root}/{analysis}"
        refuse_links(folder, layout.root)
        with contextlib.suppress(OSError):
            for name in os.listdir(folder):
                path = f"{folder}/{name}"
                with contextlib.suppress(OSError):  # It is no link, or is gone.
                    if output := behind.get(os.readlink(path)):
                        made = FileStat.of(os.lstat(path))
                        yield _Door(analysis, output, path, made)
