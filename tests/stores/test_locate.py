from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import RunDirectory
from contract import key, publication

from artifact_store.errors import MissingStore
from artifact_store.stores.local import open_store
from artifact_store.stores.locate import chosen_store, group_at, store_at

CHECKPOINT = "checkpoints/checkpoint_epoch_00500.safetensors"


@pytest.fixture
def run(run_directory: Callable[[], Path]) -> Path:
    """A run with one entry, whose door is `mean/door`."""
    found = run_directory()
    open_store(str(found / "artifacts")).publish(key(), publication())
    return found


def test_what_was_declared_comes_before_the_variable_and_that_before_the_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    assert chosen_store(None, None) is None
    assert chosen_store(None, home) is open_store(str(home))

    monkeypatch.setenv("ARTIFACT_STORE", str(tmp_path / "variable"))
    assert chosen_store(None, home) is open_store(str(tmp_path / "variable"))

    declared = str(tmp_path / "declared")
    assert chosen_store(declared, home) is open_store(declared)
    assert chosen_store(open_store(declared), home) is open_store(declared)


@pytest.mark.parametrize("place", ["", "artifacts", "artifacts/mean/door"], ids=str)
def test_a_colon_in_a_name_stands_for_itself_where_no_variable_says_it(
    run_directory: RunDirectory, place: str
) -> None:
    found = run_directory("2026-11-24T08:15:00")
    home = str(found / "artifacts")
    open_store(home).publish(key(), publication())

    assert store_at(found / place) is open_store(home)
    assert chosen_store(home, None) is open_store(home)


@pytest.mark.parametrize(
    "place", ["", CHECKPOINT, "artifacts", "artifacts/mean/door"], ids=str
)
def test_a_path_of_a_run_of_a_checkpoint_of_a_store_and_of_a_door_mean_one_store(
    run: Path, place: str
) -> None:
    assert store_at(run / place).location == str(run / "artifacts")


def test_a_run_below_a_folder_named_checkpoints_has_its_own_store(
    run_directory: Callable[[str], Path],
) -> None:
    run = run_directory("checkpoints/one")
    open_store(str(run / "artifacts")).publish(key(), publication())

    assert store_at(run).location == str(run / "artifacts")


def test_the_variable_names_the_store_of_a_run_but_not_of_a_store(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = str(tmp_path / "elsewhere")
    open_store(elsewhere).publish(key(), publication())
    monkeypatch.setenv("ARTIFACT_STORE", elsewhere)

    assert store_at(run).location == elsewhere
    assert store_at(run / "artifacts").location == str(run / "artifacts")


@pytest.mark.parametrize("place", ["nowhere", "", "checkpoints"])
def test_where_nothing_was_kept_there_is_no_store_and_none_is_made(
    run_directory: Callable[[str], Path], place: str
) -> None:
    run = run_directory("fresh")

    with pytest.raises(MissingStore):
        store_at(run / place)
    assert sorted(path.name for path in run.iterdir()) == ["checkpoints"]


def test_only_a_group_of_a_store_is_a_group(run: Path) -> None:
    door = run / "artifacts" / "mean" / "door"

    assert group_at(door) == door.resolve()
    assert group_at(run) is None and group_at(run / "absent") is None
