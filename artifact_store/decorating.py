"""`@analysis`: the decorator, and what an author may say in it.

function, declaration ──► *Analysis*
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar, overload

from artifact_store.arrays import Codec
from artifact_store.arraysets import UNDECLARED, Dims
from artifact_store.declarations import declare
from artifact_store.memoize import Analysis
from artifact_store.modes import ModeName
from artifact_store.stores.base import Store

P = ParamSpec("P")
R = TypeVar("R")


@overload
def analysis(
    function: Callable[P, R],
    /,
    *,
    name: str | None = None,
    dims: Dims = UNDECLARED,
    codec: Codec = "raw",
    ignore: tuple[str, ...] = (),
    versions: tuple[str, ...] = (),
    depends_on: tuple[Any, ...] = (),
    first_party: tuple[str, ...] = (),
    was: Mapping[str, Any] | None = None,
    strict: bool | None = None,
    store: Store | str | None = None,
    durable: bool = False,
    mode: ModeName | None = None,
) -> Analysis[P, R]: ...
@overload
def analysis(
    *,
    name: str | None = None,
    dims: Dims = UNDECLARED,
    codec: Codec = "raw",
    ignore: tuple[str, ...] = (),
    versions: tuple[str, ...] = (),
    depends_on: tuple[Any, ...] = (),
    first_party: tuple[str, ...] = (),
    was: Mapping[str, Any] | None = None,
    strict: bool | None = None,
    store: Store | str | None = None,
    durable: bool = False,
    mode: ModeName | None = None,
) -> Callable[[Callable[P, R]], Analysis[P, R]]: ...
def analysis(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    dims: Dims = UNDECLARED,
    codec: Codec = "raw",
    ignore: tuple[str, ...] = (),
    versions: tuple[str, ...] = (),
    depends_on: tuple[Any, ...] = (),
    first_party: tuple[str, ...] = (),
    was: Mapping[str, Any] | None = None,
    strict: bool | None = None,
    store: Store | str | None = None,
    durable: bool = False,
    mode: ModeName | None = None,
) -> Any:
    """Keep the results of a pure function.

    Parameters
    ----------
    function
        Takes checkpoints (or runs, files, artifacts) and values; returns an array, a number, a tensor, or a mapping
        of these by name. The same arguments and code give the same result.
    name
        Its name in stores; that of the function if not given.
    dims
        Names of the axes of its arrays, as in `{"norm": ("frequency", "neuron")}`. A returned 1-D array
        named like a dimension is its coordinate.
    codec
        `"raw"` is mapped into memory in microseconds; `"zstd"` takes less space and 10 times as long to read.
    ignore
        Parameters that change how it is computed and not what, such as a device. They are in no key.
    versions
        Packages whose installed version is part of the key.
    depends_on
        Functions, classes and constants that it reaches in ways that cannot be followed.
    first_party
        Installed packages whose code counts as yours: it is followed, like that of your own modules.
    was
        Parameters that were constants, with the values that they had: for these, results from before are kept.
    strict
        Whether to refuse what a pure function does not do, and not only to flag it: reading labels, the clock, the
        environment, undeclared files, unseeded random numbers. If not given: `ARTIFACT_STORE_STRICT`, or in tests.
    store
        A directory or a store. If not given: `ARTIFACT_STORE`, or the directory beside the first input.
    durable
        Whether to wait until a result is on disk (20 ms at 26 MB). Without it, a power cut may cost a recomputation.
    mode
        What calls may do with the store: `rw`, `ro`, `off`, `refresh` or `require`; see `mode`, which comes first. If
        not given: `ARTIFACT_STORE_MODE`, or `rw`.
    """

    def decorate(plain: Callable[..., Any]) -> Analysis[..., Any]:
        declaration = declare(
            plain,
            name,
            dims,
            codec=codec,
            ignore=ignore,
            versions=versions,
            depends_on=depends_on,
            first_party=first_party,
            was=was or {},
            strict=strict,
            store=store,
            durable=durable,
            mode=mode,
        )
        return Analysis(plain, declaration)

    return decorate if function is None else decorate(function)
