"""Whether every edit of a project on disk computes anew what it reaches, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from mutations.harness import Project, fill, fresh
from mutations.rows import Row, rows

SEMANTIC, COSMETIC = rows("semantic"), rows("cosmetic")


# In memory, if the system offers that: there 400 files are removed in 10 ms, on a disk in 500.
MEMORY = Path("/dev/shm")


@pytest.fixture(scope="session")
def filled() -> Iterator[Path]:
    """The project, with the results of all its analyses."""
    with TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as directory:
        yield fill(Path(directory) / "filled")


@pytest.fixture
def project(filled: Path) -> Iterator[Project]:
    """A copy of it, for one row."""
    with TemporaryDirectory(dir=filled.parent) as directory:
        yield fresh(filled, Path(directory) / "copy")


@pytest.mark.parametrize("row", SEMANTIC, ids=str)
def test_an_edit_that_matters_misses_exactly_what_it_reaches(
    project: Project, row: Row
) -> None:
    assert project.changed(row.changes).computed() == row.computed


@pytest.mark.parametrize("row", COSMETIC, ids=str)
def test_an_edit_that_does_not_matter_misses_nothing(
    project: Project, row: Row
) -> None:
    assert project.changed(row.changes).computed() == set()


def test_undoing_an_edit_misses_nothing(project: Project) -> None:
    there = "study/weighing.py: EXPONENT = 0.5 ---> EXPONENT = 0.75"
    back = "study/weighing.py: EXPONENT = 0.75 ---> EXPONENT = 0.5"

    assert project.changed([there]).computed() == {"sharpness", "trajectory"}
    assert project.changed([back]).computed() == set()


def test_there_are_rows_for_every_analysis_and_no_row_twice() -> None:
    titles = [row.title for row in SEMANTIC + COSMETIC]

    assert len(SEMANTIC) >= 80 and len(COSMETIC) >= 40
    assert len(titles) == len(set(titles))
    assert all(row.computed for row in SEMANTIC)
    assert not any(row.computed for row in COSMETIC)
    assert set().union(*(row.computed for row in SEMANTIC)) == {
        "token_norms", "spectrum", "projection", "dominant", "sharpness", "activations", "sparsity",
        "attention", "overlap", "logits", "inventory", "trajectory", "drift", "moved",
    }  # fmt: skip
