"""How long does one wait to hear why?

In a store of 10,000 entries (8 analyses, 50 checkpoints, 25 values of a param) and in one with an entry of each
analysis, `explain` says why a call hits, and why one misses: after an edit two calls below it, with another param,
below another analysis that was edited, and at a checkpoint that is new. Beside it `artifact-store why` in a new
process, and what such a process takes to say its version. The stores are in memory.
"""

from __future__ import annotations

import importlib
import linecache
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from artifact_store.explain import Explanation
from benchmarks.measure import Timing, Way, in_words, race
from benchmarks.report import Answer, Line, Plot
from benchmarks.workloads import RACY_SECONDS, write_checkpoint

ANALYSES, EPOCHS, PARAMS = 8, 50, 25
ROUNDS, PROCESSES = 200, 10
ASKED, ASKED_PARAM = EPOCHS // 2, PARAMS - 1

# In memory, if the system offers that: on a disk, 10,000 entries take minutes to write.
MEMORY = Path("/dev/shm")

HELPERS = """\
from artifact_store import Checkpoint, analysis

SCALE, SHIFT, NAMES = 2.0, 1.0, ("a", "b")


def centred(w):
    return w - w.mean()


def scaled(w):
    # What is edited.
    return centred(w) * SCALE + SHIFT


def power(w, k):
    return scaled(w) ** k + len(NAMES)

"""
# Of the analyses, the last calls the first.
ANALYSIS = """
@analysis
def analysis_{0}(checkpoint: Checkpoint, *, k: int = 1):
    return power(checkpoint["embed.W_E"][{0}], k).sum()

"""
LAST = """
@analysis
def analysis_{0}(checkpoint: Checkpoint, *, k: int = 1):
    return analysis_0(checkpoint, k=k) + checkpoint["blocks.0.mlp.b_in"].sum()
"""
BODY = HELPERS + "".join(map(ANALYSIS.format, range(ANALYSES - 1))) + LAST.format(ANALYSES - 1)  # fmt: skip
MODULE = "explained"


def imported(folder: Path, body: str) -> ModuleType:
    """The module with this text, as a new process would find it."""
    (folder / f"{MODULE}.py").write_text(body)
    sys.modules.pop(MODULE, None)
    linecache.checkcache()
    importlib.invalidate_caches()
    return importlib.import_module(MODULE)


def checkpoint_of(run: Path, epoch: int) -> Path:
    """Where the checkpoint of an epoch is."""
    return run / f"checkpoints/checkpoint_epoch_{epoch:05d}.safetensors"


def write_run(run: Path) -> None:
    """Checkpoints of which no two are equal; one more than are analysed."""
    tensors = load_file(write_checkpoint(checkpoint_of(run, 0)))
    for epoch in range(EPOCHS + 1):
        tensors["embed.W_E"] = tensors["embed.W_E"] + np.float32(1)
        save_file(tensors, checkpoint_of(run, epoch))


def fill(
    module: ModuleType, run: Path, epochs: Sequence[int], params: Sequence[int]
) -> int:
    """Compute every analysis of these epochs; how many entries there are."""
    for epoch in epochs:
        for analysis in analyses_of(module):
            for k in params:
                analysis(checkpoint_of(run, epoch), k=k)
    store = module.analysis_0.call(checkpoint_of(run, epochs[0]), k=0).store
    return sum(1 for _ in store.keys())


def analyses_of(module: ModuleType) -> list[Any]:
    """Its analyses, by number."""
    return [getattr(module, f"analysis_{number}") for number in range(ANALYSES)]


