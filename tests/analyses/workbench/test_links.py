from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from workbench.conftest import VIEWS

from analyses.workbench.links import Link, link_of

RUNS = ("bare", "tiny & <co>")
DEFAULTS = {name: one.defaults for name, one in VIEWS.items()}


def read(**query: str) -> Link:
    return link_of("?" + urlencode(query), RUNS, VIEWS)


def test_an_empty_address_leaves_everything_to_the_page() -> None:
    for query in ("", "?", "?&&", "?run"):
        assert link_of(query, RUNS, VIEWS) == Link(visuals=DEFAULTS)


def test_an_address_says_what_is_seen() -> None:
    link = read(run="tiny & <co>", **{"with": "bare"}, epoch="500", view="losses")

    assert link == Link("tiny & <co>", "bare", 500, "losses", DEFAULTS)


def test_visual_parameters_belong_to_their_view() -> None:
    query = {"activation_heatmap.neurons": "3,17", "neuron_clusters.threshold": "0.9"}
    visuals = read(**query).visuals

    assert visuals["activation_heatmap"]["neurons"] == (3, 17)
    assert visuals["neuron_clusters"]["threshold"] == 0.9
    assert visuals["specialised_neurons"] == DEFAULTS["specialised_neurons"]


@pytest.mark.parametrize(
    "query",
    [
        {"run": "absent", "with": "../bare"},
        {"run": "BARE"},
        {"epoch": "-1"},
        {"epoch": "1.5"},
        {"epoch": "9" * 5000},
        {"epoch": "²"},
        {"epoch": "0x10"},
        {"view": "absent"},
        {"view": "losses.epoch"},
        {"absent.threshold": "0.5"},
        {"neuron_clusters.absent": "0.5"},
        {"neuron_clusters": "0.5"},
        {"neuron_clusters.threshold": "1.5"},
        {"neuron_clusters.threshold": "nan"},
        {"neuron_clusters.colours": "<script>"},
        {"activation_heatmap.neurons": "9" * 5000},
        {"activation_heatmap.page": "1e999"},
        {"activation_heatmap.scale": "1,0"},
    ],
)
def test_what_there_is_not_is_left_to_the_page(query: dict[str, str]) -> None:
    assert read(**query) == Link(visuals=DEFAULTS)


def test_one_bad_value_leaves_the_others() -> None:
    query = {"neuron_clusters.threshold": "high", "neuron_clusters.sort": "number"}

    assert read(**query).visuals["neuron_clusters"] == DEFAULTS["neuron_clusters"] | {"sort": "number"}  # fmt: skip


def test_what_was_emptied_is_empty() -> None:
    view = VIEWS["activation_heatmap"]
    named = replace(view.visuals["neurons"], default=(3,))
    views = {view.name: replace(view, visuals={"neurons": named})}

    assert link_of("?", RUNS, views).visuals[view.name]["neurons"] == (3,)
    link = link_of("?activation_heatmap.neurons=", RUNS, views)
    assert link.visuals[view.name]["neurons"] == ()


def test_defaults_are_not_changed_by_what_is_read() -> None:
    read(**{"neuron_clusters.threshold": "0.1"})

    assert read().visuals["neuron_clusters"]["threshold"] == 0.85


@given(
    threshold=st.floats(0, 1),
    neurons=st.lists(st.integers(0, 10**9)).map(tuple),
    page=st.integers(1, 10**9),
)
def test_a_link_restores_what_was_shown(
    threshold: float, neurons: Any, page: int
) -> None:
    given = {
        "neuron_clusters": {"threshold": threshold},
        "activation_heatmap": {"neurons": neurons, "page": page},
    }
    query = {
        f"{view}.{name}": text
        for view, values in given.items()
        for name, text in VIEWS[view].shown(values).items()
    }

    link = read(**query)

    for view, values in given.items():
        assert link.visuals[view].items() >= values.items()


@given(st.text())
def test_whatever_the_address_the_page_is_shown(query: str) -> None:
    link = link_of(query, RUNS, VIEWS)

    assert link.run in (None, *RUNS) and set(link.visuals) == set(VIEWS)
