from __future__ import annotations

import pytest
from cli.conftest import Shell


@pytest.fixture
def computed(shell: Shell) -> Shell:
    shell.computed("mean", "above")
    return shell


def entry(shell: Shell, analysis: str = "mean") -> str:
    """What one entry goes by."""
    return f"{analysis}@checkpoint_epoch_00500"


def test_what_is_pinned_is_listed_and_let_go_again(computed: Shell) -> None:
    assert "Nothing is pinned" in computed("pin", "run")[1]
    status, out, _ = computed("pin", "run", entry(computed), "--note", "for the paper")
    assert status == 0 and "mean@checkpoint_epoch_00500" in out
    assert "for the paper" in computed("pin", "run")[1]
    (pinned,) = computed.json("pin", "run")
    assert pinned["analysis"] == "mean" and len(pinned["digest"]) == 64

    assert computed("unpin", "run", pinned["digest"][:8])[0] == 0
    assert computed.json("pin", "run") == []
    status, _, err = computed("unpin", "run", entry(computed))
    assert status == 2 and "Nothing that is pinned" in err


def test_a_slip_pins_nothing(computed: Shell) -> None:
    status, _, err = computed("pin", "run", entry(computed), "mean@nowhere")

    assert status == 2 and "nowhere" in err
    assert computed.json("pin", "run") == []
    assert computed("unpin", "run")[0] == 2
    assert computed("unpin", "run", "--all")[0] == 0


def test_what_is_pinned_is_not_removed_unless_asked_for(computed: Shell) -> None:
    computed("pin", "run", entry(computed))
    preview = computed.json("rm", "run", "--all")
    assert len(preview["keys"]) == 5 and preview["pinned"] == 1

    _, out, _ = computed("rm", "run", "--all", "--yes")
    assert "Kept: 1 entry, pinned." in out
    assert len(computed.json("ls", "run")) == 1
    assert "its entry is gone" not in computed("pin", "run")[1]
    assert computed("rm", "run", "--all", "--pinned", "--yes")[0] == 0
    assert computed.json("ls", "run") == []
    assert "its entry is gone" in computed("pin", "run")[1]
    assert computed("unpin", "run", entry(computed))[0] == 0


def test_what_is_pinned_survives_any_budget(computed: Shell) -> None:
    computed.edit("values / 2", "values / 3")
    computed.computed("mean")
    entries = computed.json("ls", "run")
    made = [one for one in entries if one["analysis"] == "mean"]
    old = sorted(made, key=lambda one: str(one["provenance"]["created"]))[0]
    computed("pin", "run", old["key"][:12])

    status, out, _ = computed("gc", "run", "--max-bytes", "1")
    assert status == 1 and "Over budget by" in out
    left = {one["key"] for one in computed.json("ls", "run")}
    assert old["key"] in left and len(left) == 7
    assert "pinned" in out and "newest of an analysis for its checkpoint" in out


def test_all_entries_of_an_analysis_or_an_epoch_are_pinned_at_once(
    computed: Shell,
) -> None:
    assert len(computed.json("pin", "run", "--analysis=mean")) == 3
    assert computed("unpin", "run", "--all")[1] == "3 entries may go again.\n"
    (one,) = computed.json("pin", "run", "--analysis=mean", "--epoch=500")
    assert (one["analysis"], one["label"]) == ("mean", "checkpoint_epoch_00500")
    found = computed.json("pin", "run", "--epoch=500")
    assert sorted(one["analysis"] for one in found) == ["above", "mean"]
    assert len(computed.json("pin", "run")) == 2
    freed = computed.json("unpin", "run", one["digest"], "--analysis=mean")
    assert freed == {"unpinned": [f"mean:{one['digest']}"]}
    assert [one["analysis"] for one in computed.json("pin", "run")] == ["above"]

    status, _, err = computed("pin", "run", "--analysis=means")
    assert status == 2 and "no entry of 'means'" in err


def test_a_list_says_what_is_pinned(computed: Shell) -> None:
    computed("pin", "run", entry(computed))
    pinned = [
        line for line in computed("ls", "run")[1].splitlines() if "pinned" in line
    ]

    assert [line.split()[0] for line in pinned] == [entry(computed)]
