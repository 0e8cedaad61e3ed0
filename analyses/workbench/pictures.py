"""What the page asks for: figures, or why there are none.

    run, epoch, view, visual parameters as typed ──► *Scene* ──► figure, or the state of each artifact it needs

Only what is stored is drawn; a request computes nothing.
"""

from __future__ import annotations

import json
import traceback
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import plotly.graph_objects as go

from analyses.workbench.shelf import Shelf
from artifact_store import Artifact, ArtifactStoreError, Run
from artifact_store.errors import NoSuchView, NothingToDraw
from artifact_store.views import Scene, View


@dataclass(frozen=True)
class Wanted:
    """One picture that the page asks for; everything in it comes from outside."""

    run: str
    epoch: int
    view: str
    visuals: Mapping[str, str]


def wanted_of(asked: Any) -> Wanted:
    """A request as the page writes it; `ValueError` if it is none."""
    match asked:
        case {
            "run": str(run),
            "epoch": int(epoch),
            "view": str(view),
            "visuals": dict(visuals),
        } if not isinstance(epoch, bool) and all(
            isinstance(one, str) for pair in visuals.items() for one in pair
        ):
            return Wanted(run, epoch, view, visuals)
        case _:
            raise ValueError("not a picture")


def scene_of(wanted: Wanted, shelf: Shelf, views: Mapping[str, View]) -> Scene:
    """What is wanted, at the nearest epoch that the run has."""
    view, run = views.get(wanted.view), shelf.run(wanted.run)
    if view is None:
        raise NoSuchView(wanted.view, tuple(views))
    visuals = view.parsed(wanted.visuals)
    return view.of(run, nearest(run.epochs, wanted.epoch), visuals)


def picture(wanted: Wanted, shelf: Shelf, views: Mapping[str, View]) -> str:
    """What the page shows for it, as JSON: a figure; or the states of what it needs; or an error."""
    try:
        scene = scene_of(wanted, shelf, views)
        try:
            artifacts = scene.artifacts()
        except NothingToDraw:
            return json.dumps({"epoch": scene.epoch, "steps": _steps(scene)})
        figure = scene.drawn(artifacts)
        about = {
            "epoch": scene.epoch,
            "follows": _follows(scene.view, figure),
            "keys": keys_of(artifacts),
        }
        return f'{json.dumps(about)[:-1]}, "figure": {_plain(figure)}}}'
    except (ArtifactStoreError, OSError, ValueError) as error:
        return json.dumps({"error": str(error)})
    except Exception as error:
        # Whoever wrote the view finds the rest in the terminal; the other views stay.
        traceback.print_exc()
        return json.dumps({"error": f"{wanted.view} failed: {error!r}"})


def keys_of(artifacts: Mapping[str, Artifact]) -> list[str]:
    """What was drawn: the key of each artifact, in the order in which the view declares them."""
    return [one.key.digest.hex for one in artifacts.values()]


def nearest(epochs: Sequence[int], epoch: int) -> int:
    """The nearest of some rising epochs; of two, the earlier."""
    after = bisect_left(epochs, epoch)
    around = epochs[max(after - 1, 0) : after + 1]
    return min(around, key=lambda one: abs(one - epoch))


def epochs_of(runs: Sequence[Run]) -> list[int]:
    """All epochs of some runs, rising."""
    return sorted({epoch for run in runs for epoch in run.epochs})


def _plain(figure: go.Figure) -> str:
    """The JSON of a figure without its template: the page has one for light and one for dark."""
    plain = figure.to_dict()
    plain["layout"].pop("template", None)
    # In it are plain values and packed arrays only, which Plotly's own encoder takes 10 times as long to go through.
    return msgspec.json.encode(plain, enc_hook=lambda rest: rest.tolist()).decode()


def _follows(view: View, figure: go.Figure) -> str:
    """What changes with the epoch: the whole `figure`, a `mark` in it that the page can move, or `nothing`."""
    if not view.is_along_run:
        return "figure"
    if any(shape.name == "epoch" for shape in figure.layout.shapes):
        return "mark"
    return "figure" if view.takes_epoch else "nothing"


def _steps(scene: Scene) -> list[dict[str, Any]]:
    return [
        {
            "analysis": step.analysis,
            "function": one.declaration.function,
            "along": one.takes_run,
            "state": step.state,
            "causes": step.causes,
            "details": step.details,
        }
        for one, step in zip(scene.view.needs.values(), scene.steps, strict=True)
    ]
