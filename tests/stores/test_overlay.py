"""A private store above a shared one: hits from both, and nothing is ever written to the shared one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import zarr
from conftest import WriteCheckpoint, WriteModule
from contract import StoreContract, key, publication

from artifact_store import (
    AnalysisPipeline,
    Artifact,
    Checkpoint,
    analysis,
    mode,
    overlay,
)
from artifact_store.cli import main
from artifact_store.errors import BadSetting, ReadOnly
from artifact_store.stores.around import ReadOnlyStore
from artifact_store.stores.local import LocalStore
from artifact_store.stores.overlay import OverlayStore

CALLS: list[str] = []


def told(name: str) -> None:
    CALLS.append(name)


@analysis(ignore=("tell",))
def halved(checkpoint: Checkpoint, tell: Any = told) -> Any:
    tell("halved")
    return {"w": checkpoint["w"] / 2}


@analysis(ignore=("tell",))
def total(checkpoint: Checkpoint, tell: Any = told) -> Any:
    tell("total")
    return halved(checkpoint)["w"].sum()


@analysis
def of_artifact(made: Artifact) -> Any:
    return made.numpy()["w"] + 1


@pytest.fixture(autouse=True)
def no_calls() -> None:
    CALLS.clear()


class TestOverlay(StoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> OverlayStore:
        return OverlayStore(
            LocalStore(tmp_path / "mine"), LocalStore(tmp_path / "shared")
        )


@pytest.fixture
def shared(checkpoint: Path, settled: None) -> Path:
    """The store of somebody else, with `total` and `halved` of the checkpoint."""
    total(Checkpoint(checkpoint))
    CALLS.clear()
    return checkpoint.parents[1] / "artifacts"


@pytest.fixture
def mine(shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty store of one's own, above the shared one."""
    private = tmp_path / "mine"
    monkeypatch.setenv("ARTIFACT_STORE", f"{private}{os.pathsep}{shared}")
    return private


def tree(root: Path) -> dict[str, tuple[int, int]]:
    stats = {str(path): path.lstat() for path in [root, *root.rglob("*")]}
    return {path: (one.st_mtime_ns, one.st_ctime_ns) for path, one in stats.items()}


def test_hits_come_from_both_and_writes_go_to_the_private_one(
    checkpoint: Path, write_checkpoint: WriteCheckpoint, shared: Path, mine: Path
) -> None:
    before = tree(shared)
    other = write_checkpoint(
        "run/checkpoints/checkpoint_epoch_01000.safetensors", w=[4.0]
    )

    assert total(Checkpoint(checkpoint)) == 7.5 and CALLS == []
    assert total(Checkpoint(other)) == 2 and sorted(CALLS) == ["halved", "total"]
    assert total(Checkpoint(other)) == 2 and len(CALLS) == 2
    assert total.recompute(Checkpoint(checkpoint)).changed is False

    assert tree(shared) == before
    found = total.find(Checkpoint(checkpoint))
    assert found is not None and found.path.is_relative_to(mine)
    assert len(list(LocalStore(mine).keys())) == 3


