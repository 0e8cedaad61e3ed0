"""What a chain of names means where it is written, looked up as the interpreter would."""

from __future__ import annotations

import builtins
import importlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from types import CellType, ModuleType
from typing import Any

from artifact_store.closures.guards import MISSING, Guard
from artifact_store.closures.names import Chain, LocalImport


@dataclass(frozen=True, slots=True)
class Scope:
    """Where the names of one function or class are looked up."""

    place: str
    namespace: Mapping[str, Any]
    cells: Mapping[str, CellType]
    imports: Mapping[str, LocalImport]


def resolve(chain: Chain, scope: Scope, guard: Guard) -> tuple[Any, Chain]:
    """The object `chain` leads to through modules, and the attributes left over; `MISSING` if there is none.

    The walk ends at the first object that is not a module: what hangs from a class or an instance comes with it.
    """
    value = _root(chain[0], scope, guard)
    rest = chain[1:]
    while isinstance(value, ModuleType) and rest:
        value, rest = _attribute(value, rest[0], guard), rest[1:]
    return value, rest


def _root(name: str, scope: Scope, guard: Guard) -> Any:
    if name in scope.imports:
        return _imported(
            scope.imports[name], str(scope.namespace.get("__package__") or ""), guard
        )
    if name in scope.cells:
        return guard.cell(scope.cells[name])
    value = guard.name(scope.namespace, name)
    return vars(builtins).get(name, MISSING) if value is MISSING else value


def _imported(bound: LocalImport, package: str, guard: Guard) -> Any:
    try:
        module = importlib.import_module(
            "." * bound.level + bound.module, package or None
        )
    except ImportError:
        return MISSING
    return (
        module
        if bound.attribute is None
        else _attribute(module, bound.attribute, guard)
    )


def _attribute(module: ModuleType, name: str, guard: Guard) -> Any:
    value = guard.name(vars(module), name)
    if value is not MISSING:
        return value
    try:
        # A submodule that nobody imported yet, or a module's own `__getattr__`.
        return (
            getattr(module, name)
            if hasattr(module, name)
            else importlib.import_module(f"{module.__name__}.{name}")
        )
    except ImportError:
        return MISSING
