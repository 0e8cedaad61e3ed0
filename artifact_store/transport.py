"""How an analysis travels to another process: by its name, or whole where no import finds it."""

from __future__ import annotations

import importlib
import pickle
import sys
from contextvars import ContextVar
from typing import Any, cast

# The names of a script or notebook, which mean something else in another process.
_MAIN = ("__main__", "__mp_main__")
_PACKING: ContextVar[bool] = ContextVar("_PACKING", default=False)


def is_found_by_name(one: Any) -> bool:
    """Whether another process finds an analysis by the module and name of its function."""
    module, name = address_of(one)
    is_importable = module in sys.modules and module not in _MAIN
    return is_importable and named(module, name) is one


def address_of(one: Any) -> tuple[str, str]:
    """The module and the qualified name of the function of an analysis."""
    return one.__module__, str(getattr(one, "__qualname__", one.__name__))


def named(module: str, name: str) -> Any:
    """What a module holds under a name; `None` if it does not."""
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


def is_packing() -> bool:
    """Whether what is pickled now travels whole."""
    return _PACKING.get()


def packed(one: Any) -> bytes:
    """A value that no import finds, whole, so that any pickler can carry it."""
    # Here and not above for its weight: most analyses are imported.
    import cloudpickle

    token = _PACKING.set(True)
    try:
        return cast(bytes, cloudpickle.dumps(one))
    finally:
        _PACKING.reset(token)


def unpacked(content: bytes) -> Any:
    """The inverse of `packed`."""
    return pickle.loads(content)
