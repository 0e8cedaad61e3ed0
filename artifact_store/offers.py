"""Which analyses are meant: given, named as `module:function`, or offered by an installed package.

name ──► entry point, or module and function ──► *Analysis*
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from artifact_store.entry_points import loaded, points
from artifact_store.errors import MissingPackage, NotAnAnalysis
from artifact_store.events import log
from artifact_store.memoize import Analysis
from artifact_store.transport import named

ENTRY_POINTS = "artifact_store.analyses"

Chosen: TypeAlias = Iterable[Analysis[..., Any] | str] | None


def offered() -> tuple[Analysis[..., Any], ...]:
    """Every analysis that an installed package offers under the entry point group `artifact_store.analyses`.

    One that needs a package which is not installed is left out, with a warning in the log.
    """
    found = []
    for point in points(ENTRY_POINTS):
        try:
            found.append(_checked(loaded(point), point.value))
        except MissingPackage as error:
            log.warning("left out: %s", error)
    return tuple(found)


def offered_functions() -> frozenset[str]:
    """The `module:function` of all that is offered; nothing is imported for that."""
    return frozenset(point.value for point in points(ENTRY_POINTS))


def analysis_named(name: str) -> Analysis[..., Any]:
    """The analysis `module:function`, or the one that is offered under this name."""
    module, colon, function = name.partition(":")
    if colon:
        if not all(map(str.isidentifier, module.split("."))):
            raise NotAnAnalysis(name, "what stands before the colon names no module")
        return _checked(named(module, function), name)
    for point in points(ENTRY_POINTS):
        if point.name == name:
            return _checked(loaded(point), point.value)
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
