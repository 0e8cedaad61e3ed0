"""URLs: the names of what lies beyond the disks of this machine.

A name with a scheme, such as `s3://bucket/prefix`, is a URL; every other one is a path.
"""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath
from typing import Final, cast

# Of two letters at least, as a path may begin with one and a colon elsewhere.
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_FILE: Final = "file://"


def is_url(name: str | os.PathLike[str]) -> bool:
    """Whether a name is a URL, and no path; `file://` is one more way to write a path."""
    text = os.fspath(name)
    return _SCHEME.match(text) is not None and not text.startswith(_FILE)


def as_path(name: str | os.PathLike[str]) -> str:
    """A path as it is written without a scheme."""
    return os.fspath(name).removeprefix(_FILE)


class UrlPath(PurePosixPath):
    """A URL, with parents, names and joints as paths have them."""

    def __str__(self) -> str:
        scheme, _, rest = super().__str__().partition(":")
        return f"{scheme}://{rest.lstrip('/')}"


def located(name: str | os.PathLike[str]) -> Path:
    """A name as a path that is absolute, or as a URL, which lacks of a path what asks a disk."""
    if is_url(name):
        return cast(Path, UrlPath(name))
    return Path(as_path(name)).absolute()


def joined(url: str, name: str) -> str:
    """The URL of what has a name below another one."""
    return f"{url.rstrip('/')}/{name}"
