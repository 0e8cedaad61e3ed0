"""`push`, `pull`, `export`, `import`; and what other verbs make of a URL."""

from __future__ import annotations

import pytest
from cli.conftest import Shell
from conftest import Storage

from artifact_store import bucket_garbage
from artifact_store.buckets import open_bucket
from artifact_store.stores.opening import store_opened


def test_what_is_pushed_is_pulled_elsewhere(shell: Shell, storage: Storage) -> None:
    shell.computed("mean", "above")

    status, out, _ = shell("push", "run", storage.url)
    assert status == 0 and out.startswith("6 entries of ") and storage.url in out
    assert (
        "has no entry of 'tpyo'"
        in shell("push", "run", storage.url, "--analysis=tpyo")[2]
    )
    assert "6 entries there already" in shell("push", "run", storage.url)[1]
    elsewhere = shell.home / "elsewhere"
    assert shell("pull", str(elsewhere), storage.url)[0] == 0
    found = shell.json("ls", str(elsewhere))
    assert len(found) == len(shell.json("ls", "run")) != 0


def test_the_shared_store_may_be_set(
    shell: Shell, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell.computed("mean")
    assert "name the SHARED store" in shell("push", "run")[2]
    monkeypatch.setenv("ARTIFACT_STORE_SHARED", f"ro:{storage.url}")

    assert shell.json("push", "run", "--analysis", "mean")["sent"] == 3


def test_a_store_goes_through_one_file(shell: Shell) -> None:
    shell.computed("mean")

    assert shell("export", "run", "bundle.tar")[0] == 0
    status, out, _ = shell("import", "other", "bundle.tar")
    assert status == 0 and out.startswith("3 entries")
    assert shell("verify", "other")[0] == 0


def test_a_run_with_a_shared_store_fills_it(
    shell: Shell, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARTIFACT_STORE_SHARED", storage.url)
    shell.computed("mean")

    assert len(list(store_opened(storage.url).keys())) == 3
    assert shell.json("ls", "run")


def test_what_looks_into_directories_says_so_of_a_bucket(
    shell: Shell, storage: Storage
) -> None:
    for verb in ("ls", "du", "verify"):
        status, _, err = shell(verb, storage.url)
        assert status == 2 and "is in a bucket" in err and "pull" in err


def test_doctor_tries_what_a_bucket_can_do(shell: Shell, storage: Storage) -> None:
    status, out, _ = shell("doctor", storage.url)

    assert status == 0 and "conditional writes" in out and "fails" not in out
    assert storage.line.server.secret not in out
    assert not list(open_bucket(storage.url).listed(".store/doctor"))
    status, out, _ = shell("doctor", "s3://no-such-bucket")
    assert status == 1 and "Nothing can be kept here" in out


def test_gc_removes_what_nothing_names_from_a_bucket(
    shell: Shell, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell.computed("mean")
    shell("push", "run", storage.url)
    bucket = open_bucket(storage.url)
    manifests = [one.name for one in bucket.listed(".store/entries")]
    bucket.delete(manifests[:1])
    assert "removed 0 groups" in shell("gc", storage.url)[1].lower()  # It is young.
    monkeypatch.setattr(bucket_garbage.superfluous, "__defaults__", (-10.0,))

    assert "Would remove 1 group of data" in shell("gc", storage.url, "--dry-run")[1]
    assert "Removed 1 group of data" in shell("gc", storage.url)[1]
    assert "Removed 0 groups" in shell("gc", storage.url)[1]
    assert len(list(store_opened(storage.url).keys())) == 2


def test_a_run_in_a_bucket_is_analysed_beside_itself(
    shell: Shell, storage: Storage
) -> None:
    for path in (shell.home / "run").rglob("*"):
        if path.is_file():
            name = str(path.relative_to(shell.home / "run"))
            open_bucket(f"{storage.url}/run").put(name, path)
    url = f"{storage.url}/run"

    status, out, err = shell("run", url, "--analysis=probe:mean")
    assert status == 0, err
    assert "3" in out and "s3://" in out
    assert shell("status", url, "--analysis=probe:mean")[0] == 0
    status, out, err = shell("why", url, "probe:mean", "--epoch", "500")
    assert status == 0, out + err
    assert shell.json("run", url, "--analysis=probe:mean")["counts"] == {"hit": 3}


def test_a_part_of_a_run(shell: Shell) -> None:
    for number, epochs in ((1, [0, 1000]), (2, [500])):
        done = shell.json(
            "run", "run", "--analysis=probe:mean", "--shard", f"{number}/2"
        )
        assert [one["epoch"] for one in done["done"]] == epochs
    status, _, err = shell("run", "run", "--shard", "3/2")
    assert status == 2 and "of eight jobs, the second does 2/8" in err
