from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import (
    BrokenExecutor,
    Executor,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
)
from contextvars import ContextVar
from multiprocessing import get_context

import joblib
import pytest
import torch
from joblib.externals.loky import get_reusable_executor

from artifact_store.executors import Lost, each, each_by

CHOSEN: ContextVar[str] = ContextVar("CHOSEN", default="nothing")


@pytest.fixture
def two_torch_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def own_workers() -> Iterator[None]:
    """Workers that no other test has used, or will."""
    get_reusable_executor().shutdown(wait=True)
    yield
    get_reusable_executor().shutdown(wait=True)


def test_threads_see_the_context_variables_of_the_caller() -> None:
    token = CHOSEN.set("something")
    try:
        seen = list(each(lambda item: CHOSEN.get(), range(4), 2, "shared"))
    finally:
        CHOSEN.reset(token)

    assert seen == ["something"] * 4


def test_one_worker_is_the_thread_that_asks() -> None:
    assert list(each(lambda _: threading.get_ident(), [0], 1)) == [
        threading.get_ident()
    ]


def test_threads_share_out_what_torch_may_use_and_then_give_it_back(
    two_torch_threads: None,
) -> None:
    def count(_: int) -> int:
        return torch.get_num_threads()

    assert list(each(count, range(4), 2, "shared")) == [1] * 4
    with joblib.parallel_config("threading"):
        assert list(each(count, range(4), 2)) == [1] * 4
    assert torch.get_num_threads() == 2
    assert list(each(count, range(2), 1)) == [2] * 2


def test_torch_has_its_threads_back_after_a_failure(two_torch_threads: None) -> None:
    with pytest.raises(ZeroDivisionError):
        list(each(lambda item: 1 / item, [0, 0], 2, "shared"))

    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("chosen", [None, 3])
def test_libraries_in_processes_use_an_equal_part_of_the_cores_or_what_was_chosen(
    chosen: int | None, own_workers: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)

    def threads(_: int) -> str:
        return os.environ["OMP_NUM_THREADS"]

    if chosen is None:
        (found,) = each(threads, [0], 2)
    else:
        with joblib.parallel_config("loky", inner_max_num_threads=chosen):
            (found,) = each(threads, [0], 2)

    assert not isinstance(found, Lost)
    assert int(found) == (chosen or max(1, joblib.cpu_count() // 2))


def test_workers_do_not_load_torch_for_those_who_do_not_use_it() -> None:
    program = (
        "import sys; from artifact_store.executors import each\n"
        "assert list(each(abs, [-1], 2, 'shared')) == [1] and 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def broken() -> Executor:
    pool = ProcessPoolExecutor(1, get_context("spawn"))
    with pytest.raises(BrokenExecutor):
        pool.submit(os._exit, 1).result()
    return pool


def shut_down() -> Executor:
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    return pool


@pytest.mark.parametrize("ended", [broken, shut_down])
def test_an_executor_that_takes_no_work_loses_it_and_raises_nothing(
    ended: Callable[[], Executor],
) -> None:
    lost = list(each_by(ended(), abs, [-1, -2]))

    assert [one.item for one in lost if isinstance(one, Lost)] == [-1, -2]
    assert all("make another" in one.how for one in lost if isinstance(one, Lost))


def test_what_an_executor_cancels_as_it_is_shut_down_is_lost_and_not_waited_for() -> (
    None
):
    begun, end = threading.Event(), threading.Event()

    def waits(item: int) -> int:
        begun.set()
        end.wait()
        return item

    pool = ThreadPoolExecutor(1)
    found = each_by(pool, waits, range(3))
    with ThreadPoolExecutor(1) as other:
        all_of_it = other.submit(list, found)
        begun.wait()
        pool.shutdown(wait=False, cancel_futures=True)
        end.set()
        first, *lost = sorted(
            all_of_it.result(timeout=60), key=lambda one: isinstance(one, Lost)
        )

    assert first == 0
    assert sorted(one.item for one in lost if isinstance(one, Lost)) == [1, 2]


def test_whoever_stops_listening_to_an_executor_cancels_what_was_not_begun() -> None:
    seen = list[int]()
    first, end = threading.Event(), threading.Event()

    def notes(item: int) -> int:
        seen.append(item)
        if item:
            first.set()
            end.wait()
        return item

    with ThreadPoolExecutor(1) as pool:
        found = each_by(pool, notes, range(9))
        assert isinstance(found, Generator) and next(found) == 0
        first.wait()
        found.close()
        end.set()

    assert seen == [0, 1]
