from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from artifact_store.arrays import FileStat, StoredArray
from artifact_store.digests import digest_of
from artifact_store.errors import CorruptArtifact, UnknownFormat
from artifact_store.manifests import (
    DURABLE,
    MANIFEST_FORMAT,
    InputRecord,
    Manifest,
    ParamRecord,
    Provenance,
    Seal,
    as_json,
    boot_id,
    is_sealed,
    parse_manifest,
    render_manifest,
    seal_of,
)

FILES = {"mean": FileStat(52, 1, 2, 3)}

MANIFEST = Manifest(
    format=MANIFEST_FORMAT,
    key="a" * 64,
    analysis="mean",
    output="b" * 64,
    single=False,
    arrays=(StoredArray("mean", "<f8", (4,), ("mean_0",), 4, "raw", 52),),
    seal=Seal("boot", FILES),
    provenance=Provenance(
        function="module:mean",
        closure="c" * 64,
        params={"k": ParamRecord("1", "d" * 64)},
        inputs=(InputRecord("checkpoint", "epoch_1", "e" * 64),),
        ignored={"device": "'cpu'"},
        environment="",
        versions={"numpy": "2.0"},
        python="3.11",
        platform="linux",
        host="here",
        created="2025-01-01T00:00:00+00:00",
        seconds=0.5,
    ),
)


def checked(fields: Any) -> bytes:
    """A manifest of any fields whose digest is right."""
    rest = b"," + msgspec.json.encode(fields)[1:]
    return b'{"check":"' + digest_of("manifest", rest).hex.encode() + b'"' + rest


def fields(**changes: Any) -> dict[str, Any]:
    known: dict[str, Any] = json.loads(render_manifest(MANIFEST))
    del known["check"]
    return known | changes


def test_a_manifest_survives_being_rendered_and_parsed() -> None:
    assert parse_manifest(render_manifest(MANIFEST), "path") == MANIFEST
    assert MANIFEST.nbytes == 52


def test_a_manifest_is_plain_json_for_whoever_looks() -> None:
    plain = json.loads(render_manifest(MANIFEST))

    assert plain["analysis"] == "mean" and list(plain)[0] == "check"
    assert plain["provenance"]["inputs"][0]["label"] == "epoch_1"


def test_any_change_of_any_byte_is_seen() -> None:
    whole = render_manifest(MANIFEST)
    for where in range(len(whole)):
        for changed in (whole[where] ^ 1, whole[where] ^ 0x80):
            damaged = whole[:where] + bytes([changed]) + whole[where + 1 :]
            with pytest.raises(CorruptArtifact):
                parse_manifest(damaged, "path")


@pytest.mark.parametrize("content", [b"", b"{", b"null", b"[]", b"\0" * 500])
def test_what_is_no_manifest_is_corrupt(content: bytes) -> None:
    with pytest.raises(CorruptArtifact, match="path"):
        parse_manifest(content, "path")


def test_a_later_format_is_named_whatever_its_fields() -> None:
    for content in (
        checked(fields(format=2)),
        checked({"format": 2, "new": []}),
        checked({"format": "two"}),
        checked({"none": 1}),
    ):
        with pytest.raises(UnknownFormat, match="newer"):
            parse_manifest(content, "path")


@pytest.mark.parametrize(
    "change",
    [
        {"output": "../../etc"},
        {"output": "B" * 64},
        {"key": 1},
        {"arrays": [{"name": "../x"}]},
        {"seal": None},
    ],
    ids=str,
)
def test_our_format_with_other_fields_is_corrupt(change: dict[str, Any]) -> None:
    with pytest.raises(CorruptArtifact, match="is not a manifest"):
        parse_manifest(checked(fields(**change)), "path")


def test_a_seal_holds_while_stat_and_boot_are_the_same() -> None:
    seal = seal_of(FILES, boot_id())

    assert is_sealed(seal, FILES)
    for position in range(4):
        changed = list(msgspec.structs.astuple(FILES["mean"]))
        changed[position] += 1
        assert not is_sealed(seal, {"mean": FileStat(*changed)})
    assert not is_sealed(seal, {}) and not is_sealed(seal, FILES | {"more": FILES["mean"]})  # fmt: skip


def test_a_seal_of_another_boot_is_broken_unless_it_is_durable() -> None:
    assert not is_sealed(seal_of(FILES, "another boot"), FILES)
    assert is_sealed(seal_of(FILES, DURABLE), FILES)


def test_a_seal_holds_in_every_boot_that_found_the_same_files_right(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = seal_of(FILES, "one host")
    both = seal_of(FILES, "another host", first)

    for boot in ("one host", "another host"):
        monkeypatch.setattr("artifact_store.manifests.boot_id", lambda: boot)
        assert is_sealed(both, FILES)
    # That of one host after a power cut is none of them.
    monkeypatch.setattr("artifact_store.manifests.boot_id", lambda: "one host again")
    assert not is_sealed(both, FILES)
    assert seal_of(FILES, "one host", both) == Seal("one host", FILES, boots=("another host",))  # fmt: skip


def test_of_other_files_no_boot_is_believed_any_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    moved = {
        "mean": FileStat(*(1 + one for one in msgspec.structs.astuple(FILES["mean"])))
    }
    seal = seal_of(moved, "another host", seal_of(FILES, "one host"))
    monkeypatch.setattr("artifact_store.manifests.boot_id", lambda: "one host")

    assert seal == Seal("another host", moved) and not is_sealed(seal, moved)


def test_a_seal_names_the_newest_of_many_boots() -> None:
    seal = seal_of(FILES, "0")
    for number in range(1, 100):
        seal = seal_of(FILES, str(number), seal)

    assert seal.boot == "99" and seal.boots == tuple(str(98 - n) for n in range(32))


def test_no_seal_holds_where_boots_have_no_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("artifact_store.manifests.boot_id", lambda: "unknown")

    assert not is_sealed(seal_of(FILES, "unknown"), FILES)


def test_a_record_with_text_that_is_no_unicode_is_written_in_hex() -> None:
    assert as_json({"a\udcff": ["\ud800", 1, None]}) == (
        b'{"a\\\\udcff":["\\\\ud800",1,null]}'
    )
    assert as_json({"a": "é"}) == '{"a":"é"}'.encode()
