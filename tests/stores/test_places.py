"""Which store is meant: the block, then the decorator, then the environment, then the file, then beside the input."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from conftest import RunDirectory

from artifact_store import (
    AnalysisPipeline,
    Checkpoint,
    Run,
    analysis,
    overlay,
    storing_in,
    tier,
)
from artifact_store.errors import BadSetting
from artifact_store.stores import places
from artifact_store.stores.base import Store
from artifact_store.stores.local import LocalStore
from artifact_store.stores.locate import chosen_store
from artifact_store.stores.opening import store_opened
from artifact_store.stores.overlay import OverlayStore
from artifact_store.stores.places import places_here, store_named
from artifact_store.stores.tiered import TieredStore

_numbers = itertools.count()


@analysis
def doubled(checkpoint: Checkpoint) -> Any:
    return {"w": checkpoint["w"] * 2}


@pytest.fixture
def url() -> str:
    return f"memory://places{next(_numbers)}"


def where(declared: str | None, home: Path) -> str:
    store = chosen_store(declared, home)
    return "" if store is None else store.location


def test_who_says_it_nearer_to_the_call_is_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    home = tmp_path / "run/artifacts"
    config = tmp_path / "config.toml"
    said = [where(None, home)]
    config.write_text(f'store = "{tmp_path}/file"\n')
    monkeypatch.setattr(
        places, "_written", lambda *given: places.written_in(str(config))
    )
    said.append(where(None, home))
    monkeypatch.setenv("ARTIFACT_STORE", f"{tmp_path}/variable")
    said.append(where(None, home))
    said.append(where(f"{tmp_path}/decorator", home))
    with storing_in(url):
        said.append(where(f"{tmp_path}/decorator", home))

    names = ("run/artifacts", "file", "variable", "decorator")
    assert said == [*(f"{tmp_path}/{name}" for name in names), url]


@pytest.mark.parametrize("by", ["variable", "file"])
def test_what_is_shared_lies_below_every_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, by: str
) -> None:
    if by == "variable":
        monkeypatch.setenv("ARTIFACT_STORE_SHARED", url)
    else:
        config = tmp_path / "config.toml"
        config.write_text(f'shared = "{url}"')
        monkeypatch.setattr(
            places, "_written", lambda *given: places.written_in(str(config))
        )
    store = chosen_store(None, tmp_path / "run/artifacts")

    assert isinstance(store, TieredStore) and store.shared == url
    assert store is chosen_store(None, tmp_path / "run/artifacts")
    assert chosen_store(url, None) is store_opened(url)


def test_a_url_has_colons_and_is_one_name(tmp_path: Path) -> None:
    several = store_named(f"{tmp_path}/mine:s3://bucket/prefix:{tmp_path}/theirs")

    assert isinstance(several, OverlayStore)
    assert several.shared == ["s3://bucket/prefix", f"{tmp_path}/theirs"]
    assert store_named("s3://bucket/prefix").location == "s3://bucket/prefix"


@pytest.mark.parametrize("content", ["store = 3", 'other = "x"', "no toml"])
def test_a_file_that_says_what_it_cannot_mean_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    config = tmp_path / "config.toml"
    config.write_text(content)
    monkeypatch.setattr(
        places, "_written", lambda *given: places.written_in(str(config))
    )

    with pytest.raises(BadSetting):
        chosen_store(None, tmp_path)


@pytest.mark.parametrize("kind", ["directory", "tier", "overlay"])
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_workers_keep_results_where_the_block_says(
    run_directory: RunDirectory, tmp_path: Path, kind: str, n_jobs: int
) -> None:
    near, far = tmp_path / "near", tmp_path / "far"
    LocalStore(far).keep("closures", "c" * 64, [])
    stores: dict[str, Store] = {
        "directory": LocalStore(near),
        "tier": tier(str(near), str(far)),
        "overlay": overlay(near, far),
    }
    run = Run(run_directory())
    with storing_in(stores[kind]):
        AnalysisPipeline(run).run([doubled], n_jobs=n_jobs)

    assert len(list(LocalStore(near).keys())) == 3
    assert len(list(LocalStore(far).keys())) == (3 if kind == "tier" else 0)
    assert not (run.path / "artifacts").exists()


def test_what_is_meant_travels_by_absolute_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ARTIFACT_STORE", "mine:s3://bucket/prefix")
    monkeypatch.setenv("ARTIFACT_STORE_SHARED", "ro:theirs")
    here = places_here()

    assert here.store == f"{tmp_path}/mine:s3://bucket/prefix"
    assert here.shared == f"ro:{tmp_path}/theirs"


def test_the_file_is_where_configuration_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.delenv("ARTIFACT_STORE", raising=False)
    config = tmp_path / "artifact_store/config.toml"
    config.parent.mkdir()
    config.write_text(f'store = "{tmp_path}/file"')
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))

    assert where(None, tmp_path / "run/artifacts") == f"{tmp_path}/file"
