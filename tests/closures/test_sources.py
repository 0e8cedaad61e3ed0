"""The definition found is that of the code that runs, or none."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from artifact_store.closures.reach import closure_of
from artifact_store.errors import SourceChanged, SourceUnavailable

BODY = '''"""Module."""
SCALE = 1

def other():
    """Unrelated."""
    return 1

class A:
    """A class."""
    x = 1
    def g(self): return self.x

def helper(x):
    """Adds."""
    return x + 1

def f(x):
    return helper(x) + A().g()
'''


@pytest.fixture
def module(write_project: Any) -> Any:
    return write_project(BODY)


def edit(module: Any, old: str, new: str) -> None:
    path = Path(module.__file__)
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("return 1", "return 2"),
        ("SCALE = 1", "SCALE = 2\n\n\n# more"),
        ('"""Module."""', '"""Module,\n\nlonger."""'),
        ("x + 1", "x  +  1  # why"),
        ("Adds.", "Adds one.\n\n    And no more.\n    "),
        ("def other():", "def helper(x, y): return 2\n\ndef other():"),
        ("def f(x):", "class Helper:\n    def helper(self): pass\n\ndef f(x):"),
    ],
)
def test_an_edit_elsewhere_does_not_disturb(module: Any, old: str, new: str) -> None:
    before = closure_of(module.f).digest

    edit(module, old, new)

    assert closure_of(module.f).digest == before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("x + 1", "x + 2"),
        ("x + 1", "x + 1.0"),
        ("x + 1", "x - 1"),
        ("x + 1", "(lambda: x + 1)()"),
        ("def helper(x)", "def helper(y)"),
        ("def helper(x)", "async def helper(x)"),
        ("def helper(x)", "def helped(x)"),
        ("return self.x", "return self.y"),
        ("return x + 1", "return x + 1)"),
    ],
)
def test_an_edit_of_running_code_is_refused(module: Any, old: str, new: str) -> None:
    edit(module, old, new)

    with pytest.raises(SourceChanged, match="Reload"):
        closure_of(module.f)


def test_an_edit_of_a_class_body_after_its_first_use_changes_nothing(
    module: Any,
) -> None:
    before = closure_of(module.f).digest

    edit(module, "x = 1", "x: int = 3 - 2")

    assert closure_of(module.f).digest == before


def test_a_reloaded_module_is_what_its_file_says(module: Any) -> None:
    before = closure_of(module.f)
    edit(module, "x + 1", "x + 2")
    os.utime(module.__file__, (1, 1))

    importlib.reload(module)

    assert not before.guard.holds()
    assert closure_of(module.f).digest != before.digest
    edit(module, "x + 2", "x + 1")
    os.utime(module.__file__, (2, 2))
    importlib.reload(module)
    assert closure_of(module.f).digest == before.digest


def test_a_file_that_is_gone_is_refused(module: Any) -> None:
    Path(module.__file__).unlink()

    with pytest.raises(SourceUnavailable):
        closure_of(module.f)


def test_code_that_never_had_a_file_is_refused(write_project: Any) -> None:
    main = write_project("exec('def helper(): return 1')\ndef f(): return helper()")

    with pytest.raises(SourceUnavailable, match="pkg.main.helper"):
        closure_of(main.f)


def test_a_file_with_an_encoding_of_its_own_is_read(write_project: Any) -> None:
    main = write_project("def f(): return 0")
    text = "# -*- coding: latin-1 -*-\ndef f(): return 'é'\n"
    Path(main.__file__).write_bytes(text.encode("latin-1"))
    os.utime(main.__file__, (1, 1))
    importlib.reload(main)

    (member,) = closure_of(main.f).members

    assert main.f() == "é" and "é" in member.source


def test_lambdas_that_share_a_line_are_told_apart(write_project: Any) -> None:
    main = write_project("a, b, f = lambda: 1, lambda x=2: x, lambda: (a(), b())")

    found = {one.digest for one in closure_of(main.f).members}

    assert len(found) == 3


def asserted(x: int) -> int:
    assert x > 0, f"{x} is not positive"
    return x + 1


def test_assertions_that_pytest_rewrites_do_no_harm() -> None:
    assert closure_of(asserted).members[0].source.startswith("def asserted(x")


def test_rewritten_code_that_was_edited_is_refused(monkeypatch: Any) -> None:
    text = Path(__file__).read_bytes().replace(b"return x + 1\n", b"return x + 3\n")
    monkeypatch.setattr(Path, "read_bytes", lambda path: text)

    with pytest.raises(SourceChanged):
        closure_of(asserted)


# One text, in every place where a function can be defined.

TEXT = """
from dataclasses import dataclass
import logging
import numpy as np

SCALE = [1, 2]
log = logging.getLogger(__name__)

@dataclass
class Config:
    x: float = 1.0
    def g(self):
        return self.x

class Plain:
    y = 1

CONFIG = Config(2.0)

def helper(x, *, k=lambda v: v + 1):
    log.info("%s", __name__)
    return {g(x) for g in (np.sin, k)} | {CONFIG.g(), Plain.y, *SCALE}

def f(x):
    from math import sqrt
    return helper(sqrt(x))
"""
REPORT = """
if __name__ == "__main__":
    from artifact_store.closures.reach import closure_of
    print(closure_of(f).digest)
"""
NOTEBOOK = """
import json, sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
for cell in json.loads(sys.stdin.read()):
    shell.run_cell(cell, store_history=True).raise_error()
