"""Whose code it is: the user's, which a closure follows, or an installed package's, which it names.

An installed package lies in the standard library or in a folder where installers put packages. Everything else is the
user's: a project, an editable install, a notebook. An author or a project may have it otherwise: see `first_party`.
"""

from __future__ import annotations

import importlib.util
import linecache
import os
import sys
import sysconfig
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from importlib.machinery import EXTENSION_SUFFIXES, ModuleSpec
from types import CodeType, FunctionType, ModuleType
from typing import Any

import msgspec

from artifact_store.errors import BadSetting

FIRST_PARTY_VARIABLE = "ARTIFACT_STORE_FIRST_PARTY"
OURSELVES = __name__.partition(".")[0]
MAIN = ("__main__", "__mp_main__")

_INSTALLED = tuple(
    os.path.realpath(sysconfig.get_path(kind)) + os.sep
    for kind in ("stdlib", "platstdlib", "purelib", "platlib")
)
_SITES = frozenset({"site-packages", "dist-packages"})
_NOWHERE = "<nowhere>"
_EXAMPLE = "Name packages as they are imported: 'mylib,!fork' follows mylib and does not follow fork."


class FirstParty(msgspec.Struct, frozen=True):
    """What is the user's: neither installed nor of the standard library.

    Packages in `own` count as the user's and packages in `foreign` as installed, wherever they lie.
    """

    own: frozenset[str]
    foreign: frozenset[str] = frozenset()

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
        return self._has_file(file, top(module))

    def wrote(self, code: CodeType, module: str) -> bool:
        """Whether code that runs in `module` is first-party and was written: what a library generated was not."""
        file = code.co_filename
        if is_cell(file) or not (file.startswith("<") or os.path.isabs(file)):
            return self.has_module(module)
        return not file.startswith("<") and self._has_file(file, top(module))

    def has_module(self, name: str) -> bool:
        """Whether the module of this name is first-party; it need not have been imported."""
        module, package = sys.modules.get(name), top(name)
        if package in MAIN or package in self.own:
            return True
        if package in sys.builtin_module_names:
            return False
        places = _places(module) or _places_by_name(name)
        if not places:
            # What no file defines was made by hand; if it ever ran Python code, by the user's.
            made = "__builtins__" in vars(module or sys.modules.get(package, sys))
            return made and package not in self.foreign
        # A namespace package is whose its parts are, and those are judged one by one.
        return any(self._has_file(place, package) for place in places)

    def _has_file(self, file: str, package: str) -> bool:
        if package in self.own:
            return True
        is_foreign = package == OURSELVES or package in self.foreign
        return not (is_foreign or is_installed(file))


def first_party(package: str, declared: Iterable[str] = ()) -> FirstParty:
    """What is first-party to an analysis of `package` that `declared` more packages as its author's.

    An analysis that was installed still is its author's code, so its own package counts wherever it lies. For a whole
    project, `ARTIFACT_STORE_FIRST_PARTY=mylib,!fork` has `mylib` followed though it is installed, and `fork` named
    though it is not. What an analysis declares goes before that.

    Raises
    ------
    BadSetting
        The variable names what is no package.
    """
    followed, named = _setting(first_party_setting())
    own = {package, *declared} - {OURSELVES}
    return FirstParty(frozenset(own | (followed - named)), frozenset(named - own))


def where_set() -> tuple[Mapping[Any, Any], Any]:
    """Where the environment keeps the variable, and under which name."""
    # Below the conversions of `os.environ`, with which one look takes 1 us and not 0.06.
    return vars(os.environ)["_data"], os.fsencode(FIRST_PARTY_VARIABLE)


def first_party_setting() -> str:
    """What the environment says now."""
    return os.environ.get(FIRST_PARTY_VARIABLE, "")


def fault_of_package(name: str) -> str | None:
    """Why a name cannot be that of a package which is followed or not; `None` if it can."""
    if not name.isidentifier() or name in MAIN:
        return "is not the name of a top-level package"
    if name == OURSELVES or name in sys.stdlib_module_names:
        return "is part of Python or artifact_store, which are never followed"
    return "cannot be imported" if _places_by_name(name) == [_NOWHERE] else None


def origins_of(members: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Each top-level package, and the folder it lies in, of the members of a closure, given by name and file."""
    found = set()
    for name, file in members:
        package, folder = top(name), os.path.dirname(file)
        above, inside, _ = f"{folder}/".rpartition(f"/{package}/")
        found.add((package, f"{above}/{package}" if inside else folder))
    return sorted((package, folder) for package, folder in found if folder)


def top(module: str) -> str:
    """The top-level package of a module."""
    return module.partition(".")[0]


def is_cell(file: str) -> bool:
    """Whether the code of this file name was typed into a notebook, or made by a program that kept its source."""
    entry = linecache.cache.get(file)
    # An entry is (size, mtime, lines, name); mtime is None for what never was a file.
    return entry is not None and len(entry) == 4 and entry[1] is None


def is_compiled(module: str) -> bool:
    """Whether a module is an extension, written in another language."""
    file = getattr(sys.modules.get(module), "__file__", None) or ""
    return str(file).endswith(tuple(EXTENSION_SUFFIXES))


# Asked for every closure, and a name that was a package remains one.
@lru_cache(maxsize=8)
def _setting(text: str) -> tuple[frozenset[str], frozenset[str]]:
    """The packages to follow and those not to."""
    followed, named = set[str](), set[str]()
    for word in filter(None, map(str.strip, text.split(","))):
        name = word.removeprefix("!")
        fault = fault_of_package(name)
        if fault:
            problem = f"{name!r} {fault}"
            raise BadSetting(FIRST_PARTY_VARIABLE, text, problem, _EXAMPLE)
        (followed if word == name else named).add(name)
    return frozenset(followed), frozenset(named)


@lru_cache(maxsize=4096)
def is_installed(file: str) -> bool:
    """Whether a file came with an installed package."""
    # Its folder and not the file itself is followed: an installer may link single files to where it downloads them.
    folder = os.path.realpath(os.path.dirname(file)) + os.sep
    return (
        file.startswith("<")
        or folder.startswith(_INSTALLED)
        or not _SITES.isdisjoint(folder.split(os.sep))
    )


def _places(module: ModuleType | None) -> Sequence[str]:
    """The file of a module, or the folders of a namespace package; nothing if it has neither."""
    # Not by `getattr`: there are modules that have every attribute one asks for.
    held = getattr(module, "__dict__", {})
    file, spec = held.get("__file__"), held.get("__spec__")
    if isinstance(file, str) and os.path.isabs(file):
        return [file]
    return _places_of(spec) if spec is not None else list(held.get("__path__", ()))


def _places_by_name(name: str) -> Sequence[str]:
    """The same of a module that need not have been imported: if only its package can be known, of that."""
    package, *inner = name.split(".")
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return _places(sys.modules.get(package))
    for part in inner:
        if spec is None or spec.origin or spec.submodule_search_locations is None:
            break
        # This imports the package above, which is a namespace and so runs no code.
        package = f"{package}.{part}"
        spec = importlib.util.find_spec(package)
    return [_NOWHERE] if spec is None else _places_of(spec)


def _places_of(spec: ModuleSpec) -> Sequence[str]:
    if spec.origin in ("frozen", "built-in"):
        return ["<frozen>"]
    return [spec.origin] if spec.origin else list(spec.submodule_search_locations or ())
