"""Ctrl-C, too little memory, an exit: wherever it comes, nothing is half there, and the next call may compute."""

from __future__ import annotations

import itertools
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from pathlib import Path
from types import FrameType
from typing import Any, Final

import pytest
from conftest import Injected, is_long, times
from harness import descriptors, in_child, interposed, operations, raising_at
from sites import ANALYSES, all_is_whole, large, new_site, watched

import artifact_store
from artifact_store import Checkpoint, analysis
from artifact_store.leases import is_leased, place_of
from artifact_store.stores.local import LocalStore

OF_WHICH_SOME = ("small", "large", "packed")


@pytest.fixture(autouse=True)
def log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settled: None
) -> Iterator[Path]:
    """Where bodies note that they ran."""
    yield from watched(tmp_path, monkeypatch)


@pytest.mark.parametrize("error", [MemoryError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("name", OF_WHICH_SOME)
def test_what_interrupts_a_publication_leaves_nothing_and_frees_the_lease(
    tmp_path: Path, error: type[BaseException], name: str, injected: Injected
) -> None:
    counted = new_site(tmp_path / "counted")
    total = len(operations(lambda: counted.call(name), counted.store))
    for number in range(1, total + 1, 1 if is_long() else 5):
        site = new_site(tmp_path / f"{number}")
        key, before = ANALYSES[name].key(site.checkpoint()), descriptors()
        with raising_at(number, error, site.store), pytest.raises(error):
            site.call(name)
            raise error("was not reached")
        all_is_whole(site)
        assert not is_leased(f"{site.store}/.store/lock", place_of(key.digest.hex))
        assert descriptors() <= before
        site.call(name)
        shutil.rmtree(site.root)
        injected("Ctrl-C, exit or too little memory at an operation", 1)


# Where what is noted of this process or thread outlives a line: of these, every line; of all others, some.
OURS: Final = f"{Path(artifact_store.__file__).parent}/"
HOLDING: Final = tuple(f"{OURS}{name}.py" for name in ("leases", "computations"))


def interrupted_at(
    number: int, below: str | tuple[str, ...], work: Callable[[], object]
) -> bool:
    """Do something, with Ctrl-C before line `number` of some files in this thread; whether it came to that."""
    lines = itertools.count(1)

    def trace(frame: FrameType, event: str, arg: object) -> Any:
        # What is raised while something is deleted is told, and goes no further.
        names = [one.f_code.co_name for one in (frame, frame.f_back) if one]
        if not frame.f_code.co_filename.startswith(below) or "__del__" in names:
            return None
        if event == "line" and next(lines) == number:
            raise KeyboardInterrupt
        return trace

    sys.settrace(trace)
    try:
        work()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(None)
    return False


@pytest.mark.parametrize(
    "below, step", [(OURS, times(37, 3)), (HOLDING, 1)], ids=["all", "holding"]
)
def test_control_c_between_any_two_lines_leaves_nothing_that_stands_in_the_way(
    tmp_path: Path, injected: Injected, below: str | tuple[str, ...], step: int
) -> None:
    site, counted = new_site(tmp_path / "run"), tmp_path / "counted"
    site.call("small", "several")
    key = ANALYSES["nested"].key(site.checkpoint())

    def interrupt_each() -> None:
        # Whoever waits in vain is ended.
        signal.alarm(600)
        number, tries = 1, 0
        while interrupted_at(number, below, lambda: site.call("nested")):
            assert not is_leased(f"{site.store}/.store/lock", place_of(key.digest.hex))
            site.call("nested", "small")
            LocalStore(site.store).remove([key])
            number, tries = number + step, tries + 1
        counted.write_text(str(tries))

    # In a process of its own, of which the interpreter itself may remember an interrupt that a trace made.
    assert in_child(interrupt_each) == 0
    assert int(counted.read_text()) > 50
    injected("Ctrl-C between two lines", int(counted.read_text()))
    all_is_whole(site)


@analysis(ignore=("error",))
def raising(checkpoint: Checkpoint, error: Any = None) -> Any:
    if error is not None:
        raise error("in the function")
    return checkpoint["w"]


@pytest.mark.parametrize("error", [MemoryError, KeyboardInterrupt, SystemExit, OSError])
def test_what_a_function_raises_is_passed_on_and_the_next_call_may_compute(
    tmp_path: Path, error: type[BaseException]
) -> None:
    site = new_site(tmp_path / "run")

    with pytest.raises(error, match="in the function"):
        raising(site.checkpoint(), error=error)
    assert list(LocalStore(site.store).keys()) == []
    assert in_child(lambda: raising(site.checkpoint())) == 0
    assert raising.find(site.checkpoint()) is not None


def test_control_c_in_a_large_write_waits_for_it_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A shell has what it starts in the background ignore Ctrl-C.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    site, main = new_site(tmp_path / "run"), threading.get_ident()
    writes, goes_on, beside = threading.Event(), threading.Event(), list[str]()
    wait = futures.wait

    def noted(begun: list[Any]) -> None:
        goes_on.set()
        wait(begun)

    def act(name: str, real: Callable[[], Any], args: tuple[Any, ...]) -> Any:
        if threading.get_ident() == main:
            if writes.is_set() and not goes_on.is_set():
                beside.append(name)
                goes_on.set()
        elif name == "posix_fallocate":
            writes.set()
            # Until nothing is left to do but to wait for this thread.
            while "join" not in _functions(main):
                pass
            signal.pthread_kill(main, signal.SIGINT)
            while not goes_on.wait(1):
                # It came the moment before the thread began to wait, which nothing then interrupts.
                signal.pthread_kill(main, signal.SIGINT)
        return real()

    monkeypatch.setattr(futures, "wait", noted)
    with interposed(site.store, act), pytest.raises(KeyboardInterrupt):
        large(site.checkpoint())
    signal.signal(signal.SIGINT, before)
    assert goes_on.is_set() and beside == []
    assert list(site.store.glob(".store/staging/*/*")) == []
    site.call("large")
    all_is_whole(site)


def _functions(thread: int) -> list[str]:
    """The names of what a thread is in."""
    frame, names = sys._current_frames()[thread], list[str]()
    while frame is not None:
        names.append(frame.f_code.co_name)
        frame = frame.f_back  # type: ignore[assignment]
    return names
