"""Every change that matters changes the closure, and nothing else does.

The rows are in `tables/`: after `=== name`, a project. It is the file `main.py`
with a function `f`; further files follow lines `## name.py`. Its last line says
what is expected: `--- old ---> new` is an edit (`\\n` is a line break).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from artifact_store.closures.reach import closure_of
from artifact_store.errors import SourceUnavailable, UnresolvedDependency

Digest = Callable[[str], Any]


class Edit(NamedTuple):
    project: str
    edited: str


def rows(table: str) -> list[Any]:
    """Project and expectation of every row of a table."""
    text = (Path(__file__).parent / "tables" / f"{table}.txt").read_text()
    found = []
    for block in text.split("=== ")[1:]:
        name, _, rest = block.partition("\n")
        project, _, expected = rest.rpartition("\n--- ")
        row = (project + "\n", expected.rstrip("\n")) if expected and project else rest
        found.append(pytest.param(row, id=name.replace(" ", "-")))
    return found


def edits(table: str) -> list[Any]:
    """The rows of a table of edits."""
    return [pytest.param(_edit(*row.values[0]), id=row.id) for row in rows(table)]


def _edit(project: str, change: str) -> Edit:
    old, arrow, new = change.replace("\\n", "\n").partition(" --->")
    assert arrow and old in project, change
    return Edit(project, project.replace(old, new.removeprefix(" ")))


CONSTANTS = {
    "int": ("1", "2"),
    "bool": ("True", "False"),
    "one and True": ("1", "True"),
    "one and 1.0": ("1", "1.0"),
    "float": ("0.1", "0.2"),
    "signed zero": ("0.0", "-0.0"),
    "complex": ("1j", "2j"),
    "str": ("'a'", "'b'"),
    "bytes": ("b'a'", "b'b'"),
    "bytearray": ("bytearray(b'a')", "bytearray(b'b')"),
    "None": ("None", "0"),
    "ellipsis": ("...", "None"),
    "tuple": ("(1, 2)", "(2, 1)"),
    "tuple and list": ("(1, 2)", "[1, 2]"),
    "nested": ("[(1, {'a': {2}})]", "[(1, {'a': {3}})]"),
    "list": ("[1, 2]", "[1, 2, 3]"),
    "dict value": ("{'a': 1}", "{'a': 2}"),
    "dict key": ("{'a': 1}", "{'b': 1}"),
    "dict order": ("{'a': 1, 'b': 2}", "{'b': 2, 'a': 1}"),
    "set": ("{1, 2}", "{1, 3}"),
    "frozenset": ("frozenset('ab')", "frozenset('ac')"),
    "range": ("range(3)", "range(4)"),
    "slice": ("slice(3)", "slice(4)"),
    "regex": ("re.compile('a')", "re.compile('b')"),
    "regex flags": ("re.compile('a')", "re.compile('a', re.I)"),
    "array": ("np.arange(3)", "np.arange(4)"),
    "array dtype": ("np.zeros(2, 'f4')", "np.zeros(2, 'f8')"),
    "array shape": ("np.zeros((2, 3))", "np.zeros((3, 2))"),
    "scalar": ("np.float32(1)", "np.float32(2)"),
    "dtype": ("np.dtype('f4')", "np.dtype('f8')"),
    "scalar type": ("np.float32", "np.float64"),
    "tensor": ("torch.ones(2)", "torch.zeros(2)"),
    "bfloat16 tensor": (
        "torch.ones(2, dtype=torch.bfloat16)",
        "torch.zeros(2, dtype=torch.bfloat16)",
    ),
    "torch dtype": ("torch.float32", "torch.float64"),
    "torch device": ("torch.device('cpu')", "torch.device('cuda')"),
    "torch size": ("torch.Size([1])", "torch.Size([2])"),
    "installed enum": ("re.I", "re.M"),
    "ordered dict": ("OrderedDict(a=1)", "OrderedDict(a=2)"),
    "default dict": ("defaultdict(list)", "defaultdict(set)"),
    "counter": ("Counter('ab')", "Counter('aa')"),
    "deque": ("deque([1], 3)", "deque([1], 4)"),
    "decimal": ("Decimal('1')", "Decimal('1.0')"),
    "fraction": ("Fraction(1, 2)", "Fraction(1, 3)"),
    "date": ("date(2020, 1, 1)", "date(2020, 1, 2)"),
    "timedelta": ("timedelta(1)", "timedelta(2)"),
    "mapping proxy": ("MappingProxyType({'a': 1})", "MappingProxyType({'a': 2})"),
    "namespace": ("SimpleNamespace(a=1)", "SimpleNamespace(a=2)"),
    "named tuple": ("Pair(1, 2)", "Pair(1, 3)"),
    "plain dataclass": ("Plain(1)", "Plain(2)"),
    "frozen dataclass": ("Frozen(1)", "Frozen(2)"),
    "nested dataclass": ("Frozen(Plain(1))", "Frozen(Plain(2))"),
    "alias": ("list[int]", "list[str]"),
    "builtin": ("max", "min"),
    "method of a builtin": ("str.upper", "str.lower"),
    "ufunc": ("np.add", "np.multiply"),
    "reduction of a ufunc": ("np.add.reduce", "np.multiply.reduce"),
    "function of a functional module": (
        "torch.nn.functional.relu",
        "torch.nn.functional.gelu",
    ),
    "boolean dispatch of torch": (
        "torch.nn.functional.max_pool2d",
        "torch.nn.functional.max_pool1d",
    ),
    "type": ("int", "float"),
}  # fmt: skip

WITH_CONSTANT = """
import re
import numpy as np
import torch
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType, SimpleNamespace
from typing import Any

