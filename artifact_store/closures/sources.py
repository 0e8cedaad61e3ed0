"""From a live function or class back to the syntax tree it was made from.

The tree must be that of the code that *runs*. A file edited after its import
holds other code than the process does, so a function is looked up by its
compiled form, never by its line number.
"""

from __future__ import annotations
import __future__

import ast
import io
import linecache
import os
import sys
import textwrap
import tokenize
from collections.abc import Iterator
from functools import lru_cache
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any
from weakref import WeakKeyDictionary
from zipimport import zipimporter

import msgspec

from artifact_store.closures.codes import (
    distance,
    essence,
    nested,
    outside,
    same_code,
)
from artifact_store.closures.normalize import FUNCTIONS
from artifact_store.closures.origins import is_cell
from artifact_store.closures.parsing import parse
from artifact_store.errors import SourceChanged, SourceUnavailable

_ANNOTATIONS = __future__.annotations.compiler_flag
_FUTURES = sum(
    getattr(__future__, name).compiler_flag
    for name in __future__.all_feature_names
    if name != "nested_scopes" and name != "generators"
)


class Definition(msgspec.Struct, frozen=True):
    """Where and how a function or class is written."""

    node: ast.AST
    file: str
    line: int
    source: str
    lazy_annotations: bool


class _Scope(msgspec.Struct, frozen=True, eq=False):
    node: Any
    code: CodeType


class _File(msgspec.Struct, frozen=True, eq=False):
    """The text of a file or cell, and its tree."""

    name: str
    text: str | bytes
    tree: ast.Module


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
    filename = _absolute(code.co_filename, function.__module__)
    file = _read(filename, function.__module__)
    if file is None:
        raise SourceUnavailable(name, filename)
    for scopes in _compilations(file, code.co_flags & _FUTURES, function.__module__):
        same = [
            one
            for one in scopes
            if one.code.co_qualname == code.co_qualname and same_code(one.code, code)
        ]
        if same:
            nearest = min(same, key=lambda scope: distance(scope.code, code))
            return _definition(file, nearest)
    raise SourceChanged(name, filename)


# What a class ran is not kept, so its definition is read once: when the file is edited later, the class was not.
_CLASSES: WeakKeyDictionary[type, list[Definition]] = WeakKeyDictionary()


def definitions_of_class(cls: type) -> list[Definition]:
    """Every definition that may be the one of a live class: none of a class made by a call such as `type(...)`.

    There are several where a class is defined conditionally and its methods do not tell which it is.
    """
    if cls not in _CLASSES:
        _CLASSES[cls] = list(_find_class(cls))
    return _CLASSES[cls]


def _find_class(cls: type) -> Iterator[Definition]:
    methods = {
        value.__code__.co_name: value.__code__
        for value in vars(cls).values()
        if isinstance(value, FunctionType)
        and value.__code__.co_qualname.rpartition(".")[0] == cls.__qualname__
    }
    for file in _files_of_class(cls, methods):
        scopes = _scopes(file, 0)
        found = [
            one
            for one in scopes
            if one.code.co_qualname == cls.__qualname__
            and isinstance(one.node, ast.ClassDef)
        ]
        if found:
            fitting = [one for one in found if _has_methods(one.code, methods)]
            yield from (_definition(file, one) for one in fitting or found)
            return


def _files_of_class(cls: type, methods: dict[str, CodeType]) -> Iterator[_File]:
    """Where a class may be defined: beside its methods, in its module, or in a cell, the newest first."""
    module_file = getattr(sys.modules.get(cls.__module__), "__file__", None) or ""
    files = [code.co_filename for code in methods.values()] + [module_file]
    cells = [name for name in reversed(linecache.cache) if is_cell(name)]
    wanted = f"class {cls.__name__}"
    cells = [
        name
        for name in cells
        if any(wanted in line for line in linecache.getlines(name))
    ]
    for name in dict.fromkeys(files + cells):
        file = _read(_absolute(name, cls.__module__), cls.__module__)
        if file is not None:
            yield file


def _has_methods(cls: CodeType, methods: dict[str, CodeType]) -> bool:
    written = [essence(one) for one in cls.co_consts if isinstance(one, CodeType)]
    return all(essence(code) in written for code in methods.values())


def _absolute(filename: str, module: str) -> str:
    """The file that code says it is from; that of a script is relative to where the script was started."""
    file = str(getattr(sys.modules.get(module), "__file__", None) or "")
    relative = not os.path.isabs(filename) and file.endswith(
        os.path.normpath(os.sep + filename)
    )
    return file if relative else filename


