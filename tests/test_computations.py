"""What a computation is told is noted, whatever way it takes; what cannot be noted is not relied on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from conftest import Ran, WriteCheckpoint, WriteModule
from safetensors.numpy import save_file

from artifact_store.errors import NotStored
from artifact_store.memoize import Analysis
from artifact_store.traces import reads_of

HEAD = """\
from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from enum import Enum

import joblib
import numpy as np

from artifact_store import Checkpoint, File, analysis

ONE = 1


class Mode(Enum):
    SUM = 1
    MAX = 2


@analysis
def total(checkpoint: Checkpoint, scale: int = 1):
    return checkpoint["w"].sum() * scale * ONE


"""

Write = Callable[..., ModuleType]


@pytest.fixture(autouse=True)
def stable(settled: None) -> None: ...


@pytest.fixture
def study(write_module: WriteModule) -> Write:
    """The module of `HEAD` and some text, in which each pair of words is the one before the other."""

    def write(text: str, *edits: tuple[str, str]) -> ModuleType:
        whole = HEAD + text
        for old, new in edits:
            assert old in whole
            whole = whole.replace(old, new)
        return write_module("study", whole)

    return write


def questions(analysis: Analysis[..., Any], given: Any) -> list[str] | None:
    """What was asked for the stored result; `None` if all of the inputs counts."""
    artifact = analysis.artifact(given)
    reads = reads_of(artifact.entry.manifest, analysis.call(given).store)
    return None if reads is None else [str(read.question) for read in reads]


TWICE = ("ONE = 1", "ONE = 2")
SAME = ("* ONE", "* ONE * 1")


# Ways to call another analysis

ONE_CALL = """
@analysis
def down(checkpoint: Checkpoint):
    {}
"""
WAYS = {
    "a call": "return total(checkpoint) + 0",
    "an artifact": "return total.artifact(checkpoint).numpy() + 0",
    "a named argument": "return total(checkpoint=checkpoint, scale=1) + 0",
    "a param of numpy": "return total(checkpoint, scale=np.int64(1)) + 0",
    "a list comprehension": "return sum([total(one) for one in [checkpoint]])",
    "a map": "return sum(map(total, [checkpoint]))",
    "a helper within": "return (lambda one: total(one) + 0)(checkpoint)",
    "another name": "also = total\n    return also(checkpoint) + 0",
    "a thread": (
        "with ThreadPoolExecutor(2) as pool:\n        return sum(pool.map(total, [checkpoint]))"
    ),
    "a thread of joblib": (
        "jobs = [joblib.delayed(total)(checkpoint)]\n"
        "    return sum(joblib.Parallel(n_jobs=2, prefer='threads')(jobs))"
    ),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=list(WAYS))
def test_whichever_way_it_is_called_the_result_of_another_analysis_counts(
    study: Write, checkpoint: Path, ran: Ran, way: str
) -> None:
    text = ONE_CALL.format(way)
    module = study(text)
    assert module.down(checkpoint) == 15
    assert questions(module.down, checkpoint) == ["result of total"]
    ran()

    assert study(text, TWICE).down(checkpoint) == 30
    assert ran() == ["total", "down"]
    assert study(text, TWICE, SAME).down(checkpoint) == 30
    assert ran() == ["total"]


def test_what_another_analysis_reads_is_not_read_by_its_caller(
    study: Write, write_checkpoint: WriteCheckpoint, ran: Ran
) -> None:
    down = study(ONE_CALL.format("return total(checkpoint) > 10")).down
    down(write_checkpoint(w=[7.0, 8.0]))
    ran()

    assert down(write_checkpoint(w=[8.0, 7.0]))
    assert ran() == ["total"]


def test_one_analysis_called_twice_in_the_same_way_is_one_read(
    study: Write, checkpoint: Path
) -> None:
    text = "return total(checkpoint) + total(checkpoint) + total(checkpoint, 2)"
    module = study(ONE_CALL.format(text))

    assert module.down(checkpoint) == 60
    assert questions(module.down, checkpoint) == ["result of total"] * 2


# Arguments that are not plain

MODES = """
@analysis
def pooled(checkpoint: Checkpoint, how: Mode, weights: object = None):
    weighted = checkpoint["w"] if weights is None else checkpoint["w"] * weights
    return (weighted.sum() if how is Mode.SUM else weighted.max()) * ONE


