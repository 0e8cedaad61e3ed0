"""Fresh processes: each does tasks of one kind, one after the other, and tells what came of them or ends.

    tasks ──► one process for each kind and core ──► (task, what it gave | *Ended*), as they are ready

A process that dies takes its task along and no other one. What is left of them when nobody waits any more is killed.
"""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import connection, get_context, resource_tracker
from typing import Final, Generic, TypeVar

T = TypeVar("T")
U = TypeVar("U")

_SEED_VARIABLE: Final = "PYTHONHASHSEED"
# Of a hash seed; 0 would turn randomness off.
_SEEDS: Final = range(1, 1 << 32)
# What an interpreter needs at most to end that has nothing more to do.
_END_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended that was to do a task."""

    how: str


def in_fresh_processes(
    do: Callable[[T], U], tasks: Iterable[T], kind_of: Callable[[T], str], n_jobs: int
) -> Generator[tuple[T, U | Ended], None, None]:
    """What `do`, which an import must find, gives for each task.

    Parameters
    ----------
    kind_of
        Tasks of different kinds never share a process, so that what one does to its process harms no other kind.

    Closing the iterator ends what still runs.
    """
    waiting: dict[str, list[T]] = {}
    for task in tasks:
        waiting.setdefault(kind_of(task), []).append(task)
    busy: dict[connection.Connection, tuple[_Process[T, U], str, T]] = {}

    def hand_out(process: _Process[T, U], kind: str) -> None:
        task = waiting[kind].pop(0)
        if not waiting[kind]:
            del waiting[kind]
        busy[process.answers] = process, kind, task
        process.begin(task)

    try:
        while waiting or busy:
            while waiting and len(busy) < max(1, n_jobs):
                longest = max(waiting, key=lambda kind: len(waiting[kind]))
                hand_out(_Process(do), longest)
            ready = connection.wait(list(busy))
            for answers in [one for one in busy if one in ready]:
                process, kind, task = busy.pop(answers)
                answer = process.answer()
                if isinstance(answer, Ended) or kind not in waiting:
                    process.end()
                else:
                    hand_out(process, kind)
                yield task, answer
    finally:
        for process, _, _ in busy.values():
            process.kill()


class _Process(Generic[T, U]):
    """A process that does what it is sent, until nobody can send more."""

    def __init__(self, do: Callable[[T], U]) -> None:
        context = get_context("spawn")
        self.answers, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(do, theirs))
        # It is started with the first process otherwise, and lets interrupts through when it is.
        resource_tracker.ensure_running()
        with _another_hash_seed(), _without_interrupts():
            self._process.start()
        theirs.close()

    def begin(self, task: T) -> None:
        """Have it do a task."""
        try:
            self.answers.send(task)
        except OSError:
            pass  # It is gone, as whoever waits for its answer learns.

    def answer(self) -> U | Ended:
        """What came of its task, as soon as something came."""
        try:
            found: U = self.answers.recv()
            return found
        except (EOFError, OSError):
            self._process.join()
            code = self._process.exitcode or 0
            return Ended(
                f"was killed by {signal.Signals(-code).name}"
                if code < 0
                else f"ended with status {code}"
            )

    def end(self) -> None:
        """Let it end by itself, as it has nothing more to do."""
        self.answers.close()
        self._process.join(_END_SECONDS)
        self.kill()

    def kill(self) -> None:
        """End it, whatever it does."""
        self._process.kill()
        self._process.join()
        self.answers.close()


def _serve(do: Callable[[T], U], tasks: connection.Connection) -> None:
    """Answer tasks in a fresh process, until there are no more."""
    # What a function prints is part of no answer, and our own output may be one document.
    silence = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(silence, stream)
    while True:
        try:
            task = tasks.recv()
        except EOFError:
            return
        except Exception as error:  # of what makes its parts again
            tasks.send(Ended(f"could not be told what to do ({error!r})"))
            continue
        tasks.send(do(task))


@contextmanager
def _another_hash_seed() -> Iterator[None]:
    """Have processes that are started hash words in another order than this one, and than by default."""
    before = os.environ.get(_SEED_VARIABLE)
    os.environ[_SEED_VARIABLE] = str(random.SystemRandom().choice(_SEEDS))
    try:
        yield
    finally:
        if before is None:
            del os.environ[_SEED_VARIABLE]
        else:
            os.environ[_SEED_VARIABLE] = before


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Have processes that are started hear no Ctrl-C, which is for this one: it ends them, and they say nothing."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