def _definition(file: _File, scope: _Scope) -> Definition:
    first = _first_line(scope.node)
    lines = _lines(file)[first - 1 : scope.node.end_lineno]
    lazy = bool(scope.code.co_flags & _ANNOTATIONS)
    source = textwrap.dedent("".join(lines))
    return Definition(scope.node, file.name, first, source, lazy)


def _read(filename: str, module: str) -> _File | None:
    """The file as it is now; `None` if there is none. Reading is cheaper than to trust a time stamp."""
    if is_cell(filename):
        return _parse(filename, "".join(linecache.getlines(filename)))
    try:
        # `compile` honours the encoding declared in a file only when it is given bytes.
        return _parse(filename, Path(filename).read_bytes())
    except OSError:
        # Not a file, but perhaps a member of an archive.
        loader = getattr(sys.modules.get(module), "__loader__", None)
        text = loader.get_source(module) if isinstance(loader, zipimporter) else None
        return _parse(filename, text) if text else None


@lru_cache(maxsize=512)
def _parse(filename: str, text: str | bytes) -> _File:
    try:
        return _File(filename, text, parse(text, filename))
    except (SyntaxError, ValueError):
        # It no longer is what was imported, whatever it is.
        return _File(filename, text, ast.Module([], []))


@lru_cache(maxsize=512)
def _lines(file: _File) -> list[str]:
    text = file.text
    if isinstance(text, bytes):
        encoding, _ = tokenize.detect_encoding(io.BytesIO(text).readline)
        with io.TextIOWrapper(io.BytesIO(text), encoding) as stream:
            return stream.readlines()
    # As the parser does, and not at every character that unicode calls a line break.
    return io.StringIO(text).readlines()


def _compilations(file: _File, flags: int, module: str) -> Iterator[list[_Scope]]:
    """What the file may have been compiled to: as it is written, and as the import hook of its module would have it."""
    yield _scopes(file, flags)
    spec = getattr(sys.modules.get(module), "__spec__", None)
    loader = getattr(spec, "loader", None)
    if loader is None or type(loader) is SourceFileLoader:
        return
    pytest = sys.modules.get("_pytest.assertion.rewrite")
    if hasattr(loader, "get_code"):
        yield _paired(file.tree, loader.get_code(module))
    elif pytest is not None and isinstance(file.text, bytes):
        # The hook of pytest offers nothing but to execute a module.
        tree = parse(file.text, file.name)
        config = getattr(loader, "config", None)
        pytest.rewrite_asserts(tree, file.text, file.name, config)
        yield _paired(file.tree, compile(tree, file.name, "exec", dont_inherit=True))


@lru_cache(maxsize=512)
def _scopes(file: _File, flags: int) -> list[_Scope]:
    # The flags are those of `from __future__`, which a notebook carries from one cell to the next.
    code = compile(file.tree, file.name, "exec", flags=flags, dont_inherit=True)
    return _paired(file.tree, code)


def _paired(tree: ast.Module, module: CodeType) -> list[_Scope]:
    """Every function, lambda and class of a module, its node beside its code."""
    nodes: dict[tuple[int, str], list[Any]] = {}
    for node in ast.walk(tree):
        if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            name = "<lambda>" if isinstance(node, ast.Lambda) else node.name
            nodes.setdefault((_first_line(node), name), []).append(node)
    paired = []
    for code in nested(module):
        candidates = nodes.get((code.co_firstlineno, code.co_name), [])
        if candidates:
            paired.append(_Scope(_best(candidates, code), code))
    return paired


def _best(nodes: list[Any], code: CodeType) -> Any:
    """The node that code was compiled from, among those that share a line: the smallest that holds it all."""
    if len(nodes) == 1:
        return nodes[0]

    def misfit(node: Any) -> tuple[int, bool, int, int]:
        start, end = (node.lineno, node.col_offset), (
            node.end_lineno,
            node.end_col_offset,
        )
        size = end[0] - start[0], end[1] - start[1]
        return outside(code, start, end), not _compiles_to(node, code), *size

    return min(nodes, key=misfit)


def _compiles_to(node: Any, code: CodeType) -> bool:
    """Whether a lambda is this code: what only returns a constant has no position in Python 3.12."""
    if not isinstance(node, ast.Lambda):
        return False
    alone = compile(ast.Expression(node), "", "eval", dont_inherit=True)
    return any(same_code(one, code) for one in nested(alone))


def _first_line(node: Any) -> int:
    decorators = getattr(node, "decorator_list", [])
    return int(decorators[0].lineno if decorators else node.lineno)
