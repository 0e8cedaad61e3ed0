from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from workbench.conftest import make_tiny

from analyses.workbench.shelf import NoSuchRun, Shelf


def copy_checkpoint(run: Path, name: str) -> None:
    """The checkpoint of epoch 2, once more."""
    found = run / "checkpoints/checkpoint_epoch_00002.safetensors"
    shutil.copy(found, found.with_name(f"{name}.safetensors"))


def test_the_runs_of_a_folder_are_those_in_it_with_checkpoints(results: Path) -> None:
    (results / "notes.txt").write_text("not a run")
    (results / "empty/checkpoints").mkdir(parents=True)

    assert Shelf(results).names == ("bare", "tiny")


def test_a_folder_that_is_a_run_holds_that_alone(results: Path) -> None:
    shelf = Shelf(results / "tiny")

    assert shelf.names == ("tiny",)
    assert shelf.run("tiny").path == results / "tiny"


@pytest.mark.parametrize(
    "name",
    ["..", ".", "", "../results/tiny", "tiny/", "./tiny", "tiny/checkpoints", "TINY", "tiny\0", "*", "notes.txt"],
)  # fmt: skip
def test_only_what_was_found_by_looking_is_opened(results: Path, name: str) -> None:
    (results / "notes.txt").write_text("not a run")
    shutil.copytree(results / "tiny/checkpoints", results.parent / "checkpoints")

    with pytest.raises(NoSuchRun, match="There are: bare, tiny"):
        Shelf(results).run(name)


def test_an_absolute_path_is_no_name(results: Path) -> None:
    with pytest.raises(NoSuchRun):
        Shelf(results).run(str(results / "tiny"))


def test_a_run_that_was_linked_here_goes_by_the_name_of_the_link(
    results: Path, tmp_path: Path
) -> None:
    make_tiny(tmp_path / "elsewhere")
    os.symlink(tmp_path / "elsewhere", results / "linked")
    os.symlink(tmp_path / "nowhere", results / "broken")

    assert Shelf(results).names == ("bare", "linked", "tiny")
    assert Shelf(results).run("linked").name == "linked"


def test_runs_and_epochs_that_come_later_are_seen(results: Path) -> None:
    shelf = Shelf(results)
    assert shelf.run("bare").epochs == (0, 1, 2)

    make_tiny(results / "new")
    copy_checkpoint(results / "bare", "checkpoint_epoch_00009")

    assert shelf.names == ("bare", "new", "tiny")
    assert shelf.run("bare").epochs == (0, 1, 2, 9)


def test_a_run_that_was_taken_away_is_no_longer_there(results: Path) -> None:
    shelf = Shelf(results)
    shutil.rmtree(results / "bare")

    assert shelf.names == ("tiny",)
    with pytest.raises(NoSuchRun, match="no run 'bare' here"):
        shelf.run("bare")


def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    assert Shelf(tmp_path / "nothing").names == ()
    with pytest.raises(NoSuchRun, match="There are: none"):
        Shelf(tmp_path / "nothing").run("tiny")


def test_one_run_that_cannot_be_listed_hides_no_other(results: Path) -> None:
    copy_checkpoint(results / "bare", "checkpoint_epoch_2")

    assert Shelf(results).names == ("tiny",)
