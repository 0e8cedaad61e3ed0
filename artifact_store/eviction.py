"""Which entries go so that a store keeps within a budget.

    entries, by the data that they name ──► *weighed* ──► protected, or in the order in which they go ──► *eviction*
                                                                                                             │
                                                       what is still protected by nothing ◄── *evicted* ◄────┘

First go those of the least worth. The worth of data is what it takes to compute them again, per byte that they take
and second since they were used:

    worth = seconds / (bytes * idle seconds)

which is that of caches whose things differ in cost and size (Cao and Irani, GreedyDual-Size, USITS 1997), with the
time since the last use in the place of its inflating threshold. When an entry was used last is the later of the times
at which the file system says that its manifest was read and written: hits read it, lists do not count, and nothing is
written for it. Where access times are kept once a day, as is usual, it is known to the day; where they are not kept
at all, it is when the entry was made.

The newest entry of an analysis for its inputs stays. It is the one whose manifest was written last: by the one clock
that stamps files, as that of a host that writes here may be years ahead.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from artifact_store.keys import Key
from artifact_store.layout import Layout
from artifact_store.leases import is_leased, place_of
from artifact_store.listing import Brief, briefs, use_of
from artifact_store.pins import pinned
from artifact_store.staging import storage_time
from artifact_store.stores.base import Store
from artifact_store.weights import Budget, Weight, weight_of

Reason: TypeAlias = Literal["pinned", "being computed", "newest"]

# What was used this moment is not worth infinitely more than what was a second ago.
_LEAST_IDLE: Final = 1.0


@dataclass(slots=True)
class Held:
    """Data, and all entries that name them.

    Attributes
    ----------
    weight
        What their eviction frees: data, manifests and doors.
    seconds
        What it takes to compute them.
    used
        When they were used last, by the clock of the storage.
    protected
        Why they stay, if they do.
    """

    output: str
    keys: list[Key] = field(default_factory=list)
    weight: Weight = Weight()
    seconds: float = 0.0
    used: float = 0.0
    protected: Reason | None = None

    def worth(self, now: float) -> float:
        """By which the order is made in which data go."""
        idle = max(_LEAST_IDLE, now - self.used)
        return self.seconds / (max(1, self.weight.nbytes) * idle)


@dataclass(frozen=True, slots=True)
class Eviction:
    """What is to go, and what would be left.

    Attributes
    ----------
    left
        Of the whole store, afterwards.
    kept
        What is protected, by reason; the budget may be too small for it.
    """

    evicted: tuple[Held, ...]
    left: Weight
    kept: tuple[Held, ...]

    @property
    def keys(self) -> list[Key]:
        """Of every entry that is to go."""
        return [key for held in self.evicted for key in held.keys]

    @property
    def freed(self) -> Weight:
        """What that frees."""
        return sum((held.weight for held in self.evicted), Weight())


def eviction(store: Store, budget: Budget, total: Weight) -> Eviction:
    """What has to go from a store in a directory that weighs `total`, so that it keeps within a budget.

    What is pinned, being computed, or the newest entry of an analysis for its inputs stays, whatever the budget.
    """
    layout = Layout(store.location)
    held = weighed(layout)
    now = storage_time(layout.staging)
    free = [one for one in held if one.protected is None]
    free.sort(key=lambda one: one.worth(now))
    evicted, left = [], total
    for one in free:
        if not left.exceeds(budget):
            break
        evicted.append(one)
        left = left - one.weight
    kept = tuple(one for one in held if one.protected is not None)
    return Eviction(tuple(evicted), left, kept)


def evicted(store: Store, planned: Eviction) -> Eviction:
    """Remove what is to go, unless it was pinned, used or asked for since that was planned; what did go.

    Data stay that an entry names which was published meanwhile.
    """
    layout = Layout(store.location)
    stays = pinned(layout.root)
    free = [one for one in planned.evicted if not _is_wanted(one, stays, layout)]
    store.remove([key for one in free for key in one.keys])
    gone = [one for one in free if not os.path.lexists(layout.group(one.output))]
    staid = planned.freed - sum((one.weight for one in gone), Weight())
    return Eviction(tuple(gone), planned.left + staid, planned.kept)


def _is_wanted(held: Held, stays: Collection[str], layout: Layout) -> bool:
    """Whether something speaks for data that did not when it was decided that they may go."""
    for key in held.keys:
        digest = key.digest.hex
        if digest in stays or is_leased(layout.lock, place_of(digest)):
            return True
        with contextlib.suppress(FileNotFoundError):
            if use_of(os.lstat(layout.manifest(key))) > held.used:
                return True
    return False


def weighed(layout: Layout) -> list[Held]:
    """All data that entries name, each with what is known of it."""
    found: dict[str, Held] = {}
    newest: dict[tuple[str, tuple[str, ...]], tuple[int, str, str]] = {}
    for brief in briefs(layout):
        held = found.setdefault(brief.output, Held(brief.output))
        published = _add(held, brief, layout)
        made_of = brief.analysis, tuple(one.digest for one in brief.provenance.inputs)
        # Of what was published within one tick of that clock, its writer may know which was later.
        this = published, brief.provenance.created, brief.output
        newest[made_of] = max(newest.get(made_of, this), this)
    # What went meanwhile.
    for output in [one.output for one in found.values() if not one.keys]:
        del found[output]
    for held in found.values():
        held.weight += weight_of(layout.group(held.output))
    for output, doors in _doors(layout).items():
        if output in found:
            found[output].weight += doors
    _protect(found, [output for *_, output in newest.values()], layout)
    return list(found.values())


def _add(held: Held, brief: Brief, layout: Layout) -> int:
    """Count one more entry that names the same data; when it was published, 0 if it went meanwhile."""
    try:
        status = os.lstat(layout.manifest(brief.address))
    except FileNotFoundError:
        return 0
    held.keys.append(brief.address)
    held.weight += Weight(status.st_size, 1)
    held.seconds = max(held.seconds, brief.provenance.seconds)
    held.used = max(held.used, use_of(status))
    return status.st_mtime_ns


def _protect(found: dict[str, Held], newest: Iterable[str], layout: Layout) -> None:
    for output in newest:
        if output in found:
            found[output].protected = "newest"
    stays = pinned(layout.root)
    for held in found.values():
        for key in held.keys:
            if is_leased(layout.lock, place_of(key.digest.hex)):
                held.protected = "being computed"
            if key.digest.hex in stays:
                held.protected = "pinned"
                break


def _doors(layout: Layout) -> dict[str, Weight]:
    """What the doors to each data weigh."""
    found: dict[str, Weight] = {}
    for folder in _real_folders(layout.root):
        # Others make and remove doors, and the last takes their folder with it.
        with contextlib.suppress(FileNotFoundError), os.scandir(folder) as doors:
            for door in doors:
                with contextlib.suppress(FileNotFoundError):
                    if door.is_symlink():
                        leads_to = os.readlink(door.path)
                        output = os.path.basename(leads_to)
                        if leads_to != layout.behind_door(output):
                            continue
                        weight = weight_of(door.path)
                        found[output] = found.get(output, Weight()) + weight
    return found


def _real_folders(root: str) -> Iterator[str]:
    with os.scandir(root) as found:
        for one in found:
            if one.is_dir(follow_symlinks=False) and not one.name.startswith("."):
                yield one.path
