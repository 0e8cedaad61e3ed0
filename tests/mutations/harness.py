"""Copies of the project, the changes that rows make to them, and a new interpreter in each.

    three-packages/ ──► fill ──► the project, and the results of all its analyses
                         └─► fresh ──► changed ──► computed: the names of the analyses that ran

Nothing here knows how results are kept, so that the same rows can be put to other ways of keeping them. Such a way is

- an *overlay*, a folder whose files replace those of the project: `study/caching.py` with an `analysis` of its own,
  used bare or with the options of ours, and with `Checkpoint`, `Run` and `Arrays`, which are only ever annotations;
- a *driver*, a script `driver.py` that imports `study`, gets the directory of the run as its first argument, and
  prints a JSON list of the names of the analyses whose bodies ran. It calls each of `study.OF_A_CHECKPOINT` with the
  first checkpoint and with the second, `OF_CHECKPOINTS` with the list of these two and `OF_A_RUN` with the whole run,
  in this order, or in the opposite one if its second argument is `backwards`. Its function `main(**instead)` does the
  same with some analyses in the place of those of the same name, for the rows that run a module as a script.

Analyses only index and iterate over a checkpoint, and do the same to a run. So where a path says too little, as to a
library that hashes its arguments, a driver may as well pass a `dict` of arrays by name, and one of those by epoch.
What a driver keeps belongs in the directory of the run, which is copied with it and so is elsewhere at each step.
A row that edits a file of the overlay is about our store alone, and raises `RowError` there.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file

Tensors = Mapping[str, npt.NDArray[Any]]

BASELINE = Path(__file__).parent / "three-packages"
DRIVER = Path(__file__).parent / "driver.py"
EPOCHS = (100, 200)

# Of the files as they are before any edit. Long ago, as byte code is taken for that of a file of equal time and size.
STAMP = 1_600_000_000


class RowError(Exception):
    """A row cannot be carried out as it is written."""


@dataclass(frozen=True, slots=True)
class Project:
    """A copy of the project with its run, and how an interpreter is started in it."""

    code: Path
    run: Path
    driver: Path
    directory: Path
    options: tuple[str, ...] = ()
    program: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)

    def computed(self) -> set[str]:
        """Call every analysis in a new interpreter; the names of those whose bodies ran."""
        program = self.program or (str(self.driver),)
        path = os.pathsep.join([str(self.code), str(self.driver.parent)])
        done = subprocess.run(
            [sys.executable, *self.options, *program, str(self.run), *self.arguments],
            cwd=self.directory,
            env={**os.environ, "PYTHONPATH": path, **self.environment},
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise RuntimeError(done.stderr)
        return set(json.loads(done.stdout))

    def changed(self, changes: Iterable[str]) -> Project:
        """The same project after every one of `changes`."""
        project = self
        for line in changes:
            project = _changed(project, line)
        return project

    def checkpoint(self, epoch: str) -> Path:
        """Where the checkpoint of an epoch is."""
        return self.run / f"checkpoints/checkpoint_epoch_{int(epoch):05d}.safetensors"

    def modules(self) -> list[Path]:
        """Every file of the code."""
        return sorted(self.code.rglob("*.py"))


def fill(root: Path, driver: Path = DRIVER, overlay: Path | None = None) -> Path:
    """Write the project and its run below `root`, and compute everything once."""
    shutil.copytree(BASELINE, root / "code", ignore=shutil.ignore_patterns("__pyc*"))
    if overlay is not None:
        shutil.copytree(overlay, root / "code", dirs_exist_ok=True)
    project = _at(root, driver)
    for path in project.modules():
        os.utime(path, (STAMP, STAMP))
    project.checkpoint("0").parent.mkdir(parents=True)
    for epoch in EPOCHS:
        write(project.checkpoint(str(epoch)), _tensors(epoch))
    project.computed()
    return root


def fresh(filled: Path, into: Path, driver: Path = DRIVER) -> Project:
    """A copy of what `fill` made, to be changed."""
    shutil.copytree(filled, into, symlinks=True)
    return _at(into, driver)


def _at(root: Path, driver: Path) -> Project:
    return Project(root / "code", root / "run", driver, directory=root / "code")


def _tensors(seed: int) -> dict[str, npt.NDArray[np.float32]]:
    random = np.random.default_rng(seed)
    shapes = {
        "embed.W": (8, 4),
        "pos.W": (3, 4),
        "attn.W_Q": (2, 4, 2),
        "attn.W_K": (2, 4, 2),
        "attn.W_O": (2, 2, 4),  # Which no analysis reads.
        "mlp.W_in": (4, 6),
        "mlp.b_in": (6,),
        "mlp.W_out": (4, 6),
        "mlp.b_out": (6,),
        "unembed.W": (4, 8),
    }
    return {
        name: random.standard_normal(shape, dtype=np.float32)
        for name, shape in shapes.items()
    }


def write(path: Path, tensors: Tensors, **metadata: str) -> None:
    """A safetensors file with its tensors in the order in which they are given."""
    kinds = {"float32": "F32", "float64": "F64"}
    header: dict[str, object] = {"__metadata__": metadata} if metadata else {}
    start = 0
    for name, value in tensors.items():
        offsets = [start, start := start + value.nbytes]
        header[name] = {
            "dtype": kinds[value.dtype.name],
            "shape": value.shape,
            "data_offsets": offsets,
        }
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    body = b"".join(value.tobytes() for value in tensors.values())
    path.write_bytes(len(head).to_bytes(8, "little") + head + body)


def read(path: Path) -> dict[str, npt.NDArray[Any]]:
    """The tensors of a safetensors file."""
    return load_file(path)


def _changed(project: Project, line: str) -> Project:
    file, _, change = line.partition(": ")
    old, arrow, new = change.replace("\\n", "\n").partition(" --->")
    if arrow:
        path = project.code / file
        text = path.read_text()
        if text.count(old) != 1:
            raise RowError(f"{file} has {text.count(old)} times: {old}")
        path.write_text(text.replace(old, new.removeprefix(" ")))
        return project
    verb, *words = line.split(" ")
    if verb not in VERBS:
        raise RowError(f"neither a replacement nor a verb: {line}")
    return VERBS[verb](project, *words) or project


def _add(project: Project, file: str, *words: str) -> None:
    path = project.code / file
    if path.exists():
        raise RowError(f"{file} exists")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(" ".join(words).replace("\\n", "\n") + "\n")


def _append(project: Project, file: str, *words: str) -> None:
    with (project.code / file).open("a") as stream:
        stream.write(" ".join(words).replace("\\n", "\n") + "\n")


def _delete(project: Project, file: str) -> None:
    (project.code / file).unlink()


def _move(project: Project, file: str, to: str) -> None:
    (project.code / to).parent.mkdir(parents=True, exist_ok=True)
    (project.code / file).rename(project.code / to)


def _everywhere(project: Project, rewriting: str) -> None:
    for path in project.modules():
        written = REWRITINGS[rewriting](path.read_text())
        path.write_bytes(written.encode())


def _touch(project: Project) -> None:
    for path in [*project.modules(), *project.run.glob("checkpoints/*")]:
        path.touch()


def _forget_bytecode(project: Project) -> None:
    for path in project.code.rglob("__pycache__"):
        shutil.rmtree(path)


def _lose(project: Project, part: str) -> None:
    """Remove a folder of what our store keeps beside the checkpoints, if there is one."""
    shutil.rmtree(project.run / "artifacts" / part, ignore_errors=True)


def _option(project: Project, *options: str) -> Project:
    return replace(project, options=options)


def _as_main(project: Project, module: str) -> Project:
    return replace(project, program=("-m", module))


def _backwards(project: Project) -> Project:
    return replace(project, arguments=("backwards",))


def _environment(project: Project, *settings: str) -> Project:
    added = dict(setting.split("=", 1) for setting in settings)
    return replace(project, environment={**project.environment, **added})


def _directory(project: Project, directory: str) -> Project:
    return replace(project, directory=Path(directory))


def _relocate(project: Project, part: str, to: str) -> Project:
    """Move the code or the run to another place beside itself."""
    old = {"code": project.code, "run": project.run}[part]
    new = old.parent / to
    new.parent.mkdir(parents=True, exist_ok=True)
    old.rename(new)
    if part == "run":
        return replace(project, run=new)
    return replace(project, code=new, directory=new)


def _scale(project: Project, epoch: str, name: str) -> None:
    path = project.checkpoint(epoch)
    tensors = read(path)
    write(path, {**tensors, name: tensors[name] * np.float32(1.5)})


def _widen(project: Project, epoch: str, name: str) -> None:
    path = project.checkpoint(epoch)
    tensors = read(path)
    write(path, {**tensors, name: tensors[name].astype(np.float64)})


def _add_tensor(project: Project, epoch: str, name: str) -> None:
    path = project.checkpoint(epoch)
    write(path, {**read(path), name: np.ones((4, 6), np.float32)})


def _resave(project: Project) -> None:
    """Write every checkpoint with its tensors in the opposite order and with other metadata."""
    for path in project.run.glob("checkpoints/*"):
        write(path, dict(reversed(read(path).items())), saved="again", by="someone")


def _add_checkpoint(project: Project, epoch: str) -> None:
    write(project.checkpoint(epoch), _tensors(int(epoch)))


def _copy_checkpoint(project: Project, epoch: str, to: str) -> None:
    shutil.copy(project.checkpoint(epoch), project.checkpoint(to))


def _rename_checkpoint(project: Project, epoch: str, to: str) -> None:
    path = project.checkpoint(epoch)
    path.rename(path.with_name(to))


VERBS: Mapping[str, Callable[..., Project | None]] = {
    "add": _add,
    "append": _append,
    "delete": _delete,
    "move": _move,
    "everywhere": _everywhere,
    "touch": _touch,
    "forget-bytecode": _forget_bytecode,
    "lose": _lose,
    "option": _option,
    "as-main": _as_main,
    "backwards": _backwards,
    "environment": _environment,
    "directory": _directory,
    "relocate": _relocate,
    "scale": _scale,
    "widen": _widen,
    "add-tensor": _add_tensor,
    "resave": _resave,
    "add-checkpoint": _add_checkpoint,
    "copy-checkpoint": _copy_checkpoint,
    "rename-checkpoint": _rename_checkpoint,
}


def _without_docstrings(text: str) -> str:
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            if ast.get_docstring(node) is not None and len(node.body) > 1:
                del node.body[0]
    return ast.unparse(tree)


# Of every file of the project at once.
REWRITINGS: Mapping[str, Callable[[str], str]] = {
    "unparsed": lambda text: ast.unparse(ast.parse(text)),
    "without-docstrings": _without_docstrings,
    "other-docstrings": lambda text: re.sub(r'"""(?=\w)', '"""So to say: ', text),
    "comments": lambda text: re.sub(r"^( *)(?=return |def )", r"\1# Now.\n\1", text, flags=re.M),
    "blank-lines": lambda text: re.sub(r"^( +)(?=return )", r"\n\n\1", text, flags=re.M),
    "shebang": lambda text: f"#!/usr/bin/env python\n# Copyright nobody.\n\n{text}",
    "carriage-returns": lambda text: text.replace("\n", "\r\n"),
    "byte-order-mark": lambda text: "\ufeff" + text,
    "tabs": lambda text: re.sub(r"^( {4})+", lambda m: "\t" * (len(m[0]) // 4), text, flags=re.M),
    "two-spaces": lambda text: re.sub(r"^( {4})+", lambda m: m[0][::2], text, flags=re.M),
    "single-quotes": lambda text: re.sub(r'(?<!")"([^"\'\n]*)"(?!")', r"'\1'", text),
}  # fmt: skip
