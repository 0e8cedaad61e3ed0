"""The names a syntax tree mentions, as chains of attributes: `m.sub.f` is `("m", "sub", "f")`."""

from __future__ import annotations

import ast
import dis
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from types import CodeType
from typing import TypeAlias

Chain: TypeAlias = tuple[str, ...]

# Attributes of functions and frames that hold every name of a module.
_NAMESPACES = frozenset({"__globals__", "__builtins__", "f_globals", "f_builtins"})
_TYPE_CHECKING = frozenset({("TYPE_CHECKING",), ("typing", "TYPE_CHECKING")})


@dataclass(frozen=True, slots=True)
class LocalImport:
    """A name bound by an import statement inside a body."""

    module: str
    level: int
    attribute: str | None


@dataclass(slots=True)
class Names:
    """What some nodes mention: chains and where, names bound by imports, lookups nobody can follow and where."""

    chains: dict[Chain, int] = field(default_factory=dict)
    imports: dict[str, list[LocalImport]] = field(default_factory=dict)
    dynamic: list[tuple[int, str]] = field(default_factory=list)


def names_in(nodes: Iterable[ast.AST]) -> Names:
    """Every name that `nodes` mention; whether it is a local variable is for the caller to say."""
    names = Names()
    for node in nodes:
        _Collector(names).visit(node)
    return names


@lru_cache(maxsize=4096)
def global_names(code: CodeType) -> frozenset[str]:
    """The names that code, and the code nested in it, looks up outside every function."""
    return frozenset(_looked_up(code))


def is_for_type_checkers(statement: object) -> bool:
    """Whether a statement is `if TYPE_CHECKING:`, whose body never runs."""
    return isinstance(statement, ast.If) and chain_of(statement.test) in _TYPE_CHECKING


def chain_of(node: ast.AST) -> Chain | None:
    """The names of `a.b.c`; `None` for any other expression."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return (node.id, *reversed(parts)) if isinstance(node, ast.Name) else None


def _looked_up(code: CodeType) -> Iterator[str]:
    for instruction in dis.get_instructions(code):
        if instruction.opname.startswith("LOAD_") and (
            "GLOBAL" in instruction.opname or "NAME" in instruction.opname
        ):
            yield str(instruction.argval)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _looked_up(constant)


class _Collector(ast.NodeVisitor):
    def __init__(self, names: Names) -> None:
        self._names = names

    def visit_Name(self, node: ast.Name) -> None:
        self._names.chains.setdefault((node.id,), node.lineno)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if node.attr in _NAMESPACES:
            self._names.dynamic.append((node.lineno, ast.unparse(node)))
        chain = chain_of(node)
        if chain is None:
            self.generic_visit(node)
        else:
            self._names.chains.setdefault(chain, node.lineno)

    def visit_Call(self, node: ast.Call) -> None:
        chain = _attribute_by_constant(node)
        if chain is None:
            self.generic_visit(node)
            return
        self._names.chains.setdefault(chain, node.lineno)
        for one in (node.func, *node.args[2:]):
            self.visit(one)

    def visit_If(self, node: ast.If) -> None:
        if not is_for_type_checkers(node):
            self.generic_visit(node)
        for statement in node.orelse if is_for_type_checkers(node) else ():
            self.visit(statement)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            top = alias.name.partition(".")[0]
            module = alias.name if alias.asname else top
            self._import(alias.asname or top, LocalImport(module, 0, None))

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        for alias in node.names:
            bound = LocalImport(node.module or "", node.level, alias.name)
            self._import(alias.asname or alias.name, bound)

    def _import(self, name: str, bound: LocalImport) -> None:
        # The branches of an `if`, or a `try` and its `except`, may bind one name in several ways.
        bounds = self._names.imports.setdefault(name, [])
        if bound not in bounds:
            bounds.append(bound)

    # An annotation counts as it is written, if it is evaluated at all; what its names mean decides nothing.

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self.visit(node.target)
        if node.value is not None:
            self.visit(node.value)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for part in (*node.decorator_list, node.args, *node.body):
            self.visit(part)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_arg(self, node: ast.arg) -> None:
        pass


def _attribute_by_constant(call: ast.Call) -> Chain | None:
    """`a.b.c` for `getattr(a.b, "c")` and `hasattr(a.b, "c")`."""
    if chain_of(call.func) not in {("getattr",), ("hasattr",)} or len(call.args) < 2:
        return None
    chain, name = chain_of(call.args[0]), call.args[1]
    if (
        chain is not None
        and isinstance(name, ast.Constant)
        and isinstance(name.value, str)
    ):
        return (*chain, name.value)
    return None
