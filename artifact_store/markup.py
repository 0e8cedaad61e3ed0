"""Markup: values as a notebook shows them.

    words, numbers ──► *element*, *table*, *facts* ──► `_repr_html_`

Whatever is no `Html` yet is escaped on its way into one, so that no name or label can be a command to a browser, nor to
the terminal that the source of a page is printed to. There are no scripts and no backgrounds: what is dim is
transparent, and lines have the colour of the text, so that a page may be dark.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from artifact_store.terminals import visible


class Html(str):
    """Words that are markup already."""

    __slots__ = ()


# Read as well on white as on black, at least 3 : 1 on both.
COLOURS: Final[Mapping[str, str]] = {
    "fresh": "#2f9e62",
    "computed": "#2f9e62",
    "hit": "#2191a6",
    "drift": "#2191a6",
    "pending": "#8a7cd8",
    "stale": "#c07f12",
    "missing": "#8d8d8d",
    "miss": "#c07f12",
    "corrupt": "#dd4a4a",
    "failed": "#dd4a4a",
}

DIM: Final = "opacity:.65"
_MONO: Final = "font-family:monospace;font-size:.95em"
_CELL: Final = "padding:.15em .9em .15em 0;vertical-align:top;border:0;text-align:"
_TABLE: Final = (
    "border-collapse:collapse;border:0;margin:.3em 0;font-size:.95em;font-variant-numeric:tabular-nums"
)
_BAR: Final = (
    "display:inline-block;vertical-align:middle;width:9em;height:.6em;white-space:nowrap;overflow:hidden"
)
_SHARE: Final = "display:inline-block;vertical-align:top;height:100%;"
_LINES: Final = (
    f"{_MONO};margin:.2em 0;padding:0;white-space:pre-wrap;background:none;border:0"
)
_HEAD: Final = (
    "font-weight:normal;opacity:.65;border-bottom:1px solid currentColor;white-space:nowrap"
)


def escaped(words: object) -> Html:
    """Words as markup that shows them."""
    if isinstance(words, Html):
        return words
    from html import escape  # a table of 2,000 names, for those who look

    return Html(escape(visible(str(words))))


def element(name: str, *inside: object, style: str = "", title: str = "") -> Html:
    """One element; a `title` is shown where one points at it."""
    attributes = {"style": style, "title": title}
    words = "".join(f' {k}="{escaped(v)}"' for k, v in attributes.items() if v)
    return Html(f"<{name}{words}>{joined(inside)}</{name}>")


def joined(pieces: Iterable[object], between: str = "") -> Html:
    """Several, one behind the other."""
    return Html(between.join(map(escaped, pieces)))


def dim(*inside: object, title: str = "") -> Html:
    """What one need not read."""
    return element("span", *inside, style=DIM, title=title)


def mono(*inside: object) -> Html:
    """What one may copy."""
    return element("span", *inside, style=_MONO)


def coloured(words: object, state: str) -> Html:
    """Words in the colour of a state."""
    return element("span", words, style=f"color:{COLOURS[state]}")


def title_of(name: object, *said: object) -> Html:
    """The first line: a name, and what there is to say of it."""
    inside = [element("b", name), *(joined((" ", one)) for one in said)]
    return element("div", *inside)


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> Html:
    """A table; a head that begins with `>` is of a column of numbers."""
    sides = ["right" if head.startswith(">") else "left" for head in heads]
    named = [head.removeprefix(">") for head in heads]
    top = [_cell("th", h, s, _HEAD) for h, s in zip(named, sides, strict=True)]
    body = [
        element("tr", *(_cell("td", c, s) for c, s in zip(row, sides, strict=True)))
        for row in rows
    ]
    head = element("thead", element("tr", *top)) if any(named) else ""
    return element("table", head, element("tbody", *body), style=_TABLE)


def facts(known: Mapping[str, object]) -> Html:
    """A table of what is known, by its title."""
    return table(["", ""], [(dim(title), fact) for title, fact in known.items()])


def whole(*blocks: object) -> Html:
    """Everything, below each other."""
    return element("div", *blocks, style="line-height:1.4")


def shares(counts: Mapping[Any, int]) -> Html:
    """A bar, of each state as much as there is."""
    total = sum(counts.values()) or 1
    pieces = [
        element(
            "span",
            style=f"{_SHARE}width:{100 * count / total:.1f}%;background:{COLOURS[state]}",
            title=f"{count} {state}",
        )
        for state, count in counts.items()
        if count
    ]
    return element("span", *pieces, style=_BAR)


def folded(summary: object, *inside: object) -> Html:
    """What is there for whoever opens it."""
    return element(
        "details", element("summary", summary, style="cursor:pointer"), *inside
    )


def listing(lines: Iterable[object]) -> Html:
    """Lines as they are, in one width."""
    return element("pre", joined(lines, "\n"), style=_LINES)


def _cell(kind: str, words: object, side: str, style: str = "") -> Html:
    return element(kind, words, style=f"{_CELL}{side};{style}")
