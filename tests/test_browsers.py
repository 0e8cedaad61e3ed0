"""A browser that is not there or does not work; what one draws is in `browser/test_drawing.py`."""

from __future__ import annotations

import sys

import plotly.graph_objects as go
import pytest

from artifact_store.browsers import Size, browser, draw_alone
from artifact_store.errors import BrowserFailed, NoBrowser

FIGURE = go.Figure(go.Bar(y=[1, 2]))


def test_without_a_browser_it_is_said_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from choreographer.browsers.chromium import Chromium

    monkeypatch.delenv("BROWSER_PATH", raising=False)
    monkeypatch.setattr(Chromium, "find_browser", lambda skip_local: None)

    with pytest.raises(NoBrowser, match="Install Debian's `chromium`, or export .html"):
        draw_alone(FIGURE, "svg", Size())


def test_a_browser_that_is_named_and_not_there_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BROWSER_PATH", "/absent/chrome")

    with pytest.raises(NoBrowser, match="BROWSER_PATH names /absent/chrome"):
        draw_alone(FIGURE, "svg", Size())


def test_without_what_drives_it_that_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "choreographer.browsers.chromium", None)

    with pytest.raises(NoBrowser, match="pip install 'artifact-store\\[analyses\\]'"):
        draw_alone(FIGURE, "svg", Size())


def test_a_program_that_is_no_browser_is_an_error_and_no_hang(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BROWSER_PATH", "/bin/false")

    with pytest.raises(BrowserFailed, match="^/bin/false did not draw the picture: "):
        with browser():
            pass
