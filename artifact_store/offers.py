"""Which analyses are meant: given, named as `module:function`, or offered by an installed package.

name ──► entry point, or module and function ──► *Analysis*
"""

from __future__ import annotations

import importlib
import importlib.util
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from artifact_store.errors import MissingPackage, NotAnAnalysis
from artifact_store.events import log
from artifact_store.memoize import Analysis
from artifact_store.transport import named

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

ENTRY_POINTS = "artifact_store.analyses"

# As in `torch>=2.4; extra == "analyses"`.
_EXTRA = re.compile(r"""extra\s*==\s*["']([^"']+)["']""")

Chosen: TypeAlias = Iterable[Analysis[..., Any] | str] | None


def offered() -> tuple[Analysis[..., Any], ...]:
    """Every analysis that an installed package offers under the entry point group `artifact_store.analyses`.

    One that needs a package which is not installed is left out, with a warning in the log.
    """
    found = []
    for point in _points():
        try:
            found.append(_loaded(point))
        except MissingPackage as error:
            log.warning("left out: %s", error)
    return tuple(found)


def offered_functions() -> frozenset[str]:
    """The `module:function` of all that is offered; nothing is imported for that."""
    return frozenset(point.value for point in _points())


def _points() -> list[EntryPoint]:
    from importlib.metadata import entry_points  # of its weight, see `versions`

    points = entry_points(group=ENTRY_POINTS)
    return sorted(points, key=lambda point: point.name)


def _loaded(point: EntryPoint) -> Analysis[..., Any]:
    try:
        return _checked(point.load(), point.value)
    except ModuleNotFoundError as error:
        module = (error.name or "").partition(".")[0]
        # A part that an installed package lacks is a fault of its author, which nobody mends by installing.
        if not module or importlib.util.find_spec(module) is not None:
            raise
        raise MissingPackage(point.name, module, _install(point, module)) from error


def _install(point: EntryPoint, module: str) -> str:
    """What to install, so that an entry point finds a module: an extra of its package, if one brings it."""
    if point.dist is None:
        return module
    for requirement in point.dist.requires or ():
        extra = _EXTRA.search(requirement)
        if extra and re.match(rf"{re.escape(module)}\b", requirement, re.IGNORECASE):
            return f"{point.dist.name}[{extra[1]}]"
    return module


def analysis_named(name: str) -> Analysis[..., Any]:
    """The analysis `module:function`, or the one that is offered under this name."""
    module, colon, function = name.partition(":")
    if colon:
        if not all(map(str.isidentifier, module.split("."))):
            raise NotAnAnalysis(name, "what stands before the colon names no module")
        return _checked(named(module, function), name)
    for point in _points():
        if point.name == name:
            return _loaded(point)
    known = {one.__name__: one for one in offered()}
    if name not in known:
        raise NotAnAnalysis(
            name,
            f"no installed package offers it (offered: {', '.join(known) or 'none'})",
        )
    return known[name]


def chosen(analyses: Chosen) -> Sequence[Analysis[..., Any]]:
    """The analyses that are meant: those given, themselves or by name; all that are offered, if none are."""
    if analyses is None:
        return offered()
    if isinstance(analyses, str | Analysis):
        analyses = [analyses]
    return [
        analysis_named(one) if isinstance(one, str) else _checked(one, repr(one))
        for one in analyses
    ]


def _checked(found: Any, name: str) -> Analysis[..., Any]:
    if not isinstance(found, Analysis):
        raise NotAnAnalysis(
            name,
            (
                "there is no such name"
                if found is None
                else f"it is a {type(found).__name__}"
            ),
        )
    return found
