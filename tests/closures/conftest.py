"""Small projects, written into a directory of their own and imported from there."""

from __future__ import annotations

import importlib
import itertools
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

Files = Mapping[str, str] | str
WriteProject = Callable[[Files], ModuleType]


def files_of(text: Files) -> Mapping[str, str]:
    """The files of a project: `main.py` alone, or each after a line `## name.py`."""
    if not isinstance(text, str):
        return text
    files: dict[str, list[str]] = {"main.py": []}
    current = files["main.py"]
    for line in text.splitlines(keepends=True):
        if line.startswith("## "):
            current = files.setdefault(line[3:].strip(), [])
        else:
            current.append(line)
    return {name: "".join(lines) for name, lines in files.items()}


@pytest.fixture
def write_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[WriteProject]:
    """Writes the package `pkg` and imports its module `main`, each time as a new process would."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    numbers = itertools.count()
    before, modules = list(sys.path), set(sys.modules)

    def write(text: Files) -> ModuleType:
        forget()
        root = tmp_path / f"project{next(numbers)}"
        for name, content in {"__init__.py": "", **files_of(text)}.items():
            path = root / "pkg" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        sys.path[:] = [str(root), *before]
        importlib.invalidate_caches()
        return importlib.import_module("pkg.main")

    def forget() -> None:
        for name in [one for one in sys.modules if one.partition(".")[0] == "pkg"]:
            del sys.modules[name]

    yield write
    forget()
    sys.path[:] = before
    for name in set(sys.modules) - modules:
        if name.startswith("ext_"):
            del sys.modules[name]


@pytest.fixture
def digest(write_project: WriteProject) -> Callable[[Files], Any]:
    """What decides the results of `pkg.main.f`: its closure, and those of the analyses that it calls."""
    from artifact_store.closures.reach import closure_of, whole_of

    def digest(text: Files) -> Any:
        closure = closure_of(write_project(text).f)
        return closure.digest, *(whole_of(one)[0] for one in closure.calls)

    return digest
