"""Series, artifacts and inputs in the hands of dask, which the package itself never imports."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask
import dask.array
import numpy as np
import pytest
from conftest import RunDirectory, WriteCheckpoint, WriteModule
from dask.base import tokenize
from dask.delayed import delayed
from safetensors.numpy import save_file

from artifact_store import AnalysisPipeline, Checkpoint, Run, analysis

EPOCHS = (0, 100, 700, 1000)


@analysis(dims={"grid": ("row", "column")})
def grid(checkpoint: Checkpoint, size: int = 20) -> Any:
    values = np.full((size, 1000), checkpoint["v"][0], np.float32)
    return {"grid": values, "row": np.arange(size)}


@pytest.fixture
def run(run_directory: RunDirectory, settled: None) -> Run:
    opened = Run(run_directory(epochs=EPOCHS))
    AnalysisPipeline(opened).run([grid])
    return opened


@pytest.mark.parametrize("scheduler", ["synchronous", "threads", "processes"])
def test_one_chunk_per_epoch_is_computed_by_any_scheduler(
    run: Run, scheduler: str
) -> None:
    chunked = run.series(grid).chunk(epoch=1)
    with dask.config.set(scheduler=scheduler, num_workers=2):
        means = chunked.mean(("row", "column")).compute()

    assert chunked.chunks == ((1, 1, 1, 1), (20,), (1000,))
    assert means.values.tolist() == list(EPOCHS)
    assert means.epoch.values.tolist() == list(EPOCHS)


def test_what_travels_to_a_worker_is_where_the_data_are_and_not_the_data(
    run: Run,
) -> None:
    artifact, nbytes = grid.artifact(run[0]), 20 * 1000 * 4
    graph = run.series(grid).chunk(epoch=1).data.dask

    assert len(pickle.dumps(artifact)) < 4000 < nbytes
    assert len(pickle.dumps(artifact.to_xarray())) < 4000
    assert len(pickle.dumps(run.series(grid))) < 4000
    assert max(len(pickle.dumps(task)) for task in dict(graph).values()) < 4000


def test_a_dataset_of_an_artifact_is_read_where_it_is_indexed(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = grid.artifact(run[700]).to_xarray()
    shutil.rmtree(grid.artifact(run[700]).path / "grid")

    assert found.row.values.tolist() == list(range(20)) and found.grid.shape == (
        20,
        1000,
    )
    with pytest.raises(Exception, match="is missing"):
        found.grid.load()


def test_a_stored_array_is_chunked_as_it_is(run: Run) -> None:
    array = grid.artifact(run[700])["grid"]
    chunked = dask.array.from_array(array, chunks=(5, -1))  # type: ignore[no-untyped-call]

    assert chunked.numblocks == (4, 1) and float(chunked.mean().compute()) == 700


NAMED: dict[str, Callable[[Run, Any], Any]] = {
    "checkpoint": lambda run, f: run[100],
    "run": lambda run, f: run,
    "artifact": lambda run, f: f.artifact(run[100]),
    "array": lambda run, f: f.artifact(run[100])["grid"],
    "dataset": lambda run, f: f.artifact(run[100]).to_xarray(),
    "series": lambda run, f: run.series(f),
    "analysis": lambda run, f: f,
}


@pytest.mark.parametrize("what", NAMED)
def test_dask_knows_things_by_their_content_wherever_they_are(
    what: str, run: Run, tmp_path: Path
) -> None:
    there = Run(shutil.copytree(run.path, tmp_path / "elsewhere" / "run"))

    assert tokenize(NAMED[what](run, grid)) == tokenize(NAMED[what](there, grid))


@pytest.mark.parametrize("what", ["checkpoint", "run", "artifact", "array", "dataset", "series"])  # fmt: skip
def test_dask_takes_other_content_for_another_thing(
    what: str, run: Run, write_checkpoint: WriteCheckpoint
) -> None:
    before = tokenize(NAMED[what](run, grid))
    write_checkpoint(
        "run/checkpoints/checkpoint_epoch_00100.safetensors",
        w=np.zeros((2, 3), np.float32),
        v=np.full(4, 101),
    )
    again = Run(run.path)
    AnalysisPipeline(again).run([grid])

    assert tokenize(NAMED[what](again, grid)) != before


@pytest.mark.parametrize("what", ["dataset", "series"])
def test_dask_takes_another_selection_for_another_thing(what: str, run: Run) -> None:
    columns = np.arange(1000).repeat(2)
    others = columns.copy()
    others[1000] = 7
    first, again, second = (
        NAMED[what](run, grid).isel(column=picked).chunk()
        for picked in (columns, columns, others)
    )

    assert set(first.__dask_graph__()) == set(again.__dask_graph__())
    assert not set(first.__dask_graph__()) & set(second.__dask_graph__())


def test_dask_takes_an_edited_analysis_for_another(write_module: WriteModule) -> None:
    body = (
        "from artifact_store import analysis\n"
        "K = 1\n\n@analysis\ndef f(checkpoint):\n    return checkpoint['w'] * K\n"
    )
    tokens = {
        tokenize(write_module("probe", text).f)
        for text in (body, body + "# a comment\n", body.replace("K = 1", "K = 2"))
    }

    assert len(tokens) == 2


@pytest.mark.parametrize("name", ["config", "metadata"])
def test_dask_takes_a_run_of_which_other_things_are_said_for_another(
    run: Run, name: str
) -> None:
    before = tokenize(run)
    (run.path / f"{name}.json").write_text('{"rate": 2}')

    assert tokenize(Run(run.path)) != before


@pytest.mark.parametrize("named", ["epoch_00100", "other"])
def test_dask_takes_equal_tensors_of_another_label_for_another_thing(
    write_checkpoint: WriteCheckpoint, named: str
) -> None:
    one, other = (
        Checkpoint(write_checkpoint(f"{name}.safetensors"))
        for name in ("epoch_00500", named)
    )

    assert one.root == other.root and tokenize(one) != tokenize(other)


def test_dask_takes_equal_tensors_with_other_metadata_for_another_thing(
    tmp_path: Path,
) -> None:
    tokens = set()
    for rate in "12":
        path = tmp_path / rate / "one.safetensors"
        path.parent.mkdir()
        save_file({"w": np.ones(3)}, path, metadata={"rate": rate})
        tokens.add(tokenize(Checkpoint(path)))

    assert len(tokens) == 2


@pytest.mark.parametrize("is_strict", [True, False])
def test_an_analysis_may_hand_its_inputs_to_dask_strict_or_not(
    run: Run, is_strict: bool
) -> None:
    @analysis(strict=is_strict)
    def kinds(run: Run) -> Any:
        every = [run, run[0], run[100], run.until(100), run.until(100)]
        return float(len(set(map(tokenize, every))))

    assert kinds(run) == 4


def test_dask_knows_them_in_another_process(run: Run) -> None:
    script = (
        "import sys\nfrom dask.base import tokenize\nfrom artifact_store import Run\n"
        "run = Run(sys.argv[1])\nprint(tokenize(run), tokenize(run[100]))"
    )
    words = [sys.executable, "-c", script, str(run.path)]
    env = {**os.environ, "PYTHONHASHSEED": "7"}
    done = subprocess.run(words, env=env, capture_output=True, text=True, check=True)

    assert done.stdout.split() == [tokenize(run), tokenize(run[100])]


def test_a_pure_delayed_call_is_one_task_however_often_it_is_asked_for(
    run: Run,
) -> None:
    calls = [delayed(grid, pure=True)(run[epoch]) for epoch in (0, 0, 100)]

    assert calls[0].key == calls[1].key != calls[2].key
    with dask.config.set(scheduler="threads"):
        assert calls[2].compute()["grid"][0, 0] == 100


def test_series_and_datasets_do_not_import_dask(run: Run) -> None:
    script = (
        "import sys\nfrom artifact_store import Run\nimport artifact_store.stacks\n"
        "print('dask' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)  # fmt: skip

    assert done.stdout == "False\n"
