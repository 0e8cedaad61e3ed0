"""What does a second worker gain?

A pipeline with `n_jobs=2` beside the same with `n_jobs=1`, from an empty store each time.

*numpy* and *Python*: analyses that compute on one core and keep little (`compute_bound`). The bar is about these.
*ours*: the three analyses of p = 113 networks with 512 neurons, which keep 26 MB each: no more compute-bound than
that, since both workers wait for the same file system.

Workers are warm, as they stay for the next run; what starting them costs stands beside.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from joblib.externals.loky import get_reusable_executor

from artifact_store import Analysis, AnalysisPipeline
from benchmarks.bench_pipeline import ANALYSES, NETWORK, write_run
from benchmarks.compute_bound import bootstrapped, sign_agreement
from benchmarks.measure import Timing, Way, in_words, race, timed
from benchmarks.report import Answer, Bar
from benchmarks.tables import plot, ratio, table
from benchmarks.workloads import RACY_SECONDS

CHOSEN: Mapping[str, Sequence[Analysis[..., Any]]] = {
    "numpy": (bootstrapped,),
    "Python": (sign_agreement,),
    "ours": ANALYSES,
}
EPOCHS, ROUNDS = 8, 6
ONE, TWO = "n_jobs=1", "n_jobs=2"


def main() -> Answer:
    """The table and the bars."""
    with tempfile.TemporaryDirectory() as directory:
        alone, together = (
            AnalysisPipeline(write_run(Path(directory, name), NETWORK, EPOCHS))
            for name in ("alone", "together")
        )
        time.sleep(RACY_SECONDS)
        started = timed(lambda _: together.run(ANALYSES, n_jobs=2), 0)
        rows = {
            name: measure(alone, together, analyses)
            for name, analyses in CHOSEN.items()
        }
    get_reusable_executor().shutdown(wait=True)
    tables = (
        table(f"{EPOCHS} checkpoints", rows),
        f"*ours* with workers that have to start and import torch first: {in_words(started)}.",
    )
    return Answer(
        "What does a second worker gain?",
        "\n\n".join(tables),
        tuple(
            Bar(
                f"{name}, one worker / two",
                1 / ratio(rows[name], ONE, TWO),
                1.6,
                sense="at least",
            )
            for name in ("numpy", "Python")
        ),
        (plot(f"{EPOCHS} checkpoints", rows),),
    )


def measure(
    alone: AnalysisPipeline,
    together: AnalysisPipeline,
    analyses: Sequence[Analysis[..., Any]],
) -> list[Timing]:
    """Two workers and one, each along a run of its own; that they compute the same is asserted first."""
    by: dict[str, Way] = {
        TWO: lambda _: together.run(analyses, n_jobs=2),
        ONE: lambda _: alone.run(analyses),
    }

    def forget(_: int) -> None:
        for pipeline in (alone, together):
            shutil.rmtree(
                pipeline.run_of_checkpoints.path / "artifacts", ignore_errors=True
            )

    forget(0)
    for way in by.values():
        way(0)
    assert digests(alone, analyses) == digests(together, analyses)
    forget(0)
    return race(by, ROUNDS, after=forget)


def digests(
    pipeline: AnalysisPipeline, analyses: Sequence[Analysis[..., Any]]
) -> list[str]:
    """What is stored."""
    return [
        pipeline.load(analysis, epoch).output_digest.hex
        for analysis in analyses
        for epoch in pipeline.run_of_checkpoints
    ]


if __name__ == "__main__":
    print(main())
