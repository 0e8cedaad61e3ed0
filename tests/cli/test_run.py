from __future__ import annotations

import json
from typing import Any

import pytest
from cli.conftest import Shell, typed


def cells(out: str, name: str) -> list[str]:
    return next(line.split() for line in out.splitlines() if line.startswith(name))


def test_running_twice_computes_once(shell: Shell) -> None:
    _, first, _ = shell("run", "run", "--analysis=probe:mean")
    status, second, _ = shell("run", "run", "--analysis=probe:mean")

    assert status == 0
    assert cells(first, "mean")[1:4] == ["3", "0", "0"]
    assert cells(second, "mean")[1:4] == ["0", "3", "0"]
    assert cells(second, "mean")[-1] == "run/artifacts/mean"


def test_a_failure_is_told_once_with_its_epochs_and_stops_nothing_else(
    shell: Shell,
) -> None:
    status, out, _ = shell("run", "run", "--analysis=probe:broken,probe:mean")

    assert status == 1
    assert cells(out, "broken")[1:4] == ["0", "0", "3"]
    assert cells(out, "mean")[1:4] == ["3", "0", "0"]
    assert "broken failed at epochs 0, 500, 1000" in out
    assert out.count("has no tensor 'absent'") == 1


def test_only_the_named_epochs_run(shell: Shell) -> None:
    outcome = shell.json("run", "run", "--analysis=probe:mean", "--epochs=500")

    assert [(one["epoch"], one["state"]) for one in outcome["done"]] == [
        (500, "computed")
    ]


def test_a_store_is_the_run_it_belongs_to(shell: Shell) -> None:
    shell.computed("mean")

    assert shell.json("run", "run/artifacts", "--analysis=probe:mean")["counts"] == {
        "hit": 3
    }


def test_the_environment_names_another_store(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARTIFACT_STORE", str(shell.home / "elsewhere"))

    shell.computed("mean")

    assert not shell.store.exists()
    assert len(shell.json("ls", "run")) == 3


CHATTY = """
from artifact_store import Checkpoint, analysis

@analysis
def chatty(checkpoint: Checkpoint):
    print("a word")
    return checkpoint["w"].sum()
"""


def lines(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


def test_programs_that_watch_get_a_line_for_each_artifact_and_one_for_the_outcome(
    shell: Shell,
) -> None:
    status, out, err = shell("run", "run", "--analysis=probe:mean", "--progress=json")
    begin, *each, end = lines(out)

    assert (status, err) == (0, "")
    assert begin["analyses"] == {"mean": 3}
    assert [(one["done"], one["total"], one["epoch"]) for one in each] == [
        (1, 3, 0),
        (2, 3, 500),
        (3, 3, 1000),
    ]
    assert {(one["event"], one["state"]) for one in each} == {("artifact", "computed")}
    assert each[-1]["seconds_left"] == 0.0
    assert (end["event"], end["state"], end["done"]) == ("end", "complete", 3)
    assert end["counts"] == {"computed": 3, "hit": 0, "failed": 0}


def test_a_failure_has_its_line_and_ends_as_one(shell: Shell) -> None:
    status, out, _ = shell("run", "run", "--analysis=probe:broken", "--progress=json")
    _, *each, end = lines(out)

    assert (status, end["state"]) == (1, "failed")
    assert all("has no tensor 'absent'" in one["error"] for one in each)


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_what_an_analysis_prints_is_not_among_the_lines(
    shell: Shell, jobs: str
) -> None:
    shell.write_module("chatty", CHATTY)
    words = ("--analysis=chatty:chatty", "--progress=json", "--jobs", jobs)
    out, err = typed("run", "run", *words, at=shell.home).communicate()

    assert [one["event"] for one in lines(out)] == ["begin", *["artifact"] * 3, "end"]
    assert err.count("a word") == 3


def test_one_standard_output_is_not_asked_for_two_things(shell: Shell) -> None:
    status, out, err = shell("run", "run", "--progress=json", "--json")

    assert (status, out) == (2, "") and "--progress json" in err
