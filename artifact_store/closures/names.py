"""The names a syntax tree mentions, as chains of attributes: `m.sub.f` is `("m", "sub", "f")`."""

from __future__ import annotations

import ast
import dis
from collections.abc import Iterable, Iterator
from functools import lru_cache
from types import CodeType
from typing import Any, TypeAlias

import msgspec

Chain: TypeAlias = tuple[str, ...]

# Attributes that lead to more than is named: to all of a module, to callers, to every derived class.
_BOUNDLESS = frozenset(
    {
        "__globals__",
        "__builtins__",
        "f_globals",
        "f_builtins",
        "f_back",
        "__subclasses__",
        "__annotations__",
    }
)
_TYPE_CHECKING = frozenset({("TYPE_CHECKING",), ("typing", "TYPE_CHECKING")})


class LocalImport(msgspec.Struct, frozen=True):
    """A name bound by an import statement inside a body."""

    module: str
    level: int
    attribute: str | None


class Names(msgspec.Struct):
    """What some nodes mention: chains and where, names bound by imports, lookups nobody can follow and where.

    `bare` are chains that are called with no argument, or with `None` alone.
    """

    chains: dict[Chain, int] = msgspec.field(default_factory=dict)
    bare: dict[Chain, int] = msgspec.field(default_factory=dict)
    imports: dict[str, list[LocalImport]] = msgspec.field(default_factory=dict)
    dynamic: list[tuple[int, str]] = msgspec.field(default_factory=list)


def names_in(nodes: Iterable[ast.AST], owner: str = "") -> Names:
    """Every name that `nodes` mention; whether it is a local variable is for the caller to say.

    In the class `owner` and those within, `__x` is `_owner__x`.
    """
    names = Names()
    for node in nodes:
        collector = _Collector(names, owner)
        collector.visit(node)
        # Docstrings are in no canonical form; of what a local variable holds, nobody knows which is read.
        names.dynamic += [
            (line, ".".join(chain))
            for chain, line in names.chains.items()
            if "__doc__" in chain and chain[0] in collector.bound
        ]
    return names


def owner_of(qualname: str) -> str:
    """The class in whose body a function is written, by its qualified name; empty if in none."""
    parts = qualname.split(".")
    within = zip(parts, parts[1:])
    classes = [one for one, after in within if "<locals>" not in (one, after)]
    return classes[-1] if classes else ""


def mangled(name: str, owner: str) -> str:
    """A name as it is looked up in the body of the class `owner`."""
    is_private = name.startswith("__") and not name.endswith("__")
    return f"_{owner.lstrip('_')}{name}" if is_private and owner.strip("_") else name


@lru_cache(maxsize=4096)
def global_names(code: CodeType) -> frozenset[str]:
    """The names that code, and the code nested in it, looks up outside every function."""
    return frozenset(_looked_up(code))


def is_for_type_checkers(statement: object) -> bool:
    """Whether a statement is `if TYPE_CHECKING:`, whose body never runs."""
    return isinstance(statement, ast.If) and chain_of(statement.test) in _TYPE_CHECKING


def calls_parameter(function: Any) -> bool:
    """Whether a function calls one of its parameters, or an attribute of `self`."""
    names = {one.arg for one in ast.walk(function.args) if isinstance(one, ast.arg)}
    called = [
        chain_of(one.func) for one in ast.walk(function) if isinstance(one, ast.Call)
    ]
    return any(
        chain and chain[0] in names and (len(chain) == 1 or chain[0] == "self")
        for chain in called
    )


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
    def __init__(self, names: Names, owner: str) -> None:
        self._names, self._owner = names, owner
        self._is_body = False
        self._shared: set[str] = set()
        self.bound: set[str] = set()

    def visit_Name(self, node: ast.Name) -> None:
        self._chain((node.id,), node)
        if isinstance(node.ctx, ast.Store):
            self.bound.add(node.id)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        chain = chain_of(node)
        if node.attr in _BOUNDLESS or (node.attr == "__doc__" and chain is None):
            self._names.dynamic.append((node.lineno, ast.unparse(node)))
        if chain is None:
            self.generic_visit(node)
        else:
            self._chain(chain, node)

    def visit_Assign(self, node: ast.Assign) -> None:
        if not _copies_texts(node):
            self.generic_visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        outside = self._owner, self._is_body
        self._owner, self._is_body = node.name, True
        self.generic_visit(node)
        self._owner, self._is_body = outside

    def visit_Global(self, node: ast.Global | ast.Nonlocal) -> None:
        self._shared.update(node.names)

    visit_Nonlocal = visit_Global

    def visit_Call(self, node: ast.Call) -> None:
        called = chain_of(node.func)
        if called is not None and all(map(_is_none, _arguments(node))):
            self._names.bare.setdefault(called, node.lineno)
        chain = _attribute_by_constant(node)
        if chain is None:
            self.generic_visit(node)
            return
        self._chain(chain, node)
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
            self._import(alias.asname or top, LocalImport(module, 0, None), node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        for alias in node.names:
            name = mangled(alias.name, self._owner)
            bound = LocalImport(node.module or "", node.level, name)
            self._import(alias.asname or alias.name, bound, node)

    def _import(self, name: str, bound: LocalImport, node: ast.stmt) -> None:
        # The branches of an `if`, or a `try` and its `except`, may bind one name in several ways.
        bounds = self._names.imports.setdefault(mangled(name, self._owner), [])
        if bound not in bounds:
            bounds.append(bound)
        if self._is_body or name in self._shared:
            # It is used elsewhere, as an attribute of a class or a global variable.
            self._chain((name,), node)

    # An annotation counts as it is written, if it is evaluated at all; what its names mean decides nothing.

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self.visit(node.target)
        if node.value is not None:
            self.visit(node.value)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for part in (*node.decorator_list, node.args):
            self.visit(part)
        outside, self._is_body = self._is_body, False
        for part in node.body:
            self.visit(part)
        self._is_body = outside

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_arg(self, node: ast.arg) -> None:
        self.bound.add(node.arg)

    def _chain(self, chain: Chain, node: ast.expr | ast.stmt) -> None:
        looked_up = tuple(mangled(name, self._owner) for name in chain)
        self._names.chains.setdefault(looked_up, node.lineno)


def _copies_texts(node: ast.Assign) -> bool:
    """Whether docstrings or annotations are handed on, as decorators do, and nothing else."""
    ends = (*node.targets, node.value)
    return all(
        isinstance(one, ast.Attribute) and one.attr in ("__doc__", "__annotations__")
        for one in ends
    )


def _arguments(call: ast.Call) -> list[ast.expr]:
    return [*call.args, *(one.value for one in call.keywords)]


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


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
