"""Whether an analysis is an earlier one in which a constant has become a parameter, and nothing else has changed.

function, parameter = value ──► value in its place ──┐
                                                     ├──► one canonical form?
function, constant = value ───► value in its place ──┘
"""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Collection, Mapping
from typing import Any

from artifact_store.closures.names import chain_of
from artifact_store.closures.normalize import canonical
from artifact_store.closures.parsing import parse
from artifact_store.digests import digest_of
from artifact_store.encoding import encode


def is_promotion(
    before: list[dict[str, Any]], now: list[dict[str, Any]], was: Mapping[str, Any]
) -> bool:
    """Whether the closure `now`, with the params `was`, is the closure `before`.

    Parameters
    ----------
    before, now
        Closures as they are recorded; the analysis is the first member of each.
    was
        Plain values by the names of the params.
    """
    if not before or not now or _others(before, was) != _others(now, was):
        return False
    try:
        return _is_same(before[0], now[0], was)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return False  # What is recorded is no function, or one that no person wrote.


def _is_same(
    before: dict[str, Any], now: dict[str, Any], was: Mapping[str, Any]
) -> bool:
    old, new = _definition(before), _definition(now)
    _without_parameters(new, was)
    gone = {chain[0] for chain in _constants(before, was)}
    if _binds(new, was) or _binds(old, gone):
        return False  # It is given another value on the way, or means something else in a function within.
    known = _constants(now, was) | {(name,): value for name, value in was.items()}
    return _form(old, _constants(before, was)) == _form(new, known)


def _others(closure: list[dict[str, Any]], was: Mapping[str, Any]) -> Any:
    """All that the closure has beside the source of the analysis and the constants that became params."""
    gone = _constants(closure[0], was)
    kept = {
        (spelled, digest)
        for _, spelled, digest, _ in closure[0]["references"]
        if tuple(spelled.split(".")) not in gone
    }
    members = [
        (one["digest"], [reference[2] for reference in one["references"]])
        for one in closure[1:]
    ]
    return kept, members


def _constants(member: dict[str, Any], was: Mapping[str, Any]) -> dict[Any, Any]:
    """The names of a member for constants that have one of the values in `was`."""
    found: dict[Any, Any] = {}
    for _, spelled, digest, _ in member["references"]:
        for value in was.values():
            name = spelled.encode()
            if digest == digest_of("reference", name, encode(value)).hex:
                found[tuple(spelled.split("."))] = value
    return found


def _definition(member: dict[str, Any]) -> ast.AST:
    node = next(iter(parse(textwrap.dedent(member["source"])).body), None)
    if not isinstance(node, ast.FunctionDef):
        raise SyntaxError("not a plain function")
    # Decorators below ours are references, and so is what ours declares.
    node.decorator_list = []
    return node


def _binds(node: ast.AST, names: Collection[str]) -> bool:
    """Whether any of `names` is bound in a function, in whatever way."""
    return any(
        name in names
        for one in ast.walk(node)
        if not isinstance(one, ast.Attribute | ast.Constant | ast.keyword)
        and not (isinstance(one, ast.Name) and isinstance(one.ctx, ast.Load))
        for _, field in ast.iter_fields(one)
        for name in (field if isinstance(field, list) else [field])
        if isinstance(name, str)
    )


def _without_parameters(node: Any, was: Mapping[str, Any]) -> None:
    for group in (node.args.args, node.args.kwonlyargs):
        group[:] = [one for one in group if one.arg not in was]


class _Replaced(ast.NodeTransformer):
    """Values in the place of names, and strings as they are then."""

    def __init__(self, values: Mapping[Any, Any]) -> None:
        self._values = values

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return self._value(node)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        return self._value(node)

    def _value(self, node: ast.AST) -> ast.AST:
        chain = chain_of(node)
        if chain in self._values:
            return ast.Constant(self._values[chain])
        return self.generic_visit(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        self.generic_visit(node)
        parts: list[ast.expr] = []
        for one in node.values:
            plain = _plain_part(one)
            if plain is not None and parts and isinstance(parts[-1], ast.Constant):
                plain = parts.pop().value + plain  # type: ignore[attr-defined]
            parts.append(one if plain is None else ast.Constant(plain))
        if all(isinstance(one, ast.Constant) for one in parts):
            return parts[0] if parts else ast.Constant("")
        return ast.JoinedStr(parts)


def _plain_part(part: ast.expr) -> str | None:
    """The text of a part of an f-string that is known; `None` if it is not."""
    if isinstance(part, ast.Constant):
        return str(part.value)
    if (
        isinstance(part, ast.FormattedValue)
        and isinstance(part.value, ast.Constant)
        and part.conversion == -1
        and part.format_spec is None
    ):
        return str(part.value.value)
    return None


def _form(node: Any, values: Mapping[Any, Any]) -> bytes:
    bare = _Replaced(values).visit(node)
    bare.args.defaults, bare.args.kw_defaults = [], []
    return canonical(bare, lazy_annotations=True)
