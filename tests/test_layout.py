from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from artifact_store.digests import digest_of
from artifact_store.keys import Key
from artifact_store.layout import (
    Layout,
    door_label,
    home_of,
    home_of_group,
    home_of_run,
    key_of_manifest,
)

KEY = Key("mean", digest_of("key", b"1"))


@pytest.mark.parametrize(
    "checkpoint, home",
    [
        ("/r/run/checkpoints/epoch_1.safetensors", "/r/run/artifacts"),
        ("/r/run/checkpoints/epoch_1/model.safetensors", "/r/run/artifacts"),
        ("/checkpoints/run/checkpoints/e.safetensors", "/checkpoints/run/artifacts"),
        ("/r/loose.safetensors", "/r/artifacts"),
        ("/r/model/model.safetensors.index.json", "/r/artifacts"),
        ("/r/checkpoints", "/r/artifacts"),
    ],
)
def test_artifacts_lie_beside_the_checkpoints_of_a_run_or_beside_the_file(
    checkpoint: str, home: str
) -> None:
    assert home_of(Path(checkpoint)) == Path(home)


def test_artifacts_of_a_run_lie_with_those_of_its_checkpoints() -> None:
    assert home_of_run(Path("/r/run")) == home_of(Path("/r/run/checkpoints/e"))


def test_the_key_of_a_manifest_and_the_store_of_a_group_are_found_from_their_paths() -> (
    None
):
    layout = Layout("/r/artifacts")

    assert key_of_manifest(Path(layout.manifest(KEY))) == KEY
    assert home_of_group(Path(layout.group("ab" * 32))) == Path("/r/artifacts")


def test_every_name_lies_below_the_root_and_none_twice() -> None:
    layout = Layout("/r/artifacts")
    names = [
        layout.manifest(KEY),
        layout.group("ab" * 32),
        layout.lock,
        layout.record("closures", "ab" * 32),
        layout.door("mean", "epoch_1"),
        layout.staging,
        layout.quarantine,
    ]

    assert len(set(names)) == len(names)
    assert all(name.startswith("/r/artifacts/") for name in names)
    assert [name for name in names if "/.store/" not in name] == [
        "/r/artifacts/mean/epoch_1"
    ]


@pytest.mark.parametrize(
    "params, name",
    [
        ({}, "epoch_1"),
        ({"k": 2}, "epoch_1,k=2"),
        ({"k": -0.5, "mode": "fast"}, "epoch_1,k=-0.5,mode=fast"),
        ({"on": True, "off": None}, "epoch_1,on=True,off=None"),
    ],
)
def test_plain_params_are_told_in_full(params: dict[str, Any], name: str) -> None:
    assert door_label("epoch_1", params, b"exactly") == name


@pytest.mark.parametrize(
    "value", ["a/b", "None", "3", "../x", "a" * 500, (1, 2), "ä\n"]
)
def test_what_a_name_cannot_tell_is_told_by_a_digest(value: Any) -> None:
    names = {door_label("e", {"k": value}, exactly) for exactly in (b"1", b"2")}

    assert len(names) == 2
    for name in names:
        assert "/" not in name and not name.startswith(".") and name.isprintable()
        assert len(name.encode()) <= 120


@pytest.mark.parametrize("label", ["", ".", "..", ".hidden", "a/../b", "\udcff"])
def test_no_label_makes_a_hidden_or_impossible_name(label: str) -> None:
    name = door_label(label, {}, b"")

    assert name.strip(".-") and not name.startswith(".") and "/" not in name
