"""Many at once, whether threads or processes of any kind: each key is computed once, and nobody waits in vain."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from types import FrameType
from typing import Any

import joblib
import numpy as np
import pytest
from conftest import Injected, RunDirectory, WriteCheckpoint, WriteModule, times
from harness import begun, in_child
from joblib.externals.loky import get_reusable_executor

from artifact_store import Checkpoint, Run, analysis
from artifact_store.leases import is_leased, leased, place_of

MANY = 16
# Whoever needs longer waits for what never comes.
SECONDS = 30


@analysis(ignore=("log",))
def logged(checkpoint: Checkpoint, log: str) -> Any:
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, b"x")
    os.close(descriptor)
    # Long enough that all others come meanwhile.
    noise = np.arange(2_000_000.0)
    for _ in range(10):
        noise = np.sqrt(noise + 1)
    return {"w": checkpoint["w"] + noise[0] * 0}


@analysis(ignore=("log",))
def quick(checkpoint: Checkpoint, log: str) -> Any:
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, b"x")
    os.close(descriptor)
    return checkpoint["w"] * 2


@analysis(ignore=("log",))
def nested(checkpoint: Checkpoint, log: str) -> Any:
    return {"w": quick(checkpoint, log) + 1, "v": checkpoint["w"][0]}


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Gets a letter for each time that a body runs."""
    return tmp_path / "log"


@pytest.fixture
def checkpoints(write_checkpoint: WriteCheckpoint) -> list[Path]:
    """One run, of which every checkpoint holds other tensors."""
    return [
        write_checkpoint(
            f"run/checkpoints/checkpoint_epoch_{number:05d}.safetensors",
            w=np.full(2, number, np.float32),
        )
        for number in range(MANY)
    ]


def at_once(work: Callable[[int], bytes]) -> list[bytes]:
    """What each of some processes returns, all of which begin together."""
    gate, opening = os.pipe()
    answers, children = [], []

    def answer(number: int, told: int) -> None:
        signal.alarm(SECONDS)
        os.close(opening)
        os.read(gate, 1)  # ends when the parent closes its side
        os.write(told, work(number))

    for number in range(MANY):
        heard, told = os.pipe()
        children.append(begun(partial(answer, number, told)))
        os.close(told)
        answers.append(heard)
    os.close(gate)
    os.close(opening)
    found = []
    for heard in answers:
        with os.fdopen(heard, "rb") as stream:
            found.append(stream.read())
    assert statuses(children) == [0] * MANY
    return found


def statuses(children: list[int]) -> list[int]:
    return [os.waitpid(child, 0)[1] for child in children]


def hidden(checkpoint: Path) -> Path:
    return checkpoint.parents[1] / "artifacts/.store"


def entries(checkpoint: Path) -> int:
    return len(list(hidden(checkpoint).glob("entries/*/*/*.json")))


SIX = np.arange(6, dtype=np.float32).astype(float).tobytes()


def test_sixteen_processes_with_one_cold_key_run_the_function_once(
    checkpoint: Path,
    log: Path,
    settled: None,
    injected: Injected,
) -> None:
    answers = at_once(lambda _: logged(Checkpoint(checkpoint), str(log))["w"].tobytes())

    assert log.read_bytes() == b"x" and set(answers) == {SIX}
    assert entries(checkpoint) == 1
    assert len(list(hidden(checkpoint).glob("data/*/*"))) == 1
    assert list(hidden(checkpoint).glob("staging/*/*")) == []
    injected("process or thread that calls at the same time", MANY)


def test_sixteen_processes_with_sixteen_keys_do_not_wait_for_one_another(
    checkpoints: list[Path],
    log: Path,
    settled: None,
    injected: Injected,
) -> None:
    answers = at_once(
        lambda n: nested(Checkpoint(checkpoints[n]), str(log))["w"].tobytes()
    )

    expected = [np.full(2, 2 * n + 1, np.float32).tobytes() for n in range(MANY)]
    assert answers == expected
    assert log.read_bytes() == b"x" * MANY
    assert entries(checkpoints[0]) == 2 * MANY
    assert not (hidden(checkpoints[0]) / "quarantine").exists()
    injected("process or thread that calls at the same time", MANY)