"""


def output_of(*arguments: str, cwd: Path, text: str = "", **env: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        input=text,
        capture_output=True,
        text=True,
        env={**os.environ, "IPYTHONDIR": str(cwd / "ipython"), **env},
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout.strip().splitlines()[-1]


def in_notebook(cwd: Path, *cells: str) -> str:
    return output_of("-c", NOTEBOOK, cwd=cwd, text=json.dumps(cells))


SHOW = (
    "from artifact_store.closures.reach import closure_of\nprint(closure_of(f).digest)"
)


@pytest.fixture
def imported(write_project: Any) -> str:
    return str(closure_of(write_project(TEXT).f).digest)


def test_a_script_gives_the_digest_of_an_import(imported: str, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(TEXT + REPORT)

    assert output_of("script.py", cwd=tmp_path, PYTHONHASHSEED="1") == imported


def test_a_module_run_as_main_gives_the_digest_of_an_import(
    imported: str, tmp_path: Path
) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "script.py").write_text(TEXT + REPORT)

    assert output_of("-m", "one.script", cwd=tmp_path, PYTHONHASHSEED="2") == imported


def test_cells_give_the_digest_of_an_import(imported: str, tmp_path: Path) -> None:
    cells = TEXT.replace("\ndef", "\n#\ndef").split("#")

    assert in_notebook(tmp_path, *cells, SHOW) == imported


def test_a_cell_that_is_run_again_decides_by_its_body(tmp_path: Path) -> None:
    old, new = "def f(): return A().x\nclass A:\n    x = 1", "class A:\n    x = 2"
    once = in_notebook(tmp_path, old, SHOW)

    assert in_notebook(tmp_path, old, new, SHOW) != once
    assert in_notebook(tmp_path, old, new, old, SHOW) == once


def test_an_import_from_the_future_holds_for_later_cells(tmp_path: Path) -> None:
    shown = in_notebook(
        tmp_path,
        "from __future__ import annotations",
        "def f(x: int):\n    def g(y: nowhere): return y\n    return g(x)",
        SHOW,
    )

    assert len(shown) == 64


def test_a_script_may_leave_its_directory(imported: str, tmp_path: Path) -> None:
    away = TEXT + "\nimport os; os.chdir('/')\n" + REPORT
    (tmp_path / "script.py").write_text(away)

    assert output_of("script.py", cwd=tmp_path) == imported


def test_coverage_and_tracing_do_no_harm(imported: str, tmp_path: Path) -> None:
    tracing = "import sys\nsys.settrace(lambda *a: None)\n"
    (tmp_path / "script.py").write_text(tracing + TEXT + REPORT)

    assert output_of("script.py", cwd=tmp_path) == imported


def test_no_hash_seed_shows(tmp_path: Path) -> None:
    body = (
        "def a(): return 1\ndef b(): return 2\ndef c(): return 3\n"
        "ALL = {a, b, c, 'x', 'y', int, len}\ndef f(): return ALL\n"
    )
    (tmp_path / "script.py").write_text(body + REPORT)

    seen = {
        output_of("script.py", cwd=tmp_path, PYTHONHASHSEED=str(seed))
        for seed in range(2)
    }

    assert len(seen) == 1


def test_a_closure_imports_nothing_heavy(tmp_path: Path) -> None:
    lines = "def f(x):\n    import torch\n    return torch.sin(x)\n"
    check = "    import sys\n    print('torch' in sys.modules)\n"
    (tmp_path / "script.py").write_text(lines + REPORT + check)

    assert output_of("script.py", cwd=tmp_path) == "False"


def test_whether_a_package_is_loaded_already_does_not_matter(
    write_project: Any, tmp_path: Path
) -> None:
    body = "def f(x):\n    import torch.nn.functional as F\n    from torch import nn\n    return F.relu(x), nn.ReLU\n"
    (tmp_path / "script.py").write_text(body + REPORT)
    import torch

    here = closure_of(write_project(body).f).digest

    assert torch and output_of("script.py", cwd=tmp_path) == str(here)


ANALYSES = """
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from artifact_store import analysis

SCALE = [3]

class A:
    x = 1

def helper(): return A().x * SCALE[0]

@analysis
def inner(checkpoint): return helper()

@analysis
def f(checkpoint, again=False): return f(checkpoint) if again else inner(checkpoint)

def digests(one):
    return str(one.closure.digest), str(one.__wrapped__.__globals__["inner"].closure.digest)
"""
WORKERS = """
if __name__ == "__main__":
    import joblib
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        spawned = pool.submit(digests, f).result()
    (loky,) = joblib.Parallel(n_jobs=2)([joblib.delayed(digests)(f)])
    print(spawned == loky == digests(f), *digests(f))
"""


@pytest.fixture
def expected(write_project: Any) -> str:
    main = write_project(ANALYSES)
    return f"True {' '.join(main.digests(main.f))}"


def test_workers_of_a_script_give_the_digest_of_an_import(
    expected: str, tmp_path: Path
) -> None:
    (tmp_path / "script.py").write_text(ANALYSES + WORKERS)

    assert output_of("script.py", cwd=tmp_path) == expected


def test_workers_of_a_notebook_give_the_digest_of_an_import(
    expected: str, tmp_path: Path
) -> None:
    loky = (
        "import joblib\n"
        "(there,) = joblib.Parallel(n_jobs=2)([joblib.delayed(digests)(f)])\n"
        "print(there == digests(f), *there)"
    )

    assert in_notebook(tmp_path, ANALYSES, loky) == expected
