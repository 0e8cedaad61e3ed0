"""What is missing is computed in processes of their own, and the page is told how far they are."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from analyses.clusters import neuron_freq_norm
from analyses.workbench.jobs import SHOWN, Job, Jobs
from artifact_store import Run

NORM = ("analyses.clusters:neuron_freq_norm",)


@pytest.fixture
def bare(results: Path) -> Run:
    """A run without artifacts."""
    return Run(results / "bare")


@pytest.fixture
def jobs(tmp_path: Path) -> Jobs:
    (tmp_path / "jobs").mkdir()
    return Jobs(tmp_path / "jobs")


@pytest.fixture
def told(tmp_path: Path) -> Callable[..., Job]:
    """A job whose process ended so, or goes on, and wrote this."""

    def made(output: str = "", complaints: str = "", status: int | None = None) -> Job:
        class Process:
            pid, returncode = 1, status

            def poll(self) -> int | None:
                return status

        process: Any = Process()
        paths = tmp_path / "0.jsonl", tmp_path / "0.txt"
        for path, text in zip(paths, (output, complaints), strict=True):
            path.write_text(text)
        return Job(0, "bare", NORM, None, process, *paths)

    return made


def held(run: Run, epoch: int) -> AbstractContextManager[None]:
    """Nobody else computes this meanwhile: they wait."""
    call = neuron_freq_norm.call(run[epoch])
    return call.store.lease(call.key)


def until(condition: Callable[[], bool]) -> None:
    """Wait for another process, which tells nobody when."""
    while not condition():
        time.sleep(0.01)


def ended(jobs: Jobs) -> list[str]:
    """How all jobs ended, once they did."""
    until(lambda: all(one.state != "running" for one in jobs.progress()))
    return [one.state for one in jobs.progress()]


def stored(run: Run) -> list[int]:
    return [epoch for epoch in run if neuron_freq_norm.find(run[epoch])]


def test_a_job_computes_what_it_is_asked_for_and_ends(jobs: Jobs, bare: Run) -> None:
    begun = jobs.start(bare.path, NORM, None)

    assert (begun.number, begun.run, begun.analyses, begun.epoch) == (0, "bare", NORM, None)  # fmt: skip
    assert ended(jobs) == ["finished"]
    (progress,) = jobs.progress()
    assert (progress.done, progress.total, progress.error) == (3, 3, "")
    assert stored(bare) == [0, 1, 2]


def test_a_job_of_one_epoch_leaves_the_others(jobs: Jobs, bare: Run) -> None:
    jobs.start(bare.path, NORM, 1)

    assert ended(jobs) == ["finished"] and stored(bare) == [1]


def test_asked_twice_it_is_one_job_and_something_else_is_another(
    jobs: Jobs, bare: Run
) -> None:
    with held(bare, 0):
        numbers = [jobs.start(bare.path, NORM, epoch).number for epoch in (0, 0, None, 0, None)]  # fmt: skip

    assert numbers == [0, 0, 1, 0, 1]
    assert ended(jobs) == ["finished", "finished"]


def test_a_job_that_ended_may_be_started_again(jobs: Jobs, bare: Run) -> None:
    jobs.start(bare.path, NORM, 0)
    ended(jobs)

    assert jobs.start(bare.path, NORM, 0).number == 1
    assert ended(jobs) == ["finished", "finished"]


def test_a_job_that_is_stopped_keeps_what_it_has_done_and_says_so(
    jobs: Jobs, bare: Run
) -> None:
    with held(bare, 1):
        jobs.start(bare.path, NORM, None)
        until(lambda: jobs.progress()[0].done == 1)
        assert (jobs.progress()[0].state, jobs.progress()[0].total) == ("running", 3)

        jobs.stop(0)
        assert ended(jobs) == ["stopped"]

    assert jobs.progress()[0].error == ""
    assert stored(bare) == [0]


def test_a_job_that_fails_shows_why(jobs: Jobs, bare: Run) -> None:
    bare[1].path.write_bytes(b"damaged")

    jobs.start(bare.path, NORM, None)

    assert ended(jobs) == ["failed"]
    (progress,) = jobs.progress()
    assert "checkpoint_epoch_00001" in progress.error and "status" not in progress.error
    assert (progress.done, progress.total) == (3, 3)
    others = Run(bare.path)
    assert all(neuron_freq_norm.find(others[epoch]) for epoch in (0, 2))


def test_stopping_a_number_that_there_is_not_does_nothing(jobs: Jobs) -> None:
    jobs.stop(7)

    assert jobs.progress() == []


def test_a_job_that_has_ended_is_sent_no_signal(
    told: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "killpg", lambda *_: pytest.fail("may hit a stranger"))

    told(status=0).stop()


def test_a_job_that_does_not_listen_is_made_to_end_when_it_is_asked_again(
    tmp_path: Path,
) -> None:
    deaf = "import signal; signal.signal(2, signal.SIG_IGN); print(flush=True); signal.pause()"
    paths = tmp_path / "0.jsonl", tmp_path / "0.txt"
    for path in paths:
        path.touch()
    with subprocess.Popen(
        [sys.executable, "-c", deaf], stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stdout is not None and process.stdout.readline()
        job = Job(0, "bare", NORM, None, process, *paths)
        job.stop()
        assert job.progress().state == "running"
        job.stop()

        assert process.wait() == -signal.SIGTERM
    assert job.progress().state == "stopped"


def test_a_job_that_has_printed_nothing_yet_is_running(
    told: Callable[..., Job],
) -> None:
    progress = told().progress()

    assert (progress.state, progress.done, progress.total) == ("running", 0, 0)
    assert progress.seconds_left is None and progress.error == ""


def test_a_line_that_is_not_whole_yet_is_not_read(told: Callable[..., Job]) -> None:
    whole = json.dumps({"done": 1, "total": 3, "seconds_left": 2.5}) + "\n"

    for rest in ("", '{"done": 2, "tot', json.dumps({"done": 2, "total": 3})):
        progress = told(whole + rest).progress()
        assert (progress.done, progress.seconds_left) == (1, 2.5)


def test_lines_that_tell_nothing_are_passed_over(told: Callable[..., Job]) -> None:
    noise = 'warning: {\n[1]\n"total"\n{"event": "other"}\n\n'

    progress = told('{"done": 2, "total": 3}\n' + noise).progress()

    assert (progress.done, progress.total) == (2, 3)


def test_of_much_output_the_end_tells(told: Callable[..., Job]) -> None:
    lines = (json.dumps({"done": one, "total": 99_999}) for one in range(9_999))

    assert told("\n".join(lines) + "\n").progress().done == 9_998


@pytest.mark.parametrize(
    "status, state",
    [(0, "finished"), (1, "failed"), (2, "failed"), (-9, "failed"), (130, "stopped"), (-2, "stopped")],
)  # fmt: skip
def test_the_exit_status_says_how_it_ended(
    told: Callable[..., Job], status: int, state: str
) -> None:
    assert told(status=status).progress().state == state


def test_of_a_long_complaint_the_end_is_shown(told: Callable[..., Job]) -> None:
    error = told(complaints="x" * 9999 + "\nKeyError: 'w'\n", status=1).progress().error

    assert error.endswith("KeyError: 'w'") and len(error) == SHOWN


def test_an_error_of_many_artifacts_is_told_once(told: Callable[..., Job]) -> None:
    lines = [{"done": n, "total": 3, "error": e} for n, e in enumerate(["", "bad", "bad"])]  # fmt: skip
    output = "\n".join(map(json.dumps, lines)) + "\n"

    assert told(output, "a warning", status=1).progress().error == "bad"


def test_a_process_that_cannot_begin_says_why(jobs: Jobs, bare: Run) -> None:
    jobs.start(bare.path, ("analyses.clusters:absent",), None)

    assert ended(jobs) == ["failed"]
    assert "analyses.clusters:absent" in jobs.progress()[0].error


def test_whoever_dies_without_a_word_is_told_by_the_status(
    told: Callable[..., Job],
) -> None:
    assert told(status=-9).progress().error == "it ended with status -9"


def test_progress_is_json(told: Callable[..., Job]) -> None:
    found = json.loads(json.dumps(told().progress().as_dict()))

    assert found["analyses"] == list(NORM) and found["state"] == "running"
