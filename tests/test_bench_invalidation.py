"""The benchmark that puts the rows of `mutations` to other libraries judges them as the suite judges us."""

from __future__ import annotations

from pathlib import Path

import pytest
from mutations.rows import Row

from benchmarks.peers.edits import edits
from benchmarks.peers.scores import by_kind, by_verdict
from benchmarks.peers.trials import Lane, Outcome, Verdict, judged

ROW = Row("an edit", (), frozenset({"drift"}))
RIGHT = {"drift 0": "anew", "spectrum 0": "as ever"}
STALE = {"drift 0": "old", "spectrum 0": "as ever"}
FAILED = {"drift 0": "failed: TypeError", "spectrum 0": "as ever"}


@pytest.fixture(scope="module")
def lane(tmp_path_factory: pytest.TempPathFactory) -> Lane:
    """Ours, and joblib, which compares the text of the decorated function and nothing else."""
    root: Path = tmp_path_factory.mktemp("lane")
    return Lane.laid(root, ("artifact_store", "joblib"))


def test_joblib_serves_a_wrong_result_after_an_edit_of_a_helper(lane: Lane) -> None:
    change = "study/weighing.py: EXPONENT = 0.5 ---> EXPONENT = 0.75"
    names = frozenset({"sharpness", "trajectory"})

    ours, joblib = lane.outcomes(Row("", (change,), names))

    assert ours == Outcome(Verdict.RIGHT)
    assert joblib == Outcome(Verdict.STALE, names)


def test_joblib_computes_for_nothing_after_an_edit_of_a_docstring(lane: Lane) -> None:
    change = "study/runs.py: Sharpness by epoch. ---> By epoch."

    ours, joblib = lane.outcomes(Row("", (change,), frozenset()))

    assert ours == Outcome(Verdict.RIGHT)
    assert joblib == Outcome(Verdict.WASTEFUL, frozenset({"trajectory"}))


@pytest.mark.parametrize(
    ("ran", "answers", "verdict"),
    [
        (["drift"], RIGHT, Verdict.RIGHT),
        ([], RIGHT, Verdict.BLIND),
        (["drift", "spectrum"], RIGHT, Verdict.WASTEFUL),
        (["spectrum"], STALE, Verdict.STALE),
        (["drift", "spectrum"], FAILED, Verdict.FAILED),
    ],
)
def test_the_verdict_is_the_worst_that_can_be_said(
    ran: list[str], answers: dict[str, str], verdict: Verdict
) -> None:
    assert judged(ROW, ran, answers, RIGHT).verdict is verdict


def test_every_row_has_a_kind_but_those_about_our_own_options() -> None:
    assert len(edits()) >= 280
    assert all(edits().values())


def test_tables_count_edits_that_matter_apart_from_the_others() -> None:
    idle = Row("nothing", (), frozenset())
    outcomes = {ROW: [Outcome(Verdict.STALE)], idle: [Outcome(Verdict.RIGHT)]}
    kinds = {ROW: "data", idle: "surroundings"}

    assert by_verdict(outcomes, kinds, ["joblib"]).splitlines()[2:] == [
        "| **that matter**            |  **1** |",
        "| a wrong result is served   |      1 |",
        "| an analysis fails          |      0 |",
        "| **that do not**            |  **1** |",
        "| computes just what it must |      1 |",
        "| an analysis fails          |      0 |",
    ]
    assert by_kind(outcomes, kinds, ["joblib"]).splitlines()[2:] == [
        "| data                   |    0/1 |",
        "| surroundings           |    1/1 |",
        "| all                    |    1/2 |",
    ]
