"""A fold is what it would be if it were computed anew, and a run that has grown costs its new rows."""

from __future__ import annotations

import pickle
import shutil
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from conftest import Ran, RunDirectory, WriteCheckpoint, WriteModule
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from artifact_store import AnalysisPipeline, Checkpoint, Fold, Run, analysis, fold, mode
from artifact_store.equivalence import bless, unbless
from artifact_store.errors import (
    BadDeclaration,
    BadResult,
    CoordinatesDiffer,
    MissRefused,
    RowsDiffer,
)
from artifact_store.events import Event, Hit, Published, listening
from artifact_store.folds import Along, Begun
from artifact_store.stores.local import LocalStore
from artifact_store.traces import reads_of

HEAD = """\
from __future__ import annotations

import numpy as np

from artifact_store import Checkpoint, Run, analysis, fold


@analysis
def chosen(run: Run):
    return np.array([run.config.get("column", 0)])

"""

NORM = """
@analysis
def norm(checkpoint: Checkpoint):
    return checkpoint["w"].sum(axis=0)

"""

FOLD = """
@fold(dims={"norm": ("column",)})
def norms(checkpoint: Checkpoint, *, scale: float = 1.0):
    row = norm(checkpoint) * scale
    return {"norm": row, "mean": row.mean(), "column": np.arange(3) + 10}
"""

SHARED = """
@fold(shared={"columns": chosen})
def picked(checkpoint: Checkpoint, *, columns=None):
    return norm(checkpoint)[columns]
"""


@pytest.fixture(autouse=True)
def stable(settled: None) -> None: ...


@pytest.fixture
def study(write_module: WriteModule) -> ModuleType:
    return write_module("study", HEAD + NORM + FOLD + SHARED)


@pytest.fixture
def grown(write_checkpoint: WriteCheckpoint) -> Callable[..., Run]:
    """The run with one more checkpoint, or with another one; all of `w` is `value`."""

    def grow(*epochs: int, value: float | None = None) -> Run:
        for epoch in epochs:
            path = f"run/checkpoints/checkpoint_epoch_{epoch:05d}.safetensors"
            filled = np.full((2, 3), epoch if value is None else value, np.float32)
            whole = write_checkpoint(path, w=filled, v=np.full(4, epoch, np.int64))
        return Run(whole.parents[1])

    return grow


@pytest.fixture
def run(run_directory: RunDirectory) -> Run:
    """Epochs 0, 500 and 1000."""
    return Run(run_directory())


@pytest.fixture
def told(seen: list[Event]) -> Callable[[], Counter[str]]:
    """How often each analysis was a hit or was published since it was asked the last time."""

    def since() -> Counter[str]:
        kinds = {Hit: "hit", Published: "made"}
        found = Counter(
            f"{one.key.analysis} {kinds[type(one)]}"
            for one in seen
            if isinstance(one, Hit | Published)
        )
        seen.clear()
        return found

    return since


