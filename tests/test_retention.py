from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import msgspec
import pytest

from artifact_store import Run
from artifact_store.errors import CorruptArtifact, UnknownFormat
from artifact_store.layout import Layout
from artifact_store.lookup import key_of
from artifact_store.manifests import Manifest, render_manifest
from artifact_store.retention import (
    GRACE_SECONDS,
    freed_by,
    is_stale,
    leftovers,
    remove_leftovers,
)
from artifact_store.stores.base import Store
from artifact_store.stores.locate import store_at

MODULE = """
from artifact_store import Checkpoint, analysis

@analysis
def same(checkpoint: Checkpoint):
    return checkpoint["w"]

@analysis
def copied(checkpoint: Checkpoint):
    return checkpoint["w"] + 0
"""


@pytest.fixture
def store(
    write_module: Callable[[str, str], ModuleType], run_directory: Callable[[], Path]
) -> Store:
    """Two analyses of one checkpoint, whose results are equal."""
    probe, run = write_module("probe", MODULE), Run(run_directory())
    probe.same(run[500])
    probe.copied(run[500])
    return store_at(run.path)


def of(store: Store, analysis: str) -> Manifest:
    return next(store.manifests(analysis))


def test_removing_one_of_two_that_share_data_frees_nothing(store: Store) -> None:
    assert freed_by(store, [key_of(of(store, "same"))]) == 0


def test_what_is_foretold_is_what_is_freed(store: Store) -> None:
    keys = list(store.keys())

    assert freed_by(store, keys) == of(store, "same").nbytes
    assert freed_by(store, keys) == store.remove(keys)


def test_an_entry_of_todays_code_and_content_is_not_stale(store: Store) -> None:
    then = of(store, "same").provenance
    contents = {"checkpoint_epoch_00500": then.inputs[0].digest, "another": "f" * 64}

    assert not is_stale(of(store, "same"), {then.closure}, then.environment, contents)
    assert not is_stale(of(store, "same"), {then.closure}, then.environment, {})


def test_other_code_declaration_or_content_makes_it_stale(store: Store) -> None:
    then = of(store, "same").provenance
    replaced = {"checkpoint_epoch_00500": "f" * 64}

    assert is_stale(of(store, "same"), {"f" * 64}, then.environment, {})
    assert is_stale(of(store, "same"), {then.closure}, "dims={'w': ('a',)}", {})
    assert is_stale(of(store, "same"), {then.closure}, then.environment, replaced)


def test_only_the_first_input_is_looked_for_by_its_label(store: Store) -> None:
    manifest = of(store, "same")
    then = manifest.provenance
    (first,) = then.inputs
    another = msgspec.structs.replace(first, name="other", digest="a" * 64)
    both = msgspec.structs.replace(then, inputs=(first, another))
    of_two_runs = msgspec.structs.replace(manifest, provenance=both)
    contents = {first.label: first.digest}

    assert not is_stale(of_two_runs, {then.closure}, then.environment, contents)


def orphaned(store: Store, seconds: float = GRACE_SECONDS + 60) -> Path:
    """Data that no manifest names, written so long ago."""
    group = Path(Layout(store.location).group(of(store, "same").output))
    for key in store.keys():
        Path(Layout(store.location).manifest(key)).unlink()
    then = time.time() - seconds
    os.utime(group, (then, then))
    return group


def test_data_without_a_manifest_are_removed_when_they_are_old(store: Store) -> None:
    group = orphaned(store)
    found = leftovers(store)

    assert [(one.kind, one.path) for one in found] == [("data", str(group))]
    assert remove_leftovers(store, found) == found[0].nbytes > 0
    assert not group.exists() and leftovers(store) == []


def test_data_whose_manifest_may_still_come_are_no_leftovers(store: Store) -> None:
    orphaned(store, seconds=60)

    assert leftovers(store) == []


def test_data_that_were_published_again_since_are_not_removed(
    write_module: Callable[[str, str], ModuleType],
    run_directory: Callable[[], Path],
    store: Store,
) -> None:
    group = orphaned(store)
    found = leftovers(store)
    write_module("probe", MODULE).same(Run(run_directory())[500])

    assert remove_leftovers(store, found) == 0 and group.exists()


def test_data_that_a_manifest_names_are_no_leftovers_however_old(store: Store) -> None:
    os.utime(Layout(store.location).group(of(store, "same").output), (0, 0))

    assert leftovers(store) == []


def test_what_was_set_aside_is_left_over(store: Store) -> None:
    key = key_of(of(store, "same"))
    Path(Layout(store.location).manifest(key)).write_text("{}")
    store.set_aside(key)
    found = leftovers(store)

    assert [one.kind for one in found] == ["quarantine"]
    assert remove_leftovers(store, found) == 2 and leftovers(store) == []


def test_nothing_is_left_over_where_a_manifest_is_of_a_newer_release(
    store: Store,
) -> None:
    manifest = of(store, "same")
    path = Path(Layout(store.location).manifest(key_of(manifest)))
    path.write_bytes(render_manifest(msgspec.structs.replace(manifest, format=99)))

    with pytest.raises(UnknownFormat):
        leftovers(store)


def test_nothing_is_left_over_where_a_manifest_cannot_be_read(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)

    with pytest.raises(CorruptArtifact, match="Permission denied"):
        leftovers(store)
