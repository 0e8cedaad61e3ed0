"""Timing several ways of doing one thing in one run, so that what disturbs one disturbs all."""

from __future__ import annotations

import gc
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.workloads import WORKLOADS, Workload

# A way to do it: given the number of the round, do it once.
Way = Callable[[int], object]


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds that one way took, round by round."""

    name: str
    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return median(self.seconds)


def race(
    ways: Mapping[str, Way],
    rounds: int,
    after: Callable[[int], object] = lambda _: None,
) -> list[Timing]:
    """Time each way once a round, in an order that alternates; `after` each round tidies up, untimed."""
    names, taken = list(ways), {name: list[float]() for name in ways}
    gc.collect()
    gc.disable()
    try:
        for number in range(-max(3, rounds // 10), rounds):
            for name in names if number % 2 else reversed(names):
                started = time.perf_counter()
                ways[name](number)
                seconds = time.perf_counter() - started
                if number >= 0:
                    taken[name].append(seconds)
            after(number)
    finally:
        gc.enable()
    return [Timing(name, tuple(seconds)) for name, seconds in taken.items()]


def tabulate(title: str, measure: Callable[[Workload, Path], list[Timing]]) -> str:
    """The table of all workloads, each measured in a directory of its own."""
    rows = {}
    for workload in WORKLOADS:
        with tempfile.TemporaryDirectory() as directory:
            rows[str(workload)] = measure(workload, Path(directory))
    return table(title, rows)


def table(title: str, rows: Mapping[str, list[Timing]]) -> str:
    """A markdown table: a row per workload, a column per way, each beside the ratio of ours to it."""
    names = [timing.name for timing in next(iter(rows.values()))]
    head = [
        title,
        names[0],
        *(part for name in names[1:] for part in (name, f"ours / {name}")),
    ]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for workload, (ours, *rivals) in rows.items():
        cells = [workload, in_words(ours.median)]
        for rival in rivals:
            cells += [in_words(rival.median), f"{ours.median / rival.median:.2f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def in_words(seconds: float) -> str:
    """A duration with three digits and the unit that fits."""
    if seconds >= 1:
        return f"{seconds:.3g} s"
    return f"{seconds * 1e3:.3g} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.3g} µs"
