"""By which way something was reached, so that a declaration covers what lies behind it and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from artifact_store.errors import UnresolvedDependency


class Routes:
    """Who reaches whom, and what is unresolved where.

    A place is the number of a member, or stands for an analysis, which declares what cannot be followed.
    """

    def __init__(self) -> None:
        self.at: int = -1
        self._reached: dict[int, set[int]] = {}
        self._declaring: set[int] = set()
        self._unresolved: list[tuple[int, UnresolvedDependency]] = []

    def reach(self, place: int) -> None:
        """Note that `place` is reached from here."""
        self._reached.setdefault(self.at, set()).add(place)

    @contextmanager
    def within(self, analysis: Any, declared: Any) -> Iterator[None]:
        """What is met inside is reached by way of `analysis`, which `declared` what cannot be followed."""
        place, outside = -2 - id(analysis), self.at
        self.reach(place)
        self.at = place
        if declared:
            self._declaring.add(place)
        try:
            yield
        finally:
            self.at = outside

    def unresolved(self, error: UnresolvedDependency) -> None:
        """Note what cannot be known; whether that is an error is known when all is."""
        self._unresolved.append((self.at, error))

    def raise_unresolved(self) -> None:
        """Raise the first thing unresolved that no analysis on the way to it declared."""
        excused = new = set(self._declaring)
        while new:
            new = {to for one in new for to in self._reached.get(one, ())} - excused
            excused = excused | new
        for at, error in self._unresolved:
            if at not in excused:
                raise error
