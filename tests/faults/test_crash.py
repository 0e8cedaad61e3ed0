"""A process is killed between any two operations on the file system, whatever it does: nothing is lost but its work."""

from __future__ import annotations

import os
import random
import shutil
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
import zarr
from conftest import times
from harness import dying_at, in_child, operations
from safetensors.numpy import save_file

from artifact_store import Checkpoint, analysis, staging
from artifact_store.artifacts import Artifact
from artifact_store.errors import CorruptArtifact
from artifact_store.garbage import removed, unneeded
from artifact_store.stores.local import LocalStore
from artifact_store.verify import verify

MEGABYTE = 1 << 20
LARGE = 5 * MEGABYTE
LOG = "crash_log"


def noted(name: str) -> None:
    """Note that a body ran, whichever process it ran in."""
    descriptor = os.open(os.environ[LOG], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, f"{name}\n".encode())
    os.close(descriptor)


@analysis(ignore=("note",))
def small(checkpoint: Checkpoint, note: Any = noted) -> Any:
    note("small")
    return checkpoint["w"] * 2


@analysis(ignore=("note",))
def large(checkpoint: Checkpoint, note: Any = noted) -> Any:
    note("large")
    return np.full(LARGE, checkpoint["w"][0, 1] * 7, np.uint8)


@analysis(ignore=("note",), dims={"grid": ("row", "column")})
def several(checkpoint: Checkpoint, note: Any = noted) -> Any:
    note("several")
    w = checkpoint["w"]
    return {"grid": w, "row": w.mean(axis=1), "none": w[:0], "one": w.sum()}


@analysis(ignore=("note",), codec="zstd")
def packed(checkpoint: Checkpoint, note: Any = noted) -> Any:
    note("packed")
    return {"w": np.tile(checkpoint["w"], (1000, 1)), "v": checkpoint["w"][0]}


@analysis(ignore=("note",), durable=True)
def synced(checkpoint: Checkpoint, note: Any = noted) -> Any:
    note("synced")
    return {"w": checkpoint["w"]}


@analysis(ignore=("note",))
def nested(checkpoint: Checkpoint, note: Any = noted) -> Any:
    note("nested")
    return several(checkpoint)["row"] + small(checkpoint).sum()


W: Final = np.arange(6, dtype=np.float32).reshape(2, 3)
RIGHT: Final[Mapping[str, Mapping[str, Any]]] = {
    "small": {"value": W * 2},
    "large": {"value": np.full(LARGE, 7, np.uint8)},
    "several": {"grid": W, "row": W.mean(axis=1), "none": W[:0], "one": W.sum()},
    "packed": {"w": np.tile(W, (1000, 1)), "v": W[0]},
    "synced": {"w": W},
    "nested": {"value": W.mean(axis=1) + 30},
}
ANALYSES: Final[Mapping[str, Any]] = {
    one.__name__: one for one in (small, large, several, packed, synced, nested)
}


@dataclass(frozen=True)
class Site:
    """A run, and what is done there."""

    root: Path

    @property
    def store(self) -> Path:
        return self.root / "artifacts"

    def checkpoint(self, name: str = "epoch_1") -> Checkpoint:
        return Checkpoint(self.root / f"checkpoints/{name}.safetensors")

    def call(self, *names: str) -> None:
        for name in names:
            ANALYSES[name](self.checkpoint())

    def damage(self) -> None:
        (data,) = self.store.glob(".store/data/*/*/value/c.0.0")
        data.write_bytes(bytes(data.stat().st_size))

    def age(self) -> None:
        for path in [
            *self.store.glob(".store/data/*/*"),
            *self.store.glob(".store/records/*/*"),
        ]:
            os.utime(path, (0, 0))

    def collect(self) -> None:
        store = LocalStore(self.store)
        removed(store, unneeded(store))

    def remove(self) -> None:
        store = LocalStore(self.store)
        store.remove(list(store.keys("several")))


def another_boot(site: Site) -> None:
    """As after a restart of the machine, in this process."""
    os.environ["crash_boot"] = "another"


@dataclass(frozen=True)
class Scenario:
    """What is there, and what is done when death comes.

    Attributes
    ----------
    computes
        The analyses whose body may run.
    aside
        Whether something is found corrupt.
    """

    prepare: Callable[[Site], object]
    work: Callable[[Site], object]
    computes: tuple[str, ...]
    aside: bool = False


def nothing(site: Site) -> None:
    pass


def each(*acts: Callable[[Site], object]) -> Callable[[Site], object]:
    """One act after the other."""

    def all_of_them(site: Site) -> None:
        for act in acts:
            act(site)

    return all_of_them


