"""Threads for what lets other threads run: reading, writing and digesting large pieces."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")


def cores() -> int:
    """How many threads can run at once."""
    return len(os.sched_getaffinity(0))


@contextmanager
def worker() -> Iterator[Callable[[Callable[[], T]], Callable[[], T]]]:
    """A way to have work done meanwhile: what it gives waits for the result, or does it where there are no threads.

    There are none while the interpreter ends, and where the system gives no more.
    """
    try:
        # Here and not above for its weight; and it cannot be imported at the end, either.
        from concurrent.futures import Future, ThreadPoolExecutor, wait
    except RuntimeError:
        yield lambda work: work
        return
    pool, begun = ThreadPoolExecutor(cores()), list[Future[Any]]()

    def begin(work: Callable[[], T]) -> Callable[[], T]:
        try:
            future = pool.submit(work)
        except RuntimeError:
            return work
        begun.append(future)
        return future.result

    try:
        yield begin
    finally:
        try:
            pool.shutdown()
        except BaseException:
            # Interrupted: what cleans up after threads must not do so beside them, and a thread that an interrupted
            # `join` waited for counts as ended.
            wait(begun)
            raise
