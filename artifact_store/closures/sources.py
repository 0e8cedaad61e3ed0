"""From a live function or class back to the syntax tree it was made from.

The tree must be that of the code that *runs*. A file edited after its import
holds other code than the process does, so a function is looked up by its
compiled form, never by its line number alone.
"""

from __future__ import annotations

import ast
import io
import linecache
import os
import sys
import sysconfig
import textwrap
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

from artifact_store.closures.normalize import FUNCTIONS
from artifact_store.errors import SourceChanged, SourceUnavailable

_INSTALLED = tuple(
    os.path.realpath(sysconfig.get_path(kind)) + os.sep
    for kind in ("stdlib", "platstdlib", "purelib", "platlib")
)
_OURSELVES = __name__.partition(".")[0]


@dataclass(frozen=True, slots=True)
class Definition:
    """Where and how a function or class is written."""

    node: ast.AST
    file: str
    line: int
    source: str
    lazy_annotations: bool
    code: CodeType | None


@dataclass(frozen=True, slots=True)
class _Scope:
    qualname: str
    node: ast.AST
    code: CodeType


@dataclass(frozen=True, slots=True)
class _File:
    lines: tuple[str, ...]
    scopes: tuple[_Scope, ...]
    lazy_annotations: bool


@lru_cache(maxsize=4096)
def is_first_party(file: str, package: str, own: frozenset[str]) -> bool:
    """Whether code in `file` of top-level `package` is the user's: neither installed nor the standard library.

    Packages named in `own` are first-party wherever they lie: an analysis that was installed still is its author's.
    """
    if package in own:
        return True
    if package == _OURSELVES:
        return False
    if file.startswith("<") and not linecache.getlines(file):
        return False
    real = os.path.realpath(file)
    return (
        not real.startswith(_INSTALLED)
        and "site-packages" not in real
        and "dist-packages" not in real
    )


def module_file(module: ModuleType) -> str | None:
    """The file of a module; `None` for built-in, frozen and namespace modules."""
    return getattr(module, "__file__", None)


def definition_of_function(function: FunctionType) -> Definition:
    """The definition of a live function.

    Raises
    ------
    SourceChanged
        Its file no longer contains the code it runs.
    SourceUnavailable
        There is no file, or it cannot be read.
    """
    code, name = function.__code__, f"{function.__module__}.{function.__qualname__}"
    file = _read(code.co_filename, name)
    named = [scope for scope in file.scopes if scope.qualname == code.co_qualname]
    same = [scope for scope in named if _same_code(scope.code, code)]
    if not same and not _loaded_as_written(function.__module__):
        # Import hooks (pytest's assertions, type checkers) compile something else than the file says.
        same = [
            scope for scope in named if scope.code.co_firstlineno == code.co_firstlineno
        ]
    if not same:
        raise SourceChanged(name, code.co_filename)
    nearest = min(same, key=lambda scope: _distance(scope.code, code))
    return _definition(file, nearest, code.co_filename)


def definitions_of_class(cls: type) -> list[Definition]:
    """Every definition in its module that may be the one of a live class (two, for `try: … except ImportError:`)."""
    module, name = (
        sys.modules.get(cls.__module__),
        f"{cls.__module__}.{cls.__qualname__}",
    )
    methods = [
        value.__code__
        for value in vars(cls).values()
        if isinstance(value, FunctionType)
    ]
    candidates = [
        code.co_filename for code in methods if not code.co_filename.startswith("<")
    ]
    filename = (module and module_file(module)) or (candidates[0] if candidates else "")
    file = _read(filename or _cell_with(cls), name)
    found = [scope for scope in file.scopes if scope.qualname == cls.__qualname__]
    if not found:
        raise SourceChanged(name, filename)
    return [_definition(file, scope, filename) for scope in found]


def _cell_with(cls: type) -> str:
    """The notebook cell that defines a class without methods: the newest with its name."""
    wanted = f"class {cls.__name__}"
    cells = [
        name
        for name, entry in linecache.cache.items()
        if any(wanted in line for line in _cached(entry))
    ]
    return cells[-1] if cells else "<unknown>"


def _cached(entry: tuple[Any, ...]) -> list[str]:
    # An entry is (size, mtime, lines, name); mtime is None for what was never a file.
    return entry[2] if len(entry) == 4 and entry[1] is None else []


