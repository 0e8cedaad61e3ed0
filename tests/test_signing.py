"""With a key, only what was signed with it is believed."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from artifact_store import Checkpoint, analysis
from artifact_store.checked import fault, with_check
from artifact_store.errors import BadSetting
from artifact_store.events import Event, SetAside, listening
from artifact_store.lookup import key_of
from artifact_store.manifests import _remembered, render_manifest
from artifact_store.signing import signing_key
from artifact_store.stores.local import LocalStore, open_store

SECRET = "5f" * 32


@analysis
def doubled(checkpoint: Checkpoint) -> Any:
    return {"w": checkpoint["w"] * 2}


SetKey = Callable[[str | None], None]


@pytest.fixture
def set_key(monkeypatch: pytest.MonkeyPatch) -> Iterator[SetKey]:
    """Has what follows done as by another process, with this key or none."""

    def set_key(secret: str | None) -> None:
        monkeypatch.delenv("ARTIFACT_STORE_KEY_FILE", raising=False)
        monkeypatch.setenv("ARTIFACT_STORE_KEY", secret or "")
        for memory in (signing_key, _remembered, open_store):
            memory.cache_clear()

    yield set_key
    monkeypatch.undo()
    signing_key.cache_clear()
    _remembered.cache_clear()
    open_store.cache_clear()


def causes_of(path: Path) -> tuple[list[str], Any]:
    """What was set aside in a call, and what it returned."""
    causes: list[str] = []

    def note(event: Event) -> None:
        if isinstance(event, SetAside):
            causes.append(event.cause)

    with listening(note):
        return causes, doubled(Checkpoint(path))["w"]


def manifest_of(path: Path) -> Path:
    (found,) = (path.parents[1] / "artifacts/.store/entries").glob("*/*/*.json")
    return found


def test_what_is_signed_is_served_to_who_has_the_key_and_to_who_has_none(
    checkpoint: Path, set_key: SetKey, settled: None
) -> None:
    set_key(SECRET)
    doubled(Checkpoint(checkpoint))
    assert b'"signature":"' in manifest_of(checkpoint).read_bytes()

    for secret in (SECRET, None):
        set_key(secret)
        assert doubled.find(Checkpoint(checkpoint)) is not None
        causes, found = causes_of(checkpoint)
        assert causes == [] and found.tolist() == [[0, 2, 4], [6, 8, 10]]


@pytest.mark.parametrize("secret", [None, "6f" * 32], ids=["unsigned", "other key"])
def test_what_is_not_signed_with_the_key_is_refused_and_computed(
    checkpoint: Path, set_key: SetKey, settled: None, secret: str | None
) -> None:
    set_key(secret)
    doubled(Checkpoint(checkpoint))

    set_key(SECRET)
    causes, found = causes_of(checkpoint)
    assert len(causes) == 1 and "not signed" in causes[0]
    assert found.tolist() == [[0, 2, 4], [6, 8, 10]]
    assert causes_of(checkpoint)[0] == []


def test_an_edited_manifest_is_refused_though_data_match_their_digest(
    write_checkpoint: Callable[..., Path], set_key: SetKey, settled: None
) -> None:
    set_key(SECRET)
    paths = [
        write_checkpoint(f"{n}/checkpoints/epoch_1.safetensors", w=np.full(3, n))
        for n in (1, 2)
    ]
    stores = [LocalStore(path.parents[1] / "artifacts") for path in paths]
    for path in paths:
        doubled(Checkpoint(path))
    mine, other = (next(store.manifests()) for store in stores)
    # Numbers of another checkpoint, whole and under their own digest, in the place of mine.
    group = "artifacts/.store/data"
    shutil.copytree(
        paths[1].parents[1] / group, paths[0].parents[1] / group, dirs_exist_ok=True
    )
    edited = msgspec.structs.replace(mine, output=other.output, arrays=other.arrays)

    set_key(None)
    planted = render_manifest(edited)
    path = Path(stores[0]._layout.manifest(key_of(mine)))
    path.write_bytes(planted)
    causes, found = causes_of(paths[0])
    assert causes == [] and found.tolist() == [4, 4, 4]  # as SECURITY.md says
    path.write_bytes(planted)

    set_key(SECRET)
    causes, found = causes_of(paths[0])
    assert len(causes) == 1 and "not signed" in causes[0]
    assert found.tolist() == [2, 2, 2]


def test_who_has_no_key_takes_no_signature_away(
    checkpoint: Path,
    set_key: SetKey,
    settled: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_key(SECRET)
    doubled(Checkpoint(checkpoint))
    monkeypatch.setattr("artifact_store.stores.local.boot_id", lambda: "another")
    monkeypatch.setattr("artifact_store.manifests.boot_id", lambda: "another")
    written = manifest_of(checkpoint).read_bytes()

    # After a boot, what was read and found right is noted: by those only who can sign it.
    for secret, is_noted in ((None, False), (SECRET, True)):
        set_key(secret)
        assert causes_of(checkpoint)[0] == []
        assert (manifest_of(checkpoint).read_bytes() != written) == is_noted
    set_key(None)
    store = LocalStore(checkpoint.parents[1] / "artifacts")
    (key,) = store.keys()
    store.adopt(store.find(key), "label", "")  # type: ignore[arg-type]
    set_key(SECRET)
    assert causes_of(checkpoint)[0] == []


def test_records_that_decide_are_believed_only_if_signed_and_in_their_place(
    checkpoint: Path, set_key: SetKey, settled: None
) -> None:
    set_key(None)
    doubled(Checkpoint(checkpoint))
    store = LocalStore(checkpoint.parents[1] / "artifacts")
    store.keep("blessings", "aa" * 32, ["words"])
    signature = Checkpoint(checkpoint).signature
    store.remember(signature, Checkpoint(checkpoint).digests)
    assert store.detail("blessings", "aa" * 32) == ["words"]
    assert store.recall(signature) is not None

    # Of the right form, but of another place.
    records = checkpoint.parents[1] / "artifacts/.store/records"
    shutil.copy(
        records / f"blessings/{'aa' * 32}.json", records / f"blessings/{'bb' * 32}.json"
    )
    assert store.detail("blessings", "bb" * 32) is None

    set_key(SECRET)
    assert store.detail("blessings", "aa" * 32) is None
    assert store.recall(signature) is None
    store.keep("blessings", "aa" * 32, ["words"])
    assert store.detail("blessings", "aa" * 32) == ["words"]
    set_key(None)
    assert store.detail("blessings", "aa" * 32) == ["words"]


def test_every_flipped_byte_of_a_signed_record_is_found(set_key: SetKey) -> None:
    set_key(SECRET)
    record = with_check("kind", b'{"a":1}')

    assert fault("kind", record) == "" and fault("other", record) != ""
    for place in range(len(record)):
        flipped = bytearray(record)
        flipped[place] ^= 1
        assert fault("kind", bytes(flipped)) != ""


def test_a_key_from_a_file_is_that_key(
    tmp_path: Path, set_key: SetKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_key(SECRET)
    record = with_check("kind", b'{"a":1}')
    (tmp_path / "key").write_text(SECRET + "\n")

    set_key(None)
    monkeypatch.setenv("ARTIFACT_STORE_KEY_FILE", str(tmp_path / "key"))
    signing_key.cache_clear()
    assert with_check("kind", b'{"a":1}') == record


@pytest.mark.parametrize("content", ["too short", "", None], ids=str)
def test_a_key_that_is_none_stops_every_call_and_is_not_shown(
    checkpoint: Path,
    tmp_path: Path,
    set_key: SetKey,
    monkeypatch: pytest.MonkeyPatch,
    content: str | None,
) -> None:
    file = tmp_path / "key"
    if content is not None:
        file.write_text(content)
    set_key(None)
    monkeypatch.setenv("ARTIFACT_STORE_KEY_FILE", str(file))
    signing_key.cache_clear()

    with pytest.raises(BadSetting, match="ARTIFACT_STORE_KEY_FILE=.*key") as caught:
        doubled(Checkpoint(checkpoint))
    assert "too short" not in str(caught.value)


def test_a_short_key_in_the_environment_is_not_shown(set_key: SetKey) -> None:
    set_key("secret")
    with pytest.raises(BadSetting) as caught:
        with_check("kind", b"{}")
    assert "secret" not in str(caught.value).split("Make one")[0]
