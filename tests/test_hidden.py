"""What a function depends on and what it changes, where neither is plain to see."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from conftest import RunDirectory, WriteCheckpoint, WriteModule

from artifact_store import AnalysisPipeline, Checkpoint, Run
from artifact_store.errors import (
    ImpureRead,
    NotStored,
    UnencodableParam,
    UnresolvedDependency,
)
from artifact_store.events import Event, Published

HEAD = """\
from __future__ import annotations

import functools
import threading
from collections import OrderedDict, deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
from safetensors.numpy import load_file

from artifact_store import Checkpoint, Run, analysis

FACTOR = 1


"""

Study = Callable[..., ModuleType]


@pytest.fixture(autouse=True)
def stable(settled: None) -> None: ...


@pytest.fixture
def study(write_module: WriteModule) -> Study:
    """The module of `HEAD` and some text, with `FACTOR` as it is to be."""

    def write(text: str, factor: int = 1) -> ModuleType:
        head = HEAD.replace("FACTOR = 1", f"FACTOR = {factor}")
        return write_module("study", head + text)

    return write


def made(seen: list[Event]) -> list[str]:
    return [one.key.analysis for one in seen if isinstance(one, Published)]


# Where a checkpoint lies

LOADED = """
@analysis(strict=False)
def loaded(checkpoint: Checkpoint):
    return sum(one.sum() for one in load_file(checkpoint.{}).values())
"""


@pytest.mark.parametrize("place", ["path", "files[0]"])
def test_who_knows_the_path_of_a_checkpoint_depends_on_all_of_it(
    study: Study, write_checkpoint: WriteCheckpoint, place: str
) -> None:
    loaded = study(LOADED.format(place)).loaded

    assert loaded(write_checkpoint(w=[1.0])) == 1
    assert loaded(write_checkpoint(w=[2.0])) == 2


def test_two_checkpoints_that_only_a_label_distinguishes_have_an_entry_each(
    study: Study, run_directory: RunDirectory, seen: list[Event]
) -> None:
    module = study("""
@analysis(strict=False)
def epoch(checkpoint: Checkpoint):
    return checkpoint.epoch
""")
    pipeline = AnalysisPipeline(Run(run_directory(epochs=(0, 500))))
    for path in sorted(Path(pipeline.run_of_checkpoints.path).rglob("*.safetensors"))[
        1:
    ]:
        path.write_bytes(next(path.parent.iterdir()).read_bytes())
    pipeline = AnalysisPipeline(Run(pipeline.run_of_checkpoints.path))

    for _ in range(2):
        pipeline.run([module.epoch])
        assert {one.state for one in pipeline.status([module.epoch]).steps} == {"fresh"}
    assert made(seen) == ["epoch", "epoch"]
    assert [module.epoch(one) for one in pipeline.run_of_checkpoints.values()] == [
        0,
        500,
    ]


@pytest.mark.parametrize("epoch", ["np.int64(700)", "700.0", "700"])
def test_an_epoch_is_looked_for_however_it_is_written(
    study: Study,
    run_directory: RunDirectory,
    write_checkpoint: WriteCheckpoint,
    epoch: str,
) -> None:
    has = study(f"""
@analysis
def has(run: Run):
    return {epoch} in run
""").has
    run = Run(run_directory(epochs=(0, 500)))
    assert not has(run)
    (folder,) = {path.parent for path in Path(run.path).rglob("*.safetensors")}
    write_checkpoint(folder / "checkpoint_epoch_00700.safetensors")

    assert has(Run(run.path))


# The code of values

KINDS = """
@dataclass(frozen=True)
class Settings:
    k: int = 1

    def apply(self, x): return x * FACTOR


class Mode(Enum):
    ONE = 1

    def apply(self, x): return x * FACTOR


class Pair(NamedTuple):
    checkpoint: Checkpoint

    def apply(self, x): return x * FACTOR


@analysis
def beside(given: Any):
    return given[1].apply(given[0]["w"].sum())


@analysis
def within(given: Pair):
    return given.apply(given.checkpoint["w"].sum())


@analysis
def held(checkpoint: Checkpoint, given: Any):
    one = given.mode if isinstance(given, SimpleNamespace) else list(given)[0]
    return one.apply(checkpoint["w"].sum())
"""
CALLS = [
    "beside([C, Settings()])",
    "beside((C, Mode.ONE))",
    "within(Pair(C))",
    "held(C, SimpleNamespace(mode=Mode.ONE))",
    "held(C, deque([Settings()]))",
    "held(C, OrderedDict({Mode.ONE: 1}))",
    "held(C, {Settings(): 1})",
]


@pytest.mark.parametrize("call", CALLS)
def test_the_methods_of_a_value_count_wherever_it_is(
    study: Study, checkpoint: Path, call: str
) -> None:
    results = []
    for factor in (1, 2):
        module = study(KINDS, factor)
        known = {**vars(module), "C": Checkpoint(checkpoint)}
        results.append(eval(call, known))

    assert results == [15, 30]


@pytest.mark.parametrize("given", ["deque([C])", "[C, deque([C])]"])
def test_a_checkpoint_that_a_container_hides_is_refused(
    study: Study, checkpoint: Path, tmp_path: Path, given: str
) -> None:
    module = study("""
@analysis(store="store")
def hidden(given: Any):
    return 1