def _definition(file: _File, scope: _Scope, filename: str) -> Definition:
    node: Any = scope.node
    first = min(
        [
            node.lineno,
            *(decorator.lineno for decorator in getattr(node, "decorator_list", [])),
        ]
    )
    source = textwrap.dedent("".join(file.lines[first - 1 : node.end_lineno]))
    return Definition(
        scope.node, filename, first, source, file.lazy_annotations, scope.code
    )


def _read(filename: str, wanted_for: str) -> _File:
    try:
        status = os.stat(filename)
    except OSError:
        lines = linecache.getlines(filename)
        if not lines:
            raise SourceUnavailable(wanted_for, filename) from None
        return _parse(filename, "".join(lines))
    return _parse_file(filename, (status.st_size, status.st_mtime_ns), wanted_for)


@lru_cache(maxsize=512)
def _parse_file(filename: str, signature: tuple[int, int], wanted_for: str) -> _File:
    try:
        # `compile` honours the encoding declared in the file only when it is given bytes.
        return _parse(filename, Path(filename).read_bytes())
    except (OSError, SyntaxError, ValueError):
        raise SourceUnavailable(wanted_for, filename) from None


@lru_cache(maxsize=512)
def _parse(filename: str, text: str | bytes) -> _File:
    tree = ast.parse(text, filename)
    code = compile(tree, filename, "exec", dont_inherit=True)
    lines = tuple(
        (text if isinstance(text, str) else _decoded(text)).splitlines(keepends=True)
    )
    lazy = any(isinstance(one, ast.ImportFrom) and one.module == "__future__" and
               any(name.name == "annotations" for name in one.names) for one in tree.body)  # fmt: skip
    return _File(lines, tuple(_scopes(tree, code)), lazy)


def _decoded(text: bytes) -> str:
    with io.TextIOWrapper(
        io.BytesIO(text), tokenize.detect_encoding(io.BytesIO(text).readline)[0]
    ) as stream:
        return stream.read()


def _scopes(tree: ast.Module, module: CodeType) -> Iterator[_Scope]:
    """Every function, lambda and class of a module, its node beside its code."""
    nodes: dict[tuple[int, str], list[Any]] = {}
    for node in ast.walk(tree):
        if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            name = "<lambda>" if isinstance(node, ast.Lambda) else node.name
            nodes.setdefault((_first_line(node), name), []).append(node)
    for code in _nested(module):
        candidates = nodes.get((code.co_firstlineno, code.co_name), [])
        if candidates:
            yield _Scope(
                code.co_qualname,
                min(candidates, key=lambda node: _misfit(node, code)),
                code,
            )


def _first_line(node: Any) -> int:
    decorators = getattr(node, "decorator_list", [])
    return decorators[0].lineno if decorators else node.lineno  # type: ignore[no-any-return]


def _misfit(node: Any, code: CodeType) -> tuple[int, int]:
    """How badly `code` fits into `node`: instructions outside it, then its extent (for lambdas that share a line)."""
    start, end = (node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset)
    outside = sum(
        not (start <= (line, column) and (end_line, end_column) <= end)
        for line, end_line, column, end_column in code.co_positions()
        if None not in (line, end_line, column, end_column)
    )
    return (
        outside,
        (node.end_lineno - node.lineno) * 10_000
        + node.end_col_offset
        - node.col_offset,
    )


def _nested(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _nested(constant)


def _same_code(one: CodeType, other: CodeType) -> bool:
    """Whether two code objects do the same, wherever they stand."""
    return _essence(one) == _essence(other)


def _essence(code: CodeType) -> tuple[object, ...]:
    constants = tuple(_essence_of_constant(constant) for constant in code.co_consts)
    signature = (
        code.co_argcount,
        code.co_posonlyargcount,
        code.co_kwonlyargcount,
        code.co_flags,
    )
    names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    return code.co_code, constants, names, signature


def _essence_of_constant(constant: object) -> object:
    if isinstance(constant, CodeType):
        return _essence(constant)
    if isinstance(constant, frozenset):
        return "frozenset", sorted(map(repr, constant))
    return type(constant), repr(constant)


def _distance(one: CodeType, other: CodeType) -> tuple[int, int]:
    """How far apart two code objects stand: lines, then columns (for lambdas that share a line)."""
    column = [
        next((p[2] for p in code.co_positions() if p[2] is not None and p[3]), 0)
        for code in (one, other)
    ]
    return abs(one.co_firstlineno - other.co_firstlineno), abs(
        (column[0] or 0) - (column[1] or 0)
    )


def _loaded_as_written(module_name: str) -> bool:
    module = sys.modules.get(module_name)
    spec = getattr(module, "__spec__", None)
    return spec is None or type(spec.loader) is SourceFileLoader
