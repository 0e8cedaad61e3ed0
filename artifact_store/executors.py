"""Where calls run: in this process, in joblib's workers, in those of any executor; and which of them here at all."""

from __future__ import annotations

import contextvars
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import (
    BrokenExecutor,
    Executor,
    Future,
    ThreadPoolExecutor,
)
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from typing import Final, Generic, Literal, TypeVar

from artifact_store.errors import BadShard

T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True, slots=True)
class Everything:
    """All of the work."""

    def has(self, place: int | None) -> bool:
        """Whether what stands at a place in the run is part of it; of what is of the whole run, `None`."""
        return True


EVERYTHING: Final = Everything()

_SHARD: Final = re.compile(r"([0-9]{1,9})/([0-9]{1,9})")


@dataclass(frozen=True, slots=True)
class Shard:
    """One of `of` parts of the work, counted from 1, that together are all of it and have nothing in common.

    Every `of`-th of the checkpoints that were asked for is in it, by their places: later ones, which may take longer,
    are shared out like earlier ones, and those that a training adds move no other. What is of the whole run is in none.
    """

    number: int
    of: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.of:
            raise BadShard(f"{self.number}/{self.of}")

    @classmethod
    def parse(cls, said: str) -> Shard:
        """As in `2/8`."""
        found = _SHARD.fullmatch(said)
        if found is None:
            raise BadShard(said)
        return cls(int(found[1]), int(found[2]))

    def has(self, place: int | None) -> bool:
        """Whether what stands at a place in the run is part of it; of what is of the whole run, `None`."""
        return place is not None and place % self.of == self.number - 1


@dataclass(frozen=True, slots=True)
class Lost(Generic[T]):
    """What a worker was to do that ended before it was done, and how it ended."""

    item: T
    how: str


def each(
    function: Callable[[T], U],
    items: Iterable[T],
    n_jobs: int,
    memory: Literal["own", "shared"] = "own",
) -> Iterator[U | Lost[T]]:
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
    return _by_workers(function, list(items), n_jobs, memory)


def _by_workers(
    function: Callable[[T], U], items: list[T], n_jobs: int, memory: str
) -> Iterator[U | Lost[T]]:
    # Here and not above for its weight: most runs have one worker.
    import joblib
    from joblib.parallel import get_active_backend

    # Ray's workers tell nothing before all are done.
    tells = get_active_backend()[0].supports_return_generator
    parallel = joblib.Parallel(
        n_jobs=n_jobs,
        return_as="generator_unordered" if tells else "list",
        require="sharedmem" if memory == "shared" else None,
    )
    left = dict(enumerate(items))
    work = (joblib.delayed(_numbered)(function, *one) for one in enumerate(items))
    with _torch_sharing_cores(joblib.effective_n_jobs(n_jobs)):
        try:
            for number, result in parallel(work):
                del left[number]
                yield result
        except BrokenExecutor:
            # Nobody says whose worker it was. Of what is left each has one that takes nothing else along.
            yield from _alone(function, list(left.values()), n_jobs)


def _numbered(function: Callable[[T], U], number: int, item: T) -> tuple[int, U]:
    return number, function(item)


def _alone(
    function: Callable[[T], U], items: list[T], n_jobs: int
) -> Iterator[U | Lost[T]]:
    import joblib

    from artifact_store.processes import Ended, in_fresh_processes

    workers = joblib.effective_n_jobs(n_jobs)
    for item, result in in_fresh_processes(function, items, lambda item: "", workers):
        yield Lost(item, result.how) if isinstance(result, Ended) else result


def each_by(
    executor: Executor, function: Callable[[T], U], items: Iterable[T]
) -> Iterator[U | Lost[T]]:
    """`function` of each item by the workers of an executor, as they are ready."""
    if isinstance(executor, ThreadPoolExecutor):
        function = partial(_run_in, contextvars.copy_context(), function)
    begun = dict[Future[U], T]()
    # Not `as_completed`: nobody wakes it for what a pool cancels as it is shut down.
    ended = SimpleQueue[Future[U]]()
    try:
        for item in items:
            try:
                future = executor.submit(function, item)
            except RuntimeError as error:  # A broken pool's is one, too.
                how = f"got no work from an executor that takes none any more; make another ({_named(error)})"
                yield Lost(item, how)
                continue
            begun[future] = item
            future.add_done_callback(ended.put)
        for _ in range(len(begun)):
            future = ended.get()
            answer: U | Lost[T] = _came_of(future, begun[future])
            yield answer
    finally:
        for future in begun:
            future.cancel()


def _came_of(future: Future[U], item: T) -> U | Lost[T]:
    """What a worker answered, or how it did not."""
    if future.cancelled():
        return Lost(
            item, "was never started, as its executor cancelled the work; make another"
        )
    error = future.exception()
    if error is None:
        return future.result()
    return Lost(item, f"ended without an answer ({_named(error)})")


def _named(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


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
