from __future__ import annotations

from cli.conftest import Shell


def test_an_intact_store_is_fine(shell: Shell) -> None:
    shell.computed("mean")

    status, out, _ = shell("verify", "run")

    assert status == 0
    assert out == "3 entries checked; everything is what was published.\n"


def test_a_damaged_byte_is_a_finding_and_stays_where_it_is(shell: Shell) -> None:
    shell.computed("mean")
    shell.a_file_of("data", "c.0").write_bytes(b"xxxx" * 7)

    status, out, _ = shell("verify", "run")

    assert status == 1
    assert "1 of 3 entries" in out
    assert shell("verify", "run")[:2] == (status, out)
