"""What a store weighs, and for whom: every file of it, counted once."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from artifact_store.layout import Layout
from artifact_store.stores.base import Store

Kind: TypeAlias = Literal["analysis", "shared", "records", "leftover"]

UNNAMED = "data without a manifest"


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


def inventory(store: Store) -> Inventory:
    """Count every file of a store in a directory."""
    entries: dict[str, int] = {}
    owners: dict[str, set[str]] = {}
    for key in store.keys():
        entries[key.analysis] = entries.get(key.analysis, 0) + 1
    for manifest in store.manifests():
        owners.setdefault(manifest.output, set()).add(manifest.analysis)

    counted: dict[tuple[str, Kind], tuple[int, int]] = {
        (analysis, "analysis"): (0, 0) for analysis in sorted(entries)
    }
    layout = Layout(store.location)
    for path, nbytes in _files(layout.root):
        share = _share_of(path, layout, owners)
        files, so_far = counted.get(share, (0, 0))
        counted[share] = files + 1, so_far + nbytes
    shares = [
        Share(name, kind, entries.get(name, 0) if kind == "analysis" else 0, *sums)
        for (name, kind), sums in counted.items()
    ]
    order: list[Kind] = ["analysis", "shared", "records", "leftover"]
    shares.sort(key=lambda share: order.index(share.kind))
    return Inventory(layout.root, tuple(shares))


def _files(root: str) -> Iterator[tuple[Path, int]]:
    for folder, folders, names in os.walk(root):
        doors = [name for name in folders if os.path.islink(f"{folder}/{name}")]
        for name in names + doors:
            path = Path(folder, name)
            # Others may be at work in it.
            with contextlib.suppress(FileNotFoundError):
                yield path, path.lstat().st_size


def _share_of(
    path: Path, layout: Layout, owners: dict[str, set[str]]
) -> tuple[str, Kind]:
    if path.is_relative_to(layout.entries):
        return path.relative_to(layout.entries).parts[0], "analysis"
    if path.is_relative_to(layout.data):
        output = "".join(path.relative_to(layout.data).parts[1:2])
        owned_by = owners.get(output, set())
        if len(owned_by) == 1:
            return next(iter(owned_by)), "analysis"
        return ("several analyses", "shared") if owned_by else (UNNAMED, "leftover")
    for left in (layout.staging, layout.quarantine):
        if path.is_relative_to(left):
            return os.path.basename(left), "leftover"
    return "doors and records", "records"
