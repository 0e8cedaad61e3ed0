from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import msgspec
import pytest

from artifact_store import Run
from artifact_store.errors import CorruptArtifact, UnknownFormat
from artifact_store.layout import Layout
from artifact_store.listing import (
    Unread,
    briefs,
    listed_analyses,
    listed_keys,
    number_of_entries,
)
from artifact_store.lookup import key_of
from artifact_store.manifests import render_manifest
from artifact_store.stores.base import Store
from artifact_store.stores.locate import store_at

MODULE = """
from artifact_store import Checkpoint, analysis

@analysis
def total(checkpoint: Checkpoint, *, times: int = 1):
    return checkpoint["w"].sum() * times

@analysis
def other(checkpoint: Checkpoint):
    return checkpoint["v"]
"""


@pytest.fixture
def store(
    write_module: Callable[[str, str], ModuleType], run_directory: Callable[[], Path]
) -> Store:
    probe, run = write_module("probe", MODULE), Run(run_directory())
    for checkpoint in run.values():
        probe.total(checkpoint, times=2)
        probe.other(checkpoint)
    return store_at(run.path)


@pytest.fixture
def layout(store: Store) -> Layout:
    return Layout(store.location)


def test_keys_are_those_of_all_manifests_in_order(store: Store, layout: Layout) -> None:
    keys = [key_of(one) for one in store.manifests()]

    assert list(listed_keys(layout)) == sorted(keys, key=str)
    assert list(listed_keys(layout, "other")) == [
        one for one in sorted(keys, key=str) if one.analysis == "other"
    ]
    assert number_of_entries(layout) == 6 and number_of_entries(layout, "total") == 3


def test_a_brief_is_part_of_its_manifest(store: Store, layout: Layout) -> None:
    assert listed_analyses(layout) == ["other", "total"]
    for brief, manifest in zip(briefs(layout), store.manifests(), strict=True):
        assert brief.address == key_of(manifest)
        whole = msgspec.to_builtins(manifest)
        assert msgspec.convert(whole, type(brief)) == brief
        assert brief.nbytes == manifest.nbytes


def test_of_one_analysis_only_its_folder_is_read(layout: Layout) -> None:
    Path(layout.entries, "other").rename(Path(layout.entries, "renamed"))

    assert {one.analysis for one in briefs(layout, "total")} == {"total"}
    assert list(briefs(layout, "absent")) == []
    assert list(listed_keys(layout, "absent")) == []


def test_what_is_no_manifest_is_not_listed(layout: Layout) -> None:
    before = list(listed_keys(layout))
    for stray in ("stray", "other/stray", "other/00/stray", "other/longer/a.json"):
        path = Path(layout.entries, stray)
        path.parent.mkdir(exist_ok=True)
        path.write_text("{}")

    assert list(listed_keys(layout)) == before and len(list(briefs(layout))) == 6


def test_the_manifest_of_another_key_is_not_listed(layout: Layout) -> None:
    one, other, *_ = map(layout.manifest, listed_keys(layout))
    Path(one).write_bytes(Path(other).read_bytes())
    refused: list[Unread] = []

    assert len(list(briefs(layout, refuse=refused.append))) == 5
    assert [error.path for error in refused] == [one]
    assert "of another key" in str(refused[0])


def damaged(layout: Layout, content: bytes) -> str:
    path = layout.manifest(next(listed_keys(layout)))
    Path(path).write_bytes(content)
    return path


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"\x00", b'{"format":1}', b'{"format":{}}']
)
def test_one_that_cannot_be_read_is_told_and_left_out(
    layout: Layout, content: bytes
) -> None:
    damaged(layout, content)
    refused: list[Unread] = []

    assert len(list(briefs(layout, refuse=refused.append))) == 5
    assert len(refused) == 1 and len(list(briefs(layout))) == 5


def test_a_newer_format_is_said_to_be_one(store: Store, layout: Layout) -> None:
    newer = msgspec.structs.replace(next(store.manifests()), format=99)
    for content in (render_manifest(newer), b'{"format":99,"unlike":"ours"}'):
        damaged(layout, content)
        refused: list[Unread] = []
        assert len(list(briefs(layout, refuse=refused.append))) == 5
        assert isinstance(refused[0], UnknownFormat) and refused[0].found == 99


def test_a_folder_in_place_of_a_manifest_is_corrupt(layout: Layout) -> None:
    path = Path(damaged(layout, b""))
    path.unlink()
    path.mkdir()
    refused: list[Unread] = []

    assert len(list(briefs(layout, refuse=refused.append))) == 5
    assert isinstance(refused[0], CorruptArtifact)


def test_a_manifest_of_any_length_is_read_whole(store: Store, layout: Layout) -> None:
    manifest = next(store.manifests())
    for length in (1 << 16, (1 << 17) - 1):
        flagged = msgspec.structs.replace(manifest, flags=("x" * length,))
        content = render_manifest(flagged)
        short = 65536 - len(content) % 65536 if length == 1 << 16 else 0
        flagged = msgspec.structs.replace(manifest, flags=("x" * (length + short),))
        damaged(layout, render_manifest(flagged))
        assert len(list(briefs(layout))) == 6


def test_how_many_were_looked_at_is_told(layout: Layout) -> None:
    told: list[int] = []
    list(briefs(layout, advance=lambda number, note: told.append(number)))

    assert sum(told) == 6
