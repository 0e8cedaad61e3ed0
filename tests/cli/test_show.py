from __future__ import annotations

import re
import shutil

import numpy as np
import pytest
from cli.conftest import MODULE, Shell
from conftest import WriteCheckpoint

ALONG = """
from artifact_store import Checkpoint, Run, analysis


@analysis
def inner(checkpoint: Checkpoint):
    return checkpoint["v"].sum()


@analysis
def along(run: Run):
    return [run[epoch]["w"].sum() + inner(run[epoch]) for epoch in run]
"""

WITHIN = """
from artifact_store import Checkpoint, analysis


@analysis
def above(checkpoint: Checkpoint):
    @analysis
    def within(checkpoint: Checkpoint):
        return checkpoint["w"]

    return within(checkpoint)
"""


def test_an_entry_is_found_by_key_door_and_label(shell: Shell) -> None:
    shell.computed("mean", "above")
    label = shell.json("show", "mean@checkpoint_epoch_00500", "run")
    door = shell.json("show", "run/artifacts/mean/checkpoint_epoch_00500")
    key = shell.json("show", label["key"][:12], "run")

    assert label == door == key


def test_everything_is_told(shell: Shell) -> None:
    shell.computed("above")

    status, out, _ = shell("show", "above@checkpoint_epoch_00500", "run")

    assert status == 0
    for fact in (
        "threshold = 0.5",
        "checkpoint = checkpoint_epoch_00500",
        "probe.above",
        "modules/probe.py:",
        "run/artifacts/above/checkpoint_epoch_00500",
        "outside the standard library and site-packages",
    ):
        assert fact in out


def test_constants_are_told_with_who_uses_them(shell: Shell) -> None:
    shell.computed("mean")

    _, out, _ = shell("show", "mean@checkpoint_epoch_00500", "run")

    assert "  SCALE = 2.0  probe.mean" in out


def test_what_is_not_there_says_how_to_name_it(shell: Shell) -> None:
    shell.computed("mean")

    status, _, err = shell("show", "mean@absent", "run")

    assert status == 2
    assert "has no entry 'mean@absent'" in err and "artifact-store ls" in err


def test_what_it_read_and_what_was_followed_are_told(shell: Shell) -> None:
    shell.computed("mean")

    _, out, _ = shell("show", "mean@checkpoint_epoch_00500", "run")
    known = shell.json("show", "mean@checkpoint_epoch_00500", "run")

    assert re.search("tensor w +checkpoint_epoch_00500 +[0-9a-f]{12}\n", out)
    assert re.search("first-party\n  probe +modules\n", out)
    (read,) = known["read"]
    assert (read["kind"], read["of"], read["name"]) == ("tensor", "0", "w")
    assert known["first_party"] == [{"package": "probe", "folder": str(shell.home / "modules")}]  # fmt: skip


def test_of_a_run_each_read_is_told_with_its_epoch(shell: Shell) -> None:
    shell.write_module("probe", ALONG)
    shell.computed("along")

    _, out, _ = shell("show", "along@run", "run")

    assert re.search("tensor w +run, epoch 500 +[0-9a-f]{12}\n", out)
    assert re.search("result of inner  +[0-9a-f]{12}\n", out)
    assert re.search("epochs  +run  +[0-9a-f]{12}\n", out)


def test_what_is_not_pure_is_told(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARTIFACT_STORE_STRICT", "0")
    timed = MODULE.replace("values / 2", "values * time.time()")
    shell.write_module("probe", f"import time\n{timed}")
    shell.computed("mean")

    _, out, _ = shell("show", "mean@checkpoint_epoch_00500", "run")

    assert "  not pure  reads the clock (time.time) at modules/probe.py:9\n" in out


def test_an_entry_that_was_found_by_its_reads_names_the_key_it_was_computed_under(
    shell: Shell, write_checkpoint: WriteCheckpoint
) -> None:
    shell.computed("mean")
    first = shell.json("show", "mean@checkpoint_epoch_00500", "run")["key"]
    w = np.full((2, 3), 500, np.float32)
    path = "run/checkpoints/checkpoint_epoch_00700.safetensors"
    write_checkpoint(path, w=w, other=w)
    shell.computed("mean")

    _, out, _ = shell("show", "mean@checkpoint_epoch_00700", "run")

    assert f"  first     {first}: it was computed under this key" in out


def test_a_statement_about_its_code_is_told(shell: Shell) -> None:
    shell.computed("mean")
    shell.edit("values / 2", "values * 0.5")
    assert shell("bless", "run", "probe:mean", "--yes", "--note", "exact")[0] == 0

    _, out, _ = shell("show", "mean@checkpoint_epoch_00500", "run")
    (name,) = shell.json("show", "mean@checkpoint_epoch_00500", "run")["blessings"]

    assert re.search(f"  blessed   {name} by .*: as good as closure [0-9a-f]{{12}} \\(exact\\)", out)  # fmt: skip


def test_an_entry_of_which_the_reads_do_not_tell_all_says_so(shell: Shell) -> None:
    shell.write_module("probe", WITHIN)
    shell.computed("above")

    _, out, _ = shell("show", "above@checkpoint_epoch_00500", "run")

    assert "All of its inputs counts" in out
    assert shell.json("show", "above@checkpoint_epoch_00500", "run")["read"] is None


def test_reads_that_were_lost_are_not_taken_for_none(shell: Shell) -> None:
    shell.computed("mean")
    shutil.rmtree(shell.store / ".store" / "records" / "steps")

    _, out, _ = shell("show", "mean@checkpoint_epoch_00500", "run")

    assert "What it read is no longer recorded." in out
    assert "what it read of that is no longer recorded" in shell("why", "run", "probe:mean")[1]  # fmt: skip
