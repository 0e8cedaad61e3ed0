"""Views: figures that declare, once, which analyses they draw and how they may look.

    run, epoch ──► *Scene* ──► the artifact of each analysis ──► figure ──► page, notebook or file

A view computes nothing: it is there when its artifacts are, and `Scene.steps` says so before anything is drawn.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from artifact_store.artifacts import Artifact
from artifact_store.browsers import Size
from artifact_store.checkpoints import Checkpoint
from artifact_store.computations import note_aside
from artifact_store.entry_points import points
from artifact_store.errors import (
    ArtifactStoreError,
    BadVisual,
    MissingEpoch,
    MissingPackage,
    NoCheckpoints,
    NothingToDraw,
    NotOfARun,
    UnknownVisual,
)
from artifact_store.events import log
from artifact_store.layout import home_of
from artifact_store.markup import coloured, dim, table, title_of, whole
from artifact_store.memoize import Analysis
from artifact_store.pictures import Format
from artifact_store.plans import Step, impossible, step_of
from artifact_store.registry import ENTRY_POINTS, view_at, view_named
from artifact_store.rendering import format_of, rendered, settled
from artifact_store.runs import EPOCH, Run
from artifact_store.stamps import Stamp, stamp_of, stamped
from artifact_store.visuals import Visual, visuals_of

Draw = Callable[..., Any]


@dataclass(frozen=True, eq=False)
class View:
    """A figure, declared: the analyses it draws and its visual parameters.

    Attributes
    ----------
    title
        What it shows, in one line.
    needs
        Analyses of a checkpoint or of a run, by the name of the argument that takes their artifact.
    draw
        From artifacts to a figure, as Plotly's are.
    visuals
        What changes how it looks.
    """

    name: str
    title: str
    needs: Mapping[str, Analysis[..., Any]]
    draw: Draw = field(repr=False)
    visuals: Mapping[str, Visual] = field(repr=False)

    @property
    def is_along_run(self) -> bool:
        """Whether it shows all of a run, and at most marks an epoch in it."""
        return all(one.takes_run for one in self.needs.values())

    @property
    def takes_epoch(self) -> bool:
        """Whether it is told the present epoch, to mark or show it."""
        return EPOCH in inspect.signature(self.draw).parameters

    def called(self, name: str) -> View:
        """The same under this name."""
        return self if name == self.name else replace(self, name=name)

    def of(self, run: Run, epoch: int | None, given: Mapping[str, Any]) -> Scene:
        """This view of a run at an epoch; by default, at its last one."""
        if epoch is None:
            epoch = run.epochs[-1]
        elif epoch not in run:
            run[epoch]  # It knows how to say what is amiss.
        return Scene(self, run, int(epoch), self.checked(given))

    def of_checkpoint(self, checkpoint: Checkpoint, given: Mapping[str, Any]) -> Scene:
        """This view at the epoch of a checkpoint of a run."""
        run, epoch = Run(home_of(checkpoint.path).parent), checkpoint.epoch
        try:
            found = None if epoch is None else run[epoch].path
        except (NoCheckpoints, MissingEpoch):
            found = None
        if found != checkpoint.path:
            raise NotOfARun(checkpoint.path)
        return self.of(run, epoch, given)

    def checked(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """All its visual parameters, those given in place of the defaults.

        Raises
        ------
        UnknownVisual, BadVisual
            It has no parameter of this name, or the value is none of its kind.
        """
        self._know(given)
        return self.defaults | {
            name: self._value(self.visuals[name], value, self.visuals[name].kind.check)
            for name, value in given.items()
        }

    def parsed(self, texts: Mapping[str, str]) -> dict[str, Any]:
        """The values of visual parameters that were typed; raises as `checked`."""
        self._know(texts)
        return {
            name: self._value(self.visuals[name], text, self.visuals[name].kind.parse)
            for name, text in texts.items()
        }

    def shown(self, visuals: Mapping[str, Any]) -> dict[str, str]:
        """The values of visual parameters as `parsed` reads them."""
        return {
            name: self.visuals[name].kind.show(value) for name, value in visuals.items()
        }

    @property
    def defaults(self) -> dict[str, Any]:
        """The value of each visual parameter where none is given."""
        return {name: one.default for name, one in self.visuals.items()}

    def _know(self, names: Iterable[str]) -> None:
        for name in names:
            if name not in self.visuals:
                raise UnknownVisual(self.name, name, tuple(self.visuals))

    def _value(self, visual: Visual, given: Any, read: Callable[[Any], Any]) -> Any:
        try:
            return read(given)
        except (ValueError, TypeError, OverflowError):
            words = visual.kind.words
            raise BadVisual(self.name, visual.name, repr(given), words) from None


def view(**needs: Analysis[..., Any]) -> Callable[[Draw], View]:
    """Declare a figure of the artifacts of these analyses.

    The function takes each artifact by the name it has here and returns a figure, as Plotly's are. Its
    keyword-only parameters are visual: they have a default and a kind (`artifact_store.visuals`), and change
    how it looks and nothing else. One that is called `epoch` is told the present epoch. The first line of its
    docstring is the title.

    Raises
    ------
    TypeError
        The function takes other artifacts than these, or a visual parameter that is not declared as one.
    """

    def declare(draw: Draw) -> View:
        _check_arguments(draw, frozenset(needs))
        title = (inspect.getdoc(draw) or draw.__name__).partition("\n")[0].rstrip(".")
        reserved = frozenset({EPOCH, *needs})
        return View(draw.__name__, title, needs, draw, visuals_of(draw, reserved))

    return declare


def _check_arguments(draw: Draw, needs: frozenset[str]) -> None:
    """A figure takes each artifact by the name of its need, and all else as a keyword."""
    taken = inspect.signature(draw).parameters
    loose = [
        name
        for name, one in taken.items()
        if one.kind is not one.KEYWORD_ONLY and name not in needs
    ]
    if loose:
        raise TypeError(
            f"{draw.__name__} takes {', '.join(loose)}, of which @view names no analysis: name them there, or let "
            "visual parameters stand behind a *"
        )
    if absent := needs - set(taken):
        raise TypeError(
            f"{draw.__name__} does not take {', '.join(sorted(absent))}, which @view says it needs"
        )


@dataclass(frozen=True, eq=False)
class Scene:
    """A view of one run at one epoch, as it is to look."""

    view: View
    run: Run
    epoch: int
    visuals: Mapping[str, Any]

    @property
    def steps(self) -> tuple[Step, ...]:
        """The state of each artifact it draws: fresh, or missing, stale and so on, and why; computes nothing."""
        note_aside(f"it asked what there is to draw of {self.view.name}")
        return tuple(self._step(one) for one in self.view.needs.values())

    @property
    def is_available(self) -> bool:
        """Whether all that it draws is stored and up to date."""
        return all(step.hits for step in self.steps)

    def artifacts(self) -> dict[str, Artifact]:
        """What it draws, by argument.

        Raises
        ------
        NothingToDraw
            Some is missing or stale; nothing is ever drawn in its place.
        """
        found = {
            name: one.find(self._given(one)) for name, one in self.view.needs.items()
        }
        there = {name: one for name, one in found.items() if one is not None}
        if len(there) < len(found):
            states = [
                (step.analysis, step.state, step.causes)
                for step in self.steps
                if not step.hits
            ]
            raise NothingToDraw(str(self), str(self.run.path), tuple(states))
        return there

    def compute(self) -> Scene:
        """Compute what is missing; the same scene, which can be drawn then."""
        for one in self.view.needs.values():
            one.artifact(self._given(one))
        return self

    def figure(self) -> Any:
        """The drawing. Raises `NothingToDraw` if something it needs is not stored."""
        return self.drawn(self.artifacts())

    def drawn(self, artifacts: Mapping[str, Artifact]) -> Any:
        """The drawing of these artifacts, by argument."""
        marked = {EPOCH: self.epoch} if self.view.takes_epoch else {}
        return self.view.draw(**artifacts, **marked, **self.visuals)

    def show(self) -> None:
        """Show it, in a notebook or a browser."""
        self.figure().show()

    def export(self, path: str | os.PathLike[str], size: Size = Size()) -> Path:
        """Write it to a file, as its suffix says: `.svg`, `.png` or `.html`.

        The file says what it was drawn from: `artifact-store why FILE`. The same artifacts give the same bytes.

        Raises
        ------
        UnknownPicture
            The suffix is another one.
        NoBrowser
            There is no Chromium to draw SVG or PNG with.
        """
        place = Path(path)
        content = self.exported(format_of(place), size)
        place.write_bytes(content)
        return place

    def exported(self, format: Format, size: Size = Size()) -> bytes:
        """The content of such a file."""
        artifacts = self.artifacts()
        return rendered(self.drawn(artifacts), format, self._stamp(artifacts), size)

    def stamped(
        self, picture: bytes, format: Format, artifacts: Mapping[str, Artifact]
    ) -> bytes:
        """The content of such a file, of which a browser elsewhere has drawn the picture from these artifacts."""
        plain = settled(picture) if format == "svg" else picture
        return stamped(plain, format, self._stamp(artifacts))

    def _stamp(self, artifacts: Mapping[str, Artifact]) -> Stamp:
        view, shown = self.view, self.view.shown(self.visuals)
        epoch = None if view.is_along_run and not view.takes_epoch else self.epoch
        return stamp_of(view.name, shown, self.run.name, epoch, artifacts.values())

    def _given(self, one: Analysis[..., Any]) -> Run | Checkpoint:
        return self.run if one.takes_run else self.run[self.epoch]

    def _step(self, one: Analysis[..., Any]) -> Step:
        epoch = None if one.takes_run else self.epoch
        try:
            return step_of(one.call(self._given(one)), epoch)
        except ArtifactStoreError as error:
            return impossible(one.__name__, epoch, error)

    def __str__(self) -> str:
        return f"{self.view.name} of {self.run.name} at epoch {self.epoch}"

    def __repr__(self) -> str:
        return f"<Scene {self}>"

    def _repr_mimebundle_(self, **wanted: Any) -> Any:
        """In a notebook, the figure; or what there is to do before it can be drawn."""
        try:
            return self.figure()._repr_mimebundle_(**wanted)
        except NothingToDraw:
            return {"text/plain": repr(self), "text/html": self._states()}

    def _states(self) -> str:
        rows = [
            (coloured(step.state, step.state), step.analysis, "; ".join(step.causes))
            for step in self.steps
        ]
        return whole(
            title_of(str(self), dim("not drawn: .compute() makes what is missing")),
            table(["", "analysis", "why"], rows),
        )


def offered_views() -> dict[str, View]:
    """Every view that an installed package offers under the entry point group `artifact_store.views`, by name.

    One that needs a package which is not installed is left out, with a warning in the log.
    """
    found: dict[str, View] = {}
    for point in points(ENTRY_POINTS):
        try:
            # Of two of the same name, `Run.view` also has the first.
            found.setdefault(point.name, cast(View, view_at(point)))
        except MissingPackage as error:
            log.warning("left out: %s", error)
    return found


def view_offered(name: str) -> View:
    """The one of this name. Raises `NoSuchView` if there is none."""
    return cast(View, view_named(name))
