"""The names a syntax tree mentions, as chains of attributes: `m.sub.f` is `("m", "sub", "f")`."""

from __future__ import annotations

import ast
import dis
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from types import CodeType
from typing import TypeAlias

Chain: TypeAlias = tuple[str, ...]

# Calls that can reach any name there is. `getattr` is harmless on an object, and checked where it meets a module.
_DYNAMIC = frozenset(
    {
        ("eval",),
        ("exec",),
        ("globals",),
        ("__import__",),
        ("importlib", "import_module"),
    }
)

_TYPE_CHECKING = frozenset({("TYPE_CHECKING",), ("typing", "TYPE_CHECKING")})


@dataclass(frozen=True, slots=True)
class LocalImport:
    """A name bound by an import statement inside a body."""

    module: str
    level: int
    attribute: str | None


@dataclass(slots=True)
class Names:
    """What some nodes mention: chains, names bound by imports, and lookups nobody can follow."""

    chains: set[Chain] = field(default_factory=set)
    imports: dict[str, LocalImport] = field(default_factory=dict)
    dynamic: list[tuple[int, str]] = field(default_factory=list)


def names_in(nodes: Iterable[ast.AST]) -> Names:
    """Every name that `nodes` mention; whether it is a local variable is for the caller to say."""
    names = Names()
    for node in nodes:
        _Collector(names).visit(node)
    return names


def global_names(code: CodeType) -> frozenset[str]:
    """The names that code, and the code nested in it, looks up outside every function."""
    return frozenset(_looked_up(code))


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
        self._names.chains.add((node.id,))

    def visit_Attribute(self, node: ast.Attribute) -> None:
        chain = _chain(node)
        if chain is None:
            self.generic_visit(node)
        else:
            self._names.chains.add(chain)

    def visit_Call(self, node: ast.Call) -> None:
        called = _chain(node.func)
        if (
            called == ("getattr",)
            and len(node.args) >= 2
            and (chain := _constant_getattr(node))
        ):
            self._names.chains.add(chain)
            for rest in node.args[2:]:
                self.visit(rest)
            return
        if called in _DYNAMIC:
            self._names.dynamic.append((node.lineno, ast.unparse(node)))
        self.generic_visit(node)

    def visit_If(self, node: ast.If) -> None:
        for statement in (
            node.orelse
            if _chain(node.test) in _TYPE_CHECKING
            else [node.test, *node.body, *node.orelse]
        ):
            self.visit(statement)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            top = alias.name.partition(".")[0]
            self._names.imports[alias.asname or top] = LocalImport(
                alias.name if alias.asname else top, 0, None
            )

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        for alias in node.names:
            bound = LocalImport(node.module or "", node.level, alias.name)
            self._names.imports[alias.asname or alias.name] = bound

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        # Whether the annotation is evaluated is the code object's to say; as a name it decides nothing.
        self.visit(node.target)
        if node.value is not None:
            self.visit(node.value)

    def visit_arg(self, node: ast.arg) -> None:
        pass


def _chain(node: ast.AST) -> Chain | None:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return (node.id, *reversed(parts)) if isinstance(node, ast.Name) else None


def _constant_getattr(node: ast.Call) -> Chain | None:
    chain, name = _chain(node.args[0]), node.args[1]
    if (
        chain is not None
        and isinstance(name, ast.Constant)
        and isinstance(name.value, str)
    ):
        return (*chain, name.value)
    return None
