from __future__ import annotations

import shlex

import pytest
from cli.conftest import Shell


def test_an_intact_store_is_fine(shell: Shell) -> None:
    shell.computed("mean")

    status, out, _ = shell("verify", "run")

    assert status == 0
    assert out == "3 entries checked; everything is what was published.\n"


def test_a_damaged_byte_is_a_finding_and_stays_where_it_is(shell: Shell) -> None:
    shell.computed("mean")
    shell.a_file_of("data", "c.0").write_bytes(b"xxxx" * 7)

    status, out, _ = shell("verify", "run")

    assert status == 1
    assert "1 of 3 entries" in out
    assert shell("verify", "run")[:2] == (status, out)
    (found,) = shell.json("verify", "run")["findings"]
    assert found["analysis"] == "mean" and found["key"][:8] in out


def test_a_sample_is_computed_again(shell: Shell) -> None:
    shell.computed("mean", "above")

    asked = ("run", "--analysis=probe:mean,probe:above", "--recompute=50%", "--seed=3")
    status, out, _ = shell("verify", *asked, "--jobs=1")
    assert status == 0
    assert "3 entries computed again, bit by bit the same." in out
    assert "--recompute 50% --seed 3" in out


def test_what_nobody_named_is_not_imported(shell: Shell) -> None:
    shell.computed("mean")

    status, out, _ = shell("verify", "run", "--recompute=1")
    assert status == 0 and "Nothing could be computed again." in out
    assert "1 skipped: probe:mean is imported only if it is named" in out


def test_the_command_that_is_printed_takes_the_same_sample(shell: Shell) -> None:
    checkpoints = shell.home / "run/checkpoints"
    for epoch in (0, 500, 1000):
        old = checkpoints / f"checkpoint_epoch_{epoch:05d}.safetensors"
        old.rename(checkpoints / f"epoch-{epoch}.safetensors")
    pattern = "--pattern=checkpoints/epoch-{epoch}.safetensors"
    asked = ("run", "--analysis=probe:mean,probe:above", "--epochs=0,1000-", pattern)
    assert shell("run", *asked)[0] == 0
    sample = ("--recompute=2", "--seed=7", "--jobs=1")
    _, out, _ = shell("verify", *asked, *sample)
    (line,) = [one for one in out.splitlines() if "# the same entries again" in one]
    words = shlex.split(line, comments=True)[1:]

    assert words[4:8] == ["--epochs", "0,1000-", *pattern.split("=", 1)]
    assert shell.json(*words) == shell.json("verify", *asked, *sample)


def test_what_is_skipped_does_not_pass_for_the_same(shell: Shell) -> None:
    shell.computed("mean")
    shell.edit("values / 2", "values / 4")

    status, out, _ = shell("verify", "run", "--recompute=all")
    assert status == 0 and "bit by bit the same" not in out
    assert "Nothing could be computed again." in out


def test_what_does_not_come_out_again_is_shown(shell: Shell) -> None:
    shell.write_module(
        "impure",
        "import time\nfrom artifact_store import Checkpoint, analysis\n\n\n"
        "@analysis(strict=False)\ndef clock(checkpoint: Checkpoint):\n    return time.time()\n",
    )
    assert shell("run", "run", "--analysis=impure:clock", "--epochs=500")[0] == 0

    named = ("run", "--analysis=impure:clock")
    status, out, _ = shell("verify", *named, "--recompute=all")
    assert status == 1 and "clock@checkpoint_epoch_00500" in out
    assert "differs in 1 of 1 elements" in out and "1 of 1 entry not" in out
    assert "reads the clock" in out
    (found,) = shell.json("verify", *named, "--recompute=1")["reruns"]
    assert found["state"] == "differs" and found["analysis"] == "clock"


@pytest.mark.parametrize(
    "words",
    [
        *(["--recompute", one] for one in ("half", "0", "0%", "1.5", "-1", "%")),
        ["--seed=3"],
        ["--jobs=2"],
    ],
    ids=str,
)
def test_what_is_no_question_is_refused(shell: Shell, words: list[str]) -> None:
    shell.computed("mean")
    assert shell("verify", "run", *words)[0] == 2


def test_reasons_why_something_is_not_computed_again_are_counted(shell: Shell) -> None:
    shell.computed("mean", "above")
    shell.edit("values / 2", "values / 4")

    named = ("run", "--analysis=probe:mean,probe:above")
    status, out, _ = shell("verify", *named, "--recompute=all")
    assert status == 0
    assert "3 skipped: it is of other code than today's" in out
    rows = [line.split() for line in out.splitlines()]
    assert ["mean", "-", "-", "-", "-", "3"] in rows
    assert ["above", "3", "-", "-", "-", "-"] in rows


@pytest.mark.parametrize(
    ("asked", "number"),
    [
        ([], 6),
        (["--analysis=mean"], 3),
        (["--analysis=probe:mean"], 3),
        (["--epochs=500-"], 4),
        (["--epochs=500", "--analysis=above"], 1),
        (["--analysis=probe:mean,mean,above"], 6),
    ],
    ids=str,
)
def test_it_can_be_narrowed(shell: Shell, asked: list[str], number: int) -> None:
    shell.computed("mean", "above")

    assert shell.json("verify", "run", *asked)["checked"] == number


@pytest.mark.parametrize("name", ["means", "probe:means", "prob:mean", "above,means"])
@pytest.mark.parametrize("more", [[], ["--recompute=all"]], ids=str)
def test_a_misspelt_name_does_not_pass_for_verified(
    shell: Shell, name: str, more: list[str]
) -> None:
    shell.computed("mean", "above")

    status, out, err = shell("verify", "run", f"--analysis={name}", *more)
    assert (status, out) == (2, "") and "has no entry of" in err


def test_of_an_empty_store_nothing_is_verified(shell: Shell) -> None:
    shell.computed("mean")
    shell("rm", "run", "--all", "--yes")

    assert "Nothing stored" in shell("verify", "run")[1]


def test_what_cannot_be_read_is_found_however_it_is_narrowed(shell: Shell) -> None:
    shell.computed("mean")
    shell.a_file_of("entries", "*.json").write_text("{}")

    (found,) = shell.json("verify", "run", "--epochs=500")["findings"]
    assert "is not what was written" in found["problem"]
