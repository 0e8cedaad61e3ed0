"""What there is on disk weighs, and how much a store may."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Weight:
    """Bytes and files."""

    nbytes: int = 0
    files: int = 0

    def __add__(self, other: Weight) -> Weight:
        return Weight(self.nbytes + other.nbytes, self.files + other.files)

    def __sub__(self, other: Weight) -> Weight:
        return Weight(self.nbytes - other.nbytes, self.files - other.files)

    def exceeds(self, budget: Budget) -> bool:
        """Whether this is more than a budget allows."""
        most_bytes, most_files = budget.max_bytes, budget.max_files
        return (most_bytes is not None and self.nbytes > most_bytes) or (
            most_files is not None and self.files > most_files
        )


@dataclass(frozen=True, slots=True)
class Budget:
    """How much a store may take, in bytes and in files; `None` for as much as it likes."""

    max_bytes: int | None = None
    max_files: int | None = None


def weight_of(path: str) -> Weight:
    """What a file weighs, or all files below a folder; links are files."""
    is_folder = os.path.isdir(path) and not os.path.islink(path)
    found = _files_below(path) if is_folder else [path]
    nbytes = files = 0
    for file in found:
        with contextlib.suppress(FileNotFoundError):  # It went meanwhile.
            nbytes += os.lstat(file).st_size
            files += 1
    return Weight(nbytes, files)


def _files_below(folder: str) -> Iterator[str]:
    for at, folders, names in os.walk(folder):
        links = [one for one in folders if os.path.islink(f"{at}/{one}")]
        yield from (f"{at}/{name}" for name in names + links)
