from __future__ import annotations

import pytest
from cli.conftest import Shell


def test_a_plan_computes_nothing_and_is_no_finding(shell: Shell) -> None:
    status, out, _ = shell("plan", "run", "--analysis=probe:mean")

    assert status == 0
    assert "run  0 stored, 3 artifacts to compute" in out
    assert shell("ls", "run")[0] == 2


@pytest.mark.parametrize(
    ("asked", "epochs"),
    [
        ("0", [0]),
        ("1000,0", [0, 1000]),
        ("1-1000", [500, 1000]),
        ("500-", [500, 1000]),
        ("0,0-400", [0]),
    ],
)
def test_epochs_are_numbers_and_ranges(
    shell: Shell, asked: str, epochs: list[int]
) -> None:
    plan = shell.json("plan", "run", "--analysis=probe:mean", f"--epochs={asked}")

    assert [step["epoch"] for step in plan["steps"]] == epochs


@pytest.mark.parametrize("asked", ["", "x", "1-x", "1--2", "5,"])
def test_what_is_no_range_is_refused(shell: Shell, asked: str) -> None:
    status, _, err = shell("plan", "run", f"--epochs={asked}")

    assert status == 2
    assert "is neither an epoch nor a range such as 0-1000" in err


def test_a_range_does_not_end_before_it_begins(shell: Shell) -> None:
    status, _, err = shell("plan", "run", "--epochs=0,5-2")

    assert status == 2
    assert "'5-2' ends before it begins" in err


def test_the_time_is_estimated_from_what_it_took(shell: Shell) -> None:
    shell.computed("mean")
    shell.edit("values / 2", "values / 3")

    assert shell.json("plan", "run", "--analysis=probe:mean")["seconds"] > 0
    assert "artifacts, about " in shell("plan", "run", "--analysis=probe:mean")[1]
