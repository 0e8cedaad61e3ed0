"""The control for each visual parameter of a view, by its kind."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from dash import dcc, html

from artifact_store.views import View
from artifact_store.visuals import Between, Choice, Visual


def controls_of(view: View, values: Mapping[str, Any]) -> list[Any]:
    """A labelled control per visual parameter, at these values."""
    return [_labelled(view, one, values[one.name]) for one in view.visuals.values()]


def _labelled(view: View, visual: Visual, value: Any) -> html.Label:
    name = visual.name.replace("_", " ")
    return html.Label(
        [html.Span(name), *_control(view, visual, value)],
        className=f"control {type(visual.kind).__name__.lower()}",
        title=f"{name}: {visual.kind.words}",
        **{"data-name": visual.name},  # type: ignore[arg-type]
    )


def _control(view: View, visual: Visual, value: Any) -> list[Any]:
    kind, place = visual.kind, {
        "type": "visual",
        "view": view.name,
        "name": visual.name,
    }
    if isinstance(kind, Choice):
        return [
            dcc.Dropdown(
                list(kind.values), value, id=place, clearable=False, searchable=False
            )
        ]
    if isinstance(kind, Between):
        is_slider = not math.isinf(kind.high) and not isinstance(kind.step, int)
        number = dcc.Input(
            id=place,
            type="range" if is_slider else "number",
            min=kind.low,
            max=None if math.isinf(kind.high) else kind.high,
            step=kind.step,
            value=value,
        )
        # Nobody reads a number off a slider.
        return [number, html.Output(kind.show(value))] if is_slider else [number]
    text = dcc.Input(
        id=place,
        type="text",
        value=kind.show(value),
        placeholder="all",
        debounce=0.4,
    )
    return [text]
