"""How all verbs print: one JSON document, or tables for people."""

from __future__ import annotations

import datetime
import json
import os
import shlex
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from artifact_store.causes import Cause
from artifact_store.listing import Brief, BriefArray
from artifact_store.manifests import Manifest
from artifact_store.plans import Plan, State, epochs_in_words
from artifact_store.quantities import duration
from artifact_store.shards import DTYPES, StoredArray
from artifact_store.terminals import in_one_line, visible

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

# Piped lines are as long as they are: nothing is wrapped or cut.
_UNBOUNDED: Final = 1 << 15

STYLES: Final[Mapping[State, str]] = {
    "fresh": "green",
    "drift": "cyan",
    "pending": "yellow",
    "stale": "yellow",
    "missing": "yellow",
    "corrupt": "red",
}


_DIFF_STYLES: Final = {"-": "red", "+": "green", "@": "cyan"}


def print_json(document: Any) -> None:
    """Print one document."""
    print(as_json(document))


def as_json(document: Any) -> str:
    """A document as it is printed."""
    return visible(json.dumps(document, indent=2, ensure_ascii=False))


def out(*blocks: RenderableType) -> None:
    """Print blocks below each other, in colour on a terminal, and plain into a pipe."""
    from rich.console import (  # 0.1 s, which `--json` and `--help` do not need
        Console,
        ConsoleOptions,
    )
    from rich.segment import Segment
    from rich.text import Text

    class Printer(Console):
        """Has no piece of text on its way to the terminal but what is visible."""

        def render(
            self, renderable: RenderableType, options: ConsoleOptions | None = None
        ) -> Iterator[Segment]:
            for found, style, control in super().render(renderable, options):
                yield Segment(visible(found), style, control)

    console = Printer(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = _UNBOUNDED
    with console.capture() as captured:
        for block in blocks:
            is_line = isinstance(block, Text) and bool(block.no_wrap)
            console.print(block, soft_wrap=is_line)
    for printed in captured.get().removesuffix("\n").split("\n"):
        print(printed.rstrip())


def table(*heads: str, indent: int = 0) -> Table:
    """An empty table; a head that begins with `>` is of a column of numbers."""
    from rich import table as tables

    drawn = tables.Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    drawn.show_header = any(head.strip(">") for head in heads)
    drawn.header_style = "dim"
    for number, head in enumerate(heads):
        is_number = head.startswith(">")
        drawn.add_column(
            " " * (indent if number == 0 else 0) + head.lstrip(">"),
            justify="right" if is_number else "left",
            no_wrap=is_number,
            overflow="fold",
        )
    return drawn


def text(*pieces: str | tuple[str, str]) -> Text:
    """Words, each in a style if it has one."""
    from rich.text import Text

    return Text.assemble(
        *(
            (
                in_one_line(piece)
                if isinstance(piece, str)
                else (in_one_line(piece[0]), piece[1])
            )
            for piece in pieces
        )
    )


def line(*pieces: str | tuple[str, str]) -> Text:
    """A line that only the terminal breaks, so that what is copied is whole."""
    words = text(*pieces)
    words.no_wrap = True
    return words


def command(does: str, *words: str | os.PathLike[str]) -> Text:
    """What to type, and what for."""
    typed = shlex.join(["artifact-store", *map(str, words)])
    return line(f"  {typed}", (f"  # {does}", "dim"))


def near(words: str) -> str:
    """Words in which paths below the current directory are relative."""
    return words.replace(os.getcwd() + os.sep, "")


def age(created: str) -> str:
    """How long ago a manifest says that it was written."""
    try:
        then = datetime.datetime.fromisoformat(created)
        since = (datetime.datetime.now(datetime.UTC) - then).total_seconds()
    except (ValueError, TypeError):
        return "?"  # What is listed has not been checked.
    return duration(since) if since >= 59.5 else f"{max(since, 0):.0f} s"


def takes(seconds: float | None) -> str:
    """How long something would take, if that is known."""
    return f", about {duration(seconds)}" if seconds else ""


def labels(entry: Manifest | Brief) -> str:
    """What an entry was made of."""
    return in_one_line(",".join([one.label for one in entry.provenance.inputs])) or "-"


def shape(stored: StoredArray | BriefArray) -> tuple[str, str]:
    """Shape and dtype of an array."""
    sides = " × ".join(map(str, stored.shape)) or "scalar"
    # What is listed has not been checked.
    return sides, DTYPES.get(stored.dtype, stored.dtype)


def as_dict(manifest: Manifest) -> dict[str, Any]:
    """A manifest for JSON; its seal is between the store and the file system."""
    plain: dict[str, Any] = msgspec.to_builtins(manifest)
    del plain["seal"]
    return plain | {"nbytes": manifest.nbytes}


def cause_lines(cause: Cause, indent: str = "") -> Iterator[Text]:
    """A cause, how it was and is, and what made it so."""
    yield line(indent, near(cause.what))
    for words in cause.detail.splitlines():
        yield line(f"{indent}  ", (near(words), _DIFF_STYLES.get(words[:1], "dim")))
    for deeper in cause.because:
        yield from cause_lines(deeper, f"{indent}  ")


def causes(plan: Plan) -> Iterator[RenderableType]:
    """What keeps steps of a plan from being fresh: the cause, and the epochs it holds for."""
    for name, steps in plan.by_analysis().items():
        found = [(cause, epochs) for of, cause, epochs in plan.reasons() if of == name]
        if found:
            yield text("")
            yield text((name, "bold"))
            rows = table("", "", "", indent=2)
            for cause, epochs in found:
                state = next(step.state for step in steps if cause in step.causes)
                where = epochs_in_words(epochs)
                shown = text(("  " + state, STYLES[state]))
                rows.add_row(shown, where, near(cause))
            yield rows
