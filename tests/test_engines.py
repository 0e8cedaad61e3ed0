"""The same work by other engines: the same keys and results, each computed once, and a death that costs what died."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from multiprocessing import get_context
from pathlib import Path

import engine_analyses
import joblib
import pytest
from conftest import RunDirectory, Storage
from engine_analyses import (
    COUNTED,
    DEADLY,
    along,
    deadly,
    doubled,
    set_there,
    summed,
)
from joblib.externals.loky import get_reusable_executor

from artifact_store import AnalysisPipeline, Artifact, Run, storing_in, tier
from artifact_store.errors import BadShard, BucketFailed, PipelineFailed
from artifact_store.executors import Shard
from artifact_store.offers import chosen
from artifact_store.outcomes import Outcome
from artifact_store.progress import Tell, unseen
from artifact_store.stores.remote import RemoteStore
from benchmarks.object_storage import environment

HERE = Path(engine_analyses.__file__).parent
EPOCHS = range(0, 600, 100)


@pytest.fixture
def run(run_directory: RunDirectory) -> Run:
    return Run(run_directory("run", EPOCHS))


@pytest.fixture
def local(run_directory: RunDirectory) -> Run:
    """The same checkpoints, of which everything is computed here."""
    return Run(run_directory("local", EPOCHS))


@pytest.fixture
def counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where each computation leaves a file; and workers find what is imported here."""
    folder = tmp_path / "counted"
    folder.mkdir()
    monkeypatch.setenv(COUNTED, str(folder))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HERE), str(HERE.parent)]))
    return folder


@pytest.fixture(scope="module")
def client() -> Iterator[object]:
    distributed = pytest.importorskip("distributed")
    path = os.pathsep.join([str(HERE), str(HERE.parent)])
    with ExitStack() as stack:
        cluster = stack.enter_context(
            distributed.LocalCluster(
                n_workers=2,
                threads_per_worker=1,
                processes=True,
                dashboard_address="127.0.0.1:0",
                host="127.0.0.1",
                env={"PYTHONPATH": path},
            )
        )
        yield stack.enter_context(distributed.Client(cluster))


@pytest.fixture(params=["processes", "threads", "dask"])
def executor(request: pytest.FixtureRequest, counted: Path) -> Iterator[Executor]:
    if request.param == "dask":
        client = request.getfixturevalue("client")
        client.run(set_there, {COUNTED: str(counted)})
        yield client.get_executor()
    elif request.param == "threads":
        with ThreadPoolExecutor(2) as pool:
            yield pool
    else:
        with ProcessPoolExecutor(2, get_context("spawn")) as pool:
            yield pool


def is_manifest(method: str, path: str) -> bool:
    return method == "PUT" and "/entries/" in path


def told(run: Run) -> list[tuple[str, str]]:
    """The key and the output digest of each result."""
    found = [one.find(run[epoch]) for epoch in run for one in (doubled, summed)]
    return [(str(one.key), str(one.output_digest)) for one in found if one is not None]


def test_an_executor_computes_each_unit_once_and_what_is_computed_here(
    run: Run, local: Run, executor: Executor, counted: Path
) -> None:
    outcome = AnalysisPipeline(run).run([doubled, summed], executor=executor)
    made = [path.name.split("-")[0] for path in counted.iterdir()]
    again = AnalysisPipeline(run).run([doubled, summed], executor=executor)
    AnalysisPipeline(local).run([doubled, summed])

    assert outcome.counts() == {"computed": 12} and again.counts() == {"hit": 12}
    assert sorted(made) == ["doubled"] * 6 + ["summed"] * 6
    assert told(run) == told(local) and len(told(run)) == 12


def test_dask_behind_joblib_does_the_same(
    run: Run, local: Run, client: object, counted: Path
) -> None:
    with joblib.parallel_config("dask", wait_for_workers_timeout=30):
        outcome = AnalysisPipeline(run).run([doubled, summed], n_jobs=2)
    AnalysisPipeline(local).run([doubled, summed])

    assert outcome.counts() == {"computed": 12}
    assert told(run) == told(local)


def test_progress_is_that_of_all_workers(run: Run, executor: Executor) -> None:
    seen: list[int] = []

    @contextmanager
    def watching(name: str, totals: object) -> Iterator[Tell]:
        yield lambda together: seen.append(len(together))

    AnalysisPipeline(run).run([doubled, summed], executor=executor, progress=watching)

    assert seen == [2] * 6


