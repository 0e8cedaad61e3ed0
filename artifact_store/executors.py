"""Where calls run: in this process, or in joblib's workers, which share its cores."""

from __future__ import annotations

import contextvars
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
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
        As joblib counts: 1 runs here, -1 on every core. `joblib.parallel_config` chooses another backend, and how
        many threads the libraries in a worker may use; if not chosen, the cores are shared out evenly.
    memory
        Whether workers are processes, or threads that share this one's.
    """
    if n_jobs == 1:
        return map(function, items)
    if memory == "shared":
        function = partial(_run_in, contextvars.copy_context(), function)
    return _by_workers(function, items, n_jobs, memory)


def _by_workers(
    function: Callable[[T], U], items: Iterable[T], n_jobs: int, memory: str
) -> Iterator[U]:
    # Here and not above for its weight: most runs have one worker.
    import joblib

    parallel = joblib.Parallel(
        n_jobs=n_jobs,
        return_as="generator_unordered",
        require="sharedmem" if memory == "shared" else None,
    )
    with _torch_sharing_cores(joblib.effective_n_jobs(n_jobs)):
        yield from parallel(joblib.delayed(function)(item) for item in items)


@contextmanager
def _torch_sharing_cores(n_jobs: int) -> Iterator[None]:
    """Have PyTorch, if somebody has loaded it, use an equal part of its threads in each of `n_jobs` threads.

    Processes need no help: joblib starts them with `OMP_NUM_THREADS` and its like at an equal part. In threads, of
    which each would have a team of its own on all cores, PyTorch goes by what it was last told.
    """
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    threads = torch.get_num_threads()
    torch.set_num_threads(max(1, threads // n_jobs))
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _run_in(context: contextvars.Context, function: Callable[[T], U], item: T) -> U:
    # A thread begins with no variable set, and a context is entered by one at a time.
    return context.copy().run(function, item)
