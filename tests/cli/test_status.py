from __future__ import annotations

import shutil

import pytest
from cli.conftest import Shell


def test_nothing_computed_is_a_finding_with_what_to_type(shell: Shell) -> None:
    status, out, _ = shell("status", "run", "--analysis=probe:mean")

    assert status == 1
    assert "0 of 3 artifacts up to date" in out
    assert "Missing: not computed yet.\n  mean  epochs 0, 500, 1000\n" in out
    assert "artifact-store run run --analysis probe:mean  # compute 3 artifacts" in out


def test_all_computed_is_fine(shell: Shell) -> None:
    shell.computed("mean", "above")

    status, out, _ = shell("status", "run", "--analysis=probe:mean,probe:above")

    assert status == 0
    assert "Everything is up to date." in out


def test_an_edited_helper_is_named_with_its_line_and_epochs(shell: Shell) -> None:
    shell.computed("mean", "above")
    shell.edit("values / 2", "values / 3")

    status, out, _ = shell("status", "run", "--analysis=probe:mean,probe:above")

    assert status == 1
    assert "probe.halved changed (modules/probe.py:8)" in out
    assert "artifact-store why run probe:mean --epoch 0  # see what changed" in out
    steps = shell.json("status", "run", "--analysis=probe:mean,probe:above")["steps"]
    states = {(step["analysis"], step["state"]) for step in steps}
    assert states == {("mean", "stale"), ("above", "fresh")}


def test_states_that_nothing_is_in_are_not_spoken_of(shell: Shell) -> None:
    shell.computed("mean")
    shell.edit("values / 2", "values / 3")

    _, out, _ = shell("status", "run", "--analysis=probe:mean")

    assert "Stale" in out
    assert not any(word in out for word in ("issing", "orrupt", "ending", "rift"))


def test_corrupt_artifacts_of_one_cause_are_told_together(shell: Shell) -> None:
    shell.computed("mean")
    for data in (shell.store / ".store" / "data").glob("*/*"):
        shutil.rmtree(data)

    status, out, _ = shell("status", "run", "--analysis=probe:mean")

    assert status == 1
    assert "mean  epochs 0, 500, 1000  what is stored is missing" in out


def test_a_comment_leaves_all_fresh(shell: Shell) -> None:
    shell.computed("mean")
    shell.edit("SCALE = 2.0", "# the scale of it\nSCALE = 2.0")

    assert shell("status", "run", "--analysis=probe:mean")[0] == 0


def test_what_is_stored_and_was_not_named_is_mentioned(shell: Shell) -> None:
    shell.computed("mean", "above")

    _, out, _ = shell("status", "run", "--analysis=probe:mean")

    assert "Also stored, and not looked at: probe:above" in out


def test_without_any_analysis_nothing_is_called_up_to_date(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("artifact_store.cli.arguments.offered", lambda: ())

    status, out, err = shell("status", "run")

    assert (status, out) == (2, "")
    assert "name an --analysis" in err


def test_what_to_type_finds_the_same_checkpoints(shell: Shell) -> None:
    pattern = "checkpoints/checkpoint_epoch_{epoch}.safetensors"
    shell.computed("mean")
    shell.edit("values / 2", "values / 3")

    _, out, _ = shell("status", "run", "--analysis=probe:mean", f"--pattern={pattern}")

    assert out.count(f"--pattern '{pattern}'") == 2