@pytest.mark.parametrize("engine", ["loky", "processes"])
def test_a_worker_that_is_killed_costs_its_unit_and_not_the_run(
    run: Run, engine: str, counted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DEADLY, "200")
    # Workers that another test has left know nothing of it.
    get_reusable_executor().shutdown(wait=True)
    with pytest.raises(PipelineFailed) as failed, ExitStack() as stack:
        if engine == "loky":
            AnalysisPipeline(run).run([deadly], n_jobs=2, progress=unseen)
        else:
            pool = ProcessPoolExecutor(1, get_context("spawn"))
            stack.enter_context(pool)
            AnalysisPipeline(run).run([deadly], executor=pool, progress=unseen)
    outcome = failed.value.outcome
    gone = [one.epoch for one in outcome.failures]  # type: ignore[attr-defined]

    assert 200 in gone and "WorkerLost: The worker for epoch 200" in str(failed.value)
    # Nobody can send more work to a pool of somebody else's that broke.
    assert gone == [200] if engine == "loky" else gone == [200, 300, 400, 500]
    assert {epoch for epoch in run if deadly.find(run[epoch])} == set(EPOCHS) - {*gone}
    monkeypatch.setenv(DEADLY, "-1")
    assert AnalysisPipeline(run).run([deadly]).counts() == {
        "hit": 6 - len(gone),
        "computed": len(gone),
    }