@analysis
def of_enum(checkpoint: Checkpoint):
    return pooled(checkpoint, Mode.SUM) + 0


@analysis
def of_array(checkpoint: Checkpoint):
    return pooled(checkpoint, Mode.SUM, weights=np.array([1.0, 2.0, 3.0])) + 0
"""


@pytest.mark.parametrize("name, result", [("of_enum", 15), ("of_array", 34)])
def test_an_argument_that_cannot_be_written_down_costs_a_computation_and_no_more(
    study: Write, checkpoint: Path, ran: Ran, name: str, result: int
) -> None:
    assert getattr(study(MODES), name)(checkpoint) == result
    ran()
    assert getattr(study(MODES), name)(checkpoint) == result
    assert ran() == []
    assert getattr(study(MODES, TWICE), name)(checkpoint) == 2 * result
    assert ran() == ["pooled", name]
    changed = ("how is Mode.SUM", "how is Mode.MAX")
    assert getattr(study(MODES, changed), name)(checkpoint) < result
    # Where it is all the same, it is computed again: nobody can ask what it asked.
    ran()
    getattr(study(MODES, changed, SAME_POOLED), name)(checkpoint)
    assert ran() == ["pooled", name]


SAME_POOLED = (") * ONE", ") * 1 * ONE")


# Other processes

SENT = """
def first(checkpoint: Checkpoint) -> float:
    return float(checkpoint["w"][0, 0])


@analysis
def elsewhere(checkpoint: Checkpoint):
    with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as pool:
        return sum(pool.map(first, [checkpoint]))
"""


def test_of_a_checkpoint_that_was_sent_to_another_process_all_counts(
    study: Write, write_checkpoint: WriteCheckpoint, ran: Ran
) -> None:
    elsewhere = study(SENT).elsewhere
    elsewhere(write_checkpoint(w=[[1.0]], v=[1.0]))

    assert elsewhere(write_checkpoint(w=[[1.0]], v=[2.0])) == 1
    assert ran() == ["elsewhere", "elsewhere"]


# What the key of a caller does not tell

NOTED = """
@analysis
def rate(checkpoint: Checkpoint):
    return float(checkpoint.metadata["rate"])


@analysis(strict=False)
def epoch(checkpoint: Checkpoint):
    return float(checkpoint.epoch)


@analysis
def words(checkpoint: Checkpoint, notes: File):
    return len(notes.path.read_text().split())


@analysis
def middle(checkpoint: Checkpoint):
    return {} + 0


@analysis
def down(checkpoint: Checkpoint):
    return middle(checkpoint) + 0
"""


def test_metadata_that_another_analysis_read_count_for_all_its_callers(
    study: Write, tmp_path: Path
) -> None:
    down, path = (
        study(NOTED.format("rate(checkpoint)")).down,
        tmp_path / "one.safetensors",
    )

    for rate in ("1", "2", "2", "1"):
        save_file({"w": np.ones(2)}, path, metadata={"rate": rate})
        assert down(path) == float(rate)


def test_a_label_that_another_analysis_read_counts_for_all_its_callers(
    study: Write, write_checkpoint: WriteCheckpoint
) -> None:
    down = study(NOTED.format("epoch(checkpoint)")).down
    path = write_checkpoint(w=[1.0])

    for epoch in (500, 700, 500):
        path = path.rename(path.with_name(f"checkpoint_epoch_{epoch:05}.safetensors"))
        assert down(path) == epoch


def test_a_file_that_only_the_code_names_counts(
    study: Write, checkpoint: Path, tmp_path: Path, ran: Ran
) -> None:
    notes = tmp_path / "notes.txt"
    # A strict analysis is refused it, and told to take the file as an input.
    text = NOTED.format(f"words(checkpoint, {str(notes)!r})")
    down = study(
        text.replace("@analysis\ndef middle", "@analysis(strict=False)\ndef middle")
    ).down

    for text in ("one", "one two", "one two"):
        notes.write_text(text)
        assert down(checkpoint) == len(text.split())
    assert ran() == ["words", "middle", "down"] * 2
    notes.write_text("two words")
    assert down(checkpoint) == 2
    assert ran() == ["words"]


def test_computing_another_analysis_again_is_a_call_of_it(
    study: Write, checkpoint: Path, ran: Ran
) -> None:
    text = ONE_CALL.format("return total.recompute(checkpoint).artifact.numpy() + 0")

    assert study(text).down(checkpoint) == 15
    assert study(text, TWICE).down(checkpoint) == 30


@pytest.mark.parametrize(
    "asked",
    ["key(checkpoint).digest.hex", "explain(checkpoint)", "__wrapped__"],
)
def test_what_depends_on_more_than_results_is_found_by_its_key_alone(
    study: Write, checkpoint: Path, write_checkpoint: WriteCheckpoint, asked: str
) -> None:
    text = ONE_CALL.format(f"return len(str(total.{asked})) > 0")
    module = study(text)
    module.down(checkpoint)

    assert questions(module.down, checkpoint) is None


REMEMBERING = """
from functools import cache, cached_property


