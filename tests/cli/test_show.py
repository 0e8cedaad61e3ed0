from __future__ import annotations

from cli.conftest import Shell


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
