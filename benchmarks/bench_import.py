"""How long does one wait before anything can be asked at all?

New interpreters, in turn: one that imports `artifact_store`, one that says what `artifact-store` can do, one that
imports numpy, which nobody here can do without, and one that does nothing. Their start counts, as everybody waits for
it. What is loaded by the first two is looked at: none of the heavy packages that only some calls need.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

from benchmarks.measure import in_words, race
from benchmarks.report import Answer, Bar
from benchmarks.tables import medians, plot_parts

ROUNDS = 15
NOT_KEPT = "PYTHONDONTWRITEBYTECODE"
HEAVY = ("torch", "zarr", "joblib", "xarray", "plotly")

OURS, HELP, NUMPY = "import artifact_store", "artifact-store --help", "import numpy"
WAYS: Mapping[str, Sequence[str]] = {
    OURS: ("-c", OURS),
    HELP: ("-m", "artifact_store", "--help"),
    NUMPY: ("-c", NUMPY),
    "nothing": ("-c", ""),
}
# At most, of what an interpreter takes that imports numpy.
LIMIT = 1.5

# What a child runs to say which of the heavy packages are loaded after all.
LOADED = f"import sys; print(*(set(sys.modules) & set({HEAVY})))"
AFTER = {
    OURS: f"import artifact_store; {LOADED}",
    HELP: f"""
import atexit, contextlib, io, runpy, sys
atexit.register(lambda: print(*(set(sys.modules) & set({HEAVY}))))
sys.argv = ["artifact-store", "--help"]
with contextlib.redirect_stdout(io.StringIO()):
    runpy.run_module("artifact_store", run_name="__main__")
""",
}


def main() -> Answer:
    """The table and the bars."""
    loaded = {name: heavy_after(code) for name, code in AFTER.items()}
    found = medians(race({name: partial(_start, words) for name, words in WAYS.items()}, ROUNDS))  # fmt: skip
    rows = (
        f"| {name} | {in_words(seconds)} | {seconds / found[NUMPY]:.2f} |"
        for name, seconds in found.items()
    )
    return Answer(
        "How long does one wait before anything can be asked at all?",
        "\n".join(
            ["| a new interpreter | median | of numpy |", "|---|---|---|", *rows]
        ),
        tuple(bars(found, loaded)),
        (replace(plot_parts("A new interpreter", found), is_logarithmic=False),),
    )


def bars(
    found: Mapping[str, float], loaded: Mapping[str, Sequence[str]]
) -> Iterator[Bar]:
    """What was promised of imports."""
    for name, heavy in loaded.items():
        yield Bar(f"{name} / {NUMPY}", found[name] / found[NUMPY], LIMIT)
        told = f" ({', '.join(heavy)})" if heavy else ""
        yield Bar(f"{name}: heavy packages loaded{told}", len(heavy), 0)


def _start(words: Sequence[str], _: int) -> str:
    return run(*words)


def run(*words: str) -> str:
    """What an interpreter prints."""
    command = [sys.executable, *words]
    # With compiled modules kept, as everywhere but where somebody said otherwise; the warming rounds write them.
    kept = {name: one for name, one in os.environ.items() if name != NOT_KEPT}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=kept)
    return done.stdout


def heavy_after(code: str) -> list[str]:
    """Which of the heavy packages are loaded at the end of this code."""
    return run("-c", code).split()


if __name__ == "__main__":
    print(main())