def test_sixteen_processes_with_equal_results_store_them_once(
    write_checkpoint: WriteCheckpoint,
    log: Path,
    settled: None,
    injected: Injected,
) -> None:
    paths = [
        write_checkpoint(f"run/checkpoints/{n}.safetensors", w=np.ones(2), other=n)
        for n in range(MANY)
    ]
    answers = at_once(lambda n: logged(Checkpoint(paths[n]), str(log))["w"].tobytes())

    assert set(answers) == {np.ones(2).tobytes()}
    assert len(list(hidden(paths[0]).glob("data/*/*"))) == 1
    assert entries(paths[0]) == MANY
    injected("process or thread that calls at the same time", MANY)


def test_processes_that_mend_one_corrupt_entry_all_get_the_right_result(
    checkpoint: Path,
    log: Path,
    settled: None,
    injected: Injected,
) -> None:
    path = logged.artifact(Checkpoint(checkpoint), str(log)).path / "w" / "c.0.0"
    path.write_bytes(bytes(path.stat().st_size))

    answers = at_once(lambda _: logged(Checkpoint(checkpoint), str(log))["w"].tobytes())
    assert set(answers) == {SIX}
    injected("process or thread that calls at the same time", MANY)


def test_sixteen_threads_with_one_cold_key_run_the_function_once(
    checkpoint: Path,
    log: Path,
    settled: None,
    injected: Injected,
) -> None:
    gate = threading.Barrier(MANY, timeout=SECONDS)

    def work(_: int) -> bytes:
        gate.wait()
        return bytes(logged(Checkpoint(checkpoint), str(log))["w"])

    with ThreadPoolExecutor(MANY) as pool:
        answers = list(pool.map(work, range(MANY)))
    assert log.read_bytes() == b"x" and set(answers) == {SIX}
    injected("process or thread that calls at the same time", MANY)


def test_sixteen_threads_with_sixteen_keys_each_get_their_own(
    checkpoints: list[Path],
    log: Path,
    settled: None,
    injected: Injected,
) -> None:
    gate = threading.Barrier(MANY, timeout=SECONDS)

    def work(number: int) -> float:
        gate.wait()
        run = Run(checkpoints[0].parents[1])
        return float(nested(run[number], str(log))["w"][0])

    with ThreadPoolExecutor(MANY) as pool:
        assert list(pool.map(work, range(MANY))) == [2 * n + 1 for n in range(MANY)]
    assert log.read_bytes() == b"x" * MANY
    injected("process or thread that calls at the same time", MANY)


WORK = """
import os
from artifact_store import Checkpoint, analysis

@analysis
def told(checkpoint: Checkpoint, log: str):
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, b"x")
    os.close(descriptor)
    return checkpoint["w"].sum()

def work(path, log):
    return os.getpid(), float(told(path, log))
"""


