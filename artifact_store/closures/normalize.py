"""The canonical form of a syntax tree: what it means, without how it was typed.

Comments, formatting, quotes and parentheses are not in the tree to begin with.
Docstrings, positions, annotations that are never evaluated and imports (which
count as what they bind; and where, if not once and for all) are left out here. The dump is our own because
`ast.dump` changes with the minor version of Python.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from artifact_store.closures.names import is_for_type_checkers
from artifact_store.encoding import encode

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)

# Fields that say how a thing was typed (`u""`), or that follow from where it stands (Load, Store).
_SPELLING = frozenset({"type_comment", "kind", "ctx", "type_ignores"})
_SILENT = (ast.Pass, ast.Import, ast.ImportFrom)


def canonical(node: ast.AST, *, lazy_annotations: bool = False) -> bytes:
    """Bytes that are equal exactly for trees of one meaning.

    With `lazy_annotations` (`from __future__ import annotations`) no annotation of a function is evaluated.
    """
    return _Canonical(lazy_annotations).of(node)


class _Canonical:
    def __init__(self, lazy_annotations: bool) -> None:
        self._lazy = lazy_annotations
        self._in_function = False
        self._telling_imports: frozenset[ast.AST] = frozenset()

    def of(self, node: ast.AST) -> bytes:
        if isinstance(node, ast.AnnAssign) and self._in_function and node.value:
            # The annotation of a local variable is never evaluated, so `x: int = 1` is `x = 1`.
            return self._node(ast.Assign(targets=[node.target], value=node.value))
        if isinstance(node, ast.Name) and node.id == "__debug__":
            return encode(("__debug__", __debug__))  # Which `python -O` turns off.
        if isinstance(node, ast.JoinedStr):
            # Python 3.12 puts empty texts between the parts.
            return self._node(
                ast.JoinedStr([one for one in node.values if not _is_empty(one)])
            )
        if not isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            return self._node(node)
        outside, self._in_function = self._in_function, isinstance(node, FUNCTIONS)
        if self._in_function:
            self._telling_imports |= _telling_imports(node)
        try:
            return self._node(node)
        finally:
            self._in_function = outside

    def _node(self, node: ast.AST) -> bytes:
        written = [(name, self._value(value)) for name, value in self._fields(node)]
        fields = [
            name.encode() + b"=" + value for name, value in written if value != b"[]"
        ]
        return type(node).__name__.encode() + b"(" + b",".join(fields) + b")"

    def _fields(self, node: ast.AST) -> Iterator[tuple[str, object]]:
        is_constant = isinstance(node, (ast.Constant, ast.MatchSingleton))
        for name in node._fields:
            value = getattr(node, name, None)
            if name in _SPELLING or (self._lazy and name in _annotation(node)):
                continue
            # An absent field and an empty one are written alike: new Pythons add empty fields (`type_params`).
            if is_constant or value is not None:
                yield name, value

    def _value(self, value: object) -> bytes:
        if isinstance(value, ast.AST):
            return self.of(value)
        if isinstance(value, list):
            items = [self._value(one) for one in self._telling(value)]
            return b"[" + b",".join(items) + b"]"
        return encode(value)

    def _telling(self, nodes: Iterable[object]) -> Iterator[object]:
        """The statements among `nodes` that do something, and whatever is not a statement."""
        for node in nodes:
            if isinstance(node, ast.If) and is_for_type_checkers(node):
                yield from self._telling(node.orelse)
            elif node in self._telling_imports:
                yield ast.Import([ast.alias(one) for one in sorted(_bound_by(node))])
            elif not (
                isinstance(node, _SILENT)
                or _is_bare_constant(node)
                or self._only_annotates(node)
            ):
                yield node

    def _only_annotates(self, node: object) -> bool:
        return (
            isinstance(node, ast.AnnAssign) and self._in_function and node.value is None
        )


def _telling_imports(function: ast.AST) -> frozenset[ast.AST]:
    """The imports in a function whose place decides: not at once and for all, or of a name that has other meanings."""
    nodes = list(ast.walk(function))
    imports = [one for one in nodes if isinstance(one, ast.Import | ast.ImportFrom)]
    if not imports:
        return frozenset()
    used = {
        one.id
        for one in nodes
        if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Load)
    }
    bound = Counter(name for one in nodes for name in _bound_by(one))
    at_once = {
        one for each in nodes if isinstance(each, FUNCTIONS) for one in _body(each)
    }
    return frozenset(
        one
        for one in imports
        if (names := _bound_by(one) & used)
        and (one not in at_once or any(bound[name] > 1 for name in names))
    )


def _body(function: Any) -> list[ast.AST]:
    return function.body if isinstance(function.body, list) else []


def _bound_by(node: Any) -> set[str]:
    """The names that a node binds by itself."""
    match node:
        case ast.Import() | ast.ImportFrom():
            return {one.asname or one.name.partition(".")[0] for one in node.names}
        case ast.Name(ctx=ast.Store() | ast.Del()):
            return {node.id}
        case ast.arg():
            return {node.arg}
        case (
            ast.FunctionDef()
            | ast.AsyncFunctionDef()
            | ast.ClassDef()
            | ast.ExceptHandler()
        ):
            return {node.name} if node.name else set()
        case _:
            return set()


def _annotation(node: ast.AST) -> tuple[str, ...]:
    return ("annotation",) if isinstance(node, ast.arg) else ("returns",)


def _is_empty(text: ast.expr) -> bool:
    return isinstance(text, ast.Constant) and text.value == ""


def _is_bare_constant(statement: object) -> bool:
    """Whether a statement is a constant alone: a docstring, a string used as a comment, `...`."""
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