def ways_of(before: ModuleType, after: ModuleType, run: Path) -> dict[str, Way]:
    """The questions, of which every answer is looked at once."""
    here, new = checkpoint_of(run, ASKED), checkpoint_of(run, EPOCHS)
    first, last = analyses_of(before)[0], analyses_of(before)[-1]
    edited = analyses_of(after)
    asked: dict[tuple[str, str], Callable[[], Explanation]] = {
        ("hit", ""): lambda: first.explain(here, k=ASKED_PARAM),
        ("hit of one that calls another", ""): lambda: last.explain(
            here, k=ASKED_PARAM
        ),
        ("helper edited", "code"): lambda: edited[0].explain(here, k=ASKED_PARAM),
        ("helper edited below another", "upstream"): lambda: edited[-1].explain(here, k=ASKED_PARAM),  # fmt: skip
        ("param changed", "param"): lambda: first.explain(here, k=-1),
        ("checkpoint added", "never computed"): lambda: first.explain(new),
    }
    for (_, kind), ask in asked.items():
        assert [one.kind for one in ask().causes] == [kind] * bool(kind), str(ask())
    return {name: lambda _, ask=ask: ask() for (name, _), ask in asked.items()}  # type: ignore[misc]


def timed_processes(folder: Path, runs: Sequence[Path]) -> list[Timing]:
    """`artifact-store why` about each of the runs, and `--version`, each in a new interpreter."""

    def start(*words: str) -> Way:
        command = [sys.executable, "-m", "artifact_store", *words]
        return lambda _: subprocess.run(command, cwd=folder, check=True, capture_output=True)  # fmt: skip

    asked = [str(checkpoint_of(run, ASKED)) for run in runs]
    ways = {
        one: start("why", one, f"{MODULE}:analysis_0", f"--param=k={ASKED_PARAM}")
        for one in asked
    }
    return race({**ways, "version": start("--version")}, PROCESSES)


def main() -> Answer:
    """The table and its picture."""
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as directory:  # fmt: skip
        folder = Path(directory)
        sys.path.insert(0, directory)
        try:
            return answer(folder, folder / "large", folder / "small")
        finally:
            sys.path.remove(directory)


def answer(folder: Path, large: Path, small: Path) -> Answer:
    """The times of both stores, which are made in a folder that modules are imported from."""
    before = imported(folder, BODY)
    for run in (large, small):
        write_run(run)
    many = fill(before, large, range(EPOCHS), range(PARAMS))
    few = fill(before, small, [ASKED], [ASKED_PARAM])
    time.sleep(RACY_SECONDS)
    # What is asked again of the module as it was is known already.
    assert all(one.closure for one in analyses_of(before))
    after = imported(folder, BODY.replace("+ SHIFT", "- SHIFT"))
    of_large, of_small = ways_of(before, after, large), ways_of(before, after, small)
    timings = race(
        {f"{name}, of {many}": way for name, way in of_large.items()}
        | {f"{name}, of {few}": way for name, way in of_small.items()},
        ROUNDS,
    )
    half = len(timings) // 2
    *why, version = timed_processes(folder, [large, small])
    pairs = {
        **dict(zip(of_large, zip(timings[:half], timings[half:]), strict=True)),
        "`why` in a new process": (why[0], why[1]),
    }
    lines = [
        f"| why | {many:,} entries | {few} entries | ratio |",
        "|---|---|---|---|",
        *(row(name, *pair) for name, pair in pairs.items()),
        f"| `--version` in a new process | {in_words(version.median)} | | |",
    ]
    return Answer(
        "How long does one wait to hear why?", "\n".join(lines), plots=(plot(pairs, many, few),)  # fmt: skip
    )


def plot(pairs: Mapping[str, tuple[Timing, Timing]], many: int, few: int) -> Plot:
    """Each question, in both stores."""
    lines = (
        Line(f"{count:,} entries", tuple(pair[at].median for pair in pairs.values()))
        for at, count in enumerate((many, few))
    )
    points = tuple(name.replace("`", "") for name in pairs)
    return Plot("Hearing why", "", "median, seconds", points, tuple(lines))


def row(name: str, large: Timing, small: Timing) -> str:
    """One question, in both stores."""
    times = f"{in_words(large.median)} | {in_words(small.median)}"
    return f"| {name} | {times} | {large.median / small.median:.2f} |"


if __name__ == "__main__":
    print(main())