@pytest.mark.parametrize("way", ["spawn", "forkserver", "fork", "loky"])
def test_workers_of_every_kind_run_the_function_once(
    way: str,
    checkpoint: Path,
    log: Path,
    write_module: WriteModule,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ARTIFACT_STORE_STRICT", "0")
    work = write_module("of_workers", WORK).work
    tasks = [(str(checkpoint), str(log))] * MANY
    if way == "loky":
        # Workers that another test has started would not find this module.
        get_reusable_executor().shutdown(wait=True, kill_workers=True)
        parallel = joblib.Parallel(n_jobs=2, backend="loky")
        done = parallel(joblib.delayed(work)(*task) for task in tasks)
    else:
        with ProcessPoolExecutor(2, get_context(way)) as pool:
            done = list(pool.map(work, *zip(*tasks, strict=True)))

    assert {result for _, result in done} == {15.0}
    assert os.getpid() not in {pid for pid, _ in done}
    assert log.read_bytes() == b"x"


def test_a_forked_child_and_its_parent_both_use_the_store(
    checkpoints: list[Path], log: Path, settled: None
) -> None:
    def use(*numbers: int) -> None:
        for n in numbers:
            result = nested(Checkpoint(checkpoints[n]), str(log))
            assert result["w"].tolist() == [2 * n + 1] * 2

    use(0, 1)
    assert in_child(lambda: use(0, 1, 2, 3)) == 0
    use(0, 1, 2, 3, 4)
    assert in_child(lambda: use(*range(MANY))) == 0
    assert log.read_bytes() == b"x" * MANY
    assert list(hidden(checkpoints[0]).glob("staging/*/*")) == []


@contextmanager
def paused(work: Callable[[], object]) -> Iterator[Callable[[int], bool]]:
    """A thread that does `work`; the function lets it go on by some lines, and says whether there are more."""
    asked, answered = threading.Semaphore(0), threading.Semaphore(0)
    lines, is_done = 0, False

    def trace(frame: FrameType, event: str, arg: object) -> Any:
        nonlocal lines
        if event == "line":
            lines -= 1
            if lines == 0:
                answered.release()
                asked.acquire()
        return trace

    def traced() -> None:
        nonlocal is_done
        asked.acquire()
        sys.settrace(trace)
        try:
            work()
        finally:
            sys.settrace(None)
            is_done = True
            answered.release()

    def go_on(number: int) -> bool:
        nonlocal lines
        lines = number
        asked.release()
        answered.acquire()
        return not is_done

    thread = threading.Thread(target=traced)
    thread.start()
    try:
        yield go_on
    finally:
        # Below zero, it never stops again.
        lines = 0
        asked.release()
        thread.join()


def forked_along(call: Callable[[int], object], first: int, step: int) -> list[int]:
    """Children that are forked every some lines of a call in a thread; each makes it too, after one of its own."""

    def child() -> None:
        signal.alarm(SECONDS)
        call(4)
        call(3)

    forked = []
    with paused(lambda: call(3)) as go_on:
        more = go_on(first)
        while more:
            forked.append(begun(child))
            more = go_on(step)
    return forked


@pytest.mark.parametrize("code", ["known", "new"])
def test_a_child_forked_between_any_two_lines_of_another_thread_never_hangs(
    code: str,
    run_directory: RunDirectory,
    write_module: WriteModule,
    log: Path,
    settled: None,
    injected: Injected,
) -> None:
    # What is imported on the way has been by now: to fork during an import is the fault of whoever does it.
    nested(Run(run_directory("warm"))[0], str(log))
    # Of code that is met for the first time, all that it can reach is walked: many more lines.
    step, every = (31, 1) if code == "known" else (251, 5)
    for first in range(1, step + 1, times(step, every)):
        log.unlink(missing_ok=True)
        path = run_directory(f"run_{first}", epochs=(3, 4))
        one = nested if code == "known" else write_module(f"new_{first}", WORK).told

        forked = forked_along(lambda n: one(Run(path)[n], str(log)), first, step)
        assert statuses(forked) == [0] * len(forked) and len(forked) > 20
        injected("child forked between any two lines of a call", len(forked))
        # Two keys: that of the thread and of all children, and that of the children.
        assert log.read_bytes() == b"xx"


def test_whoever_waits_goes_on_when_the_holder_is_killed_though_its_child_lives(
    tmp_path: Path,
) -> None:
    path = str(tmp_path / "lock")
    (over, end), (ready, held), (told, tell) = os.pipe(), os.pipe(), os.pipe()

    def hold() -> None:
        os.close(end)
        with leased(path, 7):
            if os.fork():
                os.write(held, b"held")
            os.read(over, 1)  # ends when the test does

    def wait() -> None:
        signal.alarm(SECONDS)
        os.close(end)
        with leased(path, 7):
            os.write(tell, b"taken over")

    holder = begun(hold)
    assert os.read(ready, 4) == b"held"
    waiter = begun(wait)
    os.kill(holder, signal.SIGKILL)
    assert statuses([holder, waiter]) == [signal.SIGKILL, 0]
    assert os.read(told, 10) == b"taken over"
    for one in (over, end, ready, held, told, tell):
        os.close(one)


def test_a_child_forked_by_a_holder_leaves_the_lease_to_it(tmp_path: Path) -> None:
    path, others = str(tmp_path / "lock"), place_of("0" * 64)

    def leave() -> None:
        with leased(path, others):
            assert is_leased(path, 7)

    with leased(path, 7):
        # One that leaves the block, as by an exception, and one that takes a lease of its own.
        assert in_child(leave) == 0
        child = os.fork()
        if child:
            assert statuses([child]) == [0] and is_leased(path, 7)
    if not child:
        os._exit(0 if is_leased(path, 7) else 1)
    assert not is_leased(path, 7) and not is_leased(path, others)
