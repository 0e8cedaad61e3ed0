"""One meaning, one form; another meaning, another form."""

from __future__ import annotations

import ast
from typing import Any

import pytest

from artifact_store.closures.normalize import canonical

SAME = [
    ("x = 1", "x=(1)  # one"),
    ("x = 'a'", 'x = "a"'),
    ("x = 'a' 'b'", "x = 'ab'"),
    ("x = u'a'", "x = 'a'"),
    ("x = 0x10", "x = 16"),
    ("x = 1_000", "x = 1000"),
    ("f(a, b,)", "f(\n    a,\n    b)"),
    ("if a: b", "if a:\n    b"),
    ("def f():\n    'Doc.'\n    return 1", "def f(): return 1"),
    ("def f():\n    'A note.'\n    x = 1\n    'Another.'\n    return x", "def f():\n    x = 1\n    return x"),
    ("def f(): ...", "def f(): pass"),
    ("def f():\n    x: int = 1", "def f():\n    x = 1"),
    ("def f():\n    x: int\n    x = 1", "def f():\n    x = 1"),
    ("def f():\n    x: 'anything at all' = 1", "def f():\n    x = 1"),
    ("def f():\n    import os\n    return 1", "def f(): return 1"),
    ("def f():\n    if TYPE_CHECKING:\n        import x\n    return 1", "def f(): return 1"),
    ("def f():\n    if typing.TYPE_CHECKING:\n        x()\n    else:\n        y()", "def f(): y()"),
    ("class A:\n    'Doc.'\n    x = 1", "class A: x = 1"),
    ("f'{x}'", 'f"{ x }"'),
    ("x = (1, 2)", "x = 1, 2"),
    ("x = not (a)", "x = not a"),
]  # fmt: skip

DIFFERENT = [
    ("x = 1", "x = 1.0"),
    ("x = 1", "x = True"),
    ("x = 'a'", "x = b'a'"),
    ("x = None", "x = 'None'"),
    ("x = ...", "x = None"),
    ("x = 0.0", "x = -0.0"),
    ("x = a + b", "x = b + a"),
    ("x = a - b - c", "x = a - (b - c)"),
    ("x = a and b or c", "x = a and (b or c)"),
    ("f(a, b)", "f((a, b))"),
    ("f(*a)", "f(a)"),
    ("f(a=1)", "f(b=1)"),
    ("f(**a)", "f(*a)"),
    ("{**a}", "{None: a}"),
    ("x = [a for a in b]", "x = (a for a in b)"),
    ("x = {1}", "x = [1]"),
    ("x = f'{a}'", "x = f'{a!r}'"),
    ("x = f'{a:3}'", "x = f'{a:4}'"),
    ("x = 'ab'", "x = 'a', 'b'"),
    ("a.b", "a.c"),
    ("a[1]", "a[1:]"),
    ("def f(a, b): pass", "def f(a, *, b): pass"),
    ("def f(a, b): pass", "def f(a, /, b): pass"),
    ("def f(a=1): pass", "def f(a=2): pass"),
    ("def f(a: int): pass", "def f(a: float): pass"),
    ("def f() -> int: pass", "def f() -> float: pass"),
    ("class A:\n    x: int", "class A:\n    x: float"),
    ("class A:\n    x: int = 1", "class A:\n    x = 1"),
    ("class A(B): pass", "class A(metaclass=B): pass"),
    ("async def f(): pass", "def f(): pass"),
    ("lambda: 1", "lambda: 2"),
    ("if a: b", "while a: b"),
    ("if a: b\nelse: c", "if a: b\nc"),
    ("try:\n    a\nexcept E: b", "try:\n    a\nexcept E: b\nelse: c"),
    ("try: a\nfinally: b", "try: a\nexcept: b"),
    ("return_ = 1", "return_ = 1; x = 1"),
    ("match a:\n    case 1: b", "match a:\n    case 2: b"),
    ("match a:\n    case None: b", "match a:\n    case True: b"),
    ("match a:\n    case [x]: b", "match a:\n    case [*x]: b"),
    ("match a:\n    case {'k': x}: b", "match a:\n    case {'k': x, **r}: b"),
    ("with a: b", "with a as c: b"),
    ("raise a", "raise a from b"),
    ("del a", "a"),
    ("global a", "nonlocal a"),
    ("x += 1", "x -= 1"),
    ("(x := 1)", "(y := 1)"),
    ("yield_ = (yield)", "yield_ = (yield from a)"),
    ("assert a", "assert a, b"),
    ("if TYPE_CHECKED: a", "b"),
]  # fmt: skip


def form(text: str) -> bytes:
    return canonical(ast.parse(text))


@pytest.mark.parametrize(("one", "other"), SAME)
def test_what_means_the_same_has_one_form(one: str, other: str) -> None:
    assert form(one) == form(other)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_what_means_something_else_has_another_form(one: str, other: str) -> None:
    assert form(one) != form(other)


@pytest.mark.parametrize("annotated", ["def f(a: int): pass", "def f() -> int: pass"])
def test_annotations_that_are_never_evaluated_do_not_count(annotated: str) -> None:
    other = annotated.replace("int", "float")

    one, two = (
        canonical(ast.parse(text), lazy_annotations=True) for text in (annotated, other)
    )

    assert one == two


# As Python 3.11, 3.12 and 3.13 give them.
FORMS = {
    "def f(a, *, b=1): return [a.x, -b]": (
        b"FunctionDef(name=str:1:f,args=arguments(args=[arg(arg=str:1:a)],kwonlyargs=[arg(arg=str:1:b)],"
        b"kw_defaults=[Constant(value=int:1:1)]),body=[Return(value=List(elts=[Attribute(value=Name(id=str:1:a),"
        b"attr=str:1:x),UnaryOp(op=USub(),operand=Name(id=str:1:b))]))])"
    ),
    "f'{x:{w}}'": (
        b"Expr(value=JoinedStr(values=[FormattedValue(value=Name(id=str:1:x),conversion=int:2:-1,"
        b"format_spec=JoinedStr(values=[FormattedValue(value=Name(id=str:1:w),conversion=int:2:-1)]))]))"
    ),
    "class A(B): x = y": (
        b"ClassDef(name=str:1:A,bases=[Name(id=str:1:B)],"
        b"body=[Assign(targets=[Name(id=str:1:x)],value=Name(id=str:1:y))])"
    ),
    "lambda *a, **k: (yield)": (
        b"Expr(value=Lambda(args=arguments(vararg=arg(arg=str:1:a),kwarg=arg(arg=str:1:k)),body=Yield()))"
    ),
}


@pytest.mark.parametrize("text", FORMS)
def test_a_form_is_that_of_every_python(text: str) -> None:
    assert form(text) == b"Module(body=[" + FORMS[text] + b"])"


def test_empty_texts_of_an_f_string_do_not_count() -> None:
    spec = ast.parse("f'{x:{w}}'")
    text: Any = spec.body[0]
    text.value.values[0].format_spec.values.append(ast.Constant(""))

    assert canonical(spec) == form("f'{x:{w}}'")
