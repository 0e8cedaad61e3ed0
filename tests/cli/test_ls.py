from __future__ import annotations

import pytest
from cli.conftest import Shell


def test_each_entry_is_a_line_that_show_understands(shell: Shell) -> None:
    shell.computed("mean", "above")

    _, out, _ = shell("ls", "run")

    assert "mean  mean float32 2\n" in out
    assert "above(threshold=0.5)  value int64 scalar\n" in out
    names = [word for word in out.split() if "@" in word]
    assert len(names) == 6
    assert all(shell("show", name, "run")[0] == 0 for name in names)


@pytest.mark.parametrize(
    ("asked", "number"),
    [
        (["--analysis=mean"], 3),
        (["--analysis=probe:mean"], 3),
        (["--analysis=mean,above"], 6),
        (["--label=00500"], 2),
        (["--label=00500", "--analysis=above"], 1),
    ],
    ids=str,
)
def test_entries_are_filtered(shell: Shell, asked: list[str], number: int) -> None:
    shell.computed("mean", "above")

    assert len(shell.json("ls", "run", *asked)) == number


@pytest.mark.parametrize("name", ["absent", "probe:absent", "absent:mean"])
@pytest.mark.parametrize("more", [[], ["--json"]], ids=str)
def test_a_misspelt_name_is_no_empty_list(
    shell: Shell, name: str, more: list[str]
) -> None:
    shell.computed("mean")

    status, out, err = shell("ls", "run", f"--analysis={name}", *more)
    assert (status, out) == (2, "") and f"no entry of '{name}'" in err


def test_above_shared_stores_the_private_one_is_listed_as_table_and_as_json(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell.computed("mean")
    monkeypatch.setenv("ARTIFACT_STORE", "mine:run/artifacts")
    shell.computed("mean", "above")

    assert {one["analysis"] for one in shell.json("ls", "run")} == {"above"}
    assert "above@" in (table := shell("ls", "run")[1]) and "mean@" not in table
    assert len(shell.json("ls", "run/artifacts")) == 3


@pytest.mark.parametrize(
    "place",
    [
        "run",
        "run/artifacts",
        "run/artifacts/mean/checkpoint_epoch_00500",
        "run/checkpoints/checkpoint_epoch_00000.safetensors",
    ],
)
def test_every_way_to_name_a_store_is_understood(shell: Shell, place: str) -> None:
    shell.computed("mean")

    assert len(shell.json("ls", place)) == 3


def test_without_a_run_it_is_the_current_directory(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell.computed("mean")
    monkeypatch.chdir("run")

    assert len(shell.json("ls")) == 3


def test_what_nobody_would_read_is_summed_up(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell.computed("mean", "above")
    every = [line for line in shell("ls", "run")[1].splitlines() if "@" in line]
    monkeypatch.setattr("artifact_store.cli.ls.LINES", 3)

    by_call = shell("ls", "run")[1]
    assert len(every) == 6 and "@" not in by_call
    rows = [line.split()[:2] for line in by_call.splitlines()]
    assert ["mean", "3"] in rows and ["above(threshold=0.5)", "3"] in rows
    assert "6 entries: to list them, narrow it by --analysis and --label." in by_call
    assert shell("ls", "run", "--analysis=mean")[1].count("@") == 3
    assert len(shell.json("ls", "run")) == 6

    monkeypatch.setattr("artifact_store.cli.ls.LINES", 1)
    by_analysis = shell("ls", "run")[1]
    assert ["above", "3"] in [line.split()[:2] for line in by_analysis.splitlines()]


def test_what_cannot_be_read_is_left_out(shell: Shell) -> None:
    shell.computed("mean")
    shell.a_file_of("entries", "*.json").write_text("{}")

    assert shell("ls", "run")[1].count("@") == 2
    assert len(shell.json("ls", "run")) == 2


def test_nothing_is_an_empty_document(shell: Shell) -> None:
    shell.computed("mean")

    assert shell("ls", "run", "--label=absent", "--json")[1] == "[]\n"
    assert "Nothing stored" in shell("ls", "run", "--label=absent")[1]


def test_what_was_set_aside_is_listed_with_its_cause(shell: Shell) -> None:
    shell.computed("mean")
    assert shell("ls", "run", "--quarantined")[1].startswith("Nothing was set aside")
    data = shell.a_file_of("data", "c.0")
    data.write_bytes(bytes(data.stat().st_size))
    shell.computed("mean")

    data_aside, entry_aside = sorted(
        shell.json("ls", "run", "--quarantined"), key=lambda one: len(one["path"])
    )
    _, out, _ = shell("ls", "run", "--quarantined")
    for one in (data_aside, entry_aside):
        assert one["key"].startswith("mean:") and one["when"]
        assert "mean/c.0 has a damaged index" in one["cause"]
        assert one["aside"] in out or one["aside"].rpartition("/")[2] in out
    assert "2 set aside as corrupt." in out
    assert shell("gc", "run", "--quarantined")[0] == 0
    assert shell.json("ls", "run", "--quarantined") == []
