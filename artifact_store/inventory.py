"""What a store weighs, and for whom: every file of it, counted once."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from artifact_store.layout import Layout
from artifact_store.listing import briefs, listed_keys
from artifact_store.stores.base import Store

Kind: TypeAlias = Literal["analysis", "shared", "records", "leftover"]

UNNAMED: Final = "data without a manifest"
SEVERAL: Final = "several analyses"
BESIDE: Final = "doors and records"


@dataclass(frozen=True, slots=True)
class Share:
    """Some of the files of a store.

    Attributes
    ----------
    kind
        `analysis`: what one analysis alone needs, which removing its entries would free. `shared`: data of several.
        `records`: doors, digests and sources, which explain. `leftover`: what nothing refers to.
    """

    name: str
    kind: Kind
    entries: int
    files: int
    nbytes: int


@dataclass(frozen=True, slots=True)
class Inventory:
    """All files of a store, in shares."""

    location: str
    shares: tuple[Share, ...]

    @property
    def total(self) -> Share:
        """All of them together."""
        entries = sum(share.entries for share in self.shares)
        files = sum(share.files for share in self.shares)
        nbytes = sum(share.nbytes for share in self.shares)
        return Share("total", "records", entries, files, nbytes)


def inventory(
    store: Store, advance: Callable[[int, str], None] = lambda count, note: None
) -> Inventory:
    """Count every file of a store in a directory; `advance` is told how many manifests have been read or measured."""
    layout = Layout(store.location)
    entries = Counter(key.analysis for key in listed_keys(layout))
    owners = _owners(layout, advance)
    counted: dict[tuple[str, Kind], tuple[int, int]] = {
        (analysis, "analysis"): (0, 0) for analysis in sorted(entries)
    }
    for folder, files, nbytes in _folders(layout.root):
        if files:
            share = _share_of(folder, layout, owners)
            files_then, nbytes_then = counted.get(share, (0, 0))
            counted[share] = files_then + files, nbytes_then + nbytes
            if folder.startswith(layout.entries):
                advance(files, share[0])
    shares = [
        Share(name, kind, entries[name] if kind == "analysis" else 0, *sums)
        for (name, kind), sums in counted.items()
    ]
    order: list[Kind] = ["analysis", "shared", "records", "leftover"]
    shares.sort(key=lambda share: order.index(share.kind))
    return Inventory(layout.root, tuple(shares))


def _owners(
    layout: Layout, advance: Callable[[int, str], None]
) -> dict[bytes, str | None]:
    """Whose each data are; `None` if they are of several analyses."""
    owners: dict[bytes, str | None] = {}
    for brief in briefs(layout, advance=advance):
        output = brief.output.encode()
        if owners.setdefault(output, brief.analysis) != brief.analysis:
            owners[output] = None
    return owners


def _folders(root: str) -> Iterator[tuple[str, int, int]]:
    """Each folder of a store, with the number and the bytes of the files in it; links are files."""
    waiting = [root]
    while waiting:
        folder, files, nbytes = waiting.pop(), 0, 0
        # Others may be at work in it.
        try:
            with os.scandir(folder) as found:
                for one in found:
                    if one.is_dir(follow_symlinks=False):
                        waiting.append(one.path)
                    elif (size := _size(one)) is not None:
                        files, nbytes = files + 1, nbytes + size
        except FileNotFoundError:
            pass
        yield folder, files, nbytes


def _size(file: os.DirEntry[str]) -> int | None:
    try:
        return file.stat(follow_symlinks=False).st_size
    except FileNotFoundError:
        return None


def _share_of(
    folder: str, layout: Layout, owners: Mapping[bytes, str | None]
) -> tuple[str, Kind]:
    """What the files of a folder count as."""
    if (of := _below(folder, layout.entries)) is not None:
        return (of[0], "analysis") if of else (BESIDE, "records")
    if (of := _below(folder, layout.data)) is not None:
        output = "".join(of[1:2]).encode()
        if output not in owners:
            return UNNAMED, "leftover"
        owner = owners[output]
        return (SEVERAL, "shared") if owner is None else (owner, "analysis")
    for left in (layout.staging, layout.quarantine):
        if _below(folder, left) is not None:
            return os.path.basename(left), "leftover"
    return BESIDE, "records"


def _below(path: str, folder: str) -> list[str] | None:
    """The names that lead to `path` from a folder that it is in, or is."""
    if path == folder:
        return []
    start = len(folder) + 1
    return path[start:].split("/") if path[:start] == folder + "/" else None
