"""The name under which an installed module holds an object.

Only what a module really holds is known by its name. What a library makes at
run time (a decorated function, a configured object) may bear the name of
something else, and is what it was made of.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from types import FunctionType
from typing import Any


def installed_name(
    value: Any, is_ours: Callable[[str], bool]
) -> tuple[str, str] | None:
    """Module and name of `value`, if an installed module holds it; modules that `is_ours` knows are none."""
    module, name = _claimed(value)
    if not is_ours(module) and _holds(sys.modules.get(module), name, value):
        return module, name
    packages = {one for one in _packages(value) if not is_ours(one)}
    found = set(_search(value, packages))
    # The shortest name, since which modules are loaded differs between processes. They are no part of it.
    return min(found, key=lambda one: (len(one[1]), one)) if found else None


def _claimed(value: Any) -> tuple[str, str]:
    if isinstance(value, FunctionType):
        return str(value.__globals__.get("__name__")), value.__code__.co_qualname
    module = getattr(value, "__module__", None) or type(value).__module__
    name = getattr(value, "__qualname__", None) or getattr(value, "__name__", None)
    return str(module), str(name)


def _holds(module: Any, name: str, value: Any) -> bool:
    held = module
    for part in name.split("."):
        held = getattr(held, part, None)
    # Methods of built-in types are made anew at each look, and are equal.
    return held is value or (
        type(held) is type(value)
        and type(value).__module__ == "builtins"
        and bool(held == value)
    )


def _packages(value: Any) -> Iterator[str]:
    bound = getattr(value, "__self__", None)
    for one in (
        _claimed(value)[0],
        type(value).__module__,
        _claimed(bound)[0],
        type(bound).__module__,
    ):
        yield one.partition(".")[0]


def _search(value: Any, packages: set[str]) -> Iterator[tuple[str, str]]:
    for full, module in list(sys.modules.items()):
        if full.partition(".")[0] in packages:
            for name, held in list(getattr(module, "__dict__", {}).items()):
                if held is value:
                    yield full.partition(".")[0], name
