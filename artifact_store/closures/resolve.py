"""What a chain of names means where it is written, looked up as the interpreter would."""

from __future__ import annotations

import builtins
import importlib
import importlib.util
import sys
from collections.abc import Iterator, Mapping
from types import CellType, ModuleType
from typing import Any

import msgspec

from artifact_store.closures.checks import MISSING
from artifact_store.closures.guards import Guard
from artifact_store.closures.names import Chain, LocalImport
from artifact_store.closures.origins import FirstParty, is_compiled

# They say where a module is and what it is called, which decides nothing.
_OF_THE_MODULE = frozenset(
    {
        "__name__",
        "__file__",
        "__package__",
        "__spec__",
        "__loader__",
        "__path__",
        "__cached__",
    }
)
# Through them every name of a module can be reached.
_NAMESPACES = frozenset({"__dict__", "__getattribute__", "__builtins__"})


class Label(msgspec.Struct, frozen=True):
    """What a chain leads to if that is known by its name alone; `package` has it, or is empty for a module's own."""

    package: str
    name: str


class Scope(msgspec.Struct, frozen=True):
    """Where the names of one function or class are looked up; `looked_up` are those it looks up in `namespace`."""

    file: str
    line: int
    namespace: Mapping[str, Any]
    looked_up: frozenset[str]
    cells: Mapping[str, CellType]
    imports: Mapping[str, list[LocalImport]]

    def knows(self, chain: Chain) -> bool:
        """Whether a chain begins with a name from outside, and not with a local variable."""
        return (
            chain[0] in self.looked_up
            or chain[0] in self.cells
            or chain[0] in self.imports
        )


class Resolver(msgspec.Struct, frozen=True):
    """Looks chains up, and has `guard` watch every step."""

    ours: FirstParty
    guard: Guard

    def resolve(self, chain: Chain, scope: Scope) -> Iterator[tuple[Any, Chain]]:
        """The objects a chain may lead to, each with the attributes left over; `MISSING` if there is none.

        The walk ends at the first object that is not a module: what hangs from a class or an instance comes with it,
        but for docstrings.
        """
        for value, rest in self._meanings(chain, scope):
            yield value, rest
            if rest[:1] == ("__doc__",):
                yield self.guard.attribute(value, "__doc__"), ()

    def _meanings(self, chain: Chain, scope: Scope) -> Iterator[tuple[Any, Chain]]:
        name = chain[0]
        for bound in scope.imports.get(name, ()):
            yield self._imported(bound, chain[1:], scope.namespace)
        if name in scope.cells:
            yield self._follow(self.guard.cell(scope.cells[name]), chain[1:])
        elif name in _OF_THE_MODULE and name in scope.looked_up:
            yield Label("", name), ()
        elif name in scope.looked_up:
            value = self.guard.name(scope.namespace, name)
            if value is MISSING:
                value = self.guard.name(vars(builtins), name)
            yield self._follow(value, chain[1:])

    def _follow(self, value: Any, rest: Chain) -> tuple[Any, Chain]:
        while isinstance(value, ModuleType) and rest and self.ours.has(value):
            if rest[0] in _NAMESPACES or is_compiled(value.__name__):
                return value, rest
            if rest[0] in _OF_THE_MODULE:
                return Label("", rest[0]), ()
            value, rest = self._attribute(value, rest[0]), rest[1:]
        if isinstance(value, ModuleType) and not self.ours.has(value):
            return self._installed(value.__name__, rest)
        return value, rest

    def _attribute(self, module: ModuleType, name: str) -> Any:
        value = self.guard.name(vars(module), name)
        if value is not MISSING:
            return value
        full = f"{module.__name__}.{name}"
        if "__path__" in vars(module) and importlib.util.find_spec(full) is not None:
            return importlib.import_module(full)
        # A module's own `__getattr__`, if any.
        return self.guard.attribute(module, name)

    def _imported(
        self, bound: LocalImport, rest: Chain, namespace: Mapping[str, Any]
    ) -> tuple[Any, Chain]:
        chain = rest if bound.attribute is None else (bound.attribute, *rest)
        try:
            name = importlib.util.resolve_name(
                "." * bound.level + bound.module, _package(namespace)
            )
            if not self.ours.has_module(name):
                # It may be slow to import, and nothing in it would be looked at.
                return self._installed(name, chain)
            module = importlib.import_module(name)
        except ImportError:
            return MISSING, chain
        self.guard.name(sys.modules, name)
        return self._follow(module, chain)

    def _installed(self, module: str, rest: Chain) -> tuple[Any, Chain]:
        """What an installed module has is known by its name, unless someone put first-party code there."""
        top = module.partition(".")[0]
        if sys.modules.get(module) is None and importlib.util.find_spec(top) is None:
            return MISSING, rest
        value: Any = sys.modules.get(module)
        left = rest
        while left and isinstance(value, ModuleType):
            value, left = self.guard.name(vars(value), left[0]), left[1:]
        if callable(value) and self._is_patched(value):
            return value, left
        return Label(module, ".".join(rest)), ()

    def _is_patched(self, value: Any) -> bool:
        return isinstance(getattr(value, "__module__", None), str) and self.ours.has(
            value
        )


def _package(namespace: Mapping[str, Any]) -> str | None:
    declared = namespace.get("__package__")
    name = str(namespace.get("__name__", ""))
    return str(declared) if declared is not None else name.rpartition(".")[0] or None
