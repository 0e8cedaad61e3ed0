"""A headless Chromium, and pages in it that fail their test when they complain or ask another machine for anything."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Page,
    Request,
    sync_playwright,
)

# No sandbox, as continuous integration is root; nothing that the browser asks of its maker by itself; no name but ours.
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)

_LOCAL = ("about", "blob", "data", "file")


@pytest.fixture(scope="session")
def chromium() -> str:
    """The browser that is installed here."""
    found = os.environ.get("BROWSER_PATH") or shutil.which("chromium")
    if found is None:
        pytest.fail("There is no chromium. `make test-browser` installs it.")
    return found


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Browser]:
    """One browser for all tests of a process."""
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """An empty page of 1280 x 800, in a session of its own; its test fails if there is a complaint."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    opened = context.new_page()
    complaints = complaints_of(opened)
    yield opened
    context.close()
    assert complaints == []


def complaints_of(page: Page) -> list[str]:
    """What goes wrong on a page from now on: errors logged or raised, and whatever it asks of another machine."""
    complaints: list[str] = []

    def note_request(request: Request) -> None:
        if not _is_here(request.url):
            complaints.append(f"asked for {request.url}")

    def note_logged(message: ConsoleMessage) -> None:
        if message.type == "error":
            complaints.append(f"logged {message.text}")

    page.on("request", note_request)
    page.on("console", note_logged)
    page.on("pageerror", lambda error: complaints.append(f"raised {error}"))
    return complaints


def _is_here(url: str) -> bool:
    asked = urlsplit(url)
    return asked.hostname == "127.0.0.1" or asked.scheme in _LOCAL
