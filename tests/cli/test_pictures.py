"""`artifact-store why` of a picture."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from cli.conftest import MODULE, Shell

from artifact_store import Run
from artifact_store.stamps import stamp_of, stamped

SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><rect/></svg>'
ESCAPE = "\x1b]0;owned\x07"


@pytest.fixture
def picture(shell: Shell) -> Path:
    """A picture of two analyses at epoch 500 of the run."""
    return drawn(shell, "fig.svg", epochs=(500,))


def drawn(shell: Shell, name: str, epochs: tuple[int, ...]) -> Path:
    probe, run = shell.write_module("probe", MODULE), Run(shell.home / "run")
    artifacts = [probe.mean.artifact(run[epoch]) for epoch in epochs]
    artifacts += [probe.above.artifact(run[epoch], threshold=2.5) for epoch in epochs]
    stamp = stamp_of("means", {"colour": "'red'"}, run.name, epochs[0], artifacts)
    path = shell.home / name
    path.write_bytes(stamped(SVG, "svg", stamp))
    return path


def test_a_picture_names_code_checkpoint_and_params(
    shell: Shell, picture: Path
) -> None:
    status, out, _ = shell("why", "fig.svg")

    assert status == 0
    assert out.startswith("means of run, epoch 500\n")
    assert "param     colour = 'red'" in out
    assert "mean(checkpoint_epoch_00500)" in out
    assert "above(checkpoint_epoch_00500, threshold=2.5)" in out
    assert "probe.halved  probe.py:7" in out


def test_a_picture_needs_no_run(shell: Shell, picture: Path) -> None:
    os.rename("run", "elsewhere")

    assert shell("why", "fig.svg")[0] == 0


def test_what_a_run_has_today_is_said_beside_it(shell: Shell, picture: Path) -> None:
    status, out, _ = shell("why", "fig.svg", "run", "probe:mean", "probe:above")

    assert status == 0
    assert out.count("today     the same") == 2


def test_an_edit_since_is_a_finding_and_shown(shell: Shell, picture: Path) -> None:
    shell.edit("values / 2", "values / 4")

    status, out, _ = shell("why", "fig.svg", "run", "probe:mean", "probe:above")

    assert status == 1
    assert "today     none up to date" in out and "today     the same" in out
    assert "probe.halved changed" in out and "+    return values / 4" in out


def test_nothing_is_imported_that_was_not_named(shell: Shell, picture: Path) -> None:
    status, out, _ = shell("why", "fig.svg", "run")

    assert status == 1
    assert out.count("today     not known") == 2
    assert "probe:mean is imported only if it is named, after the run" in out


def test_artifacts_of_many_epochs_share_their_code_and_their_causes(
    shell: Shell,
) -> None:
    drawn(shell, "many.svg", epochs=(0, 500, 1000))
    shell.edit("values / 2", "values / 4")
    shell("run", "run", "--analysis=probe:mean", "--epochs=500")

    _, out, _ = shell("why", "many.svg", "run", "probe:mean", "probe:above")

    assert "mean: 3 artifacts" in out and "above: 3 artifacts" in out
    assert out.count("probe.halved  probe.py:7") == 1
    assert out.count("none up to date") == 2 and out.count("another result") == 1
    assert out.count("return values / 4") == 1


def test_the_same_for_programs(shell: Shell, picture: Path) -> None:
    alone = shell.json("why", "fig.svg")
    beside = shell.json("why", "fig.svg", "run", "probe:mean")

    assert alone["params"] == {"colour": "'red'"} and alone["epoch"] == 500
    assert "today" not in alone["artifacts"][0]
    states = [one["today"]["state"] for one in beside["artifacts"]]
    assert states == ["same", "unknown"]


def test_a_file_without_a_stamp_a_broken_one_and_none_are_named(shell: Shell) -> None:
    Path("plain.svg").write_bytes(SVG)
    Path("broken.html").write_bytes(b'<script id="artifact-store">{</script>')

    for name, said in (
        ("plain.svg", "plain.svg does not say what it was drawn from"),
        ("broken.html", "broken.html has a stamp that cannot be read"),
        ("absent.png", "absent.png does not exist"),
    ):
        status, _, err = shell("why", name)
        assert status == 2 and said in err


def test_a_picture_takes_no_epoch(shell: Shell, picture: Path) -> None:
    status, _, err = shell("why", "fig.svg", "--epoch=0")

    assert status == 2 and "a picture has its own epoch and params" in err


def test_a_run_needs_an_analysis(shell: Shell) -> None:
    status, _, err = shell("why", "run")

    assert status == 2 and "name one ANALYSIS" in err


def test_words_of_a_stranger_are_shown_and_not_obeyed(
    shell: Shell, picture: Path
) -> None:
    content = picture.read_bytes()
    start, end = content.index(b'">{') + 2, content.index(b"</metadata>")
    record = json.loads(content[start:end])
    for one in (record, record["artifacts"][0]):
        one.update({"view": ESCAPE, "analysis": ESCAPE + "\nforged", "created": ESCAPE})
    words = json.dumps(record).encode()
    picture.write_bytes(content[:start] + words + content[end:])

    status, out, _ = shell("why", "fig.svg")

    assert status == 0
    assert "\x1b" not in out and "\nforged" not in out
