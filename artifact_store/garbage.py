"""What a store holds and nothing in it needs, and how that is removed beside those who are at work in it.

    manifests ──► what they name ──► *unneeded* ──► *removed*

Whoever publishes writes data and records first, and names them last. So what no manifest names is garbage only if it
had been there, untouched, for longer than a publication may take when we began to look, by the clock of the storage;
and it goes only if it has not been touched since, as whoever names something does before and after. This holds
however long looking takes, or the process sleeps in between.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from artifact_store.descriptors import refuse_links
from artifact_store.digests import Digest
from artifact_store.equivalence import blessings
from artifact_store.keys import Key
from artifact_store.layout import Layout
from artifact_store.listing import briefs, refuse_unread
from artifact_store.reads import Found
from artifact_store.staging import (
    Stage,
    left_over,
    removing,
    storage_time,
    storage_time_ns,
    take,
)
from artifact_store.stores.base import Store
from artifact_store.stores.quarantine import is_aside
from artifact_store.stores.records import Records
from artifact_store.weights import weight_of

Kind: TypeAlias = Literal["data", "record", "door", "stage", "quarantine", "note"]
Advance: TypeAlias = Callable[[int, str], None]

# Between data and the manifest that names them; a live writer needs milliseconds, on a bad day seconds.
GRACE_SECONDS: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Garbage:
    """What nothing needs.

    Attributes
    ----------
    kind
        `data` and `record`: no manifest names them, or a record is of files in another boot. `door`: it leads to data
        that are gone, or go. `stage`: left behind by a writer that died. `quarantine`: it was set aside as corrupt,
        and is kept until somebody asks; a `note` says why.
    touched_last
        When data or a record were, in nanoseconds: whoever names them touches them.
    """

    kind: Kind
    path: str
    nbytes: int
    touched_last: int = 0


@dataclass(frozen=True, slots=True)
class _Named:
    """All that manifests and blessings name, and the keys that they are under."""

    keys: set[str] = field(default_factory=set)
    outputs: set[str] = field(default_factory=set)
    reads: set[str] = field(default_factory=set)
    details: dict[str, set[str]] = field(
        default_factory=lambda: {"closures": set(), "inputs": set()}
    )


def unneeded(
    store: Store,
    advance: Advance = lambda count, note: None,
    without: Collection[Key] = (),
) -> list[Garbage]:
    """What nothing in a store in a directory needs, but for what was set aside as corrupt.

    Parameters
    ----------
    advance
        Told how many manifests or doors have been looked at.
    without
        Keys whose entries count as gone already.

    Raises
    ------
    UnknownFormat, CorruptArtifact
        A manifest that cannot be read now may name anything.
    """
    layout = Layout(store.location)
    now = storage_time_ns(layout.staging)
    old = now - int(GRACE_SECONDS * 1e9)
    named = _named(store, layout, advance, set(without))
    data = list(_data(layout, named, old))
    gone = {os.path.basename(one.path) for one in data}
    doors = _doors(layout, named, gone, advance)
    records = [*_records(layout, named, old), *_steps(layout, named, old)]
    memos = _memos(layout, old)
    return [*data, *records, *memos, *doors, *_stages(layout, now)]


def quarantined(store: Store) -> list[Garbage]:
    """What was set aside as corrupt, and the notes of why, each for itself: of some, the other is gone."""
    layout = Layout(store.location)
    return [
        Garbage(
            "quarantine" if is_aside(one.name) else "note",
            one.path,
            weight_of(one.path).nbytes,
        )
        for one in _scanned(layout.quarantine, layout)
    ]


def stages_left(layout: Layout) -> Iterator[Garbage]:
    """What writers left behind that died."""
    return _stages(layout, storage_time_ns(layout.staging))


def _named(
    store: Store, layout: Layout, advance: Advance, without: Collection[Key]
) -> _Named:
    named, analyses = _Named(), set[str]()
    closures, inputs = named.details["closures"], named.details["inputs"]
    for brief in briefs(layout, None, advance, refuse_unread):
        if without and brief.address in without:
            continue
        analyses.add(brief.analysis)
        named.keys.add(brief.key)
        named.outputs.add(brief.output)
        named.reads.add(brief.reads or "")
        closures.add(brief.provenance.closure)
        inputs.update(one.digest for one in brief.provenance.inputs)
    for analysis in analyses:
        for stated in blessings(store, analysis):
            closures.update((stated.was, stated.now))
    return named


def _data(layout: Layout, named: _Named, old: int) -> Iterator[Garbage]:
    for folder in _scanned(layout.data, layout):
        for group in _scanned(folder.path, layout):
            if group.name not in named.outputs:
                yield from _if_older("data", group.path, old)


def _records(layout: Layout, named: _Named, old: int) -> Iterator[Garbage]:
    for kind, digests in named.details.items():
        for record in _scanned(layout.records(kind), layout):
            if record.name.removesuffix(".json") not in digests:
                yield from _if_older("record", record.path, old)


def _steps(layout: Layout, named: _Named, old: int) -> Iterator[Garbage]:
    """The ends of computations whose results are gone; the way to them is that of others, too."""
    records = Records(layout)
    for record in _scanned(layout.records("steps"), layout):
        node = record.name.removesuffix(".json")
        for found in _if_older("record", record.path, old):
            steps = records.steps(Digest("blake3", node))
            leads = node in named.reads or any(
                not isinstance(one, Found) or one.key in named.keys for one in steps
            )
            # What cannot be read may lead anywhere.
            if steps and not leads:
                yield found


def _memos(layout: Layout, old: int) -> Iterator[Garbage]:
    """What was noted of files in another boot, or is damaged: nobody here ever believes it again."""
    records = Records(layout)
    for record in _scanned(layout.records("digests"), layout):
        for found in _if_older("record", record.path, old):
            if not records.is_memo(record.name.removesuffix(".json")):
                yield found


def _if_older(kind: Kind, path: str, old: int) -> Iterator[Garbage]:
    """What is at a path, if it was touched last before it was so late; what is gone by now is none."""
    with contextlib.suppress(FileNotFoundError):
        touched_last = os.lstat(path).st_mtime_ns
        if touched_last < old:
            yield Garbage(kind, path, weight_of(path).nbytes, touched_last)


def _doors(
    layout: Layout, named: _Named, gone: set[str], advance: Advance
) -> Iterator[Garbage]:
    """The doors to data that no manifest names and that are not there any more, or are about to go."""
    for folder in _scanned(layout.root, layout):
        if folder.is_symlink():
            continue  # It is somebody's, and none of ours.
        number = 0
        for number, door in enumerate(_scanned(folder.path, layout), 1):
            with contextlib.suppress(FileNotFoundError):
                if door.is_symlink() and _is_shut(door.path, layout, named, gone):
                    yield Garbage("door", door.path, weight_of(door.path).nbytes)
        advance(number, folder.name)


def _is_shut(door: str, layout: Layout, named: _Named, gone: set[str]) -> bool:
    target = os.readlink(door)
    output = os.path.basename(target)
    leads = os.path.normpath(f"{os.path.dirname(door)}/{target}")
    if output in named.outputs or leads != layout.group(output):
        return False
    return output in gone or not os.path.lexists(leads)


def _stages(layout: Layout, now: int) -> Iterator[Garbage]:
    for stage in _scanned(layout.staging, layout):
        for found in _if_older("stage", stage.path, now):
            if _is_left(stage.path, now / 1e9):
                yield found


def removed(
    store: Store,
    found: Iterable[Garbage],
    advance: Advance = lambda count, note: None,
) -> list[Garbage]:
    """Remove what is found unneeded and still is; what was removed."""
    layout, gone = Layout(store.location), []
    for one in found:
        with removing(layout.staging) as stage:
            gone += [one] if _remove(one, stage) else []
        advance(1, one.kind)
    return gone


def _remove(one: Garbage, stage: Stage) -> bool:
    with contextlib.suppress(FileNotFoundError, BlockingIOError):
        match one.kind:
            case "data" | "record":
                return take(one.path, stage, one.touched_last)
            case "door":
                # If it leads to data again, they or it have come back.
                if os.path.exists(one.path):
                    return False
                os.unlink(one.path)
            case "stage":
                now = storage_time(os.path.dirname(one.path))
                with left_over(one.path, now):
                    _take(one.path, stage)
            case "quarantine" | "note":
                _take(one.path, stage)
        return True
    return False


def _take(path: str, stage: Stage) -> None:
    """Rename it, so that nobody ever finds half of it; the stage takes it along."""
    os.rename(path, stage.name())


def _is_left(stage: str, now: float) -> bool:
    """Whether the writer of a stage is dead, as far as one can tell."""
    try:
        with left_over(stage, now):
            return True
    except OSError:
        return False


def _scanned(folder: str, layout: Layout) -> Iterator[os.DirEntry[str]]:
    """What is in a folder of a store, of which there may be none."""
    # That the store as a whole lies elsewhere is its owner's choice.
    if folder != layout.root:
        refuse_links(folder, layout.root)
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        with os.scandir(folder) as found:
            yield from found
