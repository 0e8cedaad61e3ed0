from __future__ import annotations

from cli.conftest import Shell


def test_the_total_is_all_there_is(shell: Shell) -> None:
    shell.computed("mean", "above")

    found = shell.json("du", "run")

    files = [path for path in shell.store.rglob("*") if not path.is_dir()]
    files += [path for path in shell.store.rglob("*") if path.is_symlink()]
    assert found["total"]["files"] == len(set(files))
    assert found["total"]["nbytes"] == sum(f.lstat().st_size for f in set(files))
    assert found["total"]["entries"] == 6


def test_leftovers_have_lines_of_their_own(shell: Shell) -> None:
    shell.computed("mean")
    shell.a_file_of("entries", "*.json").unlink()

    _, out, _ = shell("du", "run")

    assert "data without a manifest" in out
    assert "Leftovers are needed by nothing." in out
    assert "artifact-store gc run" in out