Pair = namedtuple("Pair", "a b")

@dataclass
class Plain:
    x: Any

@dataclass(frozen=True)
class Frozen:
    x: Any

CONSTANT = VALUE
def f(): return CONSTANT
"""


@pytest.mark.parametrize("edit", edits("matters"))
def test_an_edit_that_matters_changes_the_closure(digest: Digest, edit: Edit) -> None:
    assert digest(edit.edited) != digest(edit.project)


@pytest.mark.parametrize("values", CONSTANTS.values(), ids=list(CONSTANTS))
def test_another_constant_changes_the_closure(
    digest: Digest, values: tuple[str, str]
) -> None:
    one, again, other = (
        digest(WITH_CONSTANT.replace("VALUE", value)) for value in (values[0], *values)
    )

    assert one == again
    assert one != other


@pytest.mark.parametrize("edit", edits("irrelevant"))
def test_an_edit_that_does_not_matter_keeps_the_closure(
    digest: Digest, edit: Edit
) -> None:
    assert digest(edit.edited) == digest(edit.project)


@pytest.mark.parametrize("row", rows("unresolved"))
def test_what_cannot_be_known_is_refused_where_it_stands(
    write_project: Any, row: tuple[str, str]
) -> None:
    body, line, mentioned = row[0], *row[1].split(" ", 1)
    main = write_project({"main.py": body, "a.py": "def helper(): return 1\n"})

    with pytest.raises(UnresolvedDependency) as refused:
        closure_of(main.f)

    assert refused.value.where == f"{main.__file__}:{line}"
    assert mentioned in refused.value.what
    assert "depends_on=(" in str(refused.value)


@pytest.mark.parametrize("row", rows("unresolved"))
def test_what_is_declared_is_not_refused(
    write_project: Any, row: tuple[str, str]
) -> None:
    main = write_project({"main.py": row[0], "a.py": "def helper(): return 1\n"})

    assert closure_of(main.f, depends_on=(1,)).digest


@pytest.mark.parametrize("body", rows("ordinary"))
def test_ordinary_code_needs_no_ceremony(write_project: Any, body: str) -> None:
    one, two = closure_of(write_project(body).f), closure_of(write_project(body).f)

    assert one.digest == two.digest
    assert two.guard.holds()


def test_code_without_a_module_is_not_known_by_its_name(write_project: Any) -> None:
    main = write_project(
        "made = {}\nexec('def g(): return 1', made)\ng = made['g']\ndef f(): return g()"
    )

    with pytest.raises(SourceUnavailable):
        closure_of(main.f)


def test_what_an_analysis_depends_on_is_part_of_its_closure(write_project: Any) -> None:
    body = "def helper(): return 1\ndef f(name): return globals()[name]()"
    one, two = (write_project(text) for text in (body, body.replace("1", "2")))

    with pytest.raises(UnresolvedDependency):
        closure_of(one.f)
    assert (
        closure_of(one.f, (one.helper,)).digest
        != closure_of(two.f, (two.helper,)).digest
    )


NESTED = """
from artifact_store import analysis

def helper(text): return eval(text)

@analysis(depends_on=(1,))
def inner(checkpoint): return helper("1")

def f(checkpoint): return inner(checkpoint)
def g(checkpoint): return inner(checkpoint), eval("2")
"""


def test_a_declaration_covers_what_is_reached_through_it_and_nothing_else(
    write_project: Any,
) -> None:
    main = write_project(NESTED)

    assert closure_of(main.f).digest
    with pytest.raises(UnresolvedDependency, match=r"main.py:10: `eval`"):
        closure_of(main.g)


def test_a_compiled_module_of_the_project_is_refused(
    write_project: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import _json
    import shutil

    projects = (
        "from . import _json\ndef f(x):\n    return _json.scanstring(x, 1)",
        "from ._json import scanstring\ndef f(x):\n    return scanstring(x, 1)",
    )
    for number, body in enumerate(projects):
        package = tmp_path / f"project{number}" / "pkg"
        package.mkdir(parents=True)
        # Not every interpreter has each of these in a file: Debian's has others built in.
        shutil.copy(str(_json.__file__), package)
        main = write_project(body)

        with pytest.raises(UnresolvedDependency, match=r"main.py:3: .*pkg\._"):
            closure_of(main.f)


def test_installed_packages_are_named_and_not_imported(write_project: Any) -> None:
    main = write_project(
        "import numpy as np\ndef f(x):\n    import torchvision_of_nobody as t\n    return t.x, np.sin(x)"
    )

    assert closure_of(main.f).packages == ("numpy",)


def test_members_tell_their_sources(write_project: Any) -> None:
    main = write_project(
        "def helper():\n    return 1\n\nX = 2\ndef f():\n    return helper() + X\n"
    )

    f, helper = closure_of(main.f).members

    assert (f.name, f.line, helper.name) == ("pkg.main.f", 5, "pkg.main.helper")
    assert helper.source == "def helper():\n    return 1\n"
    assert [(one.kind, one.spelled, one.shown) for one in f.references] == [
        ("constant", "X", "2"),
        ("code", "helper", "pkg.main.helper"),
    ]
