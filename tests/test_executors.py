from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextvars import ContextVar

import joblib
import pytest
import torch
from joblib.externals.loky import get_reusable_executor

from artifact_store.executors import Lost, each

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
