"""A process is killed between any two operations on the file system, whatever it does: nothing is lost but its work."""

from __future__ import annotations

import os
import random
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from conftest import Injected, Took, is_long, times
from harness import at, begun, death, dying_at, in_child, interposed, operations
from scenarios import SCENARIOS, Scenario
from sites import (
    RIGHT,
    Site,
    W,
    is_right,
    is_same,
    new_site,
    ran,
    several,
    small,
    watched,
)

from artifact_store import staging
from artifact_store.arrays import describe_group, digest_group
from artifact_store.artifacts import Artifact
from artifact_store.errors import CorruptArtifact
from artifact_store.stores.local import LocalStore
from artifact_store.verify import verify


@pytest.fixture
def log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settled: None
) -> Iterator[Path]:
    """Where bodies note that they ran. What dead writers left counts as old."""
    monkeypatch.setattr(staging, "UNLOCKED_SECONDS", -1.0)
    yield from watched(tmp_path, monkeypatch)


def whole_or_none(site: Site, aside: bool = False) -> set[str]:
    """Make sure that every entry is whole; the analyses that have one."""
    store, found = LocalStore(site.store), set[str]()
    for key in store.keys():
        try:
            entry = store.find(key)
        except CorruptArtifact:
            assert aside
            return found
        assert entry is not None
        assert is_right(key.analysis, Artifact(entry).numpy())
        found.add(key.analysis)
    return found


def whole_for_strangers(site: Site) -> None:
    """Make sure that plain zarr sees nothing but what is right, through doors and where the data lie."""
    for data in site.store.glob(".store/data/*/*"):
        # Those too that no manifest names: somebody may look there.
        assert digest_group(data, describe_group(data)).hex == data.name
        assert _is_known(zarr.open_group(data, mode="r"))
    for door in site.store.glob("[!.]*/*"):
        if door.exists():
            assert is_same(zarr.open_group(door, mode="r"), RIGHT[door.parent.name])


def _is_known(group: Any) -> bool:
    """Whether a group holds what one of the analyses returns."""
    arrays = {name: np.asarray(group[name]) for name in group}
    return any(is_same(arrays, right) for right in RIGHT.values())


def recovers(site: Site, scenario: Scenario, log: Path) -> None:
    """Whatever the dead left: nothing torn, nothing to repair, and nothing computed that is there."""
    ran(log)
    there = whole_or_none(site, scenario.aside)
    if there or not scenario.aside:
        whole_for_strangers(site)
    names = dict.fromkeys([*scenario.computes, *there])
    site.call(*names)
    again = ran(log)
    assert len(again) == len(set(again)) and not there.intersection(again)
    assert whole_or_none(site) == set(names)
    store = LocalStore(site.store)
    assert [one.problem for one in verify(store, store.keys()) if one.problem] == []
    site.collect()
    staging.sweep(f"{site.store}/.store/staging")
    # But the folder of this process, which lives.
    assert list(site.store.glob(".store/staging/*/*")) == []
    assert scenario.aside or not (site.store / ".store/quarantine").exists()
    site.call(*names)
    assert ran(log) == []
    if scenario.aside:
        whole_for_strangers(site)


@pytest.mark.parametrize("name", SCENARIOS)
def test_death_between_any_two_operations_costs_its_work_and_nothing_else(
    tmp_path: Path,
    log: Path,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    injected: Injected,
) -> None:
    scenario, deaths = SCENARIOS[name], 0
    # The short version takes every third point, beginning with another one in each scenario.
    step = 1 if is_long() else 3
    for number in range(1 + len(name) % step, 500, step):
        monkeypatch.setenv("fault_boot", "this")
        # A run of its own for each death, so that the store is opened, and swept, anew.
        site = new_site(tmp_path / f"run{number}")
        scenario.prepare(site)
        died = dying_at(number, lambda site=site: scenario.work(site), site.store)  # type: ignore[misc]
        recovers(site, scenario, log)
        shutil.rmtree(site.root)
        deaths += died
        if not died:
            break
    # As many as there were when this was written; less would mean that some are no longer seen.
    assert deaths >= 4
    injected("killed between any two operations", deaths)


