"""Whose code it is: the user's, which a closure follows, or an installed package's, which it names."""

from __future__ import annotations

import importlib.util
import linecache
import os
import sys
import sysconfig
from dataclasses import dataclass
from functools import lru_cache
from importlib.machinery import EXTENSION_SUFFIXES
from types import FunctionType, ModuleType
from typing import Any

_INSTALLED = tuple(
    os.path.realpath(sysconfig.get_path(kind)) + os.sep
    for kind in ("stdlib", "platstdlib", "purelib", "platlib")
)
_SITES = ("site-packages", "dist-packages")
_OURSELVES = __name__.partition(".")[0]
_MAIN = ("__main__", "__mp_main__")


@dataclass(frozen=True, slots=True)
class FirstParty:
    """What is the user's: neither installed nor of the standard library, except packages named in `own`.

    An analysis that was installed still is its author's code, so its own package counts wherever it lies.
    """

    own: frozenset[str]

    def has(self, code: Any) -> bool:
        """Whether a function, class or module is first-party."""
        if isinstance(code, ModuleType):
            return self.has_module(code.__name__)
        if not isinstance(code, FunctionType):
            return self.has_module(str(code.__module__))
        file, module = code.__code__.co_filename, str(code.__globals__.get("__name__"))
        if is_cell(file):
            return True
        if file.startswith("<") or not os.path.isabs(file):
            # Of a module that does not exist, it was made by `exec`: there is nothing else to know it by.
            return module not in sys.modules or self.has_module(module)
        return self._has_file(file, _top(module))

    def has_module(self, name: str) -> bool:
        """Whether the module of this name is first-party; it need not have been imported."""
        module, package = sys.modules.get(name), _top(name)
        if package in _MAIN or package in self.own:
            return True
        if package in sys.builtin_module_names:
            return False
        file = _file_of(module) or _file_of_package(package)
        if file is None:
            # What no file defines was made by hand; if it ever ran Python code, by the user's.
            return "__builtins__" in vars(module or sys.modules.get(package, sys))
        return self._has_file(file, package)

    def _has_file(self, file: str, package: str) -> bool:
        return package in self.own or not (package == _OURSELVES or _is_installed(file))


def is_cell(file: str) -> bool:
    """Whether the code of this file name was typed into a notebook, or made by a program that kept its source."""
    entry = linecache.cache.get(file)
    # An entry is (size, mtime, lines, name); mtime is None for what never was a file.
    return entry is not None and len(entry) == 4 and entry[1] is None


def is_compiled(module: str) -> bool:
    """Whether a module is an extension, written in another language."""
    return (_file_of(sys.modules.get(module)) or "").endswith(tuple(EXTENSION_SUFFIXES))


@lru_cache(maxsize=4096)
def _is_installed(file: str) -> bool:
    real = os.path.realpath(file)
    return (
        file.startswith("<")
        or real.startswith(_INSTALLED)
        or any(site in real for site in _SITES)
    )


def _file_of(module: ModuleType | None) -> str | None:
    file = getattr(module, "__file__", None) or next(
        iter(getattr(module, "__path__", ())), None
    )
    return file or ("<frozen>" if _is_frozen(module) else None)


def _is_frozen(module: ModuleType | None) -> bool:
    spec = getattr(module, "__spec__", None)
    return getattr(spec, "origin", None) in ("frozen", "built-in")


def _file_of_package(package: str) -> str | None:
    """Where a top-level package lies, without importing it."""
    if package in sys.modules:
        return _file_of(sys.modules[package])
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return "<nowhere>"
    return spec.origin or next(iter(spec.submodule_search_locations or ()), None)


def _top(module: str) -> str:
    return module.partition(".")[0]
