"""What was computed is never lost because it cannot be kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from artifact_store import Artifact, Checkpoint, analysis
from artifact_store.errors import (
    BadSetting,
    CorruptArtifact,
    NotStored,
    StoreFailed,
    UnknownFormat,
)
from artifact_store.events import Event, SetAside
from artifact_store.signing import signing_key
from artifact_store.stores.local import LocalStore

RAN: list[str] = []


def note() -> None:
    RAN.append("doubled")


@analysis(ignore=("tell",))
def doubled(checkpoint: Checkpoint, tell: Any = note) -> Any:
    tell()
    return checkpoint["w"] * 2


class Unshowable:
    """Something that is in no key, and of which nothing can be said."""

    def __repr__(self) -> str:
        raise RuntimeError("no words")


@analysis(ignore=("about",))
def about(checkpoint: Checkpoint, number: int, about: Any = None) -> Any:
    return checkpoint["w"] * 2


@pytest.fixture(autouse=True)
def anew() -> Iterator[None]:
    RAN.clear()
    yield
    signing_key.cache_clear()


@pytest.mark.parametrize(
    "error", [CorruptArtifact("a", "is gone"), UnknownFormat("a", 9), OSError("no")]
)
def test_whatever_keeps_a_result_from_its_store_the_result_is_returned(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*given: Any) -> None:
        raise error

    monkeypatch.setattr(LocalStore, "publish", fail)
    with pytest.warns(NotStored, match="computed but not stored"):
        assert doubled(Checkpoint(checkpoint)).sum() == 30
    with pytest.raises(StoreFailed) as caught:
        doubled.artifact(Checkpoint(checkpoint))
    made: Any = caught.value.result
    assert made.sum() == 30 and caught.value.__cause__ is error


def test_a_key_that_is_none_is_said_before_anything_is_computed(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARTIFACT_STORE_KEY", "short")
    signing_key.cache_clear()

    with pytest.raises(BadSetting, match="ARTIFACT_STORE_KEY"):
        doubled(Checkpoint(checkpoint))
    assert RAN == []


def test_arguments_that_cannot_be_written_out_cost_no_result(checkpoint: Path) -> None:
    found = about(Checkpoint(checkpoint), 10**5000, about=Unshowable())

    assert found.sum() == 30
    artifact = about.find(Checkpoint(checkpoint), 10**5000)
    assert artifact is not None
    assert artifact.provenance.params["number"].shown == "<int>"


def test_data_that_are_gone_for_a_moment_are_not_set_aside(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch, seen: list[Event]
) -> None:
    doubled(Checkpoint(checkpoint))
    real = Artifact.numpy

    def gone_once(artifact: Artifact) -> Any:
        monkeypatch.setattr(Artifact, "numpy", real)
        raise CorruptArtifact("c.0", "is missing")

    monkeypatch.setattr(Artifact, "numpy", gone_once)
    assert doubled(Checkpoint(checkpoint)).sum() == 30
    assert [one for one in seen if isinstance(one, SetAside)] == []
    assert RAN == ["doubled"]