def calling(*names: str) -> Callable[[Site], object]:
    return lambda site: site.call(*names)


def without(below: str) -> Callable[[Site], object]:
    return lambda site: shutil.rmtree(site.store / below, ignore_errors=True)


def publishing(*names: str) -> Scenario:
    return Scenario(nothing, calling(*names), names)


def with_another_input(site: Site) -> None:
    """The same tensor as what was read, in another checkpoint: its entry is adopted."""
    small(site.checkpoint("epoch_2"))


def labelled(site: Site) -> None:
    """The door of an entry is made."""
    found = small.find(site.checkpoint())
    assert found is not None
    LocalStore(site.store).label(found.entry, "door", "")


def identified(site: Site) -> None:
    """The digests of a checkpoint are noted."""
    site.checkpoint().identify(LocalStore(site.store))


def removed_entries(site: Site) -> None:
    site.call("several", "small")
    store = LocalStore(site.store)
    for key in store.keys("several"):
        os.unlink(store._layout.manifest(key))
    site.age()


SCENARIOS: Final[Mapping[str, Scenario]] = {
    "small": publishing("small"),
    "large": publishing("large"),
    "several": publishing("several"),
    "zstd": publishing("packed"),
    "durable": publishing("synced"),
    "nested": replace(publishing("nested"), computes=("nested", "several", "small")),
    "recomputed": Scenario(
        calling("several"),
        lambda site: several.recompute(site.checkpoint()),
        ("several",),
    ),
    "adopted": Scenario(
        with_another_input, lambda site: site.call("small"), ("small",)
    ),
    "sealed anew": Scenario(
        each(calling("several"), another_boot), calling("several"), ()
    ),
    "corrupt": Scenario(
        each(calling("small"), Site.damage), calling("small"), ("small",), aside=True
    ),
    "removed": Scenario(calling("several", "small"), Site.remove, ("several",)),
    "collected": Scenario(removed_entries, Site.collect, ("several",)),
    "door": Scenario(each(calling("small"), without("small")), labelled, ()),
    "memo": Scenario(
        each(calling("small"), without(".store/records/digests")), identified, ()
    ),
}


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settled: None) -> Path:
    """Where bodies note that they ran. What dead writers left counts as old."""
    monkeypatch.setenv(LOG, str(tmp_path / "log"))
    monkeypatch.setenv("crash_boot", "this")
    monkeypatch.setattr(staging, "UNLOCKED_SECONDS", -1.0)
    for module in ("manifests", "stores.local"):
        name = f"artifact_store.{module}.boot_id"
        monkeypatch.setattr(name, lambda: os.environ["crash_boot"])
    return tmp_path / "log"


def new_site(root: Path) -> Site:
    (root / "checkpoints").mkdir(parents=True)
    save_file({"w": W}, root / "checkpoints/epoch_1.safetensors")
    save_file({"w": W, "other": np.zeros(1)}, root / "checkpoints/epoch_2.safetensors")
    return Site(root)


def ran(log: Path) -> list[str]:
    """The bodies that ran since this was asked last."""
    names = log.read_text().split() if log.exists() else []
    log.unlink(missing_ok=True)
    return names


def whole_or_none(site: Site, aside: bool = False) -> set[str]:
    """Make sure that every entry and every door is whole, as we read it and as plain zarr does; of which analyses."""
    store, found = LocalStore(site.store), set[str]()
    for key in store.keys():
        try:
            entry = store.find(key)
        except CorruptArtifact:
            assert aside
            return found
        assert entry is not None
        arrays = Artifact(entry).numpy()
        named = arrays if isinstance(arrays, dict) else {"value": arrays}
        same(named, RIGHT[key.analysis])
        same(zarr.open_group(entry.directory, mode="r"), RIGHT[key.analysis])
        found.add(key.analysis)
    for door in site.store.glob("[!.]*/*"):
        if door.exists():
            same(zarr.open_group(door, mode="r"), RIGHT[door.parent.name])
    return found


def same(found: Any, right: Mapping[str, Any]) -> None:
    assert set(found) == set(right)
    for name, values in right.items():
        array = np.asarray(found[name])
        assert array.shape == values.shape and array.tobytes() == values.tobytes()


