"""Which version of a package is installed."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping, Sequence
from functools import lru_cache


@lru_cache(maxsize=512)
def version_of(package: str) -> str:
    """The installed version of a top-level package or of a distribution; "unknown" if there is none.

    Never asked of the module itself: the answer must not depend on what has been imported.
    """
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        pass
    # Those whose distribution bears another name, as scikit-learn does.
    for distribution in _distributions().get(package, ()):
        return importlib.metadata.version(distribution)
    return "unknown"


@lru_cache(maxsize=1)
def _distributions() -> Mapping[str, Sequence[str]]:
    return importlib.metadata.packages_distributions()
