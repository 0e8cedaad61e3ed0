from __future__ import annotations

from cli.conftest import Shell

EDIT = ("values / 2", "values * 0.5")


def test_an_edit_is_shown_and_nothing_stated_without_yes(shell: Shell) -> None:
    shell.computed("mean")
    shell.edit(*EDIT)

    status, out, _ = shell("bless", "run", "probe:mean")

    assert status == 1
    assert "mean: 3 entries, to bless" in out
    assert "probe.halved changed" in out and "+    return values * 0.5" in out
    assert "add --yes" in out
    assert shell("status", "run", "--analysis=probe:mean")[0] == 1


def test_what_was_blessed_is_up_to_date_and_listed_until_it_is_taken_back(
    shell: Shell,
) -> None:
    shell.computed("mean")
    shell.edit(*EDIT)

    assert shell("bless", "run", "probe:mean", "--yes", "--note=the same")[0] == 0

    assert shell("status", "run", "--analysis=probe:mean")[0] == 0
    (stated,) = shell.json("bless", "run", "--list")
    assert (stated["analysis"], stated["note"]) == ("mean", "the same")
    _, out, _ = shell("bless", "run", "--list")
    assert stated["name"] in out and "the same" in out

    status, out, _ = shell("bless", "run", "--undo", stated["name"])

    assert status == 0 and "taken back" in out
    assert shell.json("bless", "run", "--list") == []
    assert shell("status", "run", "--analysis=probe:mean")[0] == 1


def test_what_cannot_be_blessed_says_why(shell: Shell) -> None:
    shell.computed("mean")

    status, _, err = shell("bless", "run", "probe:mean", "--yes")
    assert status == 2 and "all 3 entries in this store are of the code" in err
    status, _, err = shell("bless", "run", "probe:above", "--yes")
    assert status == 2 and "no entry of it" in err
    status, _, err = shell("bless", "run")
    assert status == 2 and "name an ANALYSIS" in err
    status, _, err = shell("bless", "run", "--undo", "0123")
    assert status == 2 and "nothing was blessed as 0123" in err
    assert "No code was blessed." in shell("bless", "run", "--list")[1]
