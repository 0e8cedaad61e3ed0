"""Timings of several ways at several sizes, as a table, a picture, or one figure of them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from benchmarks.measure import Timing, in_words
from benchmarks.report import Line, Plot
from benchmarks.workloads import Workload

T = TypeVar("T")

# By what is in a row, such as the size; ours is the first way of each.
Rows = Mapping[str, Sequence[Timing]]


def of_each(
    workloads: Iterable[Workload], measure: Callable[[Workload, Path], T]
) -> dict[str, T]:
    """What is measured of each size, in a folder of its own."""
    found = {}
    for workload in workloads:
        with tempfile.TemporaryDirectory() as directory:
            found[workload.name] = measure(workload, Path(directory))
    return found


def table(title: str, rows: Rows) -> str:
    """A row per size, a column per way, each beside the ratio of ours to it."""
    ours, *rivals = names_of(rows)
    head = [title, ours, *(part for name in rivals for part in (name, "ours / it"))]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for size, row in rows.items():
        cells = [size, in_words(medians(row)[ours])]
        for rival in rivals:
            cells += _beside(medians(row)[ours], medians(row).get(rival))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _beside(ours: float, theirs: float | None) -> tuple[str, str]:
    """A rival's cells, empty where it was not measured."""
    return ("", "") if theirs is None else (in_words(theirs), f"{ours / theirs:.2g}")


def ratio(row: Sequence[Timing], rival: str, ours: str = "artifact_store") -> float:
    """How much of a rival's time ours takes."""
    found = medians(row)
    return found[ours] / found[rival]


def plot(title: str, rows: Rows, x: str = "") -> Plot:
    """Columns of every way at every size."""
    lines = (
        Line(name, tuple(medians(row).get(name, float("nan")) for row in rows.values()))
        for name in names_of(rows)
    )
    return Plot(title, x, "median, seconds", tuple(rows), tuple(lines))


def plot_parts(title: str, found: Mapping[str, float]) -> Plot:
    """A bar for each part, or each way of doing something of one size."""
    line = Line("artifact_store", tuple(found.values()))
    return Plot(title, "", "median, seconds", tuple(found), (line,))


def names_of(rows: Rows) -> list[str]:
    """Every way that some row has, in order."""
    return list(dict.fromkeys(one.name for row in rows.values() for one in row))


def medians(row: Sequence[Timing]) -> dict[str, float]:
    """By way."""
    return {one.name: one.median for one in row}
