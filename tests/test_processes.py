"""Fresh processes do tasks, and whatever becomes of one of them is told."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import closing
from multiprocessing import active_children

import pytest

from artifact_store.processes import Ended, in_fresh_processes


def answer(task: str) -> str:
    """What a process does; it is found by import."""
    match task.partition(" ")[::2]:
        case "pid", _:
            return str(os.getpid())
        case "seed", _:
            return os.environ["PYTHONHASHSEED"]
        case "print", words:
            print(words, flush=True)
            print(words, file=sys.stderr, flush=True)
        case "exit", status:
            os._exit(int(status))
        case "kill", _:
            os.kill(os.getpid(), signal.SIGKILL)
        case "wait", _:
            signal.pause()
        case "interrupts", _:
            blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
            return str(signal.SIGINT in blocked)
    return task


def answers(*tasks: str, n_jobs: int = 1) -> dict[str, str | Ended]:
    return dict(in_fresh_processes(answer, tasks, kind_of, n_jobs))


def kind_of(task: str) -> str:
    return task.partition(" ")[2]


class Unmade:
    """What travels, and cannot be made again where it arrives."""

    def __reduce__(self) -> tuple[object, ...]:
        return int, ("no number",)


def test_a_task_that_cannot_arrive_is_told_and_the_others_are_done() -> None:
    tasks: list[object] = [Unmade(), "print", Unmade()]
    found = list(in_fresh_processes(str, tasks, lambda task: "one", 1))

    assert found[1] == ("print", "print")
    for _, ended in (found[0], found[2]):
        assert isinstance(ended, Ended) and "no number" in ended.how


def test_each_task_is_answered_and_kinds_share_no_process() -> None:
    found = answers("pid", *(f"pid {kind}" for kind in "ab"), "print b", n_jobs=2)
    pids = {found["pid"], found["pid a"], found["pid b"]}

    assert len(found) == 4 and len(pids) == 3 and str(os.getpid()) not in pids
    assert answers() == {}


def test_tasks_of_one_kind_share_a_process(capfd: pytest.CaptureFixture[str]) -> None:
    tasks = ["pid same", "print same", "seed same"]
    found = list(in_fresh_processes(answer, [*tasks, tasks[0]], kind_of, 1))

    assert [task for task, _ in found] == [*tasks, tasks[0]]
    assert found[0][1] == found[3][1]
    assert capfd.readouterr() == ("", "")


def test_a_process_that_ends_takes_only_its_task_along() -> None:
    found = answers("exit 3", "kill me", "pid 3", "pid me")

    assert found["exit 3"] == Ended("ended with status 3")
    assert found["kill me"] == Ended("was killed by SIGKILL")
    assert str(found["pid 3"]).isdecimal() and str(found["pid me"]).isdecimal()


def test_words_are_hashed_otherwise_and_the_environment_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for given in ("0", None):
        if given is None:
            monkeypatch.delenv("PYTHONHASHSEED", raising=False)
        else:
            monkeypatch.setenv("PYTHONHASHSEED", given)
        before = dict(os.environ)
        assert int(str(answers("seed")["seed"])) > 0
        assert dict(os.environ) == before


def test_ctrl_c_is_for_the_one_that_waits() -> None:
    assert answers("interrupts") == {"interrupts": "True"}
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_nothing_lives_on_when_nobody_waits_any_more() -> None:
    tasks = ["pid one", "wait two"]
    before = set(active_children())
    with closing(in_fresh_processes(answer, tasks, kind_of, 2)) as found:
        assert next(found)[0] == "pid one"
        assert set(active_children()) > before
    assert set(active_children()) <= before
