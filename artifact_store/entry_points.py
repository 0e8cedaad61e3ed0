"""What installed packages offer under a group of entry points, by name; nothing is imported before it is asked for."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from artifact_store.errors import MissingPackage

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

# As in `torch>=2.4; extra == "analyses"`.
_EXTRA = re.compile(r"""extra\s*==\s*["']([^"']+)["']""")


def points(group: str) -> Sequence[EntryPoint]:
    """What is offered, by name."""
    from importlib.metadata import entry_points  # of its weight, see `versions`

    return sorted(entry_points(group=group), key=lambda point: point.name)


def loaded(point: EntryPoint) -> Any:
    """What an entry point names.

    Raises
    ------
    MissingPackage
        It needs a package that is not installed.
    """
    try:
        return point.load()
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
        # `torch-geometric` is not torch.
        named = rf"{re.escape(module)}(?![\w.-])"
        if extra and re.match(named, requirement, re.IGNORECASE):
            return f"{point.dist.name}[{extra[1]}]"
    return module
