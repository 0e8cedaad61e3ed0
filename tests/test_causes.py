"""Every cause of a miss, scripted: a project is computed, edited on disk, and a new interpreter is asked why."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from artifact_store.stores.local import LocalStore

SCALING = '''\
import numpy as np

SCALE = 2.0
BANDS = {"low": (0, 4), "high": (4, 8)}


def doubled(function):
    """Twice what a function returns."""

    def wrapper(w):
        return function(w) * 2

    return wrapper


def clipped(w, limit=9.0):
    return np.clip(w, 0.0, limit)


@doubled
def scaled(w):
    # Never below one.
    shifted = w + 1
    return clipped(shifted) * SCALE
'''

ANALYSES = """\
import time

import gadget

from artifact_store import Checkpoint, Run, analysis
from study.scaling import BANDS, scaled


@analysis
def norms(checkpoint: Checkpoint, *, power: float = 2.0, band: str = "low"):
    first, last = BANDS[band]
    return (scaled(checkpoint["embed"]) ** power).sum(axis=1)[first:last]


@analysis
def total(checkpoint: Checkpoint):
    return norms(checkpoint).sum() * gadget.UNIT + checkpoint["bias"].sum()


@analysis(versions=("gadget",))
def measured(checkpoint: Checkpoint):
    return checkpoint["bias"] * gadget.UNIT


@analysis
def trajectory(run: Run):
    return [run[epoch]["bias"].sum() for epoch in run]


@analysis
def spread(checkpoints: list[Checkpoint]):
    return [one["bias"].std() for one in checkpoints]


@analysis
def timed(checkpoint: Checkpoint):
    return checkpoint["bias"] * min(time.time(), 1)
"""

GADGET = "Metadata-Version: 2.1\nName: gadget\nVersion: 1.0\n"

COMPUTE = """\
import sys
from artifact_store import Run
from study import analyses

run = Run("run")
for name in sys.argv[1:]:
    analysis = getattr(analyses, name)
    if name == "spread":
        analysis([run[epoch] for epoch in run])
    for one in [run] if name == "trajectory" else [] if name == "spread" else run.values():
        analysis(one)
"""

# First the explanation as a document, then what a terminal would get.
ASK = """\
import ast, json, runpy, sys
from study import analyses

name, where, *assigned = sys.argv[1:]
params = {one.partition("=")[0]: ast.literal_eval(one.partition("=")[2]) for one in assigned}
explanation = getattr(analyses, name).explain(where, **params)
print(json.dumps({**explanation.as_dict(), "words": str(explanation)}), flush=True)
sys.argv = ["artifact-store", "why", where, f"study.analyses:{name}", *(f"--param={one}" for one in assigned)]
runpy.run_module("artifact_store", run_name="__main__", alter_sys=True)
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a new interpreter says; digests are written as `…`, and paths as from within the project."""

    document: dict[str, Any]
    printed: str

    @property
    def kinds(self) -> list[str]:
        return [cause["kind"] for cause in self.document["causes"]]


@dataclass(frozen=True, slots=True)
class Project:
    """A first-party package, an installed one and a run, and new interpreters among them."""

    root: Path

    @property
    def store(self) -> LocalStore:
        return LocalStore(self.root / "run" / "artifacts")

    def edit(self, file: str, old: str, new: str) -> None:
        path = self.root / file
        assert path.read_text().count(old) == 1
        path.write_text(path.read_text().replace(old, new))

    def checkpoint(self, epoch: int) -> Path:
        return self.root / f"run/checkpoints/checkpoint_epoch_{epoch:05d}.safetensors"

    def save(self, epoch: int, **tensors: Any) -> None:
        path = self.checkpoint(epoch)
        known = load_file(path) if path.exists() else {}
        kept = {name: np.asarray(w, np.float32) for name, w in tensors.items()}
        save_file(known | kept, path)

    def compute(self, *names: str) -> None:
        self._run(COMPUTE, *names)

    def ask(self, name: str, where: str, *assigned: str) -> Answer:
        document, _, printed = self._run(ASK, name, where, *assigned).partition("\n")
        return Answer(json.loads(document), anonymous(printed))

    def _run(self, script: str, *words: str) -> str:
        path = [self.root, self.root / "site-packages", Path(__file__).parents[1]]
        done = subprocess.run(
            [sys.executable, "-B", "-c", script, *words],
            cwd=self.root,
            env={
                **{n: v for n, v in os.environ.items() if "ARTIFACT_STORE" not in n},
                "PYTHONPATH": os.pathsep.join(map(str, path)),
                "ARTIFACT_STORE_STRICT": "0",
            },
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


def anonymous(words: str) -> str:
    """Words without the digests in them, which differ between releases and machines."""
    return re.sub(r"\b[0-9a-f]{12,64}\b", "…", words)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The project, with the results of its analyses for epochs 100 and 200."""
    project = Project(tmp_path_factory.mktemp("filled"))
    for file, text in {
        "study/__init__.py": "",
        "study/scaling.py": SCALING,
        "study/analyses.py": ANALYSES,
        "site-packages/gadget.py": "UNIT = 3.0\n",
        "site-packages/gadget-1.0.dist-info/METADATA": GADGET,
    }.items():
        path = project.root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    project.checkpoint(0).parent.mkdir(parents=True)
    for epoch in (100, 200):
        embed = np.random.default_rng(epoch).standard_normal((8, 4))
        bias = np.full(3, epoch)
        project.save(epoch, embed=embed, bias=bias, unread=np.ones(2))
    project.compute("norms", "total", "measured", "trajectory", "spread", "timed")
    return project


