from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from artifact_store import Run
from artifact_store.errors import AmbiguousEntry, CorruptArtifact, NoSuchEntry
from artifact_store.layout import Layout
from artifact_store.lookup import doors_of, entry_meant, key_of, read_manifest
from artifact_store.stores.base import Store
from artifact_store.stores.locate import store_at

MODULE = """
from artifact_store import Checkpoint, analysis

@analysis
def above(checkpoint: Checkpoint, *, threshold: float = 0.5):
    return (checkpoint["w"] > threshold).sum()
"""

LABEL = "above@checkpoint_epoch_00500"


@pytest.fixture
def probe(write_module: Callable[[str, str], ModuleType]) -> ModuleType:
    return write_module("probe", MODULE)


@pytest.fixture
def run(run_directory: Callable[[], Path]) -> Run:
    return Run(run_directory())


@pytest.fixture
def store(probe: ModuleType, run: Run) -> Store:
    """Epochs 500 and 1000, whose results are equal."""
    for epoch in (500, 1000):
        probe.above(run[epoch])
    return store_at(run.path)


def test_an_entry_goes_by_key_by_door_and_by_label(
    probe: ModuleType, run: Run, store: Store
) -> None:
    key = probe.above.key(run[500])

    for wanted in (
        key.digest.hex,
        key.digest.hex[:10],
        f"{store.location}/above/checkpoint_epoch_00500",
        LABEL,
    ):
        assert key_of(entry_meant(store, wanted)) == key


def test_without_a_door_it_still_goes_by_its_label(
    probe: ModuleType, run: Run, store: Store
) -> None:
    Path(store.location, "above", "checkpoint_epoch_00500").unlink()

    assert key_of(entry_meant(store, LABEL)) == probe.above.key(run[500])


def test_a_door_that_names_params_is_theirs(
    probe: ModuleType, run: Run, store: Store
) -> None:
    probe.above(run[500], threshold=0.25)

    found = entry_meant(store, f"{LABEL},threshold=0.25")

    assert key_of(found) == probe.above.key(run[500], threshold=0.25)


def test_params_with_equal_results_are_not_guessed(
    probe: ModuleType, run: Run, store: Store
) -> None:
    probe.above(run[500], threshold=0.25)

    with pytest.raises(AmbiguousEntry, match=r"threshold=0\.5.*threshold=0\.25"):
        entry_meant(store, LABEL)


def test_the_newest_of_equal_results_is_meant(
    probe: ModuleType,
    run: Run,
    store: Store,
    write_module: Callable[[str, str], ModuleType],
) -> None:
    edited = write_module("probe", MODULE.replace(".sum()", ".sum() + 0"))
    edited.above(run[500])

    assert key_of(entry_meant(store, LABEL)) == edited.above.key(run[500])


def test_a_beginning_of_several_keys_names_none(store: Store) -> None:
    with pytest.raises(AmbiguousEntry, match="any of 2 entries"):
        entry_meant(store, "")


@pytest.mark.parametrize("wanted", ["xyz", "above@absent", "absent@absent", "/tmp"])
def test_what_is_not_there_is_said(store: Store, wanted: str) -> None:
    with pytest.raises(NoSuchEntry):
        entry_meant(store, wanted)


def test_a_damaged_manifest_is_not_read(
    probe: ModuleType, run: Run, store: Store
) -> None:
    key, other = probe.above.key(run[500]), probe.above.key(run[1000])
    layout = Layout(store.location)
    Path(layout.manifest(key)).write_bytes(Path(layout.manifest(other)).read_bytes())

    with pytest.raises(CorruptArtifact, match="another key"):
        read_manifest(store, key)
    with pytest.raises(CorruptArtifact):
        entry_meant(store, key.digest.hex)


def test_the_doors_of_an_entry_are_not_those_of_its_equals(store: Store) -> None:
    (door,) = doors_of(store, entry_meant(store, LABEL))

    assert door.name == "checkpoint_epoch_00500"
    assert door.samefile(door.with_name("checkpoint_epoch_01000"))


def test_a_door_under_another_name_still_counts(store: Store) -> None:
    folder = Path(store.location, "above")
    for door in folder.iterdir():
        door.rename(folder / f"odd-{door.name[-5:]}x")

    assert len(doors_of(store, entry_meant(store, LABEL))) == 2


def test_where_doors_to_other_data_lead_is_not_looked_at(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    meant = entry_meant(store, LABEL)
    for number in range(100):
        other = Layout(store.location).behind_door(f"{number:064x}")
        Path(store.location, "above", f"other_{number}").symlink_to(other)
    looked, real = list[object](), os.lstat

    def lstat(path: str | Path) -> os.stat_result:
        looked.append(path)
        return real(path)

    monkeypatch.setattr(os, "lstat", lstat)

    assert len(doors_of(store, meant)) == 1
    assert len(looked) < 10
