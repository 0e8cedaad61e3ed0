"""A run, a module of analyses, and `artifact-store` as one types it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from artifact_store.cli import main

MODULE = """
from artifact_store import Checkpoint, analysis

SCALE = 2.0


def halved(values):
    return values / 2


@analysis(dims={"mean": ("row",)})
def mean(checkpoint: Checkpoint):
    return {"mean": halved(checkpoint["w"]).mean(axis=1) * SCALE}


@analysis
def above(checkpoint: Checkpoint, *, threshold: float = 0.5):
    return (checkpoint["w"] > threshold).sum()


@analysis
def broken(checkpoint: Checkpoint):
    return checkpoint["absent"].sum()
"""


@dataclass(frozen=True)
class Shell:
    """Types verbs at the run `run`, in the directory it lies in."""

    home: Path
    capsys: pytest.CaptureFixture[str]
    write_module: Callable[[str, str], ModuleType]

    @property
    def store(self) -> Path:
        return self.home / "run" / "artifacts"

    def edit(self, old: str, new: str) -> None:
        """Save the module with a change, as a new process would find it."""
        assert old in MODULE
        self.write_module("probe", MODULE.replace(old, new))

    def __call__(self, *words: str) -> tuple[int, str, str]:
        """Exit status, standard output and standard error."""
        self.capsys.readouterr()
        try:
            status = main(words)
        except SystemExit as stop:  # argparse
            status = int(stop.code or 0)
        printed = self.capsys.readouterr()
        return status, printed.out, printed.err

    def json(self, *words: str) -> Any:
        """The document on standard output."""
        return json.loads(self(*words, "--json")[1])

    def computed(self, *names: str) -> None:
        """Compute these analyses of the module."""
        assert self("run", "run", *(f"--analysis=probe:{n}" for n in names))[0] == 0

    def a_file_of(self, folder: str, name: str) -> Path:
        """A file deep in the store."""
        return next((self.store / ".store" / folder).rglob(name))


def typed(*words: str, at: Path) -> subprocess.Popen[str]:
    """`artifact-store`, in a process of its own."""
    path = os.pathsep.join([str(at / "modules"), *filter(None, sys.path)])
    return subprocess.Popen(
        [sys.executable, "-m", "artifact_store", *words],
        cwd=at,
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def shell(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    write_module: Callable[[str, str], ModuleType],
    run_directory: Callable[[], Path],
) -> Shell:
    monkeypatch.chdir(tmp_path)
    run_directory()
    write_module("probe", MODULE)
    return Shell(tmp_path, capsys, write_module)
