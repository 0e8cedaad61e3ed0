"""What notebooks and terminals show of each thing, of a run whose names are a stranger's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from conftest import RunDirectory, WriteCheckpoint
from test_markup import Read

from artifact_store import AnalysisPipeline, Checkpoint, Run, analysis
from artifact_store.errors import PipelineFailed

EVIL = "<img src=x onerror=alert(1)>\x1b[2J"


@analysis
def doubled(checkpoint: Checkpoint, *, note: str = EVIL) -> Any:
    """Twice <i>the weights</i>."""
    return {"twice": checkpoint["w"] * 2}


@analysis
def fails(checkpoint: Checkpoint) -> Any:
    raise ValueError(EVIL)


def outcome_of(run: Run) -> Any:
    try:
        return AnalysisPipeline(run).run([doubled])
    except PipelineFailed as failed:
        return failed.outcome


def failure_of(run: Run) -> Any:
    with pytest.raises(PipelineFailed) as caught:
        AnalysisPipeline(run).run([fails])
    return caught.value.outcome


SHOWN: dict[str, Callable[[Run], Any]] = {
    "run": lambda run: run,
    "checkpoint": lambda run: run[500],
    "analysis": lambda run: doubled,
    "cache_info": lambda run: doubled.cache_info(),
    "pipeline": AnalysisPipeline,
    "plan": lambda run: AnalysisPipeline(run).plan([doubled]),
    "outcome": outcome_of,
    "failure": failure_of,
    "miss": lambda run: doubled.explain(run[500], note="another"),
    "hit": lambda run: (doubled(run[500]), doubled.explain(run[500]))[1],
    "artifact": lambda run: doubled.artifact(run[500]),
}


@pytest.fixture
def run(run_directory: RunDirectory, write_checkpoint: WriteCheckpoint) -> Run:
    path = run_directory(f"{EVIL}")
    (path / "config.json").write_text('{"<img src=y>": "<img src=z>"}')
    write_checkpoint(
        f"{EVIL}/checkpoints/checkpoint_epoch_00500.safetensors",
        **{"w": np.ones(3, np.float32), "<img src=t>": np.ones(3, np.float32)},
    )
    return Run(path)


@pytest.mark.parametrize("name", SHOWN)
def test_a_notebook_shows_names_and_runs_none(name: str, run: Run) -> None:
    shown = SHOWN[name](run)._repr_html_()
    found = Read(shown)

    assert not {"img", "script", "i"} & set(found.elements)
    assert {attribute for attribute, _ in found.attributes} <= {"style", "title"}
    assert "\x1b" not in shown


@pytest.mark.parametrize("name", SHOWN)
def test_a_terminal_is_shown_one_short_line(name: str, run: Run) -> None:
    shown = repr(SHOWN[name](run))

    assert len(shown) < 200 and shown.isprintable()


def test_a_run_without_checkpoints_says_so(run: Run) -> None:
    empty = Run(run.path, "nowhere/{epoch}.safetensors")

    assert "nowhere" in empty._repr_html_()
    with pytest.raises(Exception, match="nowhere"):
        empty.epochs  # noqa: B018


def test_a_plan_says_of_each_state_what_it_holds_for(run: Run) -> None:
    doubled(run[0])
    plan = AnalysisPipeline(run).plan([doubled])
    words = Read(plan._repr_html_()).words

    assert "1 fresh, 2 missing" in words
    assert "epochs 500, 1000" in words and "never computed" in words


def test_a_miss_shows_what_was_edited_in_two_colours(
    run: Run, write_module: Callable[[str, str], Any]
) -> None:
    body = "from artifact_store import analysis\n\n@analysis\ndef f(checkpoint):\n    return {}\n"
    write_module("edited", body.format("checkpoint['w'] + 1")).f(run[500])
    again = write_module("edited", body.format("checkpoint['w'] + 2"))
    shown = again.f.explain(run[500])._repr_html_()

    assert "-    return checkpoint['w'] + 1" in Read(shown).words
    assert shown.count("color:#dd4a4a") == shown.count("color:#2f9e62") == 1