def test_more_than_eight_hundred_points_are_seen(tmp_path: Path, log: Path) -> None:
    total = 0
    for name, scenario in SCENARIOS.items():
        site = new_site(tmp_path / name)
        scenario.prepare(site)
        counted = tmp_path / "counted"

        def count(site: Site = site, scenario: Scenario = scenario) -> None:
            found = operations(lambda: scenario.work(site), site.store)
            counted.write_text(str(len(found)))

        assert in_child(count) == 0
        total += int(counted.read_text())
    assert total > 800


@pytest.mark.parametrize("name", ["small", "large", "several", "nested"])
def test_one_of_sixteen_writers_dies_and_the_others_have_the_result(
    tmp_path: Path,
    log: Path,
    name: str,
    injected: Injected,
) -> None:
    chosen = random.Random(name)
    for trial in range(times(3, 50)):
        site = new_site(tmp_path / f"{trial}")
        number = chosen.randrange(1, 60)
        statuses = _at_once(site, name, number)
        assert statuses[0] in (0, signal.SIGKILL) and statuses[1:] == [0] * 15
        injected("one of 16 writers killed", int(statuses[0] == signal.SIGKILL))
        # Each body once, and those once more that ran for him who was killed.
        bodies = ran(log)
        assert all(bodies.count(one) <= 2 for one in bodies)
        assert bodies.count(name) == 1 or statuses[0] == signal.SIGKILL
        assert name in whole_or_none(site)
        whole_for_strangers(site)
        shutil.rmtree(site.root)


def _at_once(site: Site, name: str, number: int) -> list[int]:
    """The wait statuses of sixteen processes that make a call; the first dies at an operation."""
    gate, opening = os.pipe()

    def call() -> None:
        os.close(opening)
        os.read(gate, 1)  # ends when the parent closes its side
        site.call(name)

    def call_and_die() -> None:
        with interposed(site.store, at(number, death)):
            call()

    children = [begun(call_and_die), *(begun(call) for _ in range(15))]
    os.close(gate)
    os.close(opening)
    return [os.waitpid(child, 0)[1] for child in children]


def test_what_a_dead_writer_staged_is_swept_by_the_next_process_that_writes(
    tmp_path: Path, log: Path
) -> None:
    site = new_site(tmp_path / "run")
    left = list[Path]()
    for number in range(1, 40):
        dying_at(number, lambda: site.call("several"), site.store)
        if left := list(site.store.glob(".store/staging/*/*")):
            break
    assert len(left) == 1
    # A whole process, so that its store has swept nothing yet.
    assert in_child(lambda: several.recompute(site.checkpoint())) == 0
    assert not left[0].parent.exists()


def test_the_stage_of_a_live_writer_is_never_swept(tmp_path: Path, log: Path) -> None:
    folder = str(tmp_path / ".store/staging")
    with staging.staged(folder) as stage:
        stage.appear(b"content", f"{folder}/file")
        assert in_child(lambda: staging.sweep(folder)) == 0
        stage.appear(b"again", f"{folder}/file")


@pytest.fixture
def holder(tmp_path: Path, log: Path) -> Iterator[tuple[Site, int]]:
    """A process that holds the lease of `small`, and lets it go when the test is over."""
    site = new_site(tmp_path / "run")
    call = small.call(site.checkpoint())
    ready, told = os.pipe()
    never, end = os.pipe()

    def hold() -> None:
        os.close(end)
        with call.store.lease(call.key):
            os.write(told, b"x")
            os.read(never, 1)

    child = begun(hold)
    assert os.read(ready, 1) == b"x"
    yield site, child
    for descriptor in (ready, told, never, end):
        os.close(descriptor)


def test_the_lease_of_a_killed_holder_goes_to_the_next_at_once(
    holder: tuple[Site, int],
    injected: Injected,
    took: Took,
) -> None:
    site, child = holder
    results: list[Any] = []
    waiting = threading.Thread(target=lambda: results.append(small(site.checkpoint())))
    waiting.start()
    assert results == []
    os.kill(child, signal.SIGKILL)
    killed = time.monotonic()
    os.waitpid(child, 0)
    waiting.join(30)
    took(
        "from the death of a holder to the result of who waited",
        time.monotonic() - killed,
    )

    assert results[0].tolist() == (W * 2).tolist()
    injected("holder of a lease killed", 1)