@pytest.fixture
def project(filled: Project, tmp_path: Path) -> Project:
    """A copy of it, to be edited."""
    shutil.copytree(filled.root, tmp_path / "copy", symlinks=True)
    return Project(tmp_path / "copy")


FIRST = "run/checkpoints/checkpoint_epoch_00100.safetensors"
THIRD = "run/checkpoints/checkpoint_epoch_00300.safetensors"


def edited(file: str, old: str, new: str) -> Callable[[Project], None]:
    return lambda project: project.edit(file, old, new)


def with_two_constants_edited(project: Project) -> None:
    project.edit("study/scaling.py", "SCALE = 2.0", "SCALE = 3.0")
    project.edit("study/scaling.py", "(0, 4)", "(1, 4)")


def with_tensors_changed(project: Project) -> None:
    project.save(100, embed=np.ones((8, 4)), unread=np.zeros(2))


def with_a_checkpoint_more(project: Project) -> None:
    project.save(300, embed=np.ones((8, 4)), bias=np.ones(3))


def with_upstream_computed_again(project: Project) -> None:
    project.edit("study/scaling.py", "w + 1", "w - 1")
    project.compute("norms")


def with_entries_removed(project: Project) -> None:
    store = project.store
    store.remove(list(store.keys("norms")))


def with_data_damaged(project: Project) -> None:
    for path in (project.root / "run/artifacts/norms").glob("*/value/c*"):
        content = bytearray(path.read_bytes())
        content[0] ^= 1
        path.write_bytes(content)


def with_entries_set_aside(project: Project) -> None:
    with_data_damaged(project)
    for key in list(project.store.keys("norms")):
        project.store.set_aside(key, "damaged")


def with_no_store(project: Project) -> None:
    shutil.rmtree(project.root / "run/artifacts")


@dataclass(frozen=True, slots=True)
class Case:
    """A change on disk, whom to ask then, and what a terminal gets."""

    title: str
    change: Callable[[Project], None]
    asked: tuple[str, ...]
    kinds: tuple[str, ...]
    printed: str

    def __str__(self) -> str:
        return self.title


NORMS, TOTAL = ("norms", FIRST), ("total", FIRST)
CALL = "norms(checkpoint_epoch_00100, power=2.0, band='low')"

