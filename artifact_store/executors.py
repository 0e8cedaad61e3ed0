"""Where calls run: in this process, or in joblib's workers."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Literal, TypeVar

T = TypeVar("T")
U = TypeVar("U")


def each(
    function: Callable[[T], U],
    items: Iterable[T],
    n_jobs: int,
    memory: Literal["own", "shared"] = "own",
) -> Iterator[U]:
    """`function` of each item, as they are ready.

    Parameters
    ----------
    n_jobs
        As joblib counts: 1 runs here, -1 on every core. `joblib.parallel_config` chooses another backend.
    memory
        Whether workers are processes, or threads that share this one's.
    """
    if n_jobs == 1:
        return map(function, items)
    # Here and not above for its weight: most runs have one worker.
    import joblib

    if memory == "shared":
        function = partial(_run_in, contextvars.copy_context(), function)
    parallel = joblib.Parallel(
        n_jobs=n_jobs,
        return_as="generator_unordered",
        require="sharedmem" if memory == "shared" else None,
    )
    return iter(parallel(joblib.delayed(function)(item) for item in items))


def _run_in(context: contextvars.Context, function: Callable[[T], U], item: T) -> U:
    # A thread begins with no variable set, and a context is entered by one at a time.
    return context.copy().run(function, item)
