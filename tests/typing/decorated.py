"""Only type-checked: the signature that the decorator keeps, and what its verbs give."""

from __future__ import annotations

from pathlib import Path
from typing import Any, assert_type

import numpy.typing as npt

from artifact_store import (
    Analysis,
    Arrays,
    Artifact,
    Checkpoint,
    Run,
    analysis,
    fold,
)
from artifact_store.explain import Explanation
from artifact_store.keys import Key
from artifact_store.memoize import Recomputation


@analysis
def bare(checkpoint: Checkpoint, *, prime: int = 113) -> Arrays:
    return {"prime": prime}


@analysis(dims={"value": ("neuron",)}, ignore=("device",), versions=("torch",))
def declared(checkpoint: Checkpoint, device: str) -> npt.NDArray[Any]:
    return checkpoint["w"]


@analysis(name="of_run", codec="zstd", durable=True, store="somewhere")
def of_run(run: Run) -> float:
    return 1.0


@fold
def bare_fold(checkpoint: Checkpoint, *, prime: int = 113) -> Arrays:
    return {"prime": prime}


@fold(dims={"value": ("neuron",)}, shared={"total": of_run}, codec="zstd")
def declared_fold(checkpoint: Checkpoint, *, total: float | None = None) -> Arrays:
    return {"value": checkpoint["w"] * (total or 0.0)}


def calls(checkpoint: Checkpoint, run: Run) -> None:
    assert_type(bare(checkpoint, prime=5), Arrays)
    assert_type(declared(checkpoint, "cpu"), npt.NDArray[Any])
    assert_type(of_run(run), float)
    assert_type(bare_fold(run, prime=5), Arrays)
    assert_type(declared_fold.find(run), Artifact | None)

    assert_type(bare.find(checkpoint), Artifact | None)
    assert_type(bare.artifact(checkpoint, prime=5), Artifact)
    assert_type(bare.recompute(checkpoint), Recomputation)
    assert_type(bare.key(checkpoint), Key)
    assert_type(bare.explain(checkpoint), Explanation)
    assert_type(bare.__wrapped__(checkpoint, prime=5), Arrays)


def refused(checkpoint: Checkpoint, path: Path) -> None:
    # `warn_unused_ignores` is part of strict: each of these is an error that mypy must find.
    bare(checkpoint, 5)  # type: ignore[call-arg]
    bare(checkpoint, prime="5")  # type: ignore[arg-type]
    bare(checkpoint, nonsense=5)  # type: ignore[call-arg]
    bare()  # type: ignore[call-arg]
    declared(checkpoint)  # type: ignore[call-arg]
    declared.find(checkpoint, device=1)  # type: ignore[arg-type]
    of_run(checkpoint)  # type: ignore[arg-type]
    bare_fold(checkpoint)  # type: ignore[arg-type]
    bare_fold(run=1)  # type: ignore[call-arg]
    declared_fold.artifact(of_run, total=1)  # type: ignore[arg-type]
    fold(codec="gzip")  # type: ignore[call-overload]
    analysis(bare, codec="gzip")  # type: ignore[call-overload]


def higher(function: Analysis[[Checkpoint], float], checkpoint: Checkpoint) -> float:
    return function(checkpoint)


def by_hand(checkpoint: Checkpoint) -> float:
    return 1.0


higher(analysis(by_hand), Checkpoint("path"))
higher(analysis(name="other")(by_hand), Checkpoint("path"))
