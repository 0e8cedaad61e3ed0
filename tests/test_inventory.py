from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from artifact_store import Run
from artifact_store.inventory import Share, inventory
from artifact_store.layout import Layout
from artifact_store.stores.base import Store
from artifact_store.stores.locate import store_at

MODULE = """
from artifact_store import Checkpoint, analysis

@analysis
def same(checkpoint: Checkpoint):
    return checkpoint["w"]

@analysis
def copied(checkpoint: Checkpoint):
    return checkpoint["w"] + 0

@analysis
def flat(checkpoint: Checkpoint):
    return checkpoint["w"] * 0 + 7

@analysis
def other(checkpoint: Checkpoint):
    return checkpoint["v"]
"""


@pytest.fixture
def probe(write_module: Callable[[str, str], ModuleType]) -> ModuleType:
    return write_module("probe", MODULE)


@pytest.fixture
def run(run_directory: Callable[[], Path]) -> Run:
    return Run(run_directory())


@pytest.fixture
def store(probe: ModuleType, run: Run) -> Store:
    for checkpoint in run.values():
        probe.same(checkpoint)
    return store_at(run.path)


def share(store: Store, name: str) -> Share:
    return next(one for one in inventory(store).shares if one.name == name)


def test_every_file_is_counted_once(store: Store) -> None:
    paths = Path(store.location).rglob("*")
    files = [path for path in paths if path.is_symlink() or path.is_file()]

    total = inventory(store).total

    assert total.files == len(files)
    assert total.nbytes == sum(path.lstat().st_size for path in files)


def test_data_of_several_analyses_are_nobodys(
    probe: ModuleType, run: Run, store: Store
) -> None:
    alone = share(store, "same")
    for checkpoint in run.values():
        probe.copied(checkpoint)

    # What stays is its manifests: removing its entries would free no data.
    assert share(store, "same").files == 3
    assert share(store, "several analyses").files == alone.files - 3
    assert share(store, "several analyses").kind == "shared"


def test_equal_results_of_one_analysis_weigh_once(
    probe: ModuleType, run: Run, store: Store
) -> None:
    for checkpoint in run.values():
        probe.flat(checkpoint)

    # Three manifests, and a third of the data that three different results have.
    assert share(store, "flat").entries == 3
    assert share(store, "flat").files - 3 == (share(store, "same").files - 3) / 3


def test_analyses_are_told_apart(probe: ModuleType, run: Run, store: Store) -> None:
    probe.other(run[0])

    assert share(store, "other").entries == 1
    assert share(store, "same").entries == 3


@pytest.mark.parametrize("folder", ["staging", "quarantine"])
def test_what_lies_where_no_reader_looks_is_left_over(
    store: Store, folder: str
) -> None:
    lost = Path(store.location, ".store", folder, "lost", "file")
    lost.parent.mkdir(parents=True)
    lost.write_bytes(b"12345")

    assert share(store, folder) == Share(folder, "leftover", 0, 1, 5)


def test_data_without_a_manifest_are_left_over(store: Store) -> None:
    for manifest in Path(Layout(store.location).entries).rglob("*.json"):
        manifest.unlink()

    assert [one.kind for one in inventory(store).shares] == ["records", "leftover"]


def test_a_stray_file_breaks_nothing(store: Store) -> None:
    Path(Layout(store.location).data, "stray").write_text("?")
    Path(Layout(store.location).entries, "stray").write_text("?")

    assert inventory(store).total.entries == 3


def test_every_manifest_is_told_as_it_is_read_and_as_it_is_measured(
    store: Store,
) -> None:
    told: list[int] = []
    inventory(store, lambda number, note: told.append(number))

    assert sum(told) == 2 * 3
