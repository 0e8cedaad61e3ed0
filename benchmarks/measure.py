"""Timing several ways of doing one thing in one process, so that what disturbs one disturbs all."""

from __future__ import annotations

import gc
import multiprocessing
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

# A way to do it: given the number of the round, do it once.
Way = Callable[[int], object]


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds that one way took, call by call."""

    name: str
    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return median(self.seconds)

    def without(self, part: Timing) -> Timing:
        """What it takes beyond a part of it that was timed by itself."""
        return Timing(self.name, tuple(one - part.median for one in self.seconds))


def race(
    ways: Mapping[str, Way],
    rounds: int,
    after: Callable[[int], object] = lambda _: None,
    burst: int = 1,
    before: Callable[[], object] = lambda: None,
) -> list[Timing]:
    """Time each way in each round, in an order that alternates.

    Parameters
    ----------
    rounds
        Those before the first are numbered below zero, and not counted.
    after, before
        Done after each round and before each way, untimed.
    burst
        How often each way is called in a row, each call timed by itself. At microseconds a single call tells mostly
        what the way before it left of the processor's caches; where calls come in loops, so should these.
    """
    taken = {name: list[float]() for name in ways}
    with without_garbage_collection():
        for number in range(-warmups(rounds), rounds):
            for name in list(ways) if number % 2 else reversed(list(ways)):
                before()
                seconds = [timed(ways[name], number) for _ in range(burst)]
                if number >= 0:
                    taken[name] += seconds
            after(number)
    return [Timing(name, tuple(seconds)) for name, seconds in taken.items()]


def warmups(rounds: int) -> int:
    """How many rounds go before those that count."""
    return max(3, rounds // 10)


def timed(way: Way, number: int) -> float:
    """Seconds of one call."""
    started = time.perf_counter()
    way(number)
    return time.perf_counter() - started


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Collect now and not again until the end."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def elsewhere(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What `function` gives in a new interpreter, which remembers nothing and leaves nothing in ours."""
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=fresh) as pool:
        return pool.submit(function, *args, **kwargs).result()


def in_words(seconds: float) -> str:
    """A duration with three digits and the unit that fits."""
    if abs(seconds) >= 1:
        return f"{seconds:.3g} s"
    return (
        f"{seconds * 1e3:.3g} ms" if abs(seconds) >= 1e-3 else f"{seconds * 1e6:.3g} µs"
    )
