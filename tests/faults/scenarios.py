"""What is done in a store when death comes: everything that changes files there."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from sites import Site, nested, several, small

Doing = Callable[[Site], object]


@dataclass(frozen=True)
class Scenario:
    """What is there, and what is done when the fault comes.

    Attributes
    ----------
    computes
        The analyses whose body may run.
    aside
        Whether something is found corrupt.
    """

    prepare: Doing
    work: Doing
    computes: tuple[str, ...] = ()
    aside: bool = False


def nothing(site: Site) -> None:
    """Leave the run as it is."""


def each(*acts: Doing) -> Doing:
    """One after the other."""

    def all_of_them(site: Site) -> None:
        for act in acts:
            act(site)

    return all_of_them


def calling(*names: str) -> Doing:
    return lambda site: site.call(*names)


def without(below: str) -> Doing:
    return lambda site: shutil.rmtree(site.store / below)


def publishing(*names: str) -> Scenario:
    return Scenario(nothing, calling(names[0]), names)


SCENARIOS: Final[Mapping[str, Scenario]] = {
    "small": publishing("small"),
    "large": publishing("large"),
    "several": publishing("several"),
    "zstd": publishing("packed"),
    "durable": publishing("synced"),
    "streamed": publishing("streamed"),
    "nested": publishing("nested", "several", "small"),
    "recomputed": Scenario(
        calling("several"),
        lambda site: several.recompute(site.checkpoint()),
        ("several",),
    ),
    "adopted": Scenario(lambda site: small(site.twin()), calling("small"), ("small",)),
    "cut off early": Scenario(
        lambda site: nested(site.twin()),
        calling("nested"),
        ("nested", "several", "small"),
    ),
    "sealed anew": Scenario(each(calling("several"), Site.restart), calling("several")),
    "corrupt": Scenario(
        each(calling("small"), Site.damage), calling("small"), ("small",), aside=True
    ),
    "forgotten": Scenario(
        each(calling("small"), Site.damage, calling("small")), Site.forget, aside=True
    ),
    "swept": Scenario(Site.lose_writer, calling("several"), ("several",)),
    "removed": Scenario(calling("several", "small"), Site.remove, ("several",)),
    "collected": Scenario(Site.unname, Site.collect, ("several",)),
    "door": Scenario(each(calling("small"), without("small")), Site.label),
    # Of the call, nothing is noted: the store was not there yet.
    "memo": Scenario(calling("small"), Site.identify),
    "stated": Scenario(calling("small"), Site.state),
}
