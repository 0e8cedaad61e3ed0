from __future__ import annotations

from cli.conftest import Shell

MEAN = ("why", "run", "probe:mean")


def test_a_hit_lists_what_it_depends_on(shell: Shell) -> None:
    shell.computed("mean")

    status, out, _ = shell(*MEAN, "--epoch=500")

    assert status == 0
    assert out.startswith("mean(checkpoint_epoch_00500): hit")
    assert "constant SCALE = 2.0" in out and "modules/probe.py" in out


def test_an_edit_is_shown_as_a_diff(shell: Shell) -> None:
    shell.computed("mean")
    shell.edit("values / 2", "values / 3")

    _, out, _ = shell(*MEAN)

    assert out.startswith("mean(checkpoint_epoch_00000): miss")
    assert "  -    return values / 2\n  +    return values / 3\n" in out


def test_the_first_checkpoint_without_an_artifact_is_explained(shell: Shell) -> None:
    assert shell("run", "run", "--analysis=probe:mean", "--epochs=0")[0] == 0

    assert shell.json(*MEAN)["call"] == "mean(checkpoint_epoch_00500)"


def test_params_are_literals_or_else_strings(shell: Shell) -> None:
    shell.computed("above")

    found = shell.json("why", "run", "probe:above", "--param=threshold=2.5")
    words = shell.json("why", "run", "probe:above", "--param=threshold=high")

    assert found["causes"][0]["what"].startswith("parameter threshold is 2.5")
    assert words["causes"][0]["what"].startswith("parameter threshold is 'high'")


def test_a_param_it_does_not_take_is_refused(shell: Shell) -> None:
    status, _, err = shell(*MEAN, "--param=absent=1")

    assert status == 2
    assert "mean: got an unexpected keyword argument 'absent'" in err


def test_a_checkpoint_may_be_named_instead_of_a_run(shell: Shell) -> None:
    path = "run/checkpoints/checkpoint_epoch_00500.safetensors"

    found = shell.json("why", path, "probe:mean")

    assert found["call"] == "mean(checkpoint_epoch_00500)"
