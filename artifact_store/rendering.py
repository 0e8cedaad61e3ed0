"""From a figure to the bytes of its file: drawn, made the same each time, stamped.

figure ──► page, or browser ──► *settled* ──► stamped ──► *rendered*
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from artifact_store.browsers import Draw, Figure, Size, draw_alone
from artifact_store.digests import digest_of
from artifact_store.errors import UnknownPicture
from artifact_store.pictures import Format
from artifact_store.stamps import Stamp, stamped
from artifact_store.terminals import visible

_FORMATS: Final[dict[str, Format]] = {".svg": "svg", ".png": "png", ".html": "html"}

# Where names stand in an SVG, and those that Plotly makes up at random: six digits each, of the drawing and its traces.
_NAMING: Final = re.compile(rb'\b(?:id|class)="[^"]*"|url\([^()]*\)|href="#[^"]*"')
_MADE_UP: Final = re.compile(
    rb"(?<![0-9a-z])(?:clip|legend|carpet|trace|cb|g|p)([0-9a-f]{6})|-([0-9a-f]{6})(?![0-9a-z])"
)

# It holds all it needs, and forbids itself the network.
_PAGE: Final = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data: blob:; \
style-src 'unsafe-inline'; script-src 'unsafe-inline' 'unsafe-eval'">
<title>{title}</title>
<style>html, body {{ height: 100%; margin: 0 }}</style>
</head>
<body>
{figure}
</body>
</html>
"""


def format_of(path: Path) -> Format:
    """The format that a file name asks for.

    Raises
    ------
    UnknownPicture
        It ends in none of them.
    """
    found = _FORMATS.get(path.suffix.lower())
    if found is None:
        raise UnknownPicture(path)
    return found


def rendered(
    figure: Figure,
    format: Format,
    stamp: Stamp,
    size: Size = Size(),
    draw: Draw = draw_alone,
) -> bytes:
    """The file of a figure, with its stamp; of SVG and HTML the same bytes for the same figure, every time.

    Parameters
    ----------
    size
        Of SVG and PNG; a page is as large as its window.
    draw
        How those two are drawn: `browser()` gives one that several pictures share.

    Raises
    ------
    NoBrowser, BrowserFailed
        SVG and PNG cannot be drawn here.
    """
    if format == "html":
        return stamped(_page(figure, stamp.title).encode(), format, stamp)
    drawn = draw(figure, format, size)
    return stamped(settled(drawn) if format == "svg" else drawn, format, stamp)


def _page(figure: Figure, title: str) -> str:
    drawn = figure.to_html(
        config={"displaylogo": False},
        include_plotlyjs=True,
        full_html=False,
        div_id="figure",
    )
    return _PAGE.format(title=html.escape(visible(title)), figure=drawn)


def settled(svg: bytes) -> bytes:
    """An SVG that Plotly drew, with names that follow from what it shows in place of random ones.

    Two pictures keep different names, so that both may stand in one page.
    """
    numbers: dict[bytes, int] = {}
    for place in _NAMING.findall(svg):
        for made_up in _MADE_UP.finditer(place):
            numbers.setdefault(made_up[1] or made_up[2], len(numbers))
    if not numbers:
        return svg
    shown = digest_of("picture", _renamed(svg, numbers))
    first = int(shown.hex[:6], 16)
    return _renamed(svg, {name: first + number for name, number in numbers.items()})


def _renamed(svg: bytes, numbers: Mapping[bytes, int]) -> bytes:
    """The same with other names, wherever there are names: some have an axis before them, or a part behind."""
    names = re.compile(b"|".join(numbers))

    def named(found: re.Match[bytes]) -> bytes:
        return b"%06x" % (numbers[found[0]] % (1 << 24))

    return _NAMING.sub(lambda place: names.sub(named, place[0]), svg)
