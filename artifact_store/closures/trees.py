"""The part of a definition that counts as such, and not as something it refers to."""

from __future__ import annotations

import ast
import copy
from collections.abc import Collection, Mapping
from typing import Any

from artifact_store.closures.names import chain_of

_OURSELVES = __name__.partition(".")[0]


def bare_function(node: Any, namespace: Mapping[str, Any]) -> Any:
    """A function without defaults, which count as their values, and `@analysis`, which counts as what it declares.

    Decorators above ours get what the analysis returns, stored or not: they decide nothing that is
    stored, and count for those who call the function by its name.
    """
    bare = copy.copy(node)
    bare.args = copy.copy(node.args)
    bare.args.defaults, bare.args.kw_defaults = [], []
    if not isinstance(node, ast.Lambda):
        ours = [_is_analysis(one, namespace) for one in node.decorator_list]
        above = ours.index(True) + 1 if True in ours else 0
        bare.decorator_list = node.decorator_list[above:]
    return bare


def bare_class(node: Any, methods: Collection[str]) -> Any:
    """A class without the `methods` that are members of their own."""
    bare = copy.copy(node)
    definitions = ast.FunctionDef, ast.AsyncFunctionDef
    bare.body = [
        one
        for one in node.body
        if not (isinstance(one, definitions) and one.name in methods)
    ]
    return bare


def _is_analysis(decorator: ast.expr, namespace: Mapping[str, Any]) -> bool:
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    chain = chain_of(called) or ("",)
    value = namespace.get(chain[0])
    for name in chain[1:]:
        value = getattr(value, name, None)
    if value is None:
        # A local name, as where an analysis is defined inside a function that imports the decorator.
        return chain[-1] in ("analysis", "fold")
    return str(getattr(value, "__module__", "")).partition(".")[0] == _OURSELVES