def test_a_worker_with_other_code_refuses_and_names_what_differs(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = tmp_path / "there"
    there.mkdir()
    source = Path(engine_analyses.__file__).read_text()
    (there / "engine_analyses.py").write_text(source.replace("* 2.0", "* 3.0"))
    program = (
        "import sys; from concurrent.futures import ProcessPoolExecutor as Pool\n"
        "from multiprocessing import get_context\n"
        "from artifact_store import AnalysisPipeline\n"
        "from artifact_store.errors import PipelineFailed\n"
        "from engine_analyses import doubled\n"
        "import os\n"
        "if __name__ == '__main__':\n"
        "    os.environ['PYTHONPATH'] = sys.argv[2]\n"
        "    sys.path[:] = [sys.argv[4] if one == sys.argv[3] else one for one in sys.path]\n"
        "    with Pool(1, get_context('spawn')) as pool:\n"
        "        try:\n"
        "            AnalysisPipeline(sys.argv[1]).run([doubled], executor=pool)\n"
        "        except PipelineFailed as failed: print(failed)\n"
    )
    script = tmp_path / "script.py"
    script.write_text(program)
    paths = [os.pathsep.join([str(one), str(HERE.parent)]) for one in (HERE, there)]
    environment = {**os.environ, "PYTHONPATH": paths[0]}
    done = subprocess.run(
        [sys.executable, str(script), str(run.path), paths[1], str(HERE), str(there)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert "WorkerDiffers: doubled" in done.stdout, done.stderr
    assert "engine_analyses.scaled" in done.stdout
    assert "is another one there" in done.stdout
    assert doubled.find(run[0]) is None


# A shared store

REAL = HERE.parents[1] / "shared/runs/p59_seed485"
ANALYSES = [
    f"analyses.{one}"
    for one in (
        "embedding:fourier_coefficients",
        "neurons:neuron_activations",
        "clusters:neuron_freq_norm",
    )
]


def named(outcome: Outcome, run: Run, store: object) -> dict[object, str]:
    """The key and the output digest of each result, by analysis and epoch."""
    with storing_in(store):  # type: ignore[arg-type]
        return {
            (one.analysis, one.epoch): f"{found.key} {found.output_digest}"
            for one in outcome.done
            if (found := _artifact(one.analysis, run, one.epoch)) is not None
        }


def _artifact(name: str, run: Run, epoch: int | None) -> Artifact | None:
    (analysis,) = (one for one in chosen(ANALYSES) if one.__name__ == name)
    return analysis.find(run[epoch])  # type: ignore[index]


def test_two_dask_workers_fill_a_bucket_from_which_a_third_machine_reads_what_it_needs(
    tmp_path: Path, storage: Storage, client: object, request: pytest.FixtureRequest
) -> None:
    for name in ("here", "there", "third"):
        shutil.copytree(REAL, tmp_path / name)
    runs = {name: Run(tmp_path / name) for name in ("here", "there", "third")}
    epochs = list(runs["here"].epochs[:: len(runs["here"]) // 4])
    variables = environment(storage.line.server, storage.line.url)
    client.run(set_there, variables)  # type: ignore[attr-defined]

    # Two workers, one bucket.
    with storing_in(storage.url):
        workers = client.get_executor()  # type: ignore[attr-defined]
        made = AnalysisPipeline(runs["there"]).run(ANALYSES, epochs, executor=workers)
    puts = Counter(
        one.path for one in storage.line.requests if is_manifest(one.method, one.path)
    )
    assert made.counts() == {"computed": 3 * len(epochs)}
    assert len(puts) == 3 * len(epochs) and set(puts.values()) == {1}

    # The same as here.
    near = str(tmp_path / "local")
    with storing_in(near):
        local = AnalysisPipeline(runs["here"]).run(ANALYSES, epochs)
    assert named(made, runs["there"], storage.url) == named(local, runs["here"], near)

    # A third machine, with nothing of its own.
    third = tier(str(tmp_path / "empty"), storage.url)
    with storing_in(third), storage.line.noting() as requests:
        hits = AnalysisPipeline(runs["third"]).run(ANALYSES, epochs)
        (norm,) = (
            one for one in chosen(ANALYSES) if one.__name__ == "neuron_freq_norm"
        )
        before = len(storage.line.requests)
        values = norm(runs["third"][epochs[-1]])["norm"]
    read = sum(one.received for one in requests)
    data = requests[before - len(storage.line.requests) :]
    manifests = read - sum(one.received for one in data)

    assert hits.counts() == {"hit": 3 * len(epochs)}
    # The manifest again, the array and its coordinate.
    assert len(data) == 3 and len(requests) == 3 * len(epochs) + 3
    assert manifests < 10_000 * 3 * len(epochs)
    stored = sum(one.nbytes for one in made.done)
    assert read < stored / 20, (read, stored)
    assert values.shape[0] == 29


def test_a_request_that_fails_beforehand_ends_no_run(
    run: Run, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*given: object) -> None:
        raise BucketFailed(storage.url, "read", "nobody answers")

    with storing_in(storage.url):
        monkeypatch.setattr(RemoteStore, "foresee", fail)
        assert AnalysisPipeline(run).run([doubled]).counts() == {"computed": 6}
        with ThreadPoolExecutor(2) as pool:
            again = AnalysisPipeline(run).run([doubled], executor=pool)

    assert again.counts() == {"hit": 6}


# Parts


@pytest.mark.parametrize("of", [1, 2, 4, 7])
def test_the_parts_of_a_run_are_all_of_it_and_have_nothing_in_common(
    run: Run, of: int
) -> None:
    parts = [
        AnalysisPipeline(run).run([doubled, along], shard=Shard(number, of))
        for number in range(1, of + 1)
    ]
    epochs = [[done.epoch for done in part.done] for part in parts]

    assert sorted(sum(epochs, [])) == list(EPOCHS)  # type: ignore[type-var]
    assert {part.count("computed") for part in parts} <= {6 // of, -(-6 // of)}
    last = AnalysisPipeline(run).run([doubled, along])
    assert last.count("hit") == 6 and last.count("computed", "along") == 1


def test_some_epochs_are_shared_out_evenly_too(run: Run) -> None:
    parts = [
        AnalysisPipeline(run).run(
            [doubled], epochs=[0, 200, 400], shard=Shard(number, of=3)
        )
        for number in (1, 2, 3)
    ]

    assert [[done.epoch for done in part.done] for part in parts] == [[0], [200], [400]]


def test_a_part_stays_what_it_is_when_checkpoints_are_added(
    run: Run, run_directory: RunDirectory
) -> None:
    shard = Shard(2, of=3)
    before = AnalysisPipeline(run).run([doubled], shard=shard)
    longer = Run(run_directory("run", (600, 700)))
    after = AnalysisPipeline(longer).run([doubled], shard=shard)

    assert [done.epoch for done in before.done] == [100, 400]
    assert [(done.epoch, done.state) for done in after.done] == [
        (100, "hit"),
        (400, "hit"),
        (700, "computed"),
    ]


def test_the_job_file_of_the_docs_does_a_run_part_by_part(
    run: Run, counted: Path
) -> None:
    job = HERE.parent / "docs/slurm.sh"
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    names = "engine_analyses:doubled,engine_analyses:along"

    def submitted(**variables: str) -> list[str]:
        command = ["bash", str(job), str(run.path), "--analysis", names]
        environment = {**os.environ, **variables, "PATH": path}
        subprocess.run(command, env=environment, check=True, capture_output=True)
        return [one.name.split("-")[0] for one in counted.iterdir()]

    for number in "12":
        submitted(SLURM_ARRAY_TASK_ID=number, SLURM_ARRAY_TASK_COUNT="3")
    submitted(SLURM_ARRAY_TASK_ID="3", SLURM_ARRAY_TASK_COUNT="1", PARTS="3")
    assert Counter(submitted()) == {"doubled": 6, "summed": 6}
    assert along.find(run) is not None


@pytest.mark.parametrize("said", ["0/8", "9/8", "1/0", "2", "a/b", "1/2/3", "-1/2", ""])
def test_what_is_no_part_is_refused(said: str) -> None:
    with pytest.raises(BadShard, match="Write i/n"):
        Shard.parse(said)
