"""The canonical form of a syntax tree: what it means, without how it was typed.

Comments, formatting, quotes and parentheses are not in the tree to begin with;
docstrings, positions and annotations that are never evaluated are left out here.
The dump is our own because `ast.dump` changes with the minor version of Python.
"""

from __future__ import annotations

import ast

from artifact_store.encoding import encode

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)

# Fields that say how a thing was typed (`u""`), or that follow from where it stands (Load, Store).
_SPELLING = frozenset({"type_comment", "kind", "ctx", "type_ignores"})


def canonical(node: ast.AST, *, lazy_annotations: bool = False) -> bytes:
    """Bytes that are equal exactly for trees of one meaning.

    With `lazy_annotations` (`from __future__ import annotations`) no annotation of a function is evaluated.
    """
    return _Canonical(lazy_annotations).of(node)


class _Canonical:
    def __init__(self, lazy_annotations: bool) -> None:
        self._lazy = lazy_annotations
        self._in_function = False

    def of(self, node: ast.AST) -> bytes:
        if isinstance(node, ast.AnnAssign) and self._in_function:
            return self._local_annotation(node)
        if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            return self._in_scope(node, function=not isinstance(node, ast.ClassDef))
        return self._node(node)

    def _in_scope(self, node: ast.AST, *, function: bool) -> bytes:
        outside, self._in_function = self._in_function, function
        try:
            return self._node(node)
        finally:
            self._in_function = outside

    def _local_annotation(self, node: ast.AnnAssign) -> bytes:
        # The annotation of a local variable is never evaluated, so `x: int = 1` is `x = 1`.
        if node.value is None:
            return b"Pass()"
        return self._node(ast.Assign(targets=[node.target], value=node.value))

    def _node(self, node: ast.AST) -> bytes:
        fields = []
        for name in node._fields:
            value = getattr(node, name, None)
            # An absent field and an empty one are written alike: new Pythons add empty fields (`type_params`).
            if name in _SPELLING or value is None or value == []:
                if not (
                    isinstance(node, (ast.Constant, ast.MatchSingleton))
                    and name == "value"
                ):
                    continue
            if self._lazy and (
                name == "returns"
                or (isinstance(node, ast.arg) and name == "annotation")
            ):
                continue
            fields.append(name.encode() + b"=" + self._value(name, value))
        return type(node).__name__.encode() + b"(" + b",".join(fields) + b")"

    def _value(self, name: str, value: object) -> bytes:
        if isinstance(value, ast.AST):
            return self.of(value)
        if isinstance(value, list):
            items = (
                [one for one in value if not is_bare_constant(one)]
                if name == "body"
                else value
            )
            return b"[" + b",".join([self._value("", one) for one in items]) + b"]"
        return encode(value)


def is_bare_constant(statement: object) -> bool:
    """Whether a statement is a constant alone: a docstring, a string used as a comment, `...`."""
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
