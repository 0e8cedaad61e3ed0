from __future__ import annotations

import os

import pytest
from cli.conftest import Shell


def test_a_store_on_a_common_disk_is_well(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell.computed("mean")
    monkeypatch.setenv("ARTIFACT_STORE_MODE", "ro")
    before = sorted(shell.store.rglob("*"))
    status, out, _ = shell("doctor", "run")

    assert status == 0 and "fails" not in out
    assert "ARTIFACT_STORE_MODE    ro" in out and "environment" in out
    found = shell.json("doctor", "run")
    assert all(one["works"] for one in found["findings"])
    assert found["facts"]["store"].endswith("run/artifacts")
    assert sorted(shell.store.rglob("*")) == before


def test_before_there_is_a_store_the_place_is_tried(shell: Shell) -> None:
    before = sorted(shell.home.rglob("*"))
    status, out, _ = shell("doctor", "run")

    assert status == 0 and "none here yet" in out
    assert sorted(shell.home.rglob("*")) == before
    assert shell("doctor", "nowhere")[0] == 2


def test_where_each_setting_comes_from_is_said_and_the_key_is_not(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    from artifact_store.signing import signing_key

    shell.computed("mean")
    (shell.store / ".store/config.toml").write_text("max_bytes = '2 GB'\nmax_files = 7")
    monkeypatch.setenv("ARTIFACT_STORE_MAX_FILES", "9")
    monkeypatch.setenv("ARTIFACT_STORE_KEY", "secret-secret-secret-secret-secret")
    signing_key.cache_clear()
    try:
        _, out, _ = shell("doctor", "run")
    finally:
        signing_key.cache_clear()

    assert "2,000,000,000" in out and "config.toml" in out
    assert (
        "9  ARTIFACT_STORE_MAX_FILES" in " ".join(out.split())
        or "ARTIFACT_STORE_MAX_FILES" in out
    )
    assert "secret" not in out and "ARTIFACT_STORE_KEY" in out


def test_where_nothing_works_the_exit_status_says_so(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    from artifact_store.capabilities import Finding

    broken = Finding("rename", False, "it did something else", "Do not keep a store.")
    monkeypatch.setattr("artifact_store.cli.doctor.tried", lambda folder: [broken])
    status, out, _ = shell("doctor", "run")

    assert status == 1 and "fails" in out and "Do not keep a store." in out


def test_what_is_only_lacking_is_no_failure(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    from artifact_store.capabilities import Finding

    lacking = Finding("links", False, "Not permitted", "There are no doors.", False)
    monkeypatch.setattr("artifact_store.cli.doctor.tried", lambda folder: [lacking])
    status, out, _ = shell("doctor", "run")

    assert status == 0 and "lacks  Not permitted. There are no doors." in out


def test_what_dead_writers_left_and_who_may_write_is_said(shell: Shell) -> None:
    shell.computed("mean")
    dead = shell.store / ".store/staging/dead"
    dead.mkdir()
    (dead / "file").write_bytes(bytes(2000))
    os.utime(dead, (0, 0))
    shell.store.chmod(0o775)
    before = os.umask(0o022)
    try:
        facts = shell.json("doctor", "run")["facts"]
        os.umask(0o002)
        alike = shell.json("doctor", "run")["facts"]
    finally:
        os.umask(before)

    assert facts["left behind"] == "1 folder of writers that died, 2.0 kB"
    assert "umask 022" in facts["access"] and "set umask 002" in facts["access"]
    assert alike["access"].endswith("umask 002")


def test_settings_that_cannot_be_meant_are_named_and_the_rest_is_said(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    from artifact_store.signing import signing_key

    shell.computed("mean")
    (shell.store / ".store/config.toml").write_text("max_byte = 7")
    monkeypatch.setenv("ARTIFACT_STORE_MODE", "rx")
    monkeypatch.setenv("ARTIFACT_STORE_KEY", "short")
    signing_key.cache_clear()
    try:
        status, out, _ = shell("doctor", "run")
        found = shell.json("doctor", "run")["settings"]
    finally:
        signing_key.cache_clear()

    problems = {one["name"]: one["problem"] for one in found if one["problem"]}
    assert status == 1 and "rename" in out
    assert "no such mode" in problems["ARTIFACT_STORE_MODE"]
    assert "5 bytes" in problems["key"] and "short" not in out.replace("shorter", "")
    assert "no such setting" in problems["run/artifacts/.store/config.toml"]


@pytest.mark.parametrize("place", ["run", "run/artifacts"])
def test_a_store_that_cannot_be_meant_is_named_and_the_rest_is_said(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    shell.computed("mean")
    monkeypatch.setenv("ARTIFACT_STORE", "a::b")
    status, out, err = shell("doctor", place)
    found = shell.json("doctor", place)["settings"]

    assert (status, err) == (1, "") and "rename" in out
    (named,) = [one for one in found if one["name"] == "ARTIFACT_STORE"]
    assert named["value"] == "a::b" and "a name is empty. Name" in named["problem"]


def test_the_stores_that_are_only_looked_into_are_named(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "shared stores" not in shell.json("doctor", "run")["facts"]
    shell.computed("mean")
    monkeypatch.setenv("ARTIFACT_STORE", "mine:run/artifacts")
    shell.computed("above")
    facts = shell.json("doctor", "run")["facts"]

    assert facts["store"] == str(shell.home / "mine")
    assert facts["shared stores"] == str(shell.store)
