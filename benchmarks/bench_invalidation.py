"""After an edit, what is computed anew that need not be, and what is not although it must?

The rows of `tests/mutations`, each put to several libraries: the project is filled with results, edited on disk as the
row says, and every analysis is called again in a new interpreter. The same is done once without any library, which
tells what the answers should have been.

    python benchmarks/bench_invalidation.py [--library joblib ...] [--only TEXT] [--rows] [--jobs 2]
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from importlib.metadata import PackageNotFoundError, version
from itertools import groupby
from pathlib import Path

from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "tests"))

from mutations.harness import (  # noqa: E402  (it is with the tests, and not installed)
    Project,
    fill,
    fresh,
)
from mutations.rows import Row, rows  # noqa: E402

DRIVER = ROOT / "benchmarks/peers/driver.py"

# What is installed for each, and what stands in `study/caching.py`.
OURS = "artifact_store"
TRUTH = "nothing"
DISTRIBUTIONS: Mapping[str, str] = {
    OURS: "artifact-store",
    "joblib": "joblib",
    "cachier": "cachier",
    "charmonium": "charmonium.cache",
    "checkpointer": "checkpointer",
}
SHIM = '''"""Where results are kept: by {library}."""

from libraries import Arrays, Checkpoint, Run, decorator

LIBRARY = "{library}"
analysis = decorator(LIBRARY)

__all__ = ["Arrays", "Checkpoint", "Run", "analysis"]
'''

# Each begins with the row of this title and ends where the next one does.
CATEGORIES: Mapping[str, str] = {
    "an operator in an analysis": "the analysis itself",
    "a constant of the module": "constants beside it",
    "a nested function": "helpers, however imported",
    "the keyword of a partial": "partials, defaults, lambdas, closures",
    "an object that is called": "objects, patched modules",
    "the default of a param": "params and their defaults",
    "a method": "classes",
    "a decorator below ours": "decorators",
    "the default of a dataclass field": "dataclasses, named tuples",
    "a number": "constants of every type",
    "an f-string": "f-string, match, walrus",
    "an analysis that calls another one": "analyses that call analyses",
    "other code and equal results, below two others": "other code, equal results",
    "a tensor that one analysis reads": "data",
    "nothing at all": "comments, layout, docstrings",
    "a statement that does nothing": "other spellings",
    "functions in another order": "moves and renames",
    "a new function beside the others": "unrelated code",
    "a checkpoint saved again in another order": "equal data",
    "the run in another place": "surroundings",
}

# About options that only our decorator has, or about the text of the file that is replaced.
LEFT_OUT = frozenset(
    {
        "declared dimensions",
        "a declared version that goes",
        "the name of an analysis in stores",
        "our decorator from elsewhere",
        "how results are compressed",
        "whether to wait for the disk",
    }
)


class Verdict(Enum):
    """What a library made of a row, the worst first."""

    FAILED = "an analysis failed"
    STALE = "a wrong answer"
    WASTEFUL = "computed for nothing"
    BLIND = "not noticed, though the answer happens to be the same"
    RIGHT = "right"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What happened at one row, and the analyses that show it."""

    verdict: Verdict
    names: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return f"{self.verdict.name.lower()} {' '.join(sorted(self.names))}".strip()


class Disagreement(Exception):
    """A library gives other answers than the plain functions do, before any edit."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where one library meets one row after another: always at the same path, as somebody who edits would."""

    root: Path

    def fill(self, library: str) -> None:
        """Write the project and the results of all its analyses."""
        overlay = self.root / "overlay"
        if library != OURS:
            (overlay / "study").mkdir(parents=True)
            (overlay / "study/caching.py").write_text(SHIM.format(library=library))
        fill(self.root / "project", DRIVER, overlay if library != OURS else None)
        (self.root / "project").rename(self.root / "filled")

    def answers(self) -> dict[str, str]:
        """The digests of all answers before any edit."""
        return _answers(self.root / "filled/run")

    @contextmanager
    def project(self) -> Iterator[Project]:
        """A copy of what `fill` wrote, at the same path."""
        try:
            yield fresh(self.root / "filled", self.root / "project", DRIVER)
        finally:
            shutil.rmtree(self.root / "project", ignore_errors=True)


def _answers(run: Path) -> dict[str, str]:
    answers: dict[str, str] = json.loads((run / "answers.json").read_text())
    return answers


@dataclass(frozen=True, slots=True)
class Bench:
    """The places of one thread, one for each library."""

    root: Path
    libraries: tuple[str, ...]

    @classmethod
    def set_up(cls, root: Path, libraries: Sequence[str]) -> Bench:
        """Fill every place, and see that all libraries give the same answers."""
        for library in (TRUTH, *libraries):
            place = Place(root / library)
            place.fill(library)
            if place.answers() != (right := Place(root / TRUTH).answers()):
                wrong = {name for name in right if place.answers()[name] != right[name]}
                raise Disagreement(
                    library, {name: place.answers()[name] for name in sorted(wrong)}
                )
        return cls(root, tuple(libraries))

    def outcomes(self, row: Row) -> list[Outcome]:
        """What each library makes of a row."""
        place = Place(self.root / TRUTH)
        right = place.answers()
        if row.computed:
            with place.project() as project:
                project = project.changed(row.changes)
                project.computed()
                right = _answers(project.run)
        return [self.outcome(library, row, right) for library in self.libraries]

    def outcome(self, library: str, row: Row, right: Mapping[str, str]) -> Outcome:
        """What one library makes of it, where these are the right answers."""
        with Place(self.root / library).project() as project:
            project = project.changed(row.changes)
            try:
                ran = project.computed()
            except RuntimeError as error:
                tqdm.write(f"{library}, {row.title}: {error}", file=sys.stderr)
                return Outcome(Verdict.FAILED)
            return judged(row, ran, _answers(project.run), right)


