from __future__ import annotations

from html.parser import HTMLParser

import pytest

from artifact_store.markup import (
    Html,
    coloured,
    dim,
    element,
    escaped,
    facts,
    folded,
    listing,
    shares,
    table,
    title_of,
    whole,
)

EVIL = '<script>alert("1")</script>\x1b[2J\u202e'


class Read(HTMLParser):
    """What a browser makes of markup: its elements, and its words."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words = ""
        self.feed(markup)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.words += data


@pytest.mark.parametrize(
    "made",
    [
        escaped(EVIL),
        dim(EVIL, title=EVIL),
        element("p", EVIL, title=EVIL),
        table([EVIL, f">{EVIL}"], [(EVIL, EVIL)]),
        facts({EVIL: EVIL}),
        title_of(EVIL, EVIL),
        coloured(EVIL, "stale"),
        listing([EVIL]),
        folded(EVIL, EVIL),
        whole(EVIL),
    ],
    ids=str,
)
def test_words_are_no_markup_wherever_they_stand(made: Html) -> None:
    found = Read(made)

    assert "script" not in found.elements
    assert {name for name, _ in found.attributes} <= {"style", "title"}
    assert "\x1b" not in made and "\u202e" not in made
    assert '<script>alert("1")</script>\\u001b[2J\\u202e' in found.words


def test_markup_is_not_escaped_twice() -> None:
    assert element("p", element("b", "a & b")) == "<p><b>a &amp; b</b></p>"


def test_nothing_is_painted_behind_words() -> None:
    made = whole(title_of("a", dim("b")), table(["c"], [("d",)]), listing(["e"]))

    assert "background:" not in made.replace("background:none", "")


def test_a_bar_has_of_each_state_as_much_as_there_is() -> None:
    made = shares({"fresh": 3, "stale": 1, "missing": 0})

    assert "width:75.0%" in made and "width:25.0%" in made
    assert "missing" not in made
    assert shares({}).count("<span") == 1
