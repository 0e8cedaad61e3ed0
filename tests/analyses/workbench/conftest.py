"""Folders of tiny runs, and the pages that show them, without a browser."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from analyses.train import Training, train
from analyses.workbench.shelf import Shelf
from artifact_store import AnalysisPipeline, Run
from artifact_store.events import Event, Published, listening
from artifact_store.views import View, offered_views

VIEWS = offered_views()


def make_tiny(folder: Path, epochs: int = 3) -> Path:
    """A run modulo 7."""
    shape = Training(prime=7, d_model=8, n_heads=2, d_mlp=16, num_epochs=epochs)
    return train(shape, folder)


@pytest.fixture(scope="session")
def analysed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `tiny`, a run of the epochs 0, 1 and 2 with all its artifacts, and `bare`, one without any."""
    folder = tmp_path_factory.mktemp("analysed")
    make_tiny(folder / "tiny")
    make_tiny(folder / "bare")
    AnalysisPipeline(folder / "tiny").run()
    return folder


@pytest.fixture
def results(analysed: Path, tmp_path: Path) -> Path:
    """A copy of that folder, to be changed."""
    shutil.copytree(analysed, tmp_path / "results", symlinks=True)
    return tmp_path / "results"


@pytest.fixture
def shelf(analysed: Path) -> Shelf:
    return Shelf(analysed)


@pytest.fixture
def tiny(analysed: Path) -> Run:
    return Run(analysed / "tiny")


@pytest.fixture
def nothing_is_computed() -> Iterator[None]:
    """The test fails if anything is computed and kept."""
    events: list[Event] = []
    with listening(events.append):
        yield
    assert not [one for one in events if isinstance(one, Published)]


def asked(view: str, run: str = "tiny", epoch: int = 1, **visuals: str) -> dict[str, Any]:  # fmt: skip
    """What the page sends for a picture."""
    return {"run": run, "epoch": epoch, "view": view, "visuals": visuals}


def failing(*args: Any, **kwargs: Any) -> Any:
    raise ZeroDivisionError("a fault of its author")


def replaced(name: str, draw: Any) -> dict[str, View]:
    """All views, one of which is drawn otherwise."""
    return VIEWS | {name: replace(VIEWS[name], draw=draw)}
