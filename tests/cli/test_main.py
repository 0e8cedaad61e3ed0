from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import EntryPoint, EntryPoints

import pytest
from cli.conftest import Shell, typed

from artifact_store.offers import ENTRY_POINTS

HEAVY = {"torch", "zarr", "joblib", "xarray", "plotly", "rich", "tqdm"}


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys, artifact_store.cli as cli\n"
        "try: cli.main(['--help'])\n"
        f"except SystemExit: print({HEAVY!r} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert done.stdout.splitlines()[-1] == "set()"


@pytest.mark.parametrize(
    "words",
    [
        ("status", "run", "--analysis=probe:mean"),
        ("plan", "run", "--analysis=probe:mean"),
        ("run", "run", "--analysis=probe:mean"),
        ("why", "run", "probe:mean"),
        ("ls", "run"),
        ("show", "mean@checkpoint_epoch_00500", "run"),
        ("verify", "run"),
        ("du", "run"),
        ("rm", "run", "--all"),
    ],
    ids=lambda words: words[0],
)
def test_every_verb_can_print_one_json_document_and_nothing_else(
    shell: Shell, words: tuple[str, ...]
) -> None:
    shell.computed("mean")

    status, out, err = shell(*words, "--json")

    assert (status, err) == (0, "")
    json.loads(out)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("status", "nowhere"), "nowhere does not exist"),
        (("ls", "nowhere"), "nowhere is not there"),
        (("status", "run", "--analysis=probe:absent"), "there is no such name"),
        (("status", "run", "--analysis=absent:mean"), "'absent'"),
        (("status", "run", "--analysis=absent"), "no installed package offers it"),
        (("plan", "run", "--epochs=7", "--analysis=probe:mean"), "nearest is 0 or 500"),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, tuple) else "",
)
def test_an_error_is_one_line(shell: Shell, words: tuple[str, ...], says: str) -> None:
    status, out, err = shell(*words)

    assert (status, out) == (2, "")
    assert err.startswith("artifact-store: ") and says in err
    assert err.count("\n") == 1


def test_a_module_that_does_not_load_shows_where_and_is_no_finding(
    shell: Shell,
) -> None:
    (shell.home / "modules" / "wrong.py").write_text("1 / 0\n")

    status, out, err = shell("status", "run", "--analysis=wrong:mean")

    assert (status, out) == (2, "")
    assert "wrong.py" in err and "ZeroDivisionError" in err


def test_an_unreadable_directory_is_an_error_of_one_line(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: object) -> None:
        raise PermissionError(13, "Permission denied", "run/artifacts")

    monkeypatch.setattr("artifact_store.cli.ls.store_at", refuse)

    assert shell("ls", "run")[::2] == (
        2,
        "artifact-store: [Errno 13] Permission denied: 'run/artifacts'\n",
    )


def test_an_interrupt_keeps_what_was_finished(shell: Shell) -> None:
    shell.write_module(
        "slow",
        "from artifact_store import Checkpoint, analysis\n"
        "@analysis\n"
        "def stopped(checkpoint: Checkpoint):\n"
        "    if checkpoint['v'][0] == 500:\n"
        "        raise KeyboardInterrupt\n"
        "    return checkpoint['v'].sum()\n",
    )
    process = typed("run", "run", "--analysis=slow:stopped", at=shell.home)
    out, err = process.communicate()

    assert (process.returncode, out) == (130, "")
    assert "1 computed of 3. What is done is kept" in err
    assert err.endswith("\n  artifact-store run run --analysis=slow:stopped\n")
    assert len(shell.json("ls", "run")) == 1


def test_a_closed_pipe_is_silent(shell: Shell) -> None:
    shell.computed("mean")
    process = typed("ls", "run", at=shell.home)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()

    assert process.stderr.read() == ""
    assert process.wait() == 141
    process.stderr.close()


def test_the_exit_status_reaches_the_shell(shell: Shell) -> None:
    process = typed("status", "run", "--analysis=probe:mean", at=shell.home)
    out, err = process.communicate()

    assert (process.returncode, err) == (1, "")
    assert "not computed yet" in out


def test_into_a_pipe_nothing_is_coloured_wrapped_or_cut(shell: Shell) -> None:
    deep = shell.home / ("long-" * 40) / "run"
    deep.parent.mkdir()
    (shell.home / "run").rename(deep)
    assert shell("run", str(deep), "--analysis=probe:mean")[0] == 0

    _, out, _ = shell("show", "mean@checkpoint_epoch_00500", str(deep))

    assert "\x1b" not in out and "…" not in out
    assert any(line.endswith("mean/checkpoint_epoch_00500") for line in out.split("\n"))
    assert all(line == line.rstrip() for line in out.split("\n"))


def test_an_offered_analysis_that_is_left_out_is_told_once(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = [
        EntryPoint("mean", "probe:mean", ENTRY_POINTS),
        EntryPoint("heavy", "heavy:f", ENTRY_POINTS),
    ]
    (shell.home / "modules/heavy.py").write_text("import torchlike\n")
    monkeypatch.setattr(
        "importlib.metadata.entry_points", lambda group: EntryPoints(points)
    )
    _, out, err = shell("status", "run")

    assert "mean" in out and "heavy" not in out
    assert err.count("heavy needs torchlike") == 1 and "pip install" in err


@pytest.mark.parametrize(
    "words",
    [
        ["rm", "run", "--all", "--yes"],
        ["gc", "run"],
        ["pin", "run", "mean@checkpoint_epoch_00500"],
        ["unpin", "run", "--all"],
        ["bless", "run", "probe:mean", "--yes"],
    ],
    ids=lambda words: words[0],
)
def test_where_nothing_is_to_be_written_no_verb_changes_a_store(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    shell.computed("mean")
    before = {one: one.lstat().st_mtime_ns for one in shell.store.rglob("*")}
    monkeypatch.setenv("ARTIFACT_STORE_MODE", "ro")

    status, _, err = shell(*words)
    assert status == 2 and "is open for reading alone" in err
    after = {one: one.lstat().st_mtime_ns for one in shell.store.rglob("*")}
    assert after == before
    # To look is to change nothing.
    assert shell("rm", "run", "--all")[0] == shell("gc", "run", "--dry-run")[0] == 0


def test_no_label_makes_a_line_of_its_own(shell: Shell) -> None:
    checkpoints = shell.home / "run/checkpoints"
    (checkpoints / "checkpoint_epoch_00500.safetensors").rename(
        checkpoints / "all is well\nnothing is wrong-1.safetensors"
    )
    pattern = "--pattern=checkpoints/all is well\nnothing is wrong-{epoch}.safetensors"
    assert shell("run", "run", "--analysis=probe:mean", pattern)[0] == 0

    for words in (["ls", "run"], ["show", "run", "mean"], ["rm", "run", "--all"]):
        lines = shell(*words)[1].splitlines()
        assert not any(line.startswith("nothing is wrong") for line in lines), words