""")
    known = {**vars(module), "C": Checkpoint(checkpoint)}

    with pytest.raises(UnencodableParam, match="hides a .*in a list, tuple, set"):
        eval(f"hidden({given})", known)


# What a function changes


def test_a_function_that_changes_its_arguments_is_not_kept(
    study: Study, checkpoint: Path
) -> None:
    taking = study("""
@analysis
def taking(checkpoint: Checkpoint, rows: list):
    return checkpoint["w"][rows.pop()]
""").taking
    with pytest.warns(NotStored, match="changed the arguments"):
        taking(checkpoint, rows=[0, 1])

    assert taking.find(checkpoint, rows=[0, 1]) is None
    assert taking.find(checkpoint, rows=[0]) is None


MEMO = """
MEMO = {{}}


def size():
    if not MEMO:
        MEMO[0] = 3
    return MEMO[0]


@analysis(strict={})
def sized(checkpoint: Checkpoint):
    return checkpoint["w"].sum() * size()
"""


def test_a_function_that_changes_its_constants_is_not_kept(
    study: Study, checkpoint: Path
) -> None:
    sized = study(MEMO.format(False)).sized

    with pytest.warns(NotStored, match="it changed MEMO, which its code uses"):
        assert sized(checkpoint) == 45
    assert sized(checkpoint) == 45
    assert sized.find(checkpoint) is not None


def test_a_strict_function_that_changes_its_constants_is_refused(
    study: Study, checkpoint: Path
) -> None:
    with pytest.raises(ImpureRead, match="changed MEMO.*functools.cache"):
        study(MEMO.format(True)).sized(checkpoint)


# What is remembered

CACHED = """
@functools.cache
def helper():
    return np.full(3, FACTOR)


@analysis(store={!r})
def table(size: int = 3):
    return np.full(size, FACTOR)


@functools.cache
def remembered(analysis):
    return analysis()


@analysis
def own(checkpoint: Checkpoint):
    return checkpoint["w"].sum() * helper().sum()


@analysis
def others(checkpoint: Checkpoint):
    return checkpoint["w"].sum() * remembered(table).sum()
"""


@pytest.mark.parametrize("name", ["own", "others"])
@pytest.mark.parametrize("is_warm", [False, True])
def test_a_cache_that_was_filled_before_an_edit_is_emptied(
    study: Study, checkpoint: Path, tmp_path: Path, name: str, is_warm: bool
) -> None:
    module = study(CACHED.format(str(tmp_path / "store")))
    analysis = getattr(module, name)
    if is_warm:
        module.helper(), module.remembered(module.table)
    else:
        assert analysis(checkpoint) == 45
    module.FACTOR = 2  # type: ignore[attr-defined]

    assert analysis(checkpoint) == 90
    assert analysis(checkpoint) == analysis.__wrapped__(Checkpoint(checkpoint))


@pytest.mark.parametrize("name", ["own", "others"])
def test_the_next_process_is_told_what_a_cache_hid(
    study: Study, write_checkpoint: WriteCheckpoint, tmp_path: Path, name: str
) -> None:
    one, two = (write_checkpoint(f"{name}.safetensors") for name in "ab")
    for factor, result in ((1, 45), (2, 90)):
        analysis = getattr(study(CACHED.format(str(tmp_path / "store")), factor), name)
        assert [analysis(one), analysis(two)] == [result, result]


def test_what_a_thread_calls_for_an_analysis_counts(
    study: Study, checkpoint: Path, tmp_path: Path
) -> None:
    text = CACHED.format(str(tmp_path / "store")) + """

POOLS = []


@functools.cache
def pool():
    return ThreadPoolExecutor(1)


@analysis
def threaded(checkpoint: Checkpoint):
    return checkpoint["w"].sum() * pool().submit(lambda: table()).result().sum()
"""
    assert study(text).threaded(checkpoint) == 45
    assert study(text, 2).threaded(checkpoint) == 90


def test_what_another_thread_calls_for_itself_does_not(
    study: Study, run_directory: RunDirectory
) -> None:
    module = study("""
BEGUN, DONE = [], []


@analysis
def part(checkpoint: Checkpoint):
    return checkpoint["w"].sum()


@analysis(ignore=("begun", "done"))
def whole(checkpoint: Checkpoint, begun: Any = None, done: Any = None):
    begun.set()
    done.wait(10)
    return part(checkpoint) + 0
""")
    one, other = Run(run_directory(epochs=(0, 500))).values()
    begun, done = threading.Event(), threading.Event()
    first = threading.Thread(target=lambda: module.whole(one, begun, done))
    first.start()
    begun.wait(10)
    module.part(other)
    done.set()
    first.join()

    assert module.whole.artifact(one, begun, done).entry.manifest.outside == ()


# What stands for what cannot be known

OPAQUE = """
class Lens:
    def __init__(self): self.lock = threading.Lock()


LENS = Lens()


def helper(): return 1


@analysis(depends_on={})
def through(checkpoint: Checkpoint):
    return checkpoint["w"].sum() * (LENS is not None)
"""


def test_a_value_may_stand_for_a_value(study: Study, checkpoint: Path) -> None:
    assert study(OPAQUE.format("('lens', 1)")).through(checkpoint) == 15


@pytest.mark.parametrize("declared", ["(helper,)", "(LENS,)", "(LENS, 1)"])
def test_neither_a_function_nor_itself_stands_for_a_value(
    study: Study, checkpoint: Path, declared: str
) -> None:
    with pytest.raises(UnresolvedDependency, match="holds a _thread.lock"):
        study(OPAQUE.format(declared)).through(checkpoint)
