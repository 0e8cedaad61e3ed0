"""One decorator per library, each used as its documentation recommends for results that outlive the process.

All of them get the tensors of a checkpoint as a dict of arrays, so that those which digest their arguments see content
and not a path. They keep what they keep in a folder of the run. None is told what depends on what beyond what its own
documentation asks of every user.
"""

from __future__ import annotations

import copy
import inspect
import sys
import sysconfig
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

Body = Callable[..., Any]
# What decorates a body, given the params that it may ignore.
Keep = Callable[[Body, tuple[str, ...]], Body]

# Never looked at: the modules of the project do not evaluate their annotations.
Arrays = Checkpoint = Run = object

# The name of the analysis that a code object is the body of. No library is asked whether it computed: the interpreter
# tells the driver which of these were entered.
BODIES: dict[int, str] = {}


def nothing(directory: Path) -> Keep:
    """Compute always: what is right."""
    return lambda body, ignored: body


def joblib(directory: Path) -> Keep:
    """`Memory.cache`, which digests the arguments and compares the source of the function itself."""
    from joblib import Memory

    memory = Memory(directory, verbose=0)

    def keep(body: Body, ignored: tuple[str, ...]) -> Body:
        kept: Body = memory.cache(body, ignore=list(ignored))
        return kept

    return keep


def cachier(directory: Path) -> Keep:
    """`cachier`, whose default cannot digest a dict of arrays reliably: `hash_func` is what it offers for that."""
    import joblib as hashing
    from cachier import cachier as persistent

    def keep(body: Body, ignored: tuple[str, ...]) -> Body:
        def digest(args: tuple[Any, ...], kwds: Mapping[str, Any]) -> str:
            heeded = {name: kwds[name] for name in kwds if name not in ignored}
            return str(hashing.hash((args, heeded)))

        kept: Body = persistent(cache_dir=directory, hash_func=digest)(body)
        return kept

    return keep


def charmonium(directory: Path) -> Keep:
    """`memoize` in a group of its own, large enough that nothing is evicted (its default is 100 KiB).

    Told that installed packages do not change, or it cannot take a module that holds numpy and is slow with all others.
    """
    from charmonium.cache import DirObjStore, FileRWLock, MemoizedGroup, memoize
    from charmonium.cache.memoize import DEFAULT_FREEZE_CONFIG

    config = copy.deepcopy(DEFAULT_FREEZE_CONFIG)
    config.ignore_files.add(Path(sysconfig.get_path("purelib")))
    directory.mkdir(exist_ok=True)
    group = MemoizedGroup(
        obj_store=DirObjStore(path=directory),
        lock=FileRWLock(directory / ".lock"),
        size="1 GiB",
        freeze_config=config,
    )

    def keep(body: Body, ignored: tuple[str, ...]) -> Body:
        kept: Body = memoize(group=group)(body)
        kept.__name__ = body.__name__
        return kept

    return keep


def decorator(library: str) -> Callable[..., Any]:
    """What stands in the place of our `@analysis`; of its options, the others only know `ignore`."""
    directory = Path(sys.argv[1]).resolve() / "kept"
    if library == "checkpointer":
        return _checkpointer(directory)
    keep = LIBRARIES[library](directory)

    def analysis(body: Body | None = None, **options: Any) -> Any:
        if body is None:
            return partial(analysis, **options)
        noted(body)
        return keep(body, options.get("ignore", ()))

    return analysis


def _checkpointer(directory: Path) -> Callable[..., Any]:
    """`checkpointer` with `capture=True`, its strictest mode, in which globals count too.

    It leaves decorators out of a function's digest if they are its own kind, so ours has to be one. What it may ignore
    is said in annotations.
    """
    from checkpointer import Checkpointer, NoHash

    class Analysis(Checkpointer):  # type: ignore[misc, unused-ignore]
        def __call__(self, fn: Body | None = None, **options: Any) -> Any:
            if fn is None:
                return partial(self, **options)
            ignored = dict.fromkeys(options.get("ignore", ()), NoHash[object])
            inspect.unwrap(fn).__annotations__.update(ignored)
            noted(fn)
            return super().__call__(fn)

    return Analysis(directory=directory, capture=True, verbosity=0)


def noted(body: Body) -> None:
    """Have the driver told when this is entered, below whatever decorates it."""
    BODIES[id(inspect.unwrap(body).__code__)] = body.__name__


LIBRARIES: Mapping[str, Callable[[Path], Keep]] = {
    "nothing": nothing,
    "joblib": joblib,
    "cachier": cachier,
    "charmonium": charmonium,
}