@analysis(store={!r})
def basis(size: int = 3):
    return np.full(size, ONE)


@cache
def remembered():
    return basis().sum()


class Sizes:
    @cached_property
    def total(self):
        return basis().sum()


SIZES = Sizes()


@cache
def none():
    return 0


@analysis
def down(checkpoint: Checkpoint):
    return checkpoint["w"].sum() + {}
"""


@pytest.mark.parametrize(
    "spelled, is_told",
    [
        ("remembered()", False),
        ("SIZES.total", False),
        ("basis().sum() + none()", True),
    ],
)
def test_a_result_that_functools_remembers_is_as_good_as_one_that_was_asked_for(
    study: Write,
    tmp_path: Path,
    write_checkpoint: WriteCheckpoint,
    spelled: str,
    is_told: bool,
) -> None:
    text = REMEMBERING.format(str(tmp_path / "store"), spelled)
    module = study(text)
    one = write_checkpoint("one.safetensors", w=[1.0])
    two = write_checkpoint("two.safetensors", w=[2.0])
    assert [module.down(one), module.down(two)] == [4, 5]

    module = study(text, TWICE)
    assert [module.down(one), module.down(two)] == [7, 8]
    assert (questions(module.down, one) is not None) is is_told


# What depends on more than its inputs

FAILING = """
@analysis
def failing(checkpoint: Checkpoint, state: object = None):
    if state.get("broken"):
        raise ValueError("out of luck")
    return 1


STATE = {}


@analysis
def down(checkpoint: Checkpoint, state: object = None):
    try:
        return failing(checkpoint, state)
    except ValueError:
        return 0
"""


def test_a_failure_that_was_caught_is_returned_and_not_kept(
    study: Write, checkpoint: Path, ran: Ran
) -> None:
    text = FAILING.replace("@analysis", "@analysis(ignore=('state',))")
    down = study(text).down

    with pytest.warns(NotStored, match="failing failed in it with ValueError"):
        assert down(checkpoint, {"broken": True}) == 0
    assert ran() == []
    assert down(checkpoint, {}) == 1
    assert ran() == ["failing", "down"]


def test_what_looks_for_what_is_not_stored_is_not_kept(
    study: Write, checkpoint: Path, ran: Ran
) -> None:
    module = study(ONE_CALL.format("return total.find(checkpoint) is not None"))

    with pytest.warns(NotStored, match="looked for total, which is not stored"):
        assert not module.down(checkpoint)
    module.total(checkpoint)
    assert module.down(checkpoint)
    assert ran() == ["total", "down"]


def test_an_input_that_comes_from_nowhere_is_not_kept(
    study: Write, checkpoint: Path, ran: Ran
) -> None:
    text = ONE_CALL.format("return total(Checkpoint(checkpoint.path)) + 0")
    down = study(text.replace("@analysis", "@analysis(strict=False)")).down

    assert down(checkpoint) == 15
