"""What the libraries made of the rows, counted, in tables that line up in a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby

from benchmarks.peers.edits import Row
from benchmarks.peers.trials import Outcome, Verdict

Outcomes = Mapping[Row, Sequence[Outcome]]
Kinds = Mapping[Row, str]
Line = tuple[str, ...]
Table = Callable[[Outcomes, Kinds, Sequence[str]], str]


def by_verdict(outcomes: Outcomes, _: Kinds, libraries: Sequence[str]) -> str:
    """How often each verdict was given to each library, for edits that matter and for others."""
    lines: list[Line] = [("edits", *libraries)]
    for title, matters in (("**that matter**", True), ("**that do not**", False)):
        found = [of for row, of in outcomes.items() if bool(row.computed) is matters]
        lines += _counted(title, list(zip(*found)))
    return aligned(lines)


def _counted(title: str, columns: Sequence[Sequence[Outcome]]) -> Iterator[Line]:
    """The counts of those verdicts that anybody got, the best first, and of failures in any case."""
    if columns:
        yield title, *(f"**{len(column)}**" for column in columns)
    for verdict in reversed(Verdict):
        counts = [sum(one.verdict is verdict for one in column) for column in columns]
        if any(counts) or verdict is Verdict.FAILED:
            yield verdict.value, *map(str, counts)


def by_kind(outcomes: Outcomes, kinds: Kinds, libraries: Sequence[str]) -> str:
    """How many rows of each kind were right, of how many."""
    lines: list[Line] = [("right after an edit of", *libraries)]
    for kind, rows in groupby(outcomes, key=kinds.__getitem__):
        columns = zip(*(outcomes[row] for row in rows))
        lines.append((kind, *map(_right, columns)))
    lines.append(("all", *map(_right, zip(*outcomes.values()))))
    return aligned(lines)


def _right(column: Sequence[Outcome]) -> str:
    return f"{sum(one.verdict is Verdict.RIGHT for one in column)}/{len(column)}"


def by_row(outcomes: Outcomes, _: Kinds, libraries: Sequence[str]) -> str:
    """Every row, and below it those libraries that were not right, with the analyses that show it."""
    lines = []
    for row, found in outcomes.items():
        lines.append(f"- {row.title}")
        for library, one in zip(libraries, found):
            if one.verdict is not Verdict.RIGHT:
                lines.append(f"    - {library}: {one}")
    return "\n".join(lines)


def aligned(lines: Sequence[Line]) -> str:
    """A markdown table: the first column reads from the left, the others from the right."""
    widths = [max(map(len, column)) for column in zip(*lines)]
    first, *others = widths
    rule = ("-" * first, *("-" * (width - 1) + ":" for width in others))
    head, *body = lines
    return "\n".join(
        f"| {cells[0]:<{first}} | "
        + " | ".join(f"{cell:>{width}}" for cell, width in zip(cells[1:], others))
        + " |"
        for cells in (head, rule, *body)
    )
