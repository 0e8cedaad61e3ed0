"""Whether two compiled functions do the same, wherever they stand."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from types import CodeType

_FUNCTION = inspect.CO_OPTIMIZED | inspect.CO_NEWLOCALS


def same_code(one: CodeType, other: CodeType) -> bool:
    """Whether two code objects do the same; neither position nor the text of a docstring is part of that."""
    return one.co_code == other.co_code and essence(one) == essence(other)


def essence(code: CodeType) -> tuple[object, ...]:
    """All that a code object does."""
    constants = [_essence_of_constant(constant) for constant in code.co_consts]
    if constants and code.co_flags & _FUNCTION == _FUNCTION and code.co_name[0] != "<":
        # The first constant of a function is its docstring or None.
        constants[0] = isinstance(code.co_consts[0], str)
    counts = code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount
    names = code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars
    return (
        code.co_code,
        code.co_exceptiontable,
        constants,
        names,
        counts,
        code.co_flags,
    )


def nested(code: CodeType) -> Iterator[CodeType]:
    """All code within code, at any depth."""
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from nested(constant)


def distance(one: CodeType, other: CodeType) -> tuple[int, int]:
    """How far apart two code objects stand: lines, then columns (for lambdas that share a line)."""
    lines = abs(one.co_firstlineno - other.co_firstlineno)
    return lines, abs(_column(one) - _column(other))


def outside(code: CodeType, start: tuple[int, int], end: tuple[int, int]) -> int:
    """How many instructions of `code` stand outside a stretch of source from `start` to `end`."""
    return sum(
        not (start <= (line, column) and (end_line, end_column) <= end)
        for line, end_line, column, end_column in code.co_positions()
        if line is not None
        and end_line is not None
        and column is not None
        and end_column is not None
    )


def _column(code: CodeType) -> int:
    positions = code.co_positions()
    return next(
        (column for _, _, column, end in positions if column is not None and end), 0
    )


def _essence_of_constant(constant: object) -> object:
    if isinstance(constant, CodeType):
        return essence(constant)
    if isinstance(constant, tuple):
        return "tuple", [_essence_of_constant(one) for one in constant]
    if isinstance(constant, frozenset):
        return "frozenset", sorted(repr(one) for one in constant)
    return type(constant), repr(constant)
