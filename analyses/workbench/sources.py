"""The source files of this process: once one is edited, whatever it would show is of other code.

A server that went on would pass old pictures off as fresh. So it draws nothing more, and begins anew as soon
as the files can be read and no job is under way that it would lose sight of.
"""

from __future__ import annotations

import ast
import os
import sys
import sysconfig
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

INSTALLED = frozenset({"site-packages", "dist-packages"})


@dataclass(frozen=True)
class Sources:
    """Source files as they were when they were loaded, by path: when they were written, and how large."""

    files: dict[str, tuple[int, int]]
    _edited: list[str] = field(default_factory=list)

    def look(self) -> None:
        """See which of them are not what they were."""
        self._edited[:] = [
            name for name, was in self.files.items() if stat_of(name) != was
        ]

    @property
    def edited(self) -> tuple[str, ...]:
        """Those that were not when they were looked at last."""
        return tuple(self._edited)

    @property
    def why(self) -> str:
        """Why nothing is drawn, if one was edited."""
        if not self._edited:
            return ""
        names = ", ".join(map(os.path.basename, self._edited))
        return (
            f"Edited: {names}. The server begins anew, to see what is stale by that, as soon as it can read "
            "it and no job is under way."
        )


def loaded() -> Sources:
    """The files of all modules that are loaded and not installed."""
    library = sysconfig.get_path("stdlib")
    names = {getattr(one, "__file__", None) for one in list(sys.modules.values())}
    mine = [name for name in names if name and _is_mine(name, library)]
    return Sources({name: stat_of(name) for name in sorted(mine)})


def _is_mine(name: str, library: str) -> bool:
    is_installed = name.startswith(library) or INSTALLED & set(Path(name).parts)
    return name.endswith(".py") and not is_installed


def stat_of(name: str) -> tuple[int, int]:
    """When a file was written, and how large it is; zeros if there is none."""
    try:
        found = os.stat(name)
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size


def can_be_read(names: Iterable[str]) -> bool:
    """Whether all of these are Python, and not half an edit."""
    try:
        for name in names:
            ast.parse(Path(name).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return False
    return True
