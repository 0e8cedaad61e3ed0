"""Source to syntax tree, in threads too."""

from __future__ import annotations

import ast
import os
import threading

# Again by the same thread, if a finalizer parses.
_parsing = threading.RLock()


def _renew() -> None:
    global _parsing
    _parsing = threading.RLock()


# Whoever holds it at a fork is not there in the child.
os.register_at_fork(after_in_child=_renew)


def parse(source: str | bytes, filename: str = "<unknown>") -> ast.Module:
    """The syntax tree of a module; `SyntaxError` or `ValueError` if it is none.

    In Python 3.11, threads that make trees at once count the depth of each other's and fail with `SystemError`
    (python/cpython#106905); they meet when a finalizer runs in between.
    """
    with _parsing:
        while True:
            try:
                return ast.parse(source, filename)
            except SystemError as error:
                # A thread of somebody else's code is parsing too, which takes milliseconds.
                if "recursion depth mismatch" not in str(error):
                    raise
