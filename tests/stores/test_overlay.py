"""A private store above a shared one: hits from both, and nothing is ever written to the shared one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
import xarray
import zarr
from conftest import WriteCheckpoint, WriteModule
from contract import LookingContract, StoreContract, key, provenance, publication

from artifact_store import (
    AnalysisPipeline,
    Artifact,
    Checkpoint,
    analysis,
    mode,
    overlay,
)
from artifact_store.cli import main
from artifact_store.errors import (
    BadSetting,
    CorruptArtifact,
    LinkInStore,
    MissRefused,
    PipelineFailed,
    UnknownFormat,
)
from artifact_store.keys import Key
from artifact_store.stores.local import LocalStore
from artifact_store.stores.locate import chosen_store
from artifact_store.stores.overlay import OverlayStore
from artifact_store.stores.places import places_here

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


class TestSharedPart(LookingContract):
    """What lies in a shared store is looked at as if it were one's own."""

    @pytest.fixture
    def kept(self, tmp_path: Path) -> LocalStore:
        return LocalStore(tmp_path / "shared")

    @pytest.fixture
    def store(self, tmp_path: Path, kept: LocalStore) -> OverlayStore:
        empty = LocalStore(tmp_path / "empty")
        return OverlayStore(LocalStore(tmp_path / "mine"), empty, kept)


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


def test_a_mode_goes_over_an_overlay(
    checkpoint: Path, shared: Path, mine: Path
) -> None:
    with mode("ro"):
        assert total(Checkpoint(checkpoint)) == 7.5 and CALLS == []
    assert not mine.exists()


def corrupt(directory: Path) -> None:
    """Put other data in place of the one array of a group."""
    (data,) = [path for path in directory.rglob("c*") if path.is_file()]
    data.write_bytes(bytes(data.stat().st_size))


def test_what_is_corrupt_in_the_shared_store_is_named_before_it_is_asked_for(
    checkpoint: Path, shared: Path, mine: Path
) -> None:
    entry = total.find(Checkpoint(checkpoint))
    assert entry is not None
    corrupt(entry.path)

    assert total.find(Checkpoint(checkpoint)) is None
    why = total.explain(Checkpoint(checkpoint))
    assert [cause.kind for cause in why.causes] == ["corrupt"]
    assert str(entry.path) in str(why)
    (step,) = AnalysisPipeline(str(checkpoint.parents[1])).status([total]).steps
    assert step.state == "corrupt" and str(entry.path) in step.details[0]
    with mode("require"), pytest.raises(MissRefused, match="corrupt"):
        total(Checkpoint(checkpoint))
    assert CALLS == []


def test_one_sound_entry_is_enough(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stores = [LocalStore(tmp_path / name) for name in ("mine", "first", "second")]
    entries = [store.publish(key(), publication()) for store in stores]
    both = OverlayStore(*(LocalStore(store.location) for store in stores))
    for number, entry in enumerate(entries[:2]):
        corrupt(Path(entry.directory))
        found = both.find(key())
        assert found is not None and found.directory == entries[number + 1].directory
        assert found.home == str(tmp_path / "mine")
        assert f"so that of {stores[number + 1].location} is used" in caplog.text
        assert str(entries[0].directory) in caplog.text
        caplog.clear()
    corrupt(Path(entries[2].directory))
    for find in (both.find, both.look):
        with pytest.raises(CorruptArtifact, match="mine"):
            find(key())


@pytest.mark.parametrize("error", [UnknownFormat("a", 9), LinkInStore("a", "b")])
def test_a_shared_store_that_cannot_be_understood_costs_its_hits_alone(
    checkpoint: Path,
    shared: Path,
    mine: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
) -> None:
    real = LocalStore.look

    def look(store: LocalStore, key: Key) -> Any:
        if store.location == str(shared):
            raise error
        return real(store, key)

    monkeypatch.setattr(LocalStore, "look", look)
    for _ in range(2):
        assert halved(Checkpoint(checkpoint))["w"].sum() == 7.5
    assert CALLS == ["halved"]
    assert str(error) in caplog.text


def test_what_is_made_of_a_shared_artifact_is_never_kept_beside_it(
    checkpoint: Path, shared: Path, tmp_path: Path
) -> None:
    both = overlay(tmp_path / "own", shared)
    declared = analysis(store=both, ignore=("tell",), name="halved")(halved.__wrapped__)
    upstream = declared.artifact(Checkpoint(checkpoint))
    assert upstream.path.is_relative_to(shared)
    before = tree(shared)

    made = of_artifact.artifact(upstream)  # which itself names no store
    assert made.path.is_relative_to(tmp_path / "own")
    assert tree(shared) == before


def test_kin_of_all_stores_come_newest_first(tmp_path: Path) -> None:
    stores = [LocalStore(tmp_path / name) for name in ("mine", "shared")]
    for day, store in enumerate([*stores, *stores]):
        made = provenance(created=f"2025-01-0{day + 1}T00:00:00.000000+00:00")
        changes = {"provenance": made, "kinship": "epoch 1"}
        one = msgspec.structs.replace(publication(), **changes)
        store.publish(key(str(day)), one)

    found, _ = OverlayStore(*stores).kin(key(), "epoch 1")
    assert [one.provenance.created[9] for one in found] == ["4", "3", "2", "1"]


def test_a_shared_artifact_is_read_by_xarray(
    checkpoint: Path, shared: Path, mine: Path
) -> None:
    path = halved.artifact(Checkpoint(checkpoint)).path
    assert path.is_relative_to(shared)
    assert xarray.open_zarr(path)["w"].to_numpy().sum() == 7.5


def test_a_shared_store_that_is_not_there_is_told_once(
    checkpoint: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        overlay(tmp_path / "own", tmp_path / "nowhere")
    assert caplog.text.count(f"there is no store in {tmp_path}/nowhere yet") == 1


def test_a_home_is_written_as_in_a_shell(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    both = overlay("~/own", "~/shared")
    assert both.location == str(tmp_path / "own")
    monkeypatch.setenv("ARTIFACT_STORE", f"~/own{os.pathsep}~/shared")
    assert chosen_store(None, None) is both
    assert places_here().store == f"{tmp_path}/own{os.pathsep}{tmp_path}/shared"


def test_a_worker_takes_no_shared_store_for_its_own(
    checkpoint: Path, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARTIFACT_STORE", f"{os.pathsep}{shared}")
    before = tree(shared)
    pipeline = AnalysisPipeline(str(checkpoint.parents[1]))

    with pytest.raises(PipelineFailed, match="a name is empty"):
        pipeline.run([halved], n_jobs=2)
    assert places_here().store == os.environ["ARTIFACT_STORE"]
    assert tree(shared) == before
