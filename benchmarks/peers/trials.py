"""What each library makes of a row: `driver` runs in a copy of the project, and its answers are judged.

Place.fill ──► Place.project ──► changed as the row says ──► computed ──► judged ──► Outcome
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from tqdm import tqdm

from benchmarks.peers.edits import Project, Row, fill, fresh

DRIVER = Path(__file__).with_name("driver.py")

OURS = "artifact_store"
TRUTH = "nothing"

# What stands in `study/caching.py` of the project, but for ourselves.
SHIM = '''"""Where results are kept: by {library}."""

from libraries import Arrays, Checkpoint, Run, decorator

LIBRARY = "{library}"
analysis = decorator(LIBRARY)

__all__ = ["Arrays", "Checkpoint", "Run", "analysis"]
'''


class Verdict(Enum):
    """What a library made of a row, the worst first."""

    FAILED = "an analysis fails"
    STALE = "a wrong result is served"
    WASTEFUL = "computes more than it must"
    BLIND = "sees nothing, is right by luck"
    RIGHT = "computes just what it must"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What happened at one row, and the analyses that show it."""

    verdict: Verdict
    names: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return " ".join([self.verdict.name.lower(), *sorted(self.names)])


class Disagreement(Exception):
    """A library gives other answers than the plain functions do, before any edit."""

    def __init__(self, library: str, names: frozenset[str]) -> None:
        super().__init__(library, names)
        self.library, self.names = library, names

    def __str__(self) -> str:
        return (
            f"{self.library} gives other answers than no library at all, or fails, before any edit, to "
            f"{', '.join(sorted(self.names))}. Correct how benchmarks/peers/libraries.py uses it."
        )


@dataclass(frozen=True, slots=True)
class Place:
    """Where one library meets one row after another: always at the same path, as with somebody who edits."""

    root: Path

    def fill(self, library: str) -> None:
        """Write the project and the results of all its analyses."""
        overlay = None
        if library != OURS:
            overlay = self.root / "overlay"
            (overlay / "study").mkdir(parents=True)
            (overlay / "study/caching.py").write_text(SHIM.format(library=library))
        fill(self.root / "project", DRIVER, overlay)
        (self.root / "project").rename(self.root / "filled")

    def answers(self) -> Mapping[str, str]:
        """The digests of all answers before any edit."""
        return _answers(self.root / "filled/run")

    @contextmanager
    def project(self) -> Iterator[Project]:
        """A copy of what `fill` wrote, where that was written."""
        try:
            yield fresh(self.root / "filled", self.root / "project", DRIVER)
        finally:
            shutil.rmtree(self.root / "project", ignore_errors=True)


def _answers(run: Path) -> Mapping[str, str]:
    answers: Mapping[str, str] = json.loads((run / "answers.json").read_text())
    return answers


@dataclass(frozen=True, slots=True)
class Lane:
    """A place for each library, for one row at a time."""

    root: Path
    libraries: tuple[str, ...]

    @classmethod
    def laid(cls, root: Path, libraries: tuple[str, ...]) -> Lane:
        """Fill every place, and see that all libraries give the same answers."""
        right = Place(root / TRUTH)
        right.fill(TRUTH)
        for library in libraries:
            place = Place(root / library)
            place.fill(library)
            if wrong := _differing(place.answers(), right.answers()):
                raise Disagreement(library, wrong)
        return cls(root, libraries)

    def outcomes(self, row: Row) -> list[Outcome]:
        """What each library makes of a row."""
        right = self._right(row)
        return [self._outcome(library, row, right) for library in self.libraries]

    def _right(self, row: Row) -> Mapping[str, str]:
        place = Place(self.root / TRUTH)
        if not row.computed:
            return place.answers()
        with place.project() as project:
            changed = project.changed(row.changes)
            changed.computed()
            return _answers(changed.run)

    def _outcome(self, library: str, row: Row, right: Mapping[str, str]) -> Outcome:
        with Place(self.root / library).project() as project:
            changed = project.changed(row.changes)
            try:
                ran = changed.computed()
            except RuntimeError as error:
                _, _, last = str(error).strip().rpartition("\n")
                tqdm.write(f"{library}, {row.title}: {last}", file=sys.stderr)
                return Outcome(Verdict.FAILED)
            return judged(row, ran, _answers(changed.run), right)


def judged(
    row: Row, ran: Iterable[str], answers: Mapping[str, str], right: Mapping[str, str]
) -> Outcome:
    """The worst that can be said, where `right` are the answers without any library."""
    ran = frozenset(ran)
    failed = frozenset(name for name in right if answers[name].startswith("failed"))
    for verdict, names in (
        (Verdict.FAILED, _analyses_of(failed)),
        (Verdict.STALE, _differing(answers, right)),
        (Verdict.WASTEFUL, ran - row.computed),
        (Verdict.BLIND, row.computed - ran),
    ):
        if names:
            return Outcome(verdict, names)
    return Outcome(Verdict.RIGHT)


def _differing(answers: Mapping[str, str], right: Mapping[str, str]) -> frozenset[str]:
    return _analyses_of(name for name in right if answers[name] != right[name])


def _analyses_of(calls: Iterable[str]) -> frozenset[str]:
    """Calls are named for an analysis and the number of an argument."""
    return frozenset(call.partition(" ")[0] for call in calls)