CASES = [
    Case(
        "a helper edited",
        edited("study/scaling.py", "w + 1", "w - 1"),
        NORMS,
        ("code",),
        f"""\
{CALL}: miss  key …

study.scaling.scaled changed (study/scaling.py:23)
  @@ -22,3 +22,3 @@
       # Never below one.
  -    shifted = w + 1
  +    shifted = w - 1
       return clipped(shifted) * SCALE
""",
    ),
    Case(
        "a helper edited, below another analysis",
        edited("study/scaling.py", "w + 1", "w - 1"),
        TOTAL,
        ("upstream",),
        f"""\
total(checkpoint_epoch_00100): pending  key …

{CALL} has to be computed first
  study.scaling.scaled changed (study/scaling.py:23)
    @@ -22,3 +22,3 @@
         # Never below one.
    -    shifted = w + 1
    +    shifted = w - 1
         return clipped(shifted) * SCALE
""",
    ),
    Case(
        "two constants edited",
        with_two_constants_edited,
        NORMS,
        ("constant", "constant"),
        f"""\
{CALL}: miss  key …

BANDS, which study.analyses.norms uses, changed (study/analyses.py:11)
  - {{'low': (0, 4), 'high': (4, 8)}}
  + {{'low': (1, 4), 'high': (4, 8)}}

SCALE, which study.scaling.scaled uses, changed (study/scaling.py:24)
  - 2.0
  + 3.0
""",
    ),
    Case(
        "a decorator edited",
        edited("study/scaling.py", "function(w) * 2", "function(w) * 3"),
        NORMS,
        ("code",),
        f"""\
{CALL}: miss  key …

study.scaling.doubled changed (study/scaling.py:11)
  @@ -10,3 +10,3 @@
       def wrapper(w):
  -        return function(w) * 2
  +        return function(w) * 3

""",
    ),
    Case(
        "the declaration edited",
        edited(
            "study/analyses.py", 'versions=("gadget",)', 'dims={"value": ("unit",)}'
        ),
        ("measured", FIRST),
        ("declaration", "declaration"),
        """\
measured(checkpoint_epoch_00100): miss  key …

the decorator of measured declares other dims
  - {}
  + {'value': ('unit',)}

the decorator of measured counts other versions
  - gadget
  + none
""",
    ),
    Case(
        "a parameter changed",
        lambda project: None,
        (*NORMS, "power=3.0"),
        ("param",),
        """\
norms(checkpoint_epoch_00100, power=3.0, band='low'): miss  key …

parameter power is 3.0; the nearest entry has 2.0
""",
    ),
    Case(
        "a default changed",
        edited("study/analyses.py", "power: float = 2.0", "power: float = 2.5"),
        NORMS,
        ("default",),
        """\
norms(checkpoint_epoch_00100, power=2.5, band='low'): miss  key …

the default of parameter power of norms changed (study/analyses.py:10)
  - 2.0
  + 2.5
""",
    ),
    Case(
        "the default of a helper changed",
        edited("study/scaling.py", "limit=9.0", "limit=8.0"),
        NORMS,
        ("default",),
        f"""\
{CALL}: miss  key …

the default of limit of study.scaling.clipped changed (study/scaling.py:16)
  - 9.0
  + 8.0
""",
    ),
    Case(
        "a tensor changed, and one that is not read",
        with_tensors_changed,
        NORMS,
        ("input",),
        f"""\
{CALL}: miss  key …

tensor embed of checkpoint_epoch_00100 changed
  - embed …
  + embed …
""",
    ),
    Case(
        "a checkpoint added",
        with_a_checkpoint_more,
        ("norms", THIRD),
        ("never computed",),
        """\
norms(checkpoint_epoch_00300, power=2.0, band='low'): miss  key …

never computed for this input
  checkpoint_epoch_00300 is new to norms, which has results for others
""",
    ),
    Case(
        "a checkpoint added to a run",
        with_a_checkpoint_more,
        ("trajectory", "run"),
        ("input",),
        """\
trajectory(run): miss  key …

checkpoint 300 of run is new
  + 300 …
""",
    ),
    Case(
        "a checkpoint taken from a run",
        lambda project: project.checkpoint(100).unlink(),
        ("trajectory", "run"),
        ("input",),
        """\
trajectory(run): miss  key …

checkpoint 100 of run is gone
  - 100 …
""",
    ),
    Case(
        "a tensor of a checkpoint of a run changed",
        lambda project: project.save(100, bias=np.zeros(3)),
        ("trajectory", "run"),
        ("input",),
        """\
trajectory(run): miss  key …

tensor bias of epoch 100 of run changed
  - bias …
  + bias …
""",
    ),
    Case(
        "the output of another analysis changed",
        with_upstream_computed_again,
        TOTAL,
        ("upstream",),
        f"""\
total(checkpoint_epoch_00100): miss  key …

the output of {CALL} changed
  - …
  + …
  study.scaling.scaled changed (study/scaling.py:23)
    @@ -22,3 +22,3 @@
         # Never below one.
    -    shifted = w + 1
    +    shifted = w - 1
         return clipped(shifted) * SCALE
""",
    ),
    Case(
        "another version of a package that counts",
        edited("site-packages/gadget-1.0.dist-info/METADATA", "1.0", "2.0"),
        ("measured", FIRST),
        ("version",),
        """\
measured(checkpoint_epoch_00100): miss  key …

package gadget is 2.0; the nearest entry was made with 1.0, and measured counts it
  - gadget 1.0
  + gadget 2.0
""",
    ),
    Case(
        "an entry evicted",
        with_entries_removed,
        NORMS,
        ("evicted",),
        f"""\
{CALL}: miss  key …

it was computed, and its entry was evicted or deleted since
""",
    ),
    Case(
        "an entry corrupt",
        with_data_damaged,
        NORMS,
        ("corrupt",),
        f"""\
{CALL}: miss  key …

its entry is corrupt: the next call sets it aside and computes it again
  run/artifacts/.store/data/DD/…: holds other data than were published under its name
""",
    ),
    Case(
        "an entry set aside as corrupt",
        with_entries_set_aside,
        NORMS,
        ("corrupt",),
        f"""\
{CALL}: miss  key …

it was computed, and its entry was found corrupt and set aside
  damaged
""",
    ),
    Case(
        "never computed",
        with_no_store,
        NORMS,
        ("never computed",),
        f"""\
{CALL}: miss  key …

never computed
""",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_new_process_names_the_cause(project: Project, case: Case) -> None:
    case.change(project)

    answer = project.ask(*case.asked)

    printed = re.sub(r"/[0-9a-f]{2}/…", "/DD/…", answer.printed)
    assert printed == case.printed
    assert tuple(answer.kinds) == case.kinds
    for cause in answer.document["causes"]:
        assert cause["what"] in answer.document["words"]


HITS = {
    NORMS: """\
norms(checkpoint_epoch_00100, power=2.0, band='low'): hit  key …

It is the answer because none of this has changed:
  input checkpoint: checkpoint_epoch_00100 …, of which it read
    read tensor embed = …
  param power = 2.0
  param band = 'low'
  declared dims={} versions={}
  code study.analyses.norms … (study/analyses.py:9)
    constant BANDS = {'low': (0, 4), 'high': (4, 8)}
  code study.scaling.doubled.<locals>.wrapper … (study/scaling.py:10)
  code study.scaling.scaled … (study/scaling.py:20)
    constant SCALE = 2.0
  code study.scaling.clipped … (study/scaling.py:16)
    default limit = 9.0
  code study.scaling.doubled … (study/scaling.py:7)
""",
    TOTAL: """\
total(checkpoint_epoch_00100): hit  key …

It is the answer because none of this has changed:
  input checkpoint: checkpoint_epoch_00100 …, of which it read
    read tensor bias = …
  result of norms(checkpoint_epoch_00100, power=2.0, band='low') = …
    read tensor embed = …
  declared dims={} versions={}
  code study.analyses.total … (study/analyses.py:15)

drift, which is not part of the key:
  gadget 1.0 then, 2.0 now
""",
    ("trajectory", "run"): """\
trajectory(run): hit  key …

What it reads is what was read before: it was computed under key ….
It is the answer because none of this has changed:
  input run: run …, of which it read
    read epochs = …
    read tensor bias of epoch 100 = …
    read tensor bias of epoch 200 = …
  declared dims={} versions={}
  code study.analyses.trajectory … (study/analyses.py:25)
""",
    ("timed", FIRST): """\
timed(checkpoint_epoch_00100): hit  key …

What it reads is what was read before: it was computed under key ….
It is the answer because none of this has changed:
  input checkpoint: checkpoint_epoch_00100 …, of which it read
    read tensor bias = …
  declared dims={} versions={}
  code study.analyses.timed … (study/analyses.py:35)

not pure, when it was computed:
  reads the clock (time.time) at FILLED/study/analyses.py:37
""",
}


@pytest.mark.parametrize("asked", HITS, ids=lambda asked: asked[0])
def test_a_new_process_names_all_that_a_hit_depends_on(
    project: Project, filled: Project, asked: tuple[str, str]
) -> None:
    project.edit("site-packages/gadget-1.0.dist-info/METADATA", "1.0", "2.0")
    if asked[0] in ("trajectory", "timed"):
        project.save(100, unread=np.zeros(2))

    answer = project.ask(*asked)

    assert answer.printed.replace(str(filled.root), "FILLED") == HITS[asked]
    for fact in answer.document["depends_on"]:
        assert fact in answer.document["words"]
