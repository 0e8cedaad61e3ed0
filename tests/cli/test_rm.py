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


@pytest.mark.parametrize("more", [[], ["--yes"]], ids=str)
def test_why_data_stay_and_what_to_do_is_said(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, more: list[str]
) -> None:
    shell.computed("mean", "above")
    unreadable = shell.a_file_of("entries/above", "*.json")
    real = os.open

    def refuse(path: str, flags: int, *mode: int) -> int:
        if path == str(unreadable):
            raise PermissionError(13, "Permission denied", path)
        return real(path, flags, *mode)

    monkeypatch.setattr(os, "open", refuse)
    status, out, _ = shell("rm", "run", "--analysis=mean", *more)

    assert status == 0 and "; 0 B" in out
    name = unreadable.relative_to(shell.home)
    assert f"Their data stay: {name} cannot be read now" in out
    assert "artifact-store gc run" in out
    assert shell.json("rm", "run", "--all")["unread"] == ""


def test_all_must_be_said(shell: Shell) -> None:
    status, _, err = shell("rm", "run")

    assert status == 2
    assert "name an --analysis, or say --all" in err


def test_what_was_made_by_some_code_or_used_long_ago_is_selected(shell: Shell) -> None:
    shell.computed("mean")
    (old,) = {one["provenance"]["closure"] for one in shell.json("ls", "run")}
    shell.edit("values / 2", "values / 3")
    shell.computed("mean")

    assert len(shell.json("rm", "run", "--all", "--code", old[:10])["keys"]) == 3
    assert shell.json("rm", "run", "--all", "--code", "0" * 10)["keys"] == []
    assert shell.json("rm", "run", "--all", "--older-than=30d")["keys"] == []
    manifest = shell.a_file_of("entries", "*.json")
    os.utime(manifest, (1e9, 1e9))
    assert len(shell.json("rm", "run", "--all", "--older-than=8w")["keys"]) == 1
    assert shell("rm", "run", "--all", "--older-than=soon")[0] == 2


@pytest.mark.parametrize("code", ["", "abc", "no-hex", "0" * 65])
def test_what_is_no_beginning_of_a_digest_selects_nothing(
    shell: Shell, code: str
) -> None:
    shell.computed("mean")

    status, _, err = shell("rm", "run", "--all", "--code", code, "--yes")
    assert status == 2 and "4 or more of its hex digits" in err
    assert len(shell.json("ls", "run")) == 3


def test_code_and_staleness_must_hold_together(shell: Shell) -> None:
    shell.computed("mean")
    (old,) = {one["provenance"]["closure"] for one in shell.json("ls", "run")}
    asked = ("rm", "run", "--analysis=probe:mean", "--stale", "--code", old[:4])

    assert shell.json(*asked)["keys"] == []
    shell.edit("values / 2", "values / 3")
    shell.computed("mean")
    assert len(shell.json(*asked)["keys"]) == 3
    shell.edit("values / 2", "values / 4")
    assert len(shell.json(*asked[:-2])["keys"]) == 6
    assert len(shell.json(*asked)["keys"]) == 3


def test_an_empty_name_of_an_analysis_is_a_slip(shell: Shell) -> None:
    shell.computed("mean")

    status, _, err = shell("rm", "run", "--all", "--analysis", "", "--yes")
    assert status == 2 and "no analysis is named" in err
    assert len(shell.json("ls", "run")) == 3


def test_an_analysis_that_has_no_entries_is_a_slip(shell: Shell) -> None:
    shell.computed("mean")

    status, _, err = shell("rm", "run", "--analysis=means", "--yes")
    assert status == 2 and "no entry of 'means'" in err and "mean" in err
    assert len(shell.json("ls", "run")) == 3


def test_what_would_go_is_listed_by_analysis_with_its_size_and_use(
    shell: Shell,
) -> None:
    shell.computed("mean", "above")
    _, out, _ = shell("rm", "run", "--all")
    rows = {line.split()[0]: line.split() for line in out.splitlines() if line}

    assert rows["mean"][1:4] == ["3", "84", "B"] and rows["mean"][-1] == "ago"
    assert rows["above"][1] == "3"
    assert "analysis" not in shell("rm", "run", "--all", "--older-than=9w")[1]
