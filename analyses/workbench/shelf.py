"""The runs that a folder holds, by name.

A name comes from a link, so only what was found by looking is ever opened; and it is opened anew each
time, since a training may be writing checkpoints meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from artifact_store import ArtifactStoreError, Run


class NoRuns(ArtifactStoreError, LookupError):
    """A folder holds no run."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.folder = folder

    def __str__(self) -> str:
        return (
            f"{self.folder} holds no run: neither it nor any folder in it has "
            "checkpoints/checkpoint_epoch_*.safetensors. `python -m analyses train` makes one."
        )


class NoSuchRun(ArtifactStoreError, LookupError):
    """There is no run of this name."""

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        super().__init__(name, known)
        self.name, self.known = name, known

    def __str__(self) -> str:
        return f"There is no run {self.name!r} here. There are: {', '.join(self.known) or 'none'}."


@dataclass(frozen=True)
class Shelf:
    """The runs in a folder, or the one run that it is."""

    folder: Path

    @property
    def names(self) -> tuple[str, ...]:
        """Every run there is now, sorted."""
        return tuple(sorted(one.name for one in self._folders() if _is_run(one)))

    def run(self, name: str) -> Run:
        """The run of this name, as it is now."""
        place = next((one for one in self._folders() if one.name == name), None)
        if place is None or not _is_run(place):
            raise NoSuchRun(name, self.names)
        return Run(place)

    def _folders(self) -> list[Path]:
        """Where a run may be."""
        if _is_run(self.folder):
            return [self.folder]
        return list(self.folder.iterdir()) if self.folder.is_dir() else []


def _is_run(folder: Path) -> bool:
    try:
        return folder.is_dir() and bool(Run(folder).epochs)
    except (ArtifactStoreError, OSError):
        return False
