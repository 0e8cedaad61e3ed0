"""Views are found by name, from whichever installed package offers them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import pytest
from conftest import RunDirectory, WriteModule

from artifact_store import Run
from artifact_store.errors import MissingPackage, NoSuchView, NotAView
from artifact_store.registry import ENTRY_POINTS, view_named
from artifact_store.views import Scene, View, offered_views

BODY = """
from artifact_store import Checkpoint, analysis
from artifact_store.views import view

@analysis
def mean(checkpoint: Checkpoint):
    return checkpoint["w"].mean()

@view(mean=mean)
def bars(mean):
    \"\"\"The mean as a bar.\"\"\"

def plain(mean):
    \"\"\"Somebody forgot to declare it.\"\"\"
"""

Offer = Callable[..., None]


@pytest.fixture
def offer(write_module: WriteModule, monkeypatch: pytest.MonkeyPatch) -> Offer:
    """Offers, under each name, what a module holds; `probe` is one of views."""
    write_module("probe", BODY)

    def offered(*pairs: tuple[str, str]) -> None:
        found = EntryPoints(EntryPoint(*pair, ENTRY_POINTS) for pair in pairs)

        def entry_points(group: str) -> EntryPoints:
            assert group == ENTRY_POINTS
            return found

        monkeypatch.setattr("importlib.metadata.entry_points", entry_points)

    return offered


def test_a_view_is_found_by_the_name_it_is_offered_under(offer: Offer) -> None:
    offer(("means", "probe:bars"))

    found = view_named("means")

    assert isinstance(found, View)
    assert (found.name, found.title) == ("means", "The mean as a bar")
    assert list(offered_views()) == ["means"]
    assert offered_views()["means"].name == "means"


def test_a_run_and_a_checkpoint_have_views_by_name(
    offer: Offer, run_directory: RunDirectory
) -> None:
    offer(("bars", "probe:bars"))
    run = Run(run_directory())

    for seen in (run.view("bars", epoch=500), run.at(500).view("bars")):
        assert isinstance(seen, Scene)
        assert str(seen) == "bars of run at epoch 500"


def test_a_name_that_nobody_offers_is_told_with_those_there_are(
    offer: Offer, run_directory: RunDirectory
) -> None:
    offer(("lines", "absent:lines"), ("bars", "probe:bars"))

    with pytest.raises(NoSuchView, match="no view 'bar'.*offered: bars, lines"):
        Run(run_directory()).view("bar")


def test_where_nothing_is_offered_it_is_told_what_to_install(offer: Offer) -> None:
    offer()

    with pytest.raises(NoSuchView, match=r"none; install artifact-store\[analyses\]"):
        view_named("bars")
    assert offered_views() == {}


def test_of_two_views_of_one_name_both_ways_have_the_same(
    offer: Offer, write_module: WriteModule
) -> None:
    write_module("other", BODY.replace("as a bar", "elsewhere"))
    offer(("bars", "probe:bars"), ("bars", "other:bars"))

    assert view_named("bars") is offered_views()["bars"]


def test_what_is_offered_as_a_view_and_is_none_is_refused(offer: Offer) -> None:
    offer(("bars", "probe:plain"))

    with pytest.raises(NotAView, match=r"probe:plain is a function.*@view"):
        view_named("bars")
    with pytest.raises(NotAView):
        offered_views()


def test_a_view_whose_package_is_missing_says_so_and_is_left_out_of_all(
    offer: Offer, write_module: WriteModule, caplog: pytest.LogCaptureFixture
) -> None:
    beside = write_module("light", "").__file__
    assert beside is not None
    (Path(beside).parent / "heavy.py").write_text("import torchlike\n" + BODY)
    offer(("heavy", "heavy:bars"), ("bars", "probe:bars"))

    with pytest.raises(MissingPackage, match="heavy needs torchlike"):
        view_named("heavy")
    assert list(offered_views()) == ["bars"]
    assert "heavy needs torchlike" in caplog.text


def test_asking_for_one_view_imports_no_other(offer: Offer) -> None:
    offer(("bars", "probe:bars"), ("lines", "absent:lines"))

    assert isinstance(view_named("bars"), View)


def test_a_run_is_opened_without_whatever_draws() -> None:
    heavy = "{'plotly', 'dash', 'torch', 'artifact_store.views', 'analyses'}"
    script = f"import sys, artifact_store; assert not {heavy} & set(sys.modules)"

    subprocess.run([sys.executable, "-c", script], check=True)


def test_the_views_of_analyses_are_offered() -> None:
    views: dict[str, Any] = offered_views()

    assert {"losses", "neuron_clusters", "activation_heatmap"} <= set(views)
    assert all(name == one.name and one.title for name, one in views.items())
