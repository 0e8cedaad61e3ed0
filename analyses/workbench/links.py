"""Links: the state of the page as the query of its address, so that a link opens what was seen.

?run=model_p59_seed0&with=model_p59_seed1&epoch=500&view=activation_heatmap&activation_heatmap.neurons=3,17
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from artifact_store import ArtifactStoreError
from artifact_store.views import View


@dataclass(frozen=True)
class Link:
    """What an address asks for; what it does not say, or says of what there is not, is left to the page."""

    run: str | None = None
    beside: str | None = None
    epoch: int | None = None
    view: str | None = None
    visuals: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def link_of(query: str, runs: Sequence[str], views: Mapping[str, View]) -> Link:
    """What the query of an address stands for."""
    # What was emptied is empty, and not as if it had not been touched.
    given = dict(parse_qsl(query.removeprefix("?"), keep_blank_values=True))
    epoch, view = given.get("epoch", ""), given.get("view")
    return Link(
        run=_one_of(given.get("run"), runs),
        beside=_one_of(given.get("with"), runs),
        epoch=int(epoch) if epoch.isdecimal() and len(epoch) < 16 else None,
        view=view if view in views else None,
        visuals={name: _visuals(name, one, given) for name, one in views.items()},
    )


def _one_of(name: str | None, known: Sequence[str]) -> str | None:
    return name if name in known else None


def _visuals(name: str, view: View, given: Mapping[str, str]) -> dict[str, Any]:
    """The visual parameters of a view; one whose value is none is at its default."""
    values = view.defaults
    for visual in view.visuals:
        text = given.get(f"{name}.{visual}")
        if text is not None:
            try:
                values |= view.parsed({visual: text})
            except ArtifactStoreError:
                continue
    return values
