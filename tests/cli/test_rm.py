from __future__ import annotations

import os

import pytest
from cli.conftest import Shell


def test_without_yes_nothing_is_removed(shell: Shell) -> None:
    shell.computed("mean")

    status, out, _ = shell("rm", "run", "--analysis=mean")

    assert status == 0
    assert "Would remove 3 entries of run/artifacts" in out and "--yes" in out
    assert len(shell.json("ls", "run")) == 3


@pytest.mark.parametrize(
    ("asked", "left"),
    [
        (["--analysis=mean"], 3),
        (["--analysis=probe:mean,above"], 0),
        (["--analysis=mean", "--epoch=500"], 5),
        (["--all"], 0),
        (["--all", "--epoch=500"], 4),
        (["--analysis=mean", "--all"], 3),
        (["--analysis=probe:mean", "--stale"], 6),
    ],
    ids=str,
)
def test_what_is_asked_for_is_removed(
    shell: Shell, asked: list[str], left: int
) -> None:
    shell.computed("mean", "above")
    preview = shell.json("rm", "run", *asked)
    removed = shell.json("rm", "run", *asked, "--yes")

    assert preview == removed | {"removed": False}
    assert len(shell.json("ls", "run")) == left
    assert shell("verify", "run")[0] == 0


def test_what_is_stale_is_of_other_code_whatever_its_params(shell: Shell) -> None:
    shell.computed("mean", "above")
    shell.edit("values / 2", "values / 3")
    shell.computed("mean")

    status, _, _ = shell(
        "rm", "run", "--analysis=probe:mean,probe:above", "--stale", "--yes"
    )

    assert status == 0
    assert len(shell.json("ls", "run")) == 6
    assert shell("status", "run", "--analysis=probe:mean,probe:above")[0] == 0


def test_what_cannot_be_read_goes_with_its_analysis(shell: Shell) -> None:
    shell.computed("mean")
    shell.a_file_of("entries", "*.json").write_text("{}")

    assert shell("rm", "run", "--analysis=mean", "--yes")[0] == 0

    assert shell.json("verify", "run")["checked"] == 0


def test_all_must_be_said(shell: Shell) -> None:
    status, _, err = shell("rm", "run")

    assert status == 2
    assert "name an --analysis, or say --all" in err


def test_leftovers_are_previewed_and_then_removed(shell: Shell) -> None:
    shell.computed("mean")
    shell.a_file_of("entries", "*.json").unlink()
    for group in (shell.store / ".store/data").glob("??/*"):
        os.utime(group, (0, 0))
    status, out, _ = shell("rm", "run", "--leftovers")
    preview = shell.json("rm", "run", "--leftovers")
    removed = shell.json("rm", "run", "--leftovers", "--yes")

    assert status == 0 and "Would remove 1 leftover of run/artifacts" in out
    assert preview == removed | {"removed": False} and len(preview["paths"]) == 1
    assert shell.json("rm", "run", "--leftovers")["paths"] == []
    assert len(shell.json("ls", "run")) == 2 and shell("verify", "run")[0] == 0


def test_leftovers_are_of_no_analysis(shell: Shell) -> None:
    status, _, err = shell("rm", "run", "--leftovers", "--analysis=mean")

    assert status == 2 and "of no analysis" in err
