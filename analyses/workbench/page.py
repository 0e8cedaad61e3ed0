"""The page: what stands where. What moves is in `assets/workbench.js`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dash import dcc, html

from analyses.workbench.controls import controls_of
from analyses.workbench.links import Link
from artifact_store.views import View

# In the order in which one asks: did it learn, with which frequencies, and who computes with them?
ORDER = (
    "losses",
    "accuracy",
    "dominant_frequencies",
    "frequency_heatmap",
    "specialised_neurons",
    "progress_measures",
    "activation_heatmap",
    "neuron_clusters",
    "embedding_trajectory",
)

KEYS = "← and → move by one checkpoint, Shift with them by ten; Home and End go to the ends."


def frame() -> html.Div:
    """What stays when another address is opened."""
    return html.Div(
        [
            dcc.Location(id="url", refresh=False),
            dcc.Store(id="state"),
            html.Div(id="page"),
        ]
    )


def page(link: Link, runs: Sequence[str], views: Mapping[str, View]) -> list[Any]:
    """The page that a link asks for."""
    shown = [views[link.view]] if link.view else in_order(views)
    return [
        _cursor(link, runs),
        html.Div(id="jobs", role="status"),
        html.Main(
            [_card(view, link) for view in shown],
            id="views",
            className="single" if link.view else "all",
            **data(view=link.view or ""),
        ),
    ]


def in_order(views: Mapping[str, View]) -> list[View]:
    """Views as they stand on the page; those that other packages offer come last."""
    first = [views[name] for name in ORDER if name in views]
    return first + [one for name, one in views.items() if name not in ORDER]


def _cursor(link: Link, runs: Sequence[str]) -> html.Header:
    return html.Header(
        [
            _picker("run", "Run", runs, link.run or runs[0], clearable=False),
            _picker("beside", "Compare with", runs, link.beside, clearable=True),
            html.Label(
                # The script puts it here: what moves many times a second goes no long way round.
                [html.Span("Epoch"), html.Span(className="track")],
                className="slider",
                title=KEYS,
            ),
            html.Output("", id="readout"),
            html.A("All views", id="all", href="?", hidden=link.view is None),
        ],
        id="cursor",
        **data(epoch="" if link.epoch is None else str(link.epoch)),
    )


def _picker(
    name: str, title: str, runs: Sequence[str], value: str | None, *, clearable: bool
) -> html.Label:
    return html.Label(
        [
            html.Span(title),
            dcc.Dropdown(
                list(runs),
                value,
                id=name,
                clearable=clearable,
                searchable=len(runs) > 8,
                placeholder="none",
            ),
        ],
        className="picker",
    )


def _card(view: View, link: Link) -> html.Section:
    exports = [
        html.Button(kind.upper(), className="export", **data(kind=kind))
        for kind in ("svg", "png", "html")
    ]
    anchor = html.A(
        "link", className="link", href="?", title="A link to this view as it is now"
    )
    return html.Section(
        [
            html.Div(
                [
                    html.H2(view.title),
                    html.Span(
                        [anchor, *exports],
                        className="actions",
                        role="group",
                        title=f"Link and export: {view.title}",
                    ),
                ],
                className="head",
            ),
            html.Div(controls_of(view, link.visuals[view.name]), className="controls"),
            html.Div(className="panes"),
        ],
        className=f"view {view.name}",
        **data(view=view.name),
    )


def data(**attributes: str) -> dict[str, Any]:
    """Attributes that the script reads."""
    return {f"data-{name}": value for name, value in attributes.items()}
