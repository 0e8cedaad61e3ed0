"""Views by name, as those see them who only pass a run or a checkpoint on.

name ──► entry point ──► *Viewable* ──► *Seen*, which is drawn when it is asked
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from artifact_store.entry_points import loaded, points
from artifact_store.errors import NoSuchView, NotAView

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

ENTRY_POINTS = "artifact_store.views"


class Seen(Protocol):
    """A view of one run at one epoch; see `views.Scene`."""

    @property
    def is_available(self) -> bool: ...
    def compute(self) -> Seen: ...
    def figure(self) -> Any: ...
    def show(self) -> None: ...
    def export(self, path: str | os.PathLike[str]) -> Path: ...


@runtime_checkable
class Viewable(Protocol):
    """A declared view; see `views.View`."""

    def called(self, name: str) -> Viewable: ...
    def of(self, run: Any, epoch: int | None, given: Mapping[str, Any]) -> Seen: ...
    def of_checkpoint(self, checkpoint: Any, given: Mapping[str, Any]) -> Seen: ...


def view_named(name: str) -> Viewable:
    """The view that an installed package offers under this name.

    Raises
    ------
    NoSuchView
        None does.
    NotAView
        What it offers is something else.
    """
    offered = points(ENTRY_POINTS)
    for point in offered:
        if point.name == name:
            return view_at(point)
    raise NoSuchView(name, tuple(point.name for point in offered))


def view_at(point: EntryPoint) -> Viewable:
    """The view that an entry point offers; it goes by the name that it is offered under."""
    found = loaded(point)
    if not isinstance(found, Viewable):
        raise NotAView(point.name, point.value, type(found).__name__)
    return found.called(point.name)
