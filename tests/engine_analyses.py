"""Analyses that workers of any kind import."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np

from artifact_store import Checkpoint, Run, analysis

# Where each computation leaves a file, so that they can be counted; it decides nothing.
COUNTED = "ENGINE_TESTS_COUNT"
DEADLY = "ENGINE_TESTS_DEADLY"


def _count(name: str) -> None:
    folder = os.environ.get(COUNTED)
    if folder:
        number = len(os.listdir(folder))
        Path(folder, f"{name}-{os.getpid()}-{number}-{os.urandom(4).hex()}").touch()


def scaled(values: Any) -> Any:
    return values * 2.0


@analysis(strict=False, depends_on=(scaled,))
def doubled(checkpoint: Checkpoint) -> Any:
    _count("doubled")
    return {"w": scaled(checkpoint["w"])}


@analysis(strict=False, depends_on=(scaled,))
def summed(checkpoint: Checkpoint) -> Any:
    _count("summed")
    return {"sum": np.asarray(doubled(checkpoint)["w"].sum())}


@analysis(strict=False, depends_on=())
def deadly(checkpoint: Checkpoint) -> Any:
    if checkpoint["w"][0, 0] == float(os.environ.get(DEADLY, "-1")):
        os.kill(os.getpid(), signal.SIGKILL)
    return {"w": checkpoint["w"]}


@analysis
def along(run: Run) -> Any:
    return {"sum": np.array([float(summed(run[epoch])["sum"]) for epoch in run])}


def set_there(variables: dict[str, str]) -> None:
    """Set environment variables, in a worker."""
    os.environ.update(variables)
