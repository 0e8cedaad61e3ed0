from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from artifact_store import progress, tallies
from artifact_store.outcomes import Done
from artifact_store.progress import shown, unseen, watched_on

ONE = [Done("f", 0, "computed", 1.0)]


class Terminal:
    """Standard error, if somebody sits there."""

    def isatty(self) -> bool:
        return True


def test_a_pipe_gets_a_line_now_and_then_and_not_one_for_each(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [0.0]
    for module in (progress, tallies):
        monkeypatch.setattr(module, "monotonic", lambda: now[0])

    with shown("run", {"f": 60}) as tell:
        for _ in range(60):
            now[0] += 1
            tell(ONE)
    lines = capsys.readouterr().err.splitlines()

    assert lines[0] == "run: 10 of 60 (10 computed), 1.0 s each, 50 s left"
    assert len(lines) == 5


def test_a_pipe_hears_nothing_of_what_is_quick(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with shown("run", {"f": 1}) as tell:
        tell(ONE)

    assert capsys.readouterr() == ("", "")


def test_a_line_shows_what_a_name_would_have_a_terminal_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "FIRST_LINE", 0)
    with shown("r\x1b[2J\nun", {"f": 2}) as tell:
        tell(ONE)

    assert capsys.readouterr().err.startswith("r\\u001b[2J\\u000aun: 1 of 2")


def test_whoever_is_to_hear_nothing_hears_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "FIRST_LINE", 0)
    with unseen("run", {"f": 2}) as tell:
        tell(ONE)

    assert capsys.readouterr() == ("", "")


def test_a_terminal_that_cannot_move_its_cursor_is_written_to_like_a_pipe(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm-256color")
    assert watched_on() == "terminal"

    monkeypatch.setenv("TERM", "dumb")
    assert watched_on() == "pipe"


def test_a_kernel_is_a_notebook_and_a_shell_of_ipython_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for asked, found in (
        (SimpleNamespace(kernel=object()), "notebook"),
        (SimpleNamespace(), "pipe"),
        (None, "pipe"),
    ):
        python = SimpleNamespace(get_ipython=lambda: asked)  # noqa: B023
        monkeypatch.setitem(sys.modules, "IPython", python)
        assert watched_on() == found
