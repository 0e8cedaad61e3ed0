from __future__ import annotations

import pytest
from cli.conftest import Shell


def cells(out: str, name: str) -> list[str]:
    return next(line.split() for line in out.splitlines() if line.startswith(name))


def test_running_twice_computes_once(shell: Shell) -> None:
    _, first, _ = shell("run", "run", "--analysis=probe:mean")
    status, second, _ = shell("run", "run", "--analysis=probe:mean")

    assert status == 0
    assert cells(first, "mean")[1:4] == ["3", "0", "0"]
    assert cells(second, "mean")[1:4] == ["0", "3", "0"]
    assert cells(second, "mean")[-1] == "run/artifacts/mean"


def test_a_failure_is_told_once_with_its_epochs_and_stops_nothing_else(
    shell: Shell,
) -> None:
    status, out, _ = shell("run", "run", "--analysis=probe:broken,probe:mean")

    assert status == 1
    assert cells(out, "broken")[1:4] == ["0", "0", "3"]
    assert cells(out, "mean")[1:4] == ["3", "0", "0"]
    assert "broken failed at epochs 0, 500, 1000" in out
    assert out.count("has no tensor 'absent'") == 1


def test_only_the_named_epochs_run(shell: Shell) -> None:
    outcome = shell.json("run", "run", "--analysis=probe:mean", "--epochs=500")

    assert [(one["epoch"], one["state"]) for one in outcome["done"]] == [
        (500, "computed")
    ]


def test_a_store_is_the_run_it_belongs_to(shell: Shell) -> None:
    shell.computed("mean")

    assert shell.json("run", "run/artifacts", "--analysis=probe:mean")["counts"] == {
        "hit": 3
    }


def test_the_environment_names_another_store(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARTIFACT_STORE", str(shell.home / "elsewhere"))

    shell.computed("mean")

    assert not shell.store.exists()
    assert len(shell.json("ls", "run")) == 3
