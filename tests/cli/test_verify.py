from __future__ import annotations

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


def test_a_sample_is_computed_again(shell: Shell) -> None:
    shell.computed("mean", "above")

    status, out, _ = shell("verify", "run", "--recompute=50%", "--seed=3", "--jobs=1")
    assert status == 0
    assert "3 entries computed again: 3 bit by bit the same." in out
    assert "--seed 3" in out


def test_what_does_not_come_out_again_is_shown(shell: Shell) -> None:
    shell.write_module(
        "impure",
        "import time\nfrom artifact_store import Checkpoint, analysis\n\n\n"
        "@analysis(strict=False)\ndef clock(checkpoint: Checkpoint):\n    return time.time()\n",
    )
    assert shell("run", "run", "--analysis=impure:clock", "--epochs=500")[0] == 0

    status, out, _ = shell("verify", "run", "--recompute=all")
    assert status == 1 and "clock@checkpoint_epoch_00500" in out
    assert "differs in 1 of 1 elements" in out and "1 not." in out
    assert "reads the clock" in out
    assert shell("verify", "run", "--recompute=half")[0] == 2
    (found,) = shell.json("verify", "run", "--recompute=1")["reruns"]
    assert found["state"] == "differs"