def recovers(site: Site, scenario: Scenario, log: Path) -> None:
    """Whatever the dead left: nothing torn, nothing to repair, and nothing computed that is there."""
    ran(log)
    there = whole_or_none(site, scenario.aside)
    names = [*scenario.computes, *there]
    for name in dict.fromkeys(names):
        ANALYSES[name](site.checkpoint())
    again = ran(log)
    assert len(again) == len(set(again)) and not there.intersection(again)
    assert whole_or_none(site) == set(names)
    store = LocalStore(site.store)
    assert [one.problem for one in verify(store, store.keys()) if one.problem] == []
    site.collect()
    if site.store.exists():
        staging.sweep(f"{site.store}/.store/staging")
        # But the folder of this process, which lives.
        left = [one for one in site.store.glob(".store/staging/*/*")]
        assert left == []
    assert scenario.aside or not (site.store / ".store/quarantine").exists()
    for name in dict.fromkeys(names):
        ANALYSES[name](site.checkpoint())
    assert ran(log) == []


@pytest.mark.parametrize("name", SCENARIOS)
def test_death_between_any_two_operations_costs_its_work_and_nothing_else(
    tmp_path: Path, log: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario, number = SCENARIOS[name], 0
    while True:
        number += 1
        monkeypatch.setenv("crash_boot", "this")
        # A run of its own for each death, so that the store is opened, and swept, anew.
        site = new_site(tmp_path / f"run{number}")
        scenario.prepare(site)
        lived = not dying_at(number, lambda site=site: scenario.work(site), site.store)  # type: ignore[misc]
        recovers(site, scenario, log)
        shutil.rmtree(site.root)
        if lived:
            break
    # As many as there are, counted when this was written; less would mean that some are no longer seen.
    assert number > 5


def test_more_than_two_hundred_points_are_tried(tmp_path: Path, log: Path) -> None:
    total = 0
    for name, scenario in SCENARIOS.items():
        site = new_site(tmp_path / name)
        scenario.prepare(site)
        counted = tmp_path / "counted"

        def count(site: Site = site, scenario: Scenario = scenario) -> None:
            counted.write_text(
                str(len(operations(lambda: scenario.work(site), site.store)))
            )

        assert in_child(count) == 0
        total += int(counted.read_text())
        print(name, counted.read_text())
    assert total > 200


@pytest.mark.parametrize("name", ["small", "large", "several"])
def test_one_of_sixteen_writers_dies_and_the_others_have_the_result(
    tmp_path: Path, log: Path, name: str
) -> None:
    chosen = random.Random(name)
    for trial in range(times(4, 40)):
        site = new_site(tmp_path / f"{trial}")
        gate, opening = os.pipe()
        children = [
            _begin(site, name, gate, opening, chosen.randrange(1, 60)) for _ in range(1)
        ]
        children += [_begin(site, name, gate, opening, None) for _ in range(15)]
        os.close(gate)
        os.close(opening)
        statuses = [os.waitpid(child, 0)[1] for child in children]
        assert statuses[0] in (0, signal.SIGKILL) and statuses[1:] == [0] * 15
        assert 1 <= len(ran(log)) <= 2
        assert whole_or_none(site) == {name}
        shutil.rmtree(site.root)


def _begin(site: Site, name: str, gate: int, opening: int, dies: int | None) -> int:
    """A process that makes a call when the gate opens, and may die in it."""
    child = os.fork()
    if child:
        return child
    try:
        os.close(opening)
        os.read(gate, 1)  # ends when the parent closes its side
        if dies is not None:
            _die_at(site, name, dies)
        found = ANALYSES[name](site.checkpoint())
        same(found if isinstance(found, dict) else {"value": found}, RIGHT[name])
        os._exit(0)
    except BaseException:
        os._exit(1)


def _die_at(site: Site, name: str, number: int) -> None:
    from harness import interposed

    count = 0

    def counted(operation: str, real: Callable[[], Any], args: tuple[Any, ...]) -> Any:
        nonlocal count
        count += 1
        if count == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return real()

    with interposed(site.store, counted):
        ANALYSES[name](site.checkpoint())


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
    """A process that holds the lease of `small`, and never lets it go."""
    site = new_site(tmp_path / "run")
    call = small.call(site.checkpoint())
    ready, told = os.pipe()
    never, end = os.pipe()
    child = os.fork()
    if not child:
        with call.store.lease(call.key):
            os.write(told, b"x")
            os.read(never, 1)
        os._exit(1)
    assert os.read(ready, 1) == b"x"
    yield site, child
    for descriptor in (ready, told, never, end):
        os.close(descriptor)


def test_the_lease_of_a_killed_holder_goes_to_the_next_at_once(
    holder: tuple[Site, int],
) -> None:
    site, child = holder
    results: list[Any] = []
    waiting = threading.Thread(target=lambda: results.append(small(site.checkpoint())))
    waiting.start()
    assert results == []
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    waiting.join(30)

    assert results[0].tolist() == (W * 2).tolist()