def judged(
    row: Row, ran: Iterable[str], answers: Mapping[str, str], right: Mapping[str, str]
) -> Outcome:
    """The worst that can be said."""
    ran = frozenset(ran)
    failed = {name for name in right if answers[name].startswith("failed")}
    wrong = {name for name in right if answers[name] != right[name]}
    for verdict, names in (
        (Verdict.FAILED, analyses_of(failed)),
        (Verdict.STALE, analyses_of(wrong)),
        (Verdict.WASTEFUL, ran - row.computed),
        (Verdict.BLIND, row.computed - ran),
    ):
        if names:
            return Outcome(verdict, names)
    return Outcome(Verdict.RIGHT)


def analyses_of(calls: Iterable[str]) -> frozenset[str]:
    """Calls are named for an analysis and the number of an argument."""
    return frozenset(call.partition(" ")[0] for call in calls)


def measure(
    chosen: Sequence[Row], libraries: Sequence[str], jobs: int
) -> dict[str, list[Outcome]]:
    """What each library makes of each of these rows; in memory, if the system offers that."""
    shared = Path("/dev/shm")
    benches = threading.local()
    with (
        tempfile.TemporaryDirectory(
            dir=shared if shared.is_dir() else None
        ) as directory,
        tqdm(total=len(chosen), unit="row", file=sys.stderr) as bar,
        ThreadPoolExecutor(jobs) as threads,
    ):

        def carry_out(row: Row) -> list[Outcome]:
            if not hasattr(benches, "own"):
                own = Path(tempfile.mkdtemp(dir=directory))
                benches.own = Bench.set_up(own, libraries)
            found: list[Outcome] = benches.own.outcomes(row)
            bar.update()
            return found

        return dict(zip((row.title for row in chosen), threads.map(carry_out, chosen)))


def categories(all_rows: Sequence[Row]) -> dict[str, str]:
    """The category of every row, by its title."""
    unknown = {*CATEGORIES, *LEFT_OUT} - {row.title for row in all_rows}
    if unknown:
        raise LookupError(f"tests/mutations has no rows of these titles: {unknown}")
    found, current = {}, ""
    for row in all_rows:
        current = CATEGORIES.get(row.title, current)
        found[row.title] = current
    return found


def table(
    outcomes: Mapping[str, Sequence[Outcome]],
    category: Mapping[str, str],
    libraries: Sequence[str],
) -> str:
    """A row per category, a column per library: how many rows were right, of how many."""
    lines = [("after an edit of", *libraries), ("---",) * (1 + len(libraries))]
    for name, titles in groupby(outcomes, key=lambda title: category[title]):
        group = [outcomes[title] for title in titles]
        lines.append((name, *(_share(column) for column in zip(*group))))
    columns = list(zip(*outcomes.values()))
    lines.append(("**all**", *(f"**{_share(column)}**" for column in columns)))
    for verdict in list(Verdict)[:-1]:
        counts = (
            str(Counter(one.verdict for one in column)[verdict]) for column in columns
        )
        lines.append((f"{verdict.value}", *counts))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _share(column: Sequence[Outcome]) -> str:
    return f"{sum(one.verdict is Verdict.RIGHT for one in column)}/{len(column)}"


def details(outcomes: Mapping[str, Sequence[Outcome]], libraries: Sequence[str]) -> str:
    """Row by row, what each library did and with which analyses."""
    lines = [("row", *libraries), ("---",) * (1 + len(libraries))]
    lines += [(title, *map(str, found)) for title, found in outcomes.items()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def named(library: str) -> str:
    """A library and its version."""
    return (
        library
        if library == OURS
        else f"{DISTRIBUTIONS[library]} {version(DISTRIBUTIONS[library])}"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument(
        "--library",
        action="append",
        choices=DISTRIBUTIONS,
        help="only this one; may be repeated",
    )
    parser.add_argument(
        "--only", default="", metavar="TEXT", help="only rows whose title contains this"
    )
    parser.add_argument("--rows", action="store_true", help="also print every row")
    parser.add_argument("--jobs", type=int, default=2, help="how many rows at once")
    options = parser.parse_args()

    libraries = options.library or list(DISTRIBUTIONS)
    try:
        names = [named(library) for library in libraries]
    except PackageNotFoundError as error:
        parser.error(
            f"{error.name} is not installed: pip install -e '.[peers]', or choose with --library"
        )
    all_rows = rows("semantic") + rows("cosmetic")
    category = categories(all_rows)
    chosen = [
        row
        for row in all_rows
        if row.title not in LEFT_OUT and options.only in row.title
    ]
    outcomes = measure(chosen, libraries, options.jobs)
    if options.rows:
        print(details(outcomes, names), end="\n\n")
    print(table(outcomes, category, names))


if __name__ == "__main__":
    main()