@pytest.fixture
def looked_for(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The analysis of every key that a store was asked for."""
    names: list[str] = []
    real = LocalStore.find

    def noted(self: LocalStore, key: Any) -> Any:
        names.append(key.analysis)
        return real(self, key)

    monkeypatch.setattr(LocalStore, "find", noted)
    return names


def anew(analysis: Any, run: Run, tmp_path: Path, **params: Any) -> Any:
    """What it is in a store where nothing was before: artifact, and what it read."""
    folder = tmp_path / "anew"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(run.path, folder / run.name, ignore=lambda *_: ["artifacts"])
    return analysis.artifact(Run(folder / run.name), **params)


def assert_as_anew(analysis: Any, run: Run, tmp_path: Path, **params: Any) -> None:
    found = analysis.artifact(run, **params)
    scratch = anew(analysis, run, tmp_path, **params)

    assert found.key == scratch.key and found.output_digest == scratch.output_digest
    now, then = found.entry.manifest, scratch.entry.manifest
    assert (now.reads, now.outside, now.flags) == (then.reads, then.outside, then.flags)
    call = analysis.call(run, **params)
    assert reads_of(now, call.store) is not None


# What it gives


def test_rows_are_stacked_along_epochs_and_coordinates_stay(
    study: ModuleType, run: Run
) -> None:
    found = study.norms(run, scale=2.0)

    assert found["norm"].tolist() == [[0.0] * 3, [2000.0] * 3, [4000.0] * 3]
    assert found["mean"].tolist() == [0.0, 2000.0, 4000.0]
    assert found["epoch"].tolist() == [0, 500, 1000]
    assert found["epoch"].dtype == np.int64
    dataset = study.norms.artifact(run, scale=2.0).to_xarray()
    assert dataset["norm"].dims == ("epoch", "column")
    assert dataset["mean"].dims == ("epoch",)
    assert dataset["column"].values.tolist() == [10, 11, 12]
    assert set(dataset.coords) == {"epoch", "column"}


def test_a_row_of_one_array_bears_the_one_name_that_was_declared(run: Run) -> None:
    @fold(dims={"power": ("column",)})
    def named(checkpoint: Checkpoint) -> Any:
        return checkpoint["w"][0]

    @fold
    def unnamed(checkpoint: Checkpoint) -> Any:
        return checkpoint["w"]

    assert named.artifact(run)["power"].dims == ("epoch", "column")
    assert unnamed.artifact(run)["value"].shape == (3, 2, 3)
    assert unnamed.artifact(run)["value"].dims[0] == "epoch"


def test_a_fold_goes_by_the_name_that_was_declared(run: Run) -> None:
    @fold(name="told")
    def height(checkpoint: Checkpoint) -> Any:
        return checkpoint["w"][0, 0]

    height(run)

    assert height.__name__ == "told" == height.key(run).analysis
    assert (run.path / "artifacts/told/run").exists()


def test_a_fold_is_an_analysis_of_a_run(study: ModuleType, run: Run) -> None:
    norms = study.norms

    assert isinstance(norms, Fold) and norms.takes_run and norms.is_imported
    assert norms.find(run) is None
    assert norms(str(run.path))["epoch"].size == 3
    assert norms.find(run) is not None and norms.explain(run).hit
    assert (run.path / "artifacts/norms/run").is_symlink()
    assert pickle.loads(pickle.dumps(norms)) is norms
    assert repr(norms) == "<analysis study.norms>"


def test_without_a_store_it_returns_the_same(study: ModuleType, run: Run) -> None:
    with mode("off"):
        found = study.norms(run)

    assert not (run.path / "artifacts").exists()
    plain = study.norms.__wrapped__(run)
    for name, array in study.norms(run).items():
        np.testing.assert_array_equal(found[name], array, strict=True)
        np.testing.assert_array_equal(plain[name], array, strict=True)


def test_one_that_no_import_finds_travels_whole(run: Run) -> None:
    factor = 3

    @fold
    def local(checkpoint: Checkpoint) -> Any:
        return checkpoint["w"].sum() * factor

    travelled = pickle.loads(pickle.dumps(local))

    assert isinstance(travelled, Fold) and travelled.key(run) == local.key(run)
    np.testing.assert_array_equal(travelled(run)["value"], local(run)["value"])


def test_it_is_no_answer_to_what_an_analysis_of_the_same_code_is_asked() -> None:
    def same(run: Any) -> Any:
        return run["w"]

    assert fold(same).closure.digest != analysis(same).closure.digest


# A run that grows


def test_a_checkpoint_more_costs_one_row(
    study: ModuleType,
    run: Run,
    grown: Callable[..., Run],
    told: Callable[[], Counter[str]],
    looked_for: list[str],
) -> None:
    study.norms(run)
    longer = grown(1500)
    told()
    looked_for.clear()

    found = study.norms(longer)

    assert told() == {"norm made": 1, "norms made": 1}
    # The new one is looked for before and after its lease is taken, and the others not at all.
    assert looked_for.count("norm") == 2
    assert found["norm"][:, 0].tolist() == [0.0, 1000.0, 2000.0, 3000.0]
    assert found["column"].tolist() == [10, 11, 12]


def test_a_row_that_is_stored_is_read_once(
    study: ModuleType,
    run: Run,
    grown: Callable[..., Run],
    told: Callable[[], Counter[str]],
) -> None:
    study.norms(run)
    longer = grown(1500, 2000, 2500)
    AnalysisPipeline(longer).run([study.norm])
    told()

    study.norms(longer)

    assert told() == {"norm hit": 3, "norms made": 1}


def test_what_a_grown_run_gives_is_as_if_it_were_computed_anew(
    study: ModuleType, run: Run, grown: Callable[..., Run], tmp_path: Path
) -> None:
    study.norms(run)

    assert_as_anew(study.norms, grown(1500), tmp_path)
    assert_as_anew(study.norms, grown(2000, 2500), tmp_path)


def test_each_state_of_a_run_adds_one_entry_and_a_few_steps(
    study: ModuleType, run: Run, grown: Callable[..., Run]
) -> None:
    hidden, added = run.path / "artifacts/.store", []
    for epoch in range(1500, 6500, 500):
        study.norms(grown(epoch))
        entries = len(list(hidden.glob("entries/norms/*/*.json")))
        steps = len(list(hidden.glob("records/steps/**/*.json")))
        added.append((entries, steps))

    # After what comes next, and after its row; and where the run ends. Those of the row itself are its own.
    more = {(b[0] - a[0], b[1] - a[1]) for a, b in zip(added, added[1:])}
    assert len(more) == 1 and more.pop()[0] == 1
    assert added[-1][1] - added[0][1] <= 9 * 5


def test_rows_before_a_replaced_checkpoint_are_kept(
    study: ModuleType,
    run: Run,
    grown: Callable[..., Run],
    told: Callable[[], Counter[str]],
    tmp_path: Path,
) -> None:
    study.norms(run)
    study.norms(grown(1500, 2000))
    told()

    replaced = grown(1500, value=7.0)
    found = study.norms(replaced)

    # The new one is made to see whether it gives the same, and is asked for again.
    assert told() == {"norm made": 1, "norm hit": 2, "norms made": 1}
    assert found["norm"][:, 0].tolist() == [0.0, 1000.0, 2000.0, 14.0, 4000.0]
    assert_as_anew(study.norms, replaced, tmp_path)


def test_a_checkpoint_in_between_is_a_row_in_between(
    study: ModuleType, run: Run, grown: Callable[..., Run], tmp_path: Path
) -> None:
    study.norms(run)
    between = grown(700)

    assert study.norms(between)["epoch"].tolist() == [0, 500, 700, 1000]
    assert_as_anew(study.norms, between, tmp_path)


def test_a_run_that_is_shorter_again_hits(
    study: ModuleType, run: Run, grown: Callable[..., Run], ran: Ran
) -> None:
    study.norms(run)
    longer = grown(1500)
    study.norms(longer)
    ran()

    assert study.norms(longer.until(1000))["epoch"].tolist() == [0, 500, 1000]
    assert ran() == []


def test_what_is_known_of_a_part_costs_no_rows_of_the_whole(
    study: ModuleType,
    run: Run,
    told: Callable[[], Counter[str]],
    looked_for: list[str],
) -> None:
    study.norms(run.until(500))
    told()
    looked_for.clear()
    study.norms(run)

    assert told() == {"norm made": 1, "norms made": 1}
    assert looked_for.count("norm") == 2


def test_params_are_told_apart(
    study: ModuleType, run: Run, grown: Callable[..., Run], tmp_path: Path
) -> None:
    study.norms(run, scale=1.0)
    study.norms(run, scale=2.0)
    longer = grown(1500)

    assert study.norms(longer, scale=2.0)["mean"].tolist() == [0, 2000, 4000, 6000]
    assert_as_anew(study.norms, longer, tmp_path, scale=2.0)
    assert_as_anew(study.norms, longer, tmp_path, scale=3.0)


def test_a_param_may_be_another_checkpoint(
    run: Run, grown: Callable[..., Run], tmp_path: Path, ran: Ran
) -> None:
    @fold
    def against(checkpoint: Checkpoint, reference: Checkpoint) -> Any:
        return (checkpoint["w"] - reference["w"]).mean()

    against(run, run[500])
    longer = grown(1500)

    assert against(longer, longer[500])["value"].tolist() == [-500, 0, 500, 1000]
    assert against(longer, longer[0])["value"].tolist() == [0, 500, 1000, 1500]


steps = st.lists(
    st.tuples(st.sampled_from([0, 500, 700, 1000, 1500, 2000]), st.integers(-1, 2)),
    min_size=1,
    max_size=6,
)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps)
def test_whatever_becomes_of_a_run_its_fold_is_as_if_computed_anew(
    study: ModuleType,
    grown: Callable[..., Run],
    tmp_path: Path,
    steps: list[tuple[int, int]],
) -> None:
    shutil.rmtree(tmp_path / "run", ignore_errors=True)
    grown(0, 1000)
    for epoch, value in steps:
        path = tmp_path / f"run/checkpoints/checkpoint_epoch_{epoch:05d}.safetensors"
        if value >= 0:
            grown(epoch, value=value)
        elif path.exists() and len(Run(tmp_path / "run")) > 1:
            path.unlink()
        assert_as_anew(study.norms, Run(tmp_path / "run"), tmp_path)


# Edits


def test_an_edited_row_makes_every_row_again(
    write_module: WriteModule,
    study: ModuleType,
    run: Run,
    grown: Callable[..., Run],
    told: Callable[[], Counter[str]],
) -> None:
    study.norms(run)
    edited = FOLD.replace("* scale", "* scale + 1")
    again = write_module("study", HEAD + NORM + edited)
    told()

    assert again.norms(grown(1500))["mean"].tolist() == [1, 1001, 2001, 3001]
    assert told() == {"norm hit": 3, "norm made": 1, "norms made": 1}


def test_an_analysis_below_that_gives_the_same_leaves_the_rows_as_they_are(
    write_module: WriteModule,
    study: ModuleType,
    run: Run,
    grown: Callable[..., Run],
    ran: Ran,
    tmp_path: Path,
) -> None:
    study.norms(run)
    rewritten = NORM.replace('["w"].sum(axis=0)', '["w"].sum(0) + 0')
    again = write_module("study", HEAD + rewritten + FOLD)
    ran()

    again.norms(run)
    assert ran() == ["norm"] * 3

    # What was adopted is a beginning, too.
    longer = grown(1500)
    again.norms(longer)
    assert ran() == ["norm", "norms"]
    assert_as_anew(again.norms, longer, tmp_path)


def test_rows_are_kept_though_the_run_grew_and_an_analysis_below_was_rewritten(
    write_module: WriteModule,
    study: ModuleType,
    run: Run,
    grown: Callable[..., Run],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    study.norms(run)
    longer = grown(1500)
    rewritten = NORM.replace('["w"].sum(axis=0)', '["w"].sum(0) + 0')
    again = write_module("study", HEAD + rewritten + FOLD)
    called: list[int] = []
    going_on = Along.going_on

    def noted(self: Along, begun: Begun) -> Any:
        called.append(begun.last)
        return going_on(self, begun)

    monkeypatch.setattr(Along, "going_on", noted)

    again.norms(longer)

    assert called == [1000]
    assert_as_anew(again.norms, longer, tmp_path)


def test_what_was_read_for_the_rows_of_a_grown_run_counts_after_the_next_edit(
    write_module: WriteModule,
    study: ModuleType,
    run: Run,
    grown: Callable[..., Run],
    ran: Ran,
) -> None:
    study.norms(run)
    longer = grown(1500)
    study.norms(longer)

    # One row of those that were taken over changes.
    changed = NORM.replace('["w"].sum(axis=0)', '["w"].sum(axis=0).clip(max=1000)')
    again = write_module("study", HEAD + changed + FOLD)
    ran()
    assert again.norms(longer)["mean"].tolist() == [0, 1000, 1000, 1000]
    assert ran()[-1] == "norms"

    # And none does.
    same = NORM.replace("sum(axis=0)", "sum(axis=0) - 0")
    again = write_module("study", HEAD + same + FOLD)
    ran()
    assert again.norms(longer)["mean"].tolist() == [0, 1000, 2000, 3000]
    assert "norms" not in ran()


def test_rows_of_code_that_was_blessed_are_not_taken_over(
    write_module: WriteModule, study: ModuleType, run: Run, grown: Callable[..., Run]
) -> None:
    before = study.norms.artifact(run)
    edited = FOLD.replace("* scale", "* scale + 1")
    again = write_module("study", HEAD + NORM + edited)
    call = again.norms.call(run)
    made = before.provenance.closure
    blessing = bless(call.store, "norms", made, call.closure.digest.hex)
    assert again.norms(run)["mean"].tolist() == [0, 1000, 2000]

    longer = grown(1500)
    assert again.norms(longer)["mean"].tolist() == [1, 1001, 2001, 3001]
    unbless(call.store, blessing)
    assert again.norms(longer)["mean"].tolist() == [1, 1001, 2001, 3001]


# What rows share


def write_config(run: Run, column: int) -> Run:
    (run.path / "config.json").write_text(f'{{"column": {column}, "n": {len(run)}}}')
    return Run(run.path)


def test_what_rows_share_is_asked_for_once_and_keeps_them_while_it_stays(
    study: ModuleType,
    run: Run,
    grown: Callable[..., Run],
    told: Callable[[], Counter[str]],
    tmp_path: Path,
) -> None:
    study.picked(write_config(run, 1))
    told()

    longer = write_config(grown(1500), 1)
    assert study.picked(longer)["value"].tolist() == [[0], [1000], [2000], [3000]]
    found = told()
    assert found["norm made"] == found["picked made"] == 1 and found["norm hit"] == 0
    assert_as_anew(study.picked, longer, tmp_path)

    other = write_config(grown(2000), 2)
    told()
    study.picked(other)
    found = told()
    assert found["chosen made"] == 1 and found["norm hit"] == 4
    assert_as_anew(study.picked, other, tmp_path)


def test_what_rows_share_may_be_given_instead(
    study: ModuleType, run: Run, ran: Ran
) -> None:
    assert study.picked(run, columns=[0, 1])["value"].shape == (3, 2)
    assert "chosen" not in ran()


# Stores


def hit_by_a_stray_byte(artifact: Any, name: str) -> None:
    (data,) = (artifact.path / name).glob("c*")
    content = bytearray(data.read_bytes())
    content[0] ^= 1
    data.chmod(0o644)
    data.write_bytes(bytes(content))


def test_a_damaged_beginning_is_not_gone_on_from(
    study: ModuleType,
    run: Run,
    grown: Callable[..., Run],
    told: Callable[[], Counter[str]],
    tmp_path: Path,
) -> None:
    hit_by_a_stray_byte(study.norms.artifact(run), "norm")
    longer = grown(1500)
    told()

    assert study.norms(longer)["mean"].tolist() == [0, 1000, 2000, 3000]
    made = told()
    assert made["norm hit"] >= 3 and made["norm made"] == made["norms made"] == 1
    assert_as_anew(study.norms, longer, tmp_path)


def test_where_steps_are_lost_every_row_is_made_again(
    study: ModuleType, run: Run, grown: Callable[..., Run], tmp_path: Path
) -> None:
    study.norms(run)
    shutil.rmtree(run.path / "artifacts/.store/records/steps")

    assert_as_anew(study.norms, grown(1500), tmp_path)


def test_a_run_under_another_name_has_its_rows(
    study: ModuleType, run: Run, grown: Callable[..., Run], tmp_path: Path, ran: Ran
) -> None:
    study.norms(run)
    grown(1500)
    (tmp_path / "run").rename(tmp_path / "renamed")
    ran()

    assert study.norms(Run(tmp_path / "renamed"))["epoch"].size == 4
    assert ran() == ["norm", "norms"]


def test_where_nothing_is_to_be_written_only_new_rows_are_made(
    study: ModuleType,
    run: Run,
    grown: Callable[..., Run],
    told: Callable[[], Counter[str]],
) -> None:
    study.norms(run)
    longer = grown(1500)
    told()

    with mode("ro"):
        assert study.norms(longer)["mean"].tolist() == [0, 1000, 2000, 3000]

    assert told() == {}
    assert study.norms.find(longer) is None


def test_where_nothing_is_to_be_computed_a_new_checkpoint_is_refused_by_name(
    study: ModuleType, run: Run, grown: Callable[..., Run]
) -> None:
    study.norms(run)
    with mode("require"), pytest.raises(MissRefused, match="checkpoint 1500 of run"):
        study.norms(grown(1500))


@pytest.mark.parametrize("way", ["refresh", "recompute"])
def test_asked_to_compute_again_it_makes_every_row(
    study: ModuleType,
    run: Run,
    grown: Callable[..., Run],
    told: Callable[[], Counter[str]],
    way: str,
) -> None:
    study.norms(run)
    longer = grown(1500)
    study.norms(longer)
    told()

    if way == "recompute":
        assert not study.norms.recompute(longer).changed
        assert told() == {"norm hit": 4, "norms made": 1}
    else:
        with mode("refresh"):
            study.norms(longer)
        assert told() == {"norm made": 4, "norms made": 1}


def test_many_threads_make_a_grown_run_once(
    study: ModuleType, run: Run, grown: Callable[..., Run]
) -> None:
    study.norms(run)
    longer, seen = grown(1500), list[Event]()
    together = threading.Barrier(8)

    def call(_: int) -> Any:
        with listening(seen.append):
            together.wait()
            return study.norms(longer)["mean"].tolist()

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(call, range(8)))

    assert found == [[0, 1000, 2000, 3000]] * 8
    made = [one.key.analysis for one in seen if isinstance(one, Published)]
    assert sorted(made) == ["norm", "norms"]


# In words


def test_a_new_checkpoint_is_named_as_the_cause(
    study: ModuleType, run: Run, grown: Callable[..., Run]
) -> None:
    study.norms(run)
    longer = grown(1500)

    assert "checkpoint 1500 of run is new" in str(study.norms.explain(longer))
    (step,) = AnalysisPipeline(longer).plan([study.norms]).steps
    assert (step.epoch, step.state) == (None, "stale")
    assert step.causes == ("checkpoint 1500 of run is new",)
    AnalysisPipeline(longer).run([study.norms])
    (step,) = AnalysisPipeline(longer).status([study.norms]).steps
    assert step.state == "fresh"


def test_a_replaced_checkpoint_is_named_as_the_cause(
    study: ModuleType, run: Run, grown: Callable[..., Run]
) -> None:
    study.norms(run)

    replaced = grown(500, value=3.0)
    said = str(study.norms.explain(replaced))
    assert "norm(checkpoint_epoch_00500) has to be computed first" in said
    AnalysisPipeline(replaced).run([study.norm])
    said = str(study.norms.explain(replaced))
    assert "the output of norm(checkpoint_epoch_00500) changed" in said


def test_a_hit_says_what_was_read_of_a_run(study: ModuleType, run: Run) -> None:
    study.norms(run)

    said = str(study.norms.explain(run))
    assert "read the first epoch = 0" in said
    assert "read the epoch after 500 = 1000" in said
    assert "read the epoch after 1000 = absent" in said


def test_labels_that_a_row_read_are_asked_for_again(
    run: Run, grown: Callable[..., Run], tmp_path: Path
) -> None:
    @fold(strict=False)
    def labelled(checkpoint: Checkpoint) -> Any:
        return checkpoint.epoch or 0

    labelled(run)
    longer = grown(1500)

    assert labelled(longer)["value"].tolist() == [0, 500, 1000, 1500]
    assert_as_anew(labelled, longer, tmp_path)
    manifest = labelled.artifact(longer).entry.manifest
    assert len(manifest.outside) == 4 and manifest.flags == ("read checkpoint.epoch",)


# What is refused


def test_a_coordinate_that_moves_is_told_with_its_epoch(run: Run) -> None:
    @fold(dims={"power": ("frequency",)})
    def moving(checkpoint: Checkpoint) -> Any:
        return {"power": np.ones(2), "frequency": checkpoint["v"][:2]}

    with pytest.raises(CoordinatesDiffer, match="'frequency' of epoch 500"):
        moving(run)


@pytest.mark.parametrize(
    "row",
    [
        lambda epoch: {"a": np.zeros(1 + epoch)},
        lambda epoch: {"a": np.zeros(1, np.float32 if epoch else np.float64)},
        lambda epoch: {"b" if epoch else "a": np.zeros(1)},
    ],
    ids=["shape", "dtype", "name"],
)
def test_a_row_of_another_form_is_told_with_its_epoch(
    run: Run, row: Callable[[int], Any]
) -> None:
    @fold(depends_on=(row,))
    def odd(checkpoint: Checkpoint) -> Any:
        return row(int(checkpoint["v"][0]))

    with pytest.raises(RowsDiffer, match="the row of epoch 500 is"):
        odd(run)


def test_a_row_that_differs_from_those_of_before_is_refused_too(
    run: Run, grown: Callable[..., Run]
) -> None:
    @fold(dims={"a": ("x",)})
    def odd(checkpoint: Checkpoint) -> Any:
        late = checkpoint["v"][0] > 1000
        return {"a": np.zeros(2), "x": np.arange(2) + late}

    odd(run)
    with pytest.raises(CoordinatesDiffer, match="epoch 1500"):
        odd(grown(1500))


def test_an_array_called_epoch_is_refused(run: Run) -> None:
    @fold
    def own(checkpoint: Checkpoint) -> Any:
        return {"epoch": np.zeros(1)}

    with pytest.raises(BadResult, match="epoch"):
        own(run)


def a_row(checkpoint: Checkpoint, *, given: Any = None, other: int = 1) -> Any:
    return 1.0


@analysis
def of_checkpoint(checkpoint: Checkpoint) -> Any:
    return 1.0


@analysis
def of_run(run: Run) -> Any:
    return 1.0


@pytest.mark.parametrize(
    "row, options, problem",
    [
        (a_row, {"dims": {"a": ("epoch", "x")}}, "puts in front itself"),
        (a_row, {"dims": {"a": "x"}}, "are the string"),
        (a_row, {"shared": {"other": of_run}}, "None by default"),
        (a_row, {"shared": {"nothing": of_run}}, "None by default"),
        (a_row, {"shared": {"given": of_checkpoint}}, "no analysis of a run"),
        (a_row, {"ignore": ("nothing",)}, "ignore names"),
        (lambda: 1.0, {"name": "none"}, "takes no checkpoint"),
        (lambda *, checkpoint: 1.0, {"name": "none"}, "takes no checkpoint"),
        (lambda checkpoint, run: 1.0, {"name": "two"}, "parameter 'run'"),
        (of_checkpoint, {}, "it is a Analysis"),
    ],
)
def test_what_cannot_be_a_fold_is_refused(
    row: Any, options: dict[str, Any], problem: str
) -> None:
    with pytest.raises(BadDeclaration, match=problem):
        fold(row, **options)
