"""Which version of a package is installed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache


@lru_cache(maxsize=512)
def version_of(package: str) -> str:
    """The installed version of a top-level package or of a distribution; "unknown" if there is none.

    Never asked of the module itself: the answer must not depend on what has been imported.
    """
    # Here and not above for its weight, of email and sockets: a tenth of what numpy takes.
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        pass
    # Those whose distribution bears another name, as scikit-learn does.
    for distribution in _distributions().get(package, ()):
        return version(distribution)
    return "unknown"


@lru_cache(maxsize=1)
def _distributions() -> Mapping[str, Sequence[str]]:
    from importlib.metadata import packages_distributions

    return packages_distributions()
