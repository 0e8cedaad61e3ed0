"""Which names a tree mentions, where, and which lookups nobody can follow."""

from __future__ import annotations

import ast
from typing import Any

import pytest

from artifact_store.closures.names import LocalImport, global_names, names_in, owner_of

CHAINS = {
    "a": "a",
    "a.b.c": "a.b.c",
    "a.b(c.d)": "a.b c.d",
    "a().b": "a",
    "a[b].c": "a b",
    "getattr(a.b, 'c')": "a.b.c getattr",
    "getattr(a, 'b', c)": "a.b c getattr",
    "hasattr(a, 'b')": "a.b hasattr",
    "getattr(a, b)": "a b getattr",
    "lambda x: x + y": "x y",
    "[f(x) for x in xs if p(x)]": "f p x xs",
    "f'{a.b:{c}}'": "a.b c",
    "x: A = b": "x b",
    "def g(x: A = b) -> C: return d": "b d",
    "@deco(n)\ndef g(): pass": "deco n",
    "class B(Base, metaclass=Meta): x = y": "Base Meta x y",
    "if TYPE_CHECKING: a\nelse: b": "b",
    "if typing.TYPE_CHECKING: a": "",
    "if a.TYPE_CHECKING: b": "a.TYPE_CHECKING b",
    "match a:\n    case K.x: b\n    case P(y=1): c": "a K.x b P c",
    "(a := b)": "a b",
    "with a as b: c": "a b c",
    "class A:\n    def g(self): __x, a.__y, __z__": "_A__x a._A__y __z__",
    "class A:\n    class _B: __x\n    __y": "_B__x _A__y",
    "class __: __x": "__x",
    "class A:\n    from m import x": "x",
    "def g():\n    global x\n    from m import x": "x",
    "def g(): from m import x": "",
    "g.__doc__ = h.__doc__": "",
}


@pytest.mark.parametrize("text", CHAINS)
def test_every_name_is_found_with_its_attributes(text: str) -> None:
    found = {".".join(chain) for chain in names_in([ast.parse(text)]).chains}

    assert found == set(CHAINS[text].split())


def test_a_name_is_known_by_its_first_line() -> None:
    chains = names_in([ast.parse("1\na.b\n\na.c\na.b")]).chains

    assert chains == {("a", "b"): 2, ("a", "c"): 4}


IMPORTS: dict[str, dict[str, list[LocalImport]]] = {
    "import m": {"m": [LocalImport("m", 0, None)]},
    "import m.sub": {"m": [LocalImport("m", 0, None)]},
    "import m.sub as s": {"s": [LocalImport("m.sub", 0, None)]},
    "from m import f as g": {"g": [LocalImport("m", 0, "f")]},
    "from . import f": {"f": [LocalImport("", 1, "f")]},
    "from ..m import f": {"f": [LocalImport("m", 2, "f")]},
    "if a:\n    from m import f\nelse:\n    from n import f": {
        "f": [LocalImport("m", 0, "f"), LocalImport("n", 0, "f")]
    },
    "if TYPE_CHECKING: import m": {},
}


@pytest.mark.parametrize("text", IMPORTS)
def test_every_import_is_found(text: str) -> None:
    assert names_in([ast.parse(text)]).imports == IMPORTS[text]


@pytest.mark.parametrize(
    "text",
    [
        "f.__globals__['x']",
        "frame().f_globals",
        "m.__builtins__",
        "frame.f_back",
        "A.__subclasses__()",
        "f.__annotations__",
        "g().__doc__",
        "x = 1; x.__doc__",
        "lambda x: x.__doc__",
    ],
)
def test_a_namespace_is_a_lookup_nobody_can_follow(text: str) -> None:
    ((line, _),) = names_in([ast.parse("\n" + text)]).dynamic

    assert line == 2


@pytest.mark.parametrize(
    ("qualname", "owner"),
    [("f", ""), ("A.f", "A"), ("A.B.f", "B"), ("f.<locals>.A.g", "A"), ("A.g.<locals>.<lambda>", "A"),
     ("f.<locals>.g", "")],
)  # fmt: skip
def test_the_owner_of_a_function_is_the_class_around_it(
    qualname: str, owner: str
) -> None:
    assert owner_of(qualname) == owner


def test_global_names_are_those_looked_up_outside_every_function() -> None:
    def f(local: Any) -> Any:
        def inner() -> Any:
            return local, sorted

        return [len(one) for one in inner().attribute]

    assert global_names(f.__code__) == {"sorted", "len"}
