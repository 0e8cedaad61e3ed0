"""Figures as SVG and PNG, which a browser draws: Chrome or Chromium, driven by Kaleido.

    figure ──► headless browser, without network or sandbox ──► *Draw* ──► bytes

A browser takes a second or two to start and a quarter of one for a picture, so that those who want several share it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeAlias, TypeVar

import msgspec

from artifact_store.errors import BrowserFailed, NoBrowser

if TYPE_CHECKING:
    from kaleido import Kaleido

# A browser that takes longer hangs.
PATIENCE_SECONDS: Final = 90.0

# An image in a figure may be anywhere; no name is looked up and no address taken, not even of this machine.
_NO_HOSTS: Final = "--host-resolver-rules=MAP * ~NOTFOUND"

_INSTALL: Final = "Install Debian's `chromium`"
_INSTALL_KALEIDO: Final = "Install what drives it, pip install 'artifact-store[analyses]'"  # fmt: skip

T = TypeVar("T")


class Figure(Protocol):
    """A figure, as Plotly's are."""

    def to_dict(self) -> dict[str, Any]: ...

    def to_html(
        self,
        config: dict[str, Any] | None = ...,
        include_plotlyjs: bool | str = ...,
        include_mathjax: bool | str = ...,
        full_html: bool = ...,
        default_width: str | int = ...,
        default_height: str | int = ...,
        div_id: str | None = ...,
    ) -> str: ...


class Size(msgspec.Struct, frozen=True):
    """How large a picture is, in units of its fonts and lines; a PNG has `scale` pixels per unit."""

    width: int = 960
    height: int = 540
    scale: float = 2


Draw: TypeAlias = Callable[[Figure, Literal["svg", "png"], Size], bytes]


def draw_alone(figure: Figure, format: Literal["svg", "png"], size: Size) -> bytes:
    """Draw one picture, in a browser of its own."""
    with browser() as draw:
        return draw(figure, format, size)


@contextmanager
def browser() -> Iterator[Draw]:
    """A browser for several pictures, which ends with the block.

    Raises
    ------
    NoBrowser
        There is none, or nothing to drive it with.
    BrowserFailed
        It does not start, or does not draw.
    """
    path = _executable()
    # A thread, with a loop of asyncio: the one that asks may have a loop that runs, as in a notebook.
    with ThreadPoolExecutor(1, "browser") as thread:
        runner = asyncio.Runner()

        def waited(work: Coroutine[Any, Any, T]) -> T:
            return thread.submit(runner.run, _in_time(work, path)).result()

        def draw(figure: Figure, format: Literal["svg", "png"], size: Size) -> bytes:
            return waited(_drawn(opened, figure.to_dict(), format, size))

        try:
            opened = waited(_opened(path))
            try:
                yield draw
            finally:
                waited(opened.close())
        finally:
            thread.submit(runner.close).result()


def _executable() -> str:
    """The browser that is meant: `BROWSER_PATH`, one that Kaleido was told to get, or what is installed."""
    try:
        from choreographer.browsers.chromium import Chromium  # for those who draw
    except ImportError:
        raise NoBrowser(None, _INSTALL_KALEIDO) from None
    found = Chromium.find_browser(skip_local=False)
    if found is None or not os.access(found, os.X_OK):
        raise NoBrowser(os.environ.get("BROWSER_PATH"), _INSTALL)
    return found


async def _opened(path: str) -> Kaleido:
    from choreographer.browsers.chromium import Chromium
    from kaleido import Kaleido  # 0.2 s, for those who draw

    class Offline(Chromium):
        def get_cli(self) -> list[str]:
            return [*super().get_cli(), _NO_HOSTS]

    # Formulas would be set by a program from the network.
    kaleido = Kaleido(path=path, mathjax=False, timeout=None, browser_cls=Offline)
    try:
        await kaleido.open()
    except BaseException:
        await kaleido.close()
        raise
    return kaleido


async def _drawn(
    kaleido: Kaleido,
    figure: dict[str, Any],
    format: Literal["svg", "png"],
    size: Size,
) -> bytes:
    scale = size.scale if format == "png" else 1
    options = {"format": format, "width": size.width, "height": size.height, "scale": scale}  # fmt: skip
    drawn: bytes = await kaleido.calc_fig(figure, options)
    return drawn


async def _in_time(work: Coroutine[Any, Any, T], path: str) -> T:
    """What comes of `work`, or why nothing does."""
    try:
        return await asyncio.wait_for(work, PATIENCE_SECONDS)
    except TimeoutError:
        problem = f"it took longer than {PATIENCE_SECONDS:.0f} s"
        raise BrowserFailed(path, problem) from None
    except Exception as error:  # of the browser, of what drives it, or of Plotly in it
        said = str(error.args[0] if error.args else "") or type(error).__name__
        first = said.strip().partition("\n")[0].rstrip(".")
        raise BrowserFailed(path, f"{first[:1].lower()}{first[1:]}") from error
