from __future__ import annotations

import json

import pytest

from artifact_store.plans import Plan, Step, epochs_in_words, in_words, seconds_of


def step(analysis: str, epoch: int | None, state: str, *causes: str) -> Step:
    return Step(analysis, epoch, "key", state, causes)  # type: ignore[arg-type]


PLAN = Plan(
    "run",
    (
        step("f", 0, "fresh"),
        step("f", 1, "drift", "numpy 1 then, 2 now"),
        step("f", 2, "stale", "helper changed"),
        step("f", 3, "stale", "helper changed", "k is 2"),
        step("g", None, "missing", "never computed"),
        step("g", 1, "corrupt", "<damaged>"),
    ),
    12.5,
)


def test_fresh_and_drifted_steps_hit_and_all_others_miss() -> None:
    assert [one.state for one in PLAN.hits] == ["fresh", "drift"]
    assert [one.state for one in PLAN.misses] == ["stale", "stale", "missing", "corrupt"]  # fmt: skip


def test_a_reason_is_told_once_with_its_epochs() -> None:
    assert list(PLAN.reasons()) == [
        ("f", "numpy 1 then, 2 now", (1,)),
        ("f", "helper changed", (2, 3)),
        ("f", "k is 2", (3,)),
        ("g", "never computed", (None,)),
        ("g", "<damaged>", (1,)),
    ]


def test_a_plan_reads_as_text_json_and_html() -> None:
    text = str(PLAN)
    assert text.startswith("run: 2 hits, 4 misses, about 12 s")
    assert "f: 1 fresh, 1 drift, 2 stale" in text
    assert "f, epochs 2, 3: helper changed" in text
    assert "g, whole run: never computed" in text
    assert json.loads(json.dumps(PLAN.as_dict()))["misses"] == 4
    assert "&lt;damaged&gt;" in PLAN._repr_html_()
    assert repr(PLAN) == "<Plan of run: 2 hits, 4 misses>"
    assert in_words(()) == ""


@pytest.mark.parametrize(
    "epochs, words",
    [
        ((None,), "whole run"),
        ((3,), "epoch 3"),
        ((1, 2, 3, 4), "epochs 1, 2, 3, 4"),
        (tuple(range(0, 600, 100)), "6 epochs, 0 to 500"),
    ],
)
def test_epochs_are_told_in_few_words(
    epochs: tuple[int | None, ...], words: str
) -> None:
    assert epochs_in_words(epochs) == words


def test_time_is_not_guessed_where_nothing_is_known() -> None:
    assert seconds_of(PLAN.steps, []) is None
    assert seconds_of(PLAN.steps[:2], []) == 0
