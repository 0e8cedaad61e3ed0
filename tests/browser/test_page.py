"""The pages that the tests of this folder are given."""

from __future__ import annotations

import pytest
from browser.conftest import complaints_of
from playwright.sync_api import Browser, Page


def test_a_page_shows_what_it_is_given(page: Page) -> None:
    page.set_content("<h1>grokking</h1>")

    assert page.inner_text("h1") == "grokking"


@pytest.mark.parametrize(
    "script, complaint",
    [
        ("console.error('no such epoch')", "logged no such epoch"),
        ("throw new Error('no such epoch')", "raised no such epoch"),
        ("fetch('https://example.org/').catch(() => 0)", "asked for https://example.org/"),
    ],
    ids=["logs an error", "raises an error", "asks another machine"],
)  # fmt: skip
def test_a_page_that_is_not_well_is_noticed(
    browser: Browser, script: str, complaint: str
) -> None:
    with browser.new_page() as page:
        complaints = complaints_of(page)
        page.set_content(f"<script>{script}</script>")
        page.wait_for_timeout(50)

    assert complaint in "\n".join(complaints)
