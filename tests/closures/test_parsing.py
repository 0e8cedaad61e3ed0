from __future__ import annotations

import ast
import gc
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from artifact_store.closures.parsing import parse

DEEP = ("x = " + "(" * 60 + "1" + "+ 1)" * 60 + "\n") * 10


class Slow:
    """What takes a while to be collected."""

    def __init__(self) -> None:
        self.me = self

    def __del__(self) -> None:
        sum(range(50))


@pytest.fixture
def restless() -> Iterator[None]:
    """Threads take turns all the time, and collect what others left."""
    interval, threshold = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(1e-6)
    gc.set_threshold(50)
    yield
    sys.setswitchinterval(interval)
    gc.set_threshold(*threshold)


# `ast.parse` alone fails in about 36 of these 200.
def test_threads_that_parse_at_once_do_not_disturb_one_another(restless: None) -> None:
    def parsed(source: str) -> str:
        for _ in range(5):
            Slow()
        return type(parse(source)).__name__

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(parsed, [DEEP] * 200)) == {ast.Module.__name__}


def test_what_is_no_module_is_said_to_be_none() -> None:
    with pytest.raises(SyntaxError):
        parse("def f(:")
