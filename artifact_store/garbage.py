"""What a store holds and nothing in it needs, and how that is removed beside those who are at work in it.

    manifests ──► what they name ──► *unneeded* ──► *removed*

Whoever publishes writes data and records first, and names them last. So what no manifest names is garbage only if it
has been there, untouched, for longer than a publication may take.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from artifact_store.descriptors import GUARDED, refuse_links
from artifact_store.equivalence import blessings
from artifact_store.errors import CorruptArtifact
from artifact_store.layout import Layout
from artifact_store.listing import Unread, briefs
from artifact_store.staging import UNLOCKED_SECONDS, Stage, staged, storage_time, take
from artifact_store.stores.base import Store
from artifact_store.stores.quarantine import note_of
from artifact_store.stores.quarantine import quarantined as listed

Kind: TypeAlias = Literal["data", "record", "door", "stage", "quarantine"]
Advance: TypeAlias = Callable[[int, str], None]

# Between data and the manifest that names them; a live writer needs milliseconds, on a bad day seconds.
GRACE_SECONDS: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Garbage:
    """What nothing needs.

    Attributes
    ----------
    kind
        `data` and `record`: no manifest names them. `door`: it leads to data that are gone, or go. `stage`: left behind
        by a writer that died. `quarantine`: it was set aside as corrupt, and is kept until somebody asks.
    """

    kind: Kind
    path: str
    nbytes: int


@dataclass(frozen=True, slots=True)
class _Named:
    """All that manifests and blessings name."""

    outputs: set[str] = field(default_factory=set)
    details: dict[str, set[str]] = field(
        default_factory=lambda: {"closures": set(), "inputs": set()}
    )


def unneeded(
    store: Store, advance: Advance = lambda count, note: None
) -> list[Garbage]:
    """What nothing in a store in a directory needs, but for what was set aside as corrupt.

    Parameters
    ----------
    advance
        Told how many manifests or doors have been looked at.

    Raises
    ------
    UnknownFormat, CorruptArtifact
        A manifest that cannot be read now may name anything.
    """
    layout = Layout(store.location)
    now = storage_time(layout.staging)
    old = now - GRACE_SECONDS
    named = _named(store, layout, advance)
    data = list(_data(layout, named, old))
    gone = {os.path.basename(one.path) for one in data}
    doors = _doors(layout, named, gone, advance)
    records = _records(layout, named, old)
    return [*data, *records, *doors, *_stages(layout, now)]


def quarantined(store: Store) -> list[Garbage]:
    """What was set aside as corrupt."""
    aside = [one.aside for one in listed(Layout(store.location))]
    return [Garbage("quarantine", path, _nbytes(path)) for path in aside]


def _named(store: Store, layout: Layout, advance: Advance) -> _Named:
    named, analyses = _Named(), set[str]()
    closures, inputs = named.details["closures"], named.details["inputs"]
    for brief in briefs(layout, None, advance, _refuse_unread):
        analyses.add(brief.analysis)
        named.outputs.add(brief.output)
        closures.add(brief.provenance.closure)
        inputs.update(one.digest for one in brief.provenance.inputs)
    for analysis in analyses:
        for stated in blessings(store, analysis):
            closures.update((stated.was, stated.now))
    return named


def _refuse_unread(error: Unread) -> None:
    """Go on without a manifest only if it is none, or is gone; one that cannot be read at this moment names data."""
    cause = error.__cause__
    is_unread = isinstance(cause, OSError) and not isinstance(cause, FileNotFoundError)
    if is_unread or not isinstance(error, CorruptArtifact):
        raise error


def _data(layout: Layout, named: _Named, old: float) -> Iterator[Garbage]:
    for folder in _scanned(layout.data, layout):
        for group in _scanned(folder.path, layout):
            if group.name not in named.outputs and _is_older(group.path, old):
                yield Garbage("data", group.path, _nbytes(group.path))


def _records(layout: Layout, named: _Named, old: float) -> Iterator[Garbage]:
    for kind, digests in named.details.items():
        for record in _scanned(layout.records(kind), layout):
            digest = record.name.removesuffix(".json")
            if digest not in digests and _is_older(record.path, old):
                yield Garbage("record", record.path, _nbytes(record.path))


def _doors(
    layout: Layout, named: _Named, gone: set[str], advance: Advance
) -> Iterator[Garbage]:
    """The doors to data that no manifest names and that are not there any more, or are about to go."""
    for folder in _scanned(layout.root, layout):
        number = 0
        for number, door in enumerate(_scanned(folder.path, layout), 1):
            if door.is_symlink() and _is_shut(door.path, layout, named, gone):
                yield Garbage("door", door.path, _nbytes(door.path))
        advance(number, folder.name)


def _is_shut(door: str, layout: Layout, named: _Named, gone: set[str]) -> bool:
    with contextlib.suppress(FileNotFoundError):
        target = os.readlink(door)
        output = os.path.basename(target)
        if output not in named.outputs:
            leads = os.path.normpath(f"{os.path.dirname(door)}/{target}")
            is_ours = leads == layout.group(output)
            return is_ours and (output in gone or not os.path.lexists(leads))
    return False


def _stages(layout: Layout, now: float) -> Iterator[Garbage]:
    old = now - UNLOCKED_SECONDS
    for stage in _scanned(layout.staging, layout):
        if _is_older(stage.path, old) and not _is_held(stage.path):
            yield Garbage("stage", stage.path, _nbytes(stage.path))


def removed(
    store: Store,
    found: Iterable[Garbage],
    advance: Advance = lambda count, note: None,
) -> list[Garbage]:
    """Remove what is found unneeded and still is; what was removed."""
    layout, gone = Layout(store.location), []
    old = storage_time(layout.staging) - GRACE_SECONDS
    for one in found:
        with staged(layout.staging) as stage:
            gone += [one] if _remove(one, stage, old) else []
        advance(1, one.kind)
    return gone


def _remove(one: Garbage, stage: Stage, old: float) -> bool:
    with contextlib.suppress(FileNotFoundError, BlockingIOError):
        match one.kind:
            case "data" | "record":
                then = os.lstat(one.path)
                return then.st_mtime < old and take(one.path, stage, then.st_mtime_ns)
            case "door":
                os.unlink(one.path)
            case "stage":
                with _held(one.path):
                    _take(one.path, stage)
            case "quarantine":
                _take(one.path, stage)
                _take(note_of(one.path), stage)
        return True
    return False


def _take(path: str, stage: Stage) -> None:
    """Rename it, so that nobody ever finds half of it; the stage takes it along."""
    os.rename(path, stage.name())


def _is_held(stage: str) -> bool:
    """Whether the writer of a stage lives, as far as one can tell."""
    try:
        with _held(stage):
            return False
    except OSError:
        return True


@contextlib.contextmanager
def _held(stage: str) -> Iterator[None]:
    """Hold the lock of a stage; `BlockingIOError` if its writer does."""
    descriptor = os.open(stage, os.O_RDONLY | GUARDED)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _scanned(folder: str, layout: Layout) -> Iterator[os.DirEntry[str]]:
    """What is in a folder of a store, of which there may be none."""
    refuse_links(folder, layout.root)
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        with os.scandir(folder) as found:
            yield from found


def _is_older(path: str, when: float) -> bool:
    try:
        return os.lstat(path).st_mtime < when
    except FileNotFoundError:
        return False


def _nbytes(path: str) -> int:
    """The bytes of a file, or of all files in a folder."""
    if os.path.islink(path) or not os.path.isdir(path):
        return os.lstat(path).st_size
    files = (f"{at}/{name}" for at, _, names in os.walk(path) for name in names)
    return sum(os.lstat(file).st_size for file in files)
