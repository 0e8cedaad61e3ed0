"""Views by name, as those see them who only pass a run or a checkpoint on.

name ──► entry point ──► *Viewable* ──► *Seen*, which is drawn when it is asked
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from artifact_store.entry_points import loaded, points
from artifact_store.errors import NoSuchView

ENTRY_POINTS = "artifact_store.views"


class Seen(Protocol):
    """A view of one run at one epoch; see `views.Scene`."""

    @property
    def is_available(self) -> bool: ...
    def compute(self) -> Seen: ...
    def figure(self) -> Any: ...
    def show(self) -> None: ...
    def export(self, path: str | os.PathLike[str]) -> Path: ...


class Viewable(Protocol):
    """A declared view; see `views.View`."""

    def of(self, run: Any, epoch: int | None, given: Mapping[str, Any]) -> Seen: ...
    def of_checkpoint(self, checkpoint: Any, given: Mapping[str, Any]) -> Seen: ...


def view_named(name: str) -> Viewable:
    """The view that an installed package offers under this name.

    Raises
    ------
    NoSuchView
        None does.
    """
    offered = points(ENTRY_POINTS)
    for point in offered:
        if point.name == name:
            found: Viewable = loaded(point)
            return found
    raise NoSuchView(name, tuple(point.name for point in offered))
