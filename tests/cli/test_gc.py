from __future__ import annotations

import os

import pytest
from cli.conftest import Shell


def files_of(shell: Shell) -> int:
    """All files of the store, doors among them."""
    return sum(
        1 for one in shell.store.rglob("*") if one.is_symlink() or not one.is_dir()
    )


@pytest.fixture
def littered(shell: Shell) -> Shell:
    """Three entries, the manifest of one of which is gone for long."""
    shell.computed("mean")
    shell.a_file_of("entries", "*.json").unlink()
    for group in (shell.store / ".store/data").glob("??/*"):
        os.utime(group, (0, 0))
    return shell


def test_a_dry_run_says_exactly_what_is_then_freed(littered: Shell) -> None:
    before = set(littered.store.rglob("*"))
    preview = littered.json("gc", "run", "--dry-run")
    assert set(littered.store.rglob("*")) == before
    freed = littered.json("gc", "run")

    assert preview == freed | {"removed": False} and freed["removed"]
    assert [one["kind"] for one in freed["garbage"]] == ["data", "door"]
    assert freed["nbytes"] == sum(one["nbytes"] for one in freed["garbage"])
    assert not any(os.path.lexists(one["path"]) for one in freed["garbage"])
    assert littered.json("gc", "run")["garbage"] == []
    assert len(littered.json("ls", "run")) == 2 and littered("verify", "run")[0] == 0


def test_what_goes_is_said_by_kind(littered: Shell) -> None:
    status, out, _ = littered("gc", "run", "--dry-run")

    assert status == 0 and "Would free" in out and "of run/artifacts." in out
    assert "data that no entry names" in out and "doors to data that are gone" in out
    assert "Freed" in littered("gc", "run")[1]
    assert littered("gc", "run")[1] == "Nothing to remove in run/artifacts.\n"


def test_entries_are_never_removed(shell: Shell) -> None:
    shell.computed("mean", "above")
    for path in shell.store.rglob("*"):
        os.utime(path, (0, 0), follow_symlinks=False)
    before = set(shell.store.rglob("*"))

    assert shell.json("gc", "run")["garbage"] == []
    assert set(shell.store.rglob("*")) == before


def test_what_was_set_aside_goes_only_if_asked(shell: Shell) -> None:
    shell.computed("mean")
    shell.a_file_of("entries", "*.json").write_text("{}")
    shell.computed("mean")

    _, out, _ = shell("gc", "run")
    assert "Kept: 1 set aside as corrupt, with 1 note; " in out
    assert "artifact-store gc run --quarantined" in out

    preview = shell.json("gc", "run", "--quarantined", "--dry-run")
    freed = shell.json("gc", "run", "--quarantined")
    assert preview == freed | {"removed": False}
    assert sorted(one["kind"] for one in freed["garbage"]) == ["note", "quarantine"]
    assert "Kept" not in shell("gc", "run")[1]


def test_what_was_set_aside_and_has_no_note_is_said_to_go(shell: Shell) -> None:
    shell.computed("mean")
    aside = shell.store / ".store/quarantine"
    aside.mkdir()
    (aside / "1-thing").write_bytes(bytes(100))
    (aside / "2.json").write_bytes(b"{}")
    asked = ("gc", "run", "--quarantined", "--max-files=1")
    preview, shown = shell.json(*asked, "--dry-run"), shell(*asked, "--dry-run")[1]
    _, out, _ = shell(*asked)

    assert out == shown.replace("Would free", "Freed")
    assert out.startswith("Freed 102 B") and list(aside.iterdir()) == []
    # As many files as are left were foretold to be.
    assert preview["left"]["files"] == files_of(shell)


def test_a_dry_run_with_a_budget_says_exactly_what_is_then_freed(
    littered: Shell,
) -> None:
    littered.computed("mean")
    littered.edit("values / 2", "values / 3")
    littered.computed("mean")
    asked = ("gc", "run", "--max-bytes", "1kB", "--max-files", "1")

    before = sum(1 for one in littered.store.rglob("*") if not one.is_dir())
    shown = littered(*asked, "--dry-run")
    preview = littered.json(*asked, "--dry-run")
    assert sum(1 for one in littered.store.rglob("*") if not one.is_dir()) == before
    status, out, _ = littered(*asked)

    assert (status, out) == (1, shown[1].replace("Would free", "Freed"))
    # Of epoch 0 both codes give zeros, which are the newest too.
    assert len(preview["evicted"]) == 2 and preview["nbytes"] > 0
    assert "entries of mean" in out and "Over budget by" in out
    assert len(littered.json("ls", "run")) == 4
    left = littered.json(*asked, "--dry-run")
    assert left["evicted"] == [] and left["left"]["files"] == preview["left"]["files"]
    assert littered("status", "run", "--analysis=probe:mean")[0] == 0


