"""What all benchmarks found, as one page: `RESULTS.md`, with a picture for each question."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path

from benchmarks.machine import machine, versions
from benchmarks.measure import in_words
from benchmarks.plots import draw
from benchmarks.report import Answer, Bar

PAGE = Path(__file__).parent / "RESULTS.md"
PLOTS = PAGE.parent / "plots"

SIGNS = {"at most": "≤", "at least": "≥", "below": "<"}


def write(answers: Mapping[str, Answer], failed: Mapping[str, str], took: float) -> None:  # fmt: skip
    """Write the page and its pictures in place of those of the last run."""
    PLOTS.mkdir(exist_ok=True)
    for old in PLOTS.glob("*.svg"):
        old.unlink()
    parts = [*head(took), *bars_of(answers, failed)]
    for name, answer in answers.items():
        parts += [f"## `{name}`: {lowered(answer.title)}", *pictures(name, answer), answer.text]  # fmt: skip
    for name, error in failed.items():
        parts += [f"## `{name}` FAILED", f"```\n{error.strip()}\n```"]
    PAGE.write_text("\n\n".join(parts) + "\n")


def head(took: float) -> Iterator[str]:
    """When, where and with what."""
    yield "# Results"
    yield (
        f"Written by `make bench` on {date.today()}, in {in_words(took)}; what is asked and how to read it is in the "
        "[README](README.md). Times are medians; ratios are those of medians, taken in turn in one process."
    )
    for facts in (machine(), versions()):
        yield ", ".join(f"{name} {value}" for name, value in facts.items()) + "."


def bars_of(answers: Mapping[str, Answer], failed: Mapping[str, str]) -> Iterator[str]:
    """All that was promised, and whether it holds."""
    bars = [bar for answer in answers.values() for bar in answer.bars]
    missed = [bar for bar in bars if not bar.is_met]
    yield "## Bars"
    yield f"{len(bars) - len(missed)} of {len(bars)} are met." + (
        f" **These failed and say nothing: {', '.join(failed)}.**" if failed else ""
    )
    yield table_of(bars)


def table_of(bars: Iterable[Bar]) -> str:
    """A row for each."""
    rows = (
        f"| {bar.what} | {amount(bar, bar.measured)} | {SIGNS[bar.sense]} {amount(bar, bar.limit)} "
        f"| {'met' if bar.is_met else '**not met**'} |"
        for bar in bars
    )
    return "\n".join(["| what | measured | bar | |", "|---|---|---|---|", *rows])


def amount(bar: Bar, value: float) -> str:
    """A figure in the unit of its bar."""
    if bar.unit == "s":
        return in_words(value)
    if bar.unit == "B":
        return f"{value / 1e6:.3g} MB" if value >= 1e6 else f"{value:,.0f} B"
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


def pictures(name: str, answer: Answer) -> Iterator[str]:
    """A link to each picture of an answer, which is drawn for it."""
    for number, plot in enumerate(answer.plots, 1):
        file = PLOTS / (f"{name}.svg" if number == 1 else f"{name}_{number}.svg")
        draw(plot, file)
        yield f"![{plot.title}]({file.relative_to(PAGE.parent)})"


def lowered(title: str) -> str:
    """A question, as it goes on after a colon."""
    return title[:1].lower() + title[1:]
