"""What the tests of many modules share: checkpoints, runs and modules, really written."""

from __future__ import annotations

import importlib
import itertools
import linecache
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import numpy as np
import pytest
from safetensors.numpy import save_file

from artifact_store import Run, files
from artifact_store.buckets import open_bucket
from artifact_store.events import Event, Published, listening
from artifact_store.stores import places
from artifact_store.stores.base import Store
from artifact_store.stores.locate import store_at
from artifact_store.stores.remote import open_remote
from benchmarks.object_storage import Line, clients_of, line_to, moto


class WriteCheckpoint(Protocol):
    def __call__(
        self,
        path: str | Path = "run/checkpoints/checkpoint_epoch_00500.safetensors",
        /,
        **tensors: Any,
    ) -> Path: ...


class RunDirectory(Protocol):
    def __call__(
        self, name: str | Path = "run", epochs: Sequence[int] = (0, 500, 1000)
    ) -> Path: ...


WriteModule = Callable[[str, str], ModuleType]
Ran = Callable[[], list[str]]
# Told of each kind of fault how many a test injected.
Injected = Callable[[str, int], None]
# Told what took how many seconds.
Took = Callable[[str, float], None]


def is_long() -> bool:
    """Whether the full number of faults is injected, as `make test-long` asks for."""
    return os.environ.get("ARTIFACT_STORE_TESTS") == "long"


def times(short: int, long: int) -> int:
    """How often something is tried."""
    return long if is_long() else short


INJECTED, TOOK = "injected: ", "took: "


@pytest.fixture
def injected(record_property: Callable[[str, object], None]) -> Injected:
    """Counts faults, so that a run can say how many of each kind were survived."""
    return lambda fault, number: record_property(INJECTED + fault, number)


@pytest.fixture
def took(record_property: Callable[[str, object], None]) -> Took:
    """Notes how long something took that nobody asserts; a run says the longest."""
    return lambda what, seconds: record_property(TOOK + what, seconds)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many faults of each kind the tests that passed have injected."""
    survived, longest = Counter[str](), dict[str, float]()
    for report in terminalreporter.stats.get("passed", []):
        for name, number in report.user_properties:
            if name.startswith(INJECTED):
                survived[name.removeprefix(INJECTED)] += number
            if name.startswith(TOOK):
                what = name.removeprefix(TOOK)
                longest[what] = max(longest.get(what, 0.0), number)
    if survived:
        terminalreporter.section("faults survived")
    for fault, number in sorted(survived.items()):
        terminalreporter.write_line(f"{number:>9,}  {fault}")
    for what, seconds in sorted(longest.items()):
        terminalreporter.write_line(f"{seconds * 1e3:>6.1f} ms  {what}, at most")


@pytest.fixture(autouse=True)
def no_store_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ARTIFACT_STORE", raising=False)
    monkeypatch.delenv("ARTIFACT_STORE_SHARED", raising=False)
    monkeypatch.setattr(places, "_written", lambda *given: places.Places())


@dataclass(frozen=True)
class Storage:
    """A bucket of a server on this machine, and the line that leads to it."""

    url: str
    line: Line


@pytest.fixture(scope="session")
def line() -> Iterator[Line]:
    """The line to a server of S3 that is there for all tests of a worker."""
    with moto() as server, line_to(server) as line:
        yield line


_buckets = itertools.count()


@pytest.fixture
def storage(line: Line) -> Iterator[Storage]:
    """An empty bucket, which clients find by the standard chain."""
    name = f"bucket{next(_buckets)}"
    line.server.make_bucket(name)
    line.requests.clear()
    with clients_of(line.server, line.url):
        yield Storage(f"s3://{name}/prefix", line)
    line.seconds = 0.0
    for opened in (open_bucket, open_remote):
        opened.cache_clear()


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files count as long unwritten, as tests do not sleep."""
    monkeypatch.setattr(files, "RACY_NS", 0)


@pytest.fixture
def write_checkpoint(tmp_path: Path) -> WriteCheckpoint:
    """Saves tensors at a path below `tmp_path`; `w`, 2 x 3, if none are named."""

    def write(
        path: str | Path = "run/checkpoints/checkpoint_epoch_00500.safetensors",
        /,
        **tensors: Any,
    ) -> Path:
        whole = tmp_path / path
        whole.parent.mkdir(parents=True, exist_ok=True)
        default = {"w": np.arange(6, dtype=np.float32).reshape(2, 3)}
        save_file(
            {name: np.asarray(value) for name, value in (tensors or default).items()},
            whole,
        )
        return whole

    return write


@pytest.fixture
def checkpoint(write_checkpoint: WriteCheckpoint) -> Path:
    """Epoch 500 of `run`: `w` is 0 ... 5, 2 x 3."""
    return write_checkpoint()


@pytest.fixture
def run_directory(write_checkpoint: WriteCheckpoint, tmp_path: Path) -> RunDirectory:
    """Writes a run; every element of `w` (2 x 3) and of `v` (4) is the epoch."""

    def write(name: str | Path = "run", epochs: Sequence[int] = (0, 500, 1000)) -> Path:
        for epoch in epochs:
            write_checkpoint(
                f"{name}/checkpoints/checkpoint_epoch_{epoch:05d}.safetensors",
                w=np.full((2, 3), epoch, np.float32),
                v=np.full(4, epoch, np.int64),
            )
        return tmp_path / name

    return write


@pytest.fixture
def write_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[WriteModule]:
    """Writes and imports a module; of a name written before, the new text, as a new process would find it."""
    folder = tmp_path / "modules"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    stamps = itertools.count(1_600_000_000)
    written: set[str] = set()

    def write(name: str, body: str) -> ModuleType:
        path = folder / f"{name}.py"
        path.write_text(body)
        # No two texts share a stamp, however soon one follows the other.
        os.utime(path, (stamp := next(stamps), stamp))
        written.add(name)
        sys.modules.pop(name, None)
        linecache.checkcache()
        importlib.invalidate_caches()
        return importlib.import_module(name)

    yield write
    for name in written:
        sys.modules.pop(name, None)


@pytest.fixture
def seen() -> Iterator[list[Event]]:
    """Every event of the test, as it comes."""
    events: list[Event] = []
    with listening(events.append):
        yield events


@pytest.fixture
def ran(seen: list[Event]) -> Ran:
    """The analyses that were computed since it was asked the last time."""

    def since() -> list[str]:
        names = [one.key.analysis for one in seen if isinstance(one, Published)]
        seen.clear()
        return names

    return since


EQUAL_RESULTS = """
from artifact_store import Checkpoint, analysis

@analysis
def same(checkpoint: Checkpoint):
    return checkpoint["w"]

@analysis
def copied(checkpoint: Checkpoint):
    return checkpoint["w"] + 0
"""


@pytest.fixture
def equal_results(write_module: WriteModule, run_directory: RunDirectory) -> Store:
    """The store of two analyses of one checkpoint, whose results are equal."""
    probe, run = write_module("probe", EQUAL_RESULTS), Run(run_directory())
    probe.same(run[500])
    probe.copied(run[500])
    return store_at(run.path)
