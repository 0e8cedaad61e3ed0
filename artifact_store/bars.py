"""Bars: how far a pipeline is, as a terminal shows it.

A module of its own for the weight of rich, which only those who sit at a terminal and wait pay.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Timer
from time import monotonic
from typing import Final

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from artifact_store.outcomes import ENDINGS
from artifact_store.quantities import duration
from artifact_store.tallies import Tally
from artifact_store.terminals import in_one_line, visible

STYLES: Final = {"computed": "green", "hit": "cyan", "failed": "red"}

# Of the terminal, what is left for others.
_MARGIN: Final = 4


@contextmanager
def bars(run: str, tally: Tally, delay: float) -> Iterator[Callable[[], None]]:
    """A bar for each analysis, from `delay` seconds on until all is done."""
    console = Console(stderr=True)
    live = Live(
        get_renderable=lambda: _drawn(run, tally, console.height - _MARGIN),
        console=console,
        refresh_per_second=8,
        transient=True,
        # What a function prints goes above the bars, unless it goes into a file.
        redirect_stdout=sys.stdout.isatty(),
    )
    # By the clock: the first artifact may take minutes.
    timer = Timer(delay, live.start)
    timer.daemon = True
    timer.start()
    try:
        yield lambda: None
    finally:
        timer.cancel()
        timer.join()
        live.stop()


def _drawn(run: str, tally: Tally, height: int) -> Group:
    if not tally.totals:
        return Group()
    names = [n for n in tally.totals if _done(tally, n) < tally.totals[n]]
    names += [n for n in tally.totals if n not in names]
    shown = set(names[: max(1, height)])
    table = Table.grid(padding=(0, 2, 0, 0), expand=True)
    table.add_column(no_wrap=True, overflow="ellipsis", max_width=28)
    table.add_column(ratio=1, min_width=6)
    widest = max(len(_count(tally, name)) for name in tally.totals)
    table.add_column(no_wrap=True, justify="right", min_width=widest)
    table.add_column(no_wrap=True)
    for name in tally.totals:
        if name in shown:
            table.add_row(*_row(tally, name))
    more = len(names) - len(shown)
    rest = [Text(f"and {more} more analyses", "dim")] if more else []
    return Group(table, *rest, _last(run, tally))


def _row(tally: Tally, name: str) -> tuple[Text, ProgressBar, Text, Text]:
    done, total = _done(tally, name), tally.totals[name]
    bar = ProgressBar(total, done, complete_style="cyan", finished_style="green")
    return Text(_safe(name)), bar, Text(_count(tally, name)), _facts(tally, name)


def _facts(tally: Tally, name: str) -> Text:
    words = Text()
    for state in ENDINGS:
        if count := tally.count(state, name):
            words.append(f"{', ' if words else ''}{count} {state}", STYLES[state])
    if computed := tally.count("computed", name):
        words.append(f", {duration(tally.seconds[name] / computed)} each", "dim")
    return words


def _last(run: str, tally: Tally) -> Text:
    since = duration(monotonic() - tally.begun)
    left = tally.time_left() or "no artifact yet"
    facts = f"  {tally.done}/{tally.total}, {left}"
    words = Text.assemble((_safe(run), "bold"), facts, (f", {since} so far", "dim"))
    words.no_wrap, words.overflow = True, "ellipsis"
    return words


def _done(tally: Tally, name: str) -> int:
    return sum(tally.count(state, name) for state in ENDINGS)


def _count(tally: Tally, name: str) -> str:
    return f"{_done(tally, name)}/{tally.totals[name]}"


def _safe(words: str) -> str:
    return visible(in_one_line(words))
