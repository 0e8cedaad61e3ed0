"""Plots as pictures: the same bytes for the same figures, legible on a light page and on a dark one."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Any, Literal

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from benchmarks.measure import in_words
from benchmarks.report import Line, Plot

# Ids in the file are otherwise random, and its date that of the run.
SALT = "artifact_store"

# Told apart by most eyes (Okabe and Ito); ours, the first, stands out.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#999999")

# Of a column or bar and its neighbours, until the next point.
WIDTH = 0.8

STYLE: Any = {
    "svg.hashsalt": SALT,
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "axes.edgecolor": "#888888",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.titlelocation": "left",
    "grid.color": "#e4e4e4",
    "text.color": "#222222",
    "axes.labelcolor": "#222222",
    "xtick.color": "#222222",
    "ytick.color": "#222222",
    "font.family": "DejaVu Sans",
    "font.size": 10,
}


def draw(plot: Plot, file: Path) -> None:
    """Draw `plot` as SVG."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8, 4.2), layout="constrained")
        axes = figure.add_subplot()
        axes.set_title(plot.title)
        if not any(isinstance(point, str) for point in plot.points):
            _draw_lines(axes, plot)
        elif max(len(str(point)) for point in plot.points) * len(plot.points) > 80:
            _draw_bars(axes, plot)
        else:
            _draw_columns(axes, plot)
        if len(plot.lines) > 1:
            axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
        figure.savefig(file, format="svg", metadata={"Date": None})


def _draw_columns(axes: Axes, plot: Plot) -> None:
    """A group of columns at each point."""
    places = np.arange(len(plot.points))
    for shift, width, line, colour in _side_by_side(plot):
        axes.bar(places + shift, line.values, width, label=line.name, color=colour)
    axes.set_xticks(places, [str(point) for point in plot.points])
    axes.set(xlabel=plot.x, ylabel=_label(plot.y))
    axes.grid(axis="x", visible=False)
    _scale(axes, "y", plot)


def _draw_bars(axes: Axes, plot: Plot) -> None:
    """The same lying down, where the points have long names; the first is on top."""
    places = np.arange(len(plot.points))
    for shift, width, line, colour in _side_by_side(plot):
        axes.barh(places + shift, line.values, width, label=line.name, color=colour)
    axes.set_yticks(places, [str(point) for point in plot.points])
    axes.set(xlabel=_label(plot.y))
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    _scale(axes, "x", plot)


def _side_by_side(plot: Plot) -> Iterator[tuple[float, float, Line, str]]:
    """How far from its point each line stands, how wide it is, and its colour."""
    width = WIDTH / len(plot.lines)
    for number, (line, colour) in enumerate(zip(plot.lines, cycle(COLOURS))):
        shift = (number - (len(plot.lines) - 1) / 2) * width
        yield shift, width * 0.92, line, colour


def _draw_lines(axes: Axes, plot: Plot) -> None:
    """Each line with its points; a scale by powers of ten where these are far apart."""
    points = [float(point) for point in plot.points]
    for line, colour in zip(plot.lines, cycle(COLOURS)):
        axes.plot(points, line.values, marker="o", label=line.name, color=colour)
    if points and min(points) > 0 and max(points) / min(points) > 20:
        axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.10g}"))
    axes.set(xlabel=plot.x, ylabel=_label(plot.y))
    _scale(axes, "y", plot)


def _label(y: str) -> str:
    """What the values are; of seconds, every tick names its unit."""
    return "time" if y == "seconds" else y.removesuffix(", seconds")


def _scale(axes: Axes, of: Literal["x", "y"], plot: Plot) -> None:
    """The axis of the values: whole powers of ten, of which each is named, or from nought."""
    values = [y for line in plot.lines for y in line.values if math.isfinite(y)]
    limits = min(0, *values), max(values) * 1.05
    axis = axes.xaxis if of == "x" else axes.yaxis
    if plot.is_logarithmic and min(values) > 0:
        axes.set(**{f"{of}scale": "log"})
        axis.set_minor_formatter(NullFormatter())
        least = math.floor(math.log10(min(values) * 0.9))
        limits = 10**least, 10 ** max(math.ceil(math.log10(max(values))), least + 1)
    axes.set(**{f"{of}lim": limits})
    if "second" in plot.y:
        axis.set_major_formatter(FuncFormatter(lambda y, _: in_words(y) if y else "0"))