def test_a_budget_stands_in_the_configuration(shell: Shell) -> None:
    shell.computed("mean")
    shell.edit("values / 2", "values / 3")
    shell.computed("mean")
    config = shell.store / ".store/config.toml"
    config.write_text("max_bytes = 1")

    assert len(shell.json("gc", "run", "--dry-run")["evicted"]) == 2
    assert shell.json("gc", "run", "--dry-run", "--max-bytes=1GB")["evicted"] == []
    config.write_text("max_byte = 1")
    status, _, err = shell("gc", "run")
    assert status == 2 and "no such setting" in err and "config.toml" in err
    assert shell("gc", "run", "--max-bytes=much")[0] == 2


def test_what_entries_alone_needed_that_go_goes_with_them(shell: Shell) -> None:
    shell.computed("mean")
    shell.edit("values / 2", "values / 3")
    shell.computed("mean")
    for path in (shell.store / ".store/records").rglob("*.json"):
        os.utime(path, (0, 0))
    asked = ("gc", "run", "--max-files=1")
    preview = shell.json(*asked, "--dry-run")
    freed = shell.json(*asked)

    assert preview == freed | {"removed": False}
    folders = [one["path"].split("/")[-2] for one in freed["garbage"]]
    # Of epoch 0 both codes give zeros, which are of the newest too, so that the code of then is still named.
    assert folders == ["steps", "steps"]
    assert files_of(shell) == freed["left"]["files"]
    assert shell.json("gc", "run")["garbage"] == []
    assert shell("status", "run", "--analysis=probe:mean")[0] == 0


def test_records_stay_if_an_entry_stays_after_all(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell.computed("mean")
    shell.edit("values / 2", "values / 3")
    shell.computed("mean")
    for path in (shell.store / ".store/records").rglob("*.json"):
        os.utime(path, (0, 0))
    monkeypatch.setattr("artifact_store.eviction._is_wanted", lambda *_: True)
    freed = shell.json("gc", "run", "--max-files=1")

    assert freed["garbage"] == freed["evicted"] == [] and freed["nbytes"] == 0
    assert files_of(shell) == freed["left"]["files"]


def test_by_how_much_and_why_a_store_is_over_its_budget_is_said(shell: Shell) -> None:
    shell.computed("mean")
    shell("pin", "run", "mean@checkpoint_epoch_00500")
    status, out, _ = shell("gc", "run", "--max-files=1", "--max-bytes=1GB")
    files = files_of(shell)

    assert status == 1 and f"Over budget by {files - 1} files: " in out
    assert f" in {files} files are left." in out
    assert "newest of an analysis for its checkpoint        2" in out
    assert "pinned" in out and "being computed" not in out


def test_a_dry_run_foretells_garbage_evictions_and_what_is_pinned_at_once(
    littered: Shell,
) -> None:
    for divisor in (3, 4, 5):
        littered.edit("values / 2", f"values / {divisor}")
        littered.computed("mean", "above")
    for path in (littered.store / ".store/records").rglob("*.json"):
        os.utime(path, (0, 0))
    entries = [one["key"] for one in littered.json("ls", "run", "--analysis=mean")]
    littered("pin", "run", *entries[::3])
    asked = ("gc", "run", "--max-bytes=1kB", "--max-files=7", "--quarantined")
    shown = [littered(*asked, "--dry-run") for _ in range(2)]
    freed = littered(*asked)

    assert shown[0] == shown[1]
    assert freed == (1, shown[0][1].replace("Would free", "Freed"), "")
    assert all(words in freed[1] for words in ("entries of mean", "records", "pinned"))
    again = littered(*asked)[1]
    assert again.startswith("Nothing to remove") and "Over budget by" in again
    left = {one["key"] for one in littered.json("ls", "run")}
    assert set(entries[::3]) <= left and littered("verify", "run")[0] == 0


def test_a_budget_holds_for_a_store_that_is_a_link_as_a_whole(shell: Shell) -> None:
    shell.computed("mean")
    shell.store.rename(shell.home / "disk")
    shell.store.symlink_to(shell.home / "disk")

    here = shell.json("gc", "run", "--max-bytes=1", "--dry-run")["left"]
    there = shell.json("gc", "disk", "--max-bytes=1", "--dry-run")["left"]
    assert here == there and here["nbytes"] > 1000
