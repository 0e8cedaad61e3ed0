"""Threads for what lets other threads run: reading, writing and digesting large pieces."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

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
        from concurrent.futures import ThreadPoolExecutor
    except RuntimeError:
        yield lambda work: work
        return
    with ThreadPoolExecutor(cores()) as pool:

        def begin(work: Callable[[], T]) -> Callable[[], T]:
            try:
                return pool.submit(work).result
            except RuntimeError:
                return work

        yield begin
