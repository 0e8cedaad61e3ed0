"""How many checkpoints a second do one, two and four workers get through, by each engine?

*ours*: our three analyses along 14 checkpoints of p = 59 networks with 512 neurons, 7 MB of results each, from an empty
store each time: half of it is writing. *numpy*: one that computes on one core and keeps little (`compute_bound`).
*loky* is `n_jobs`, of which one is this process itself and no worker; *dask* the executor of a client whose workers are
processes with a thread each; *threads* a pool of them, which share what Python lets only one do at a time. That every
engine keeps what this process alone does is asserted first.

Workers are warm, as they stay for the next run, and all of one number are there at once: those of another engine wait
meanwhile. What starting them costs stands beside: the first run of each, with its imports. More workers than cores
gain nothing; that they lose nothing is why four are asked on a machine of two.

    python -m benchmarks.bench_engines [--run ../shared/runs/p59_seed485]          (a copy of a run of one's own)
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from joblib.externals.loky import get_reusable_executor

from analyses.train import Training
from artifact_store import Analysis, AnalysisPipeline
from artifact_store.outcomes import Outcome
from artifact_store.progress import unseen
from benchmarks.bench_parallel import digests
from benchmarks.bench_pipeline import ANALYSES, write_run
from benchmarks.compute_bound import bootstrapped
from benchmarks.measure import Timing, in_words, race, timed
from benchmarks.report import Answer, Line, Plot
from benchmarks.workloads import RACY_SECONDS

NETWORK, EPOCHS = Training(prime=59, d_mlp=512), 14
WORKERS, ROUNDS = (1, 2, 4), 8

Analyses = Sequence[Analysis[..., Any]]
# Has an engine do all of a pipeline.
Engine = Callable[[AnalysisPipeline, Analyses], Outcome]

CHOSEN: Final[Mapping[str, Analyses]] = {"ours": ANALYSES, "numpy": (bootstrapped,)}


@contextmanager
def _loky(workers: int) -> Iterator[Engine]:
    try:
        yield lambda pipeline, analyses: pipeline.run(
            analyses, n_jobs=workers, progress=unseen
        )
    finally:
        get_reusable_executor().shutdown(wait=True)


@contextmanager
def _dask(workers: int) -> Iterator[Engine]:
    # Here and not above for its weight: only this one needs it.
    from distributed import Client, LocalCluster

    with LocalCluster(  # type: ignore[no-untyped-call]
        n_workers=workers,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        dashboard_address=None,
    ) as cluster:
        with Client(cluster) as client:  # type: ignore[no-untyped-call]
            executor = client.get_executor()
            yield lambda pipeline, analyses: pipeline.run(
                analyses, executor=executor, progress=unseen
            )


@contextmanager
def _threads(workers: int) -> Iterator[Engine]:
    with ThreadPoolExecutor(workers) as pool:
        yield lambda pipeline, analyses: pipeline.run(
            analyses, executor=pool, progress=unseen
        )


ENGINES: Final[Mapping[str, Callable[[int], AbstractContextManager[Engine]]]] = {
    "loky": _loky,
    "dask": _dask,
    "threads": _threads,
}


@dataclass(frozen=True, slots=True)
class Found:
    """What was found of so many workers: each engine's runs, and its first with all that it takes to begin."""

    runs: Sequence[Timing]
    first: Mapping[str, float]


def main(source: Path | None = None) -> Answer:
    """The tables and the picture."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "run")
        if source is None:
            write_run(path, NETWORK, EPOCHS)
        else:
            kept = shutil.ignore_patterns("artifacts")
            shutil.copytree(source, path, ignore=kept)
        time.sleep(RACY_SECONDS)
        pipeline = AnalysisPipeline(path)
        ours, numpy = (
            measure(pipeline, analyses, name, WORKERS, ROUNDS)
            for name, analyses in CHOSEN.items()
        )
    return Answer(ours.title, f"{ours.text}\n\n{numpy.text}", plots=ours.plots)


def measure(
    pipeline: AnalysisPipeline,
    analyses: Analyses,
    which: str,
    numbers: Sequence[int],
    rounds: int,
) -> Answer:
    """The same along one run, by so many workers."""
    units = len(pipeline.run_of_checkpoints)
    found = {number: beside(pipeline, analyses, number, rounds) for number in numbers}
    rates = {
        name: tuple(
            units / one.median
            for number in numbers
            for one in found[number].runs
            if one.name == name
        )
        for name in ENGINES
    }
    lines = tuple(Line(name, values) for name, values in rates.items())
    return Answer(
        "How many checkpoints a second do workers get through, by each engine?",
        "\n\n".join((_rates(numbers, rates, f"{which}, {units}"), _starts(found))),
        plots=(
            Plot(
                f"{units} checkpoints",
                "workers",
                "checkpoints per second",
                tuple(map(float, numbers)),
                lines,
                is_logarithmic=False,
            ),
        ),
    )


def beside(
    pipeline: AnalysisPipeline, analyses: Analyses, workers: int, rounds: int
) -> Found:
    """Every engine with so many workers, in turn."""
    forget(pipeline)
    pipeline.run(analyses, progress=unseen)
    expected, first = digests(pipeline, analyses), dict[str, float]()
    with ExitStack() as stack:
        engines = dict[str, Engine]()
        for name, begin in ENGINES.items():
            forget(pipeline)

            def start(_: int) -> None:
                engines[name] = stack.enter_context(begin(workers))
                engines[name](pipeline, analyses)

            first[name] = timed(start, 0)
            assert digests(pipeline, analyses) == expected, name
        ways = {
            name: lambda _, engine=engine: computed(pipeline, analyses, engine)
            for name, engine in engines.items()
        }
        runs = race(ways, rounds, before=lambda: forget(pipeline))
    return Found(runs, first)


def computed(pipeline: AnalysisPipeline, analyses: Analyses, engine: Engine) -> None:
    """All of it, and each once."""
    counts = engine(pipeline, analyses).counts()
    assert counts == {
        "computed": len(analyses) * len(pipeline.run_of_checkpoints)
    }, counts


def forget(pipeline: AnalysisPipeline) -> None:
    """Empty the store."""
    shutil.rmtree(pipeline.run_of_checkpoints.path / "artifacts", ignore_errors=True)


def _rates(
    numbers: Sequence[int], rates: Mapping[str, Sequence[float]], what: str
) -> str:
    """A row for each engine, a column for each number, with what it gains over the first."""
    head = [f"{what} checkpoints, a second", *map(_workers, numbers)]
    rows = [
        [name, *(f"{one:.3g} ({one / values[0]:.2f} ×)" for one in values)]
        for name, values in rates.items()
    ]
    return _table(head, rows)


def _starts(found: Mapping[int, Found]) -> str:
    """A row for each engine: its first run, in seconds."""
    head = ["first run, with starting the workers", *map(_workers, found)]
    rows = [
        [name, *(in_words(one.first[name]) for one in found.values())]
        for name in ENGINES
    ]
    return _table(head, rows)


def _workers(number: int) -> str:
    return "1 worker" if number == 1 else f"{number} workers"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, metavar="PATH")
    print(main(parser.parse_args().run))
