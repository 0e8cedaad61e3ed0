"""The rows of `tests/mutations`, and what each is an edit of."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

# They belong to the tests, which nobody installs.
sys.path.append(str(Path(__file__).resolve().parents[2] / "tests"))

from mutations.harness import Project, fill, fresh  # noqa: E402
from mutations.rows import Row, rows  # noqa: E402

__all__ = ["Project", "Row", "fill", "fresh", "edits"]

# Each kind begins with the row of this title and ends where the next one does.
FIRST_OF: Mapping[str, str] = {
    "an operator in an analysis": "the analysis itself",
    "a constant of the module": "constants beside it",
    "a nested function": "helpers, however imported",
    "the keyword of a partial": "partials, defaults, closures",
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

# About options that only our decorator has, or about the text of the file that the overlay replaces.
OURS_ALONE = frozenset(
    {
        "declared dimensions",
        "a declared version that goes",
        "the name of an analysis in stores",
        "our decorator from elsewhere",
        "how results are compressed",
        "whether to wait for the disk",
    }
)


class UnknownTitles(Exception):
    """Rows that are named here are not in the tables."""

    def __init__(self, titles: frozenset[str]) -> None:
        super().__init__(titles)
        self.titles = titles

    def __str__(self) -> str:
        listed = ", ".join(map(repr, sorted(self.titles)))
        return f"tests/mutations has no rows of the titles {listed}. Name others in benchmarks/peers/edits.py."


def edits() -> dict[Row, str]:
    """Every row that can be put to any library, and its kind."""
    all_rows = rows("semantic") + rows("cosmetic")
    unknown = {*FIRST_OF, *OURS_ALONE} - {row.title for row in all_rows}
    if unknown:
        raise UnknownTitles(frozenset(unknown))
    found, current = {}, ""
    for row in all_rows:
        current = FIRST_OF.get(row.title, current)
        if row.title not in OURS_ALONE:
            found[row] = current
    return found