def test_another_boot_and_another_owner_change_nothing_in_the_shared_store(
    checkpoint: Path, shared: Path, mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("artifact_store.stores.local.boot_id", lambda: "another")
    monkeypatch.setattr("artifact_store.manifests.boot_id", lambda: "another")
    before = tree(shared)

    assert total(Checkpoint(checkpoint)) == 7.5 and CALLS == []
    assert tree(shared) == before


def test_what_is_corrupt_in_the_shared_store_is_computed_in_the_private_one(
    checkpoint: Path, shared: Path, mine: Path, caplog: pytest.LogCaptureFixture
) -> None:
    entry = total.find(Checkpoint(checkpoint))
    assert entry is not None
    data = entry.path / "value/c"
    data.write_bytes(bytes(data.stat().st_size))
    before = tree(shared)

    for _ in range(2):
        assert total(Checkpoint(checkpoint)) == 7.5
    assert CALLS == ["total"]  # what it calls is still found
    assert tree(shared) == before
    assert "holds other data" in caplog.text
    again = total.find(Checkpoint(checkpoint))
    assert again is not None and again.path.is_relative_to(mine)


def test_early_cutoff_reaches_into_the_shared_store(
    write_module: WriteModule, checkpoint: Path, shared: Path, mine: Path, settled: None
) -> None:
    body = (
        "from artifact_store import Checkpoint, analysis\n\n\n"
        "@analysis\ndef below(checkpoint: Checkpoint):\n    return checkpoint['w'] * 1\n\n\n"
        "@analysis\ndef above(checkpoint: Checkpoint):\n    return below(checkpoint).sum()\n"
    )
    os.environ["ARTIFACT_STORE"] = str(shared)
    first = write_module("cutoff", body)
    assert first.above(checkpoint) == 15
    os.environ["ARTIFACT_STORE"] = f"{mine}{os.pathsep}{shared}"

    edited = write_module("cutoff", body.replace("* 1", "+ 0"))
    before = tree(shared)
    assert edited.above(checkpoint) == 15
    found = edited.above.find(checkpoint)
    assert found.path.is_relative_to(shared)
    assert edited.below.find(checkpoint).path.is_relative_to(mine)
    assert tree(shared) == before


def test_what_is_made_of_a_shared_artifact_is_kept_in_the_private_store(
    checkpoint: Path, shared: Path, mine: Path
) -> None:
    upstream = halved.artifact(Checkpoint(checkpoint))
    assert upstream.path.is_relative_to(shared)

    made = of_artifact.artifact(upstream)
    assert made.path.is_relative_to(mine)
    assert zarr.open_group(upstream.path, mode="r")["w"].shape == (2, 3)  # type: ignore[union-attr]


def test_a_pipeline_and_the_command_count_shared_hits(
    checkpoint: Path, shared: Path, mine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = str(checkpoint.parents[1])
    pipeline = AnalysisPipeline(run)
    assert [step.state for step in pipeline.status([total]).steps] == ["fresh"]
    assert pipeline.run([total, halved]).count("hit") == 2
    assert pipeline.run([total, halved], n_jobs=2).count("hit") == 2
    total.recompute(Checkpoint(checkpoint))
    assert main(["ls", run]) == 0
    assert "total@" in capsys.readouterr().out


def test_a_store_may_be_an_overlay_by_declaration(
    checkpoint: Path, shared: Path, tmp_path: Path
) -> None:
    both = overlay(tmp_path / "own", shared)
    assert overlay(str(tmp_path / "own"), str(shared)) is both
    declared = analysis(store=both, ignore=("tell",), name="total")(total.__wrapped__)

    assert declared(Checkpoint(checkpoint)) == 7.5
    assert "OverlayStore(" in repr(both) and "ReadOnlyStore(" in repr(both)


def test_an_empty_name_in_the_variable_is_refused(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARTIFACT_STORE", f"{os.pathsep}/shared")
    with pytest.raises(BadSetting, match="a name is empty"):
        total(Checkpoint(checkpoint))


def test_a_read_only_store_looks_and_refuses_to_be_changed(tmp_path: Path) -> None:
    inner = LocalStore(tmp_path / "store")
    inner.publish(key(), publication())
    before, store = tree(tmp_path), ReadOnlyStore(inner)

    found = store.find(key())
    assert found is not None and store.look(key()) == found
    assert list(store.keys()) == [key()] and len(list(store.manifests())) == 1
    with store.lease(key()):
        pass
    for change in (
        lambda: store.publish(key("two"), publication()),
        lambda: store.remove([key()]),
        lambda: store.keep("blessings", "a" * 64, []),
    ):
        with pytest.raises(ReadOnly, match="reading alone"):
            change()
    store.adopt(found, "door", "kin")
    store.label(found, "door", "kin")
    store.set_aside(key(), "why")
    store.remember((), {})
    assert tree(tmp_path) == before


def test_a_mode_goes_over_an_overlay(
    checkpoint: Path, shared: Path, mine: Path
) -> None:
    with mode("ro"):
        assert total(Checkpoint(checkpoint)) == 7.5 and CALLS == []
    assert not mine.exists()
