from __future__ import annotations

import contextvars
import errno
import inspect
import os
import pickle
import shutil
import threading
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import numpy.typing as npt
import pytest
import torch
from conftest import RunDirectory, WriteCheckpoint, WriteModule

from artifact_store import Artifact, Checkpoint, File, Run, analysis, arrays, errors
from artifact_store.anonymity import AnonymousCheckpoint
from artifact_store.errors import (
    ArtifactStoreError,
    BadDeclaration,
    BadResult,
    CorruptArtifact,
    LabelRead,
    MethodRefused,
    NoStore,
    NotStored,
    StoreFailed,
    UnencodableParam,
    UnknownFormat,
)
from artifact_store.events import Event, Hit, Miss, Published, SetAside
from artifact_store.memoize import Analysis
from artifact_store.reads import Recorder
from artifact_store.recent import Recent

Calls = list[Any]


@analysis(ignore=("calls",))
def mean(checkpoint: Checkpoint, *, scale: float = 1.0, calls: Calls) -> Any:
    calls.append(scale)
    return {"mean": checkpoint["w"].mean() * scale, "w": checkpoint["w"]}


@analysis(ignore=("calls",))
def total(checkpoint: Checkpoint, calls: Calls) -> Any:
    return mean(checkpoint, calls=calls)["w"].sum()


@analysis
def doubled(checkpoint: Checkpoint) -> npt.NDArray[Any]:
    return checkpoint["w"] * 2


@analysis(ignore=("calls",))
def of_all(inputs: Any, calls: Calls) -> Any:
    calls.append(1)
    named = inputs.values() if isinstance(inputs, dict) else inputs
    return np.stack([one["w"] for one in named])


@pytest.fixture
def calls() -> Calls:
    """One item for each time a function ran."""
    return []


@pytest.fixture(autouse=True)
def stable(settled: None) -> None: ...


def kinds(seen: list[Event]) -> list[str]:
    return [type(event).__name__ for event in seen]


# Hits and misses


def test_a_hit_never_calls_the_function_and_returns_the_same(
    checkpoint: Path, calls: Calls, seen: list[Event]
) -> None:
    first = mean(Checkpoint(checkpoint), calls=calls)
    second = mean(Checkpoint(checkpoint), calls=calls)

    assert len(calls) == 1 and kinds(seen) == ["Miss", "Published", "Hit"]
    assert list(first) == list(second) == ["mean", "w"]
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], strict=True)
        assert type(first[name]) is type(second[name]) is np.ndarray
        assert not first[name].flags.writeable and not second[name].flags.writeable
    assert first["mean"] == 2.5 and first["mean"].shape == ()


def test_a_result_cannot_be_made_writable(checkpoint: Path) -> None:
    doubled(Checkpoint(checkpoint))
    for _ in range(2):
        with pytest.raises(ValueError):
            doubled(Checkpoint(checkpoint)).flags.writeable = True


def test_a_path_as_text_or_path_and_the_checkpoint_are_one_call(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(checkpoint.parent)
    spelled: list[Any] = [
        checkpoint,
        str(checkpoint),
        checkpoint.name,
        Path(".") / checkpoint.name,
        Checkpoint(checkpoint),
    ]

    assert len({doubled.key(one) for one in spelled}) == 1


def test_defaults_order_and_spelling_of_arguments_are_irrelevant(
    checkpoint: Path, calls: Calls
) -> None:
    one = Checkpoint(checkpoint)
    keys = {
        mean.key(one, calls=calls),
        mean.key(checkpoint=one, calls=calls),
        mean.key(one, scale=1.0, calls=calls),
        mean.key(calls=calls, scale=1.0, checkpoint=one),
    }

    assert len(keys) == 1


def test_params_distinguish_calls_and_so_do_their_types(
    checkpoint: Path, calls: Calls
) -> None:
    one = Checkpoint(checkpoint)
    scales: list[Any] = [1.0, 2.0, 1, True, "1"]

    assert len({mean.key(one, scale=scale, calls=calls) for scale in scales}) == 5
    assert mean(one, scale=2.0, calls=calls)["mean"] == 5.0
    assert mean(one, scale=3.0, calls=calls)["mean"] == 7.5


def test_ignored_params_are_in_no_key_and_reach_the_function(
    checkpoint: Path, calls: Calls
) -> None:
    mean(Checkpoint(checkpoint), calls=calls)
    others: Calls = ["other"]
    mean(Checkpoint(checkpoint), calls=others)

    assert calls == [1.0] and others == ["other"]


def test_a_param_without_canonical_form_is_refused_by_name(
    checkpoint: Path, calls: Calls
) -> None:
    with pytest.raises(UnencodableParam, match="'scale'.*ignore="):
        mean(Checkpoint(checkpoint), scale=object(), calls=calls)  # type: ignore[arg-type]
    assert calls == []


def test_wrong_arguments_are_refused_as_the_function_itself_would(
    checkpoint: Path,
) -> None:
    with pytest.raises(TypeError, match="nonsense"):
        doubled(Checkpoint(checkpoint), nonsense=1)  # type: ignore[call-arg]


def test_one_array_stays_one_array_and_a_mapping_a_mapping(checkpoint: Path) -> None:
    @analysis
    def mapping(checkpoint: Checkpoint) -> Any:
        return {"value": checkpoint["w"]}

    for _ in range(2):
        assert isinstance(doubled(Checkpoint(checkpoint)), np.ndarray)
        assert list(mapping(Checkpoint(checkpoint))) == ["value"]


def test_tensors_and_numbers_become_arrays_on_hit_and_miss_alike(
    checkpoint: Path,
) -> None:
    @analysis
    def various(checkpoint: Checkpoint) -> Any:
        return {
            "tensor": torch.ones(2, requires_grad=True) * 3,
            "conjugate": torch.tensor([1 + 2j]).conj(),
            "number": 7,
            "flag": True,
            "list": [1.0, 2.0],
            "none_of_it": np.zeros((0, 3)),
        }

    miss, hit = (various(Checkpoint(checkpoint)) for _ in range(2))

    for found in (miss, hit):
        assert all(type(one) is np.ndarray for one in found.values())
        assert found["tensor"].tolist() == [3.0, 3.0]
        assert found["conjugate"].tolist() == [1 - 2j]
        assert found["number"].dtype == np.int64 and found["number"] == 7
        assert found["flag"].dtype == np.bool_ and found["flag"].shape == ()
        assert found["none_of_it"].shape == (0, 3)


@pytest.mark.parametrize(
    "result",
    [None, "text", {}, {1: np.ones(2)}, {"a": {}}, (np.ones(2), np.ones(2)), [[1], []]],
    ids=str,
)
def test_what_is_no_array_is_refused_and_stored_nowhere(
    checkpoint: Path, result: Any
) -> None:
    @analysis(ignore=("given",))
    def bad(checkpoint: Checkpoint, given: Any) -> Any:
        return given

    with pytest.raises(BadResult, match="bad"):
        bad(Checkpoint(checkpoint), result)
    assert bad.find(Checkpoint(checkpoint), result) is None


def test_a_masked_array_is_refused_and_not_unmasked(checkpoint: Path) -> None:
    @analysis
    def masked(checkpoint: Checkpoint) -> Any:
        return np.ma.masked_array([1.0, 2.0], mask=[True, False])

    with pytest.raises(errors.UnstorableArray, match="masked"):
        masked(Checkpoint(checkpoint))


def test_analyses_that_call_one_another_share_what_they_have_in_common(
    checkpoint: Path, calls: Calls
) -> None:
    assert total(Checkpoint(checkpoint), calls=calls) == 15.0
    mean(Checkpoint(checkpoint), calls=calls)
    total(Checkpoint(checkpoint), calls=calls)

    assert len(calls) == 1


def test_the_plain_function_stores_nothing(checkpoint: Path, tmp_path: Path) -> None:
    plain = doubled.__wrapped__

    assert plain(Checkpoint(checkpoint)).tolist() == [[0, 2, 4], [6, 8, 10]]
    assert not (tmp_path / "run" / "artifacts").exists()
    assert doubled.__name__ == "doubled" and inspect.signature(doubled).parameters


# The other verbs


def test_find_never_computes(checkpoint: Path, calls: Calls) -> None:
    assert mean.find(Checkpoint(checkpoint), calls=calls) is None
    assert calls == []
    mean(Checkpoint(checkpoint), calls=calls)
    found = mean.find(Checkpoint(checkpoint), calls=calls)
    assert found is not None and found["mean"][...] == 2.5


def test_artifact_is_a_lazy_handle_computed_if_missing(
    checkpoint: Path, calls: Calls
) -> None:
    made = mean.artifact(Checkpoint(checkpoint), calls=calls)
    found = mean.artifact(Checkpoint(checkpoint), calls=calls)

    assert isinstance(made, Artifact) and len(calls) == 1
    assert made.key == found.key == mean.key(Checkpoint(checkpoint), calls=calls)


def test_recompute_computes_always_and_says_whether_it_changed(
    checkpoint: Path, calls: Calls
) -> None:
    first = mean.recompute(Checkpoint(checkpoint), calls=calls)
    second = mean.recompute(Checkpoint(checkpoint), calls=calls)

    assert len(calls) == 2
    assert first.previous is None and not first.changed
    assert second.previous is not None and not second.changed


def test_recompute_keeps_what_an_impure_function_gives_now(checkpoint: Path) -> None:
    @analysis(ignore=("now",))
    def impure(checkpoint: Checkpoint, now: float) -> Any:
        return np.array(now)

    impure(Checkpoint(checkpoint), 1.0)
    again = impure.recompute(Checkpoint(checkpoint), 2.0)

    assert again.changed and impure(Checkpoint(checkpoint), 3.0) == 2.0


def test_key_and_explain_compute_nothing(checkpoint: Path, calls: Calls) -> None:
    key = mean.key(Checkpoint(checkpoint), calls=calls)
    explanation = mean.explain(Checkpoint(checkpoint), calls=calls)

    assert calls == [] and key.analysis == "mean"
    assert explanation.key == key.digest.hex and not explanation.hit


# Labels


def hidden(checkpoint: Checkpoint) -> AnonymousCheckpoint:
    return AnonymousCheckpoint(checkpoint, Recorder(is_strict=True), "0")


@pytest.mark.parametrize("label", ["path", "epoch", "label"])
def test_a_label_cannot_be_read_inside_an_analysis(
    checkpoint: Path, label: str
) -> None:
    @analysis
    def reads_path(checkpoint: Checkpoint) -> Any:
        return len(str(checkpoint.path))

    with pytest.raises(LabelRead, match=r"checkpoint\.path"):
        reads_path(Checkpoint(checkpoint))
    with pytest.raises(LabelRead, match=label):
        hidden(Checkpoint(checkpoint)).__getattribute__(label)


def test_a_checkpoint_inside_an_analysis_still_leads_nested_calls_to_its_store(
    checkpoint: Path, calls: Calls, tmp_path: Path
) -> None:
    total(Checkpoint(checkpoint), calls=calls)

    doors = sorted(path.name for path in (tmp_path / "run/artifacts/mean").iterdir())
    assert doors == ["checkpoint_epoch_00500"]


@pytest.mark.parametrize("wrap", [list, tuple, lambda ones: dict(zip("ab", ones))])
def test_checkpoints_within_an_argument_are_anonymous_too(
    checkpoint: Path, wrap: Callable[[Any], Any]
) -> None:
    @analysis
    def labels(inputs: Any) -> Any:
        one = next(iter(inputs.values())) if isinstance(inputs, dict) else inputs[0]
        return one.epoch

    with pytest.raises(LabelRead):
        labels(wrap([Checkpoint(checkpoint), Checkpoint(checkpoint)]))


# Identity of inputs


def test_one_function_serves_two_runs_with_two_stores_in_one_process(
    run_directory: RunDirectory, write_checkpoint: WriteCheckpoint, calls: Calls
) -> None:
    one = write_checkpoint("one/checkpoints/checkpoint_epoch_00001.safetensors")
    two = write_checkpoint("two/checkpoints/checkpoint_epoch_00001.safetensors")

    for path in (one, two, one, two):
        assert mean(Checkpoint(path), calls=calls)["mean"] == 2.5
        artifact = mean.artifact(Checkpoint(path), calls=calls)
        assert artifact.path.is_relative_to(path.parents[1])
    # Each run keeps its own, so that either may be moved or deleted.
    assert len(calls) == 2


def test_a_copied_run_whose_checkpoints_were_renamed_hits(
    run_directory: RunDirectory, tmp_path: Path, calls: Calls
) -> None:
    run = run_directory()
    for one in Run(run).values():
        mean(one, calls=calls)
    shutil.copytree(run, tmp_path / "elsewhere", symlinks=True)
    shutil.rmtree(run)
    for path in (tmp_path / "elsewhere/checkpoints").iterdir():
        path.rename(path.with_name(path.name.replace("checkpoint_epoch", "step")))
    calls.clear()

    moved = Run(tmp_path / "elsewhere", "checkpoints/step_{epoch:05d}.safetensors")
    assert [mean(one, calls=calls)["mean"] for one in moved.values()] == [0, 500, 1000]
    assert calls == []


def test_a_replaced_checkpoint_of_the_same_name_misses(
    write_checkpoint: WriteCheckpoint, calls: Calls
) -> None:
    path = write_checkpoint()
    mean(Checkpoint(path), calls=calls)
    write_checkpoint(w=np.ones((2, 3), np.float32))

    assert mean(path, calls=calls)["mean"] == 1.0  # type: ignore[arg-type]
    assert len(calls) == 2


def test_a_touched_checkpoint_hits(checkpoint: Path, calls: Calls) -> None:
    mean(Checkpoint(checkpoint), calls=calls)
    os.utime(checkpoint, (1, 1))
    mean(Checkpoint(checkpoint), calls=calls)

    assert len(calls) == 1


def test_equal_tensors_in_another_file_of_the_run_hit(
    write_checkpoint: WriteCheckpoint, calls: Calls
) -> None:
    first = write_checkpoint("run/checkpoints/checkpoint_epoch_00001.safetensors")
    second = write_checkpoint("run/checkpoints/checkpoint_epoch_00002.safetensors")
    mean(Checkpoint(first), calls=calls)
    mean(Checkpoint(second), calls=calls)

    assert len(calls) == 1


def test_a_dtype_or_a_shape_or_a_name_makes_other_tensors(
    write_checkpoint: WriteCheckpoint,
) -> None:
    w = np.arange(6, dtype=np.float32)
    written: list[dict[str, Any]] = [
        {"w": w},
        {"w": w.view(np.int32)},
        {"w": w.reshape(2, 3)},
        {"v": w},
        {"w": w, "v": w},
    ]
    keys = {
        doubled.key(Checkpoint(write_checkpoint(f"run/{number}.safetensors", **one)))
        for number, one in enumerate(written)
    }

    assert len(keys) == len(written)


def test_order_matters_in_sequences_and_names_in_dicts(
    run_directory: RunDirectory, calls: Calls
) -> None:
    a, b, _ = Run(run_directory()).values()

    assert of_all([a, b], calls=calls)[:, 0, 0].tolist() == [0, 500]
    assert of_all([b, a], calls=calls)[:, 0, 0].tolist() == [500, 0]
    assert of_all((a, b), calls=calls).shape == (2, 2, 3)
    assert of_all({"x": a, "y": b}, calls=calls).shape == (2, 2, 3)
    assert of_all({"x": b, "y": a}, calls=calls)[0, 0, 0] == 500
    assert len(calls) == 5
    of_all([a, b], calls=calls), of_all({"x": a, "y": b}, calls=calls)
    assert len(calls) == 5


def test_every_input_of_a_call_decides_its_door(
    run_directory: RunDirectory, calls: Calls
) -> None:
    run = run_directory()
    a, b, c = Run(run).values()
    for inputs in ([a, b], [a, c]):
        of_all(inputs, calls=calls)

    assert len(list((run / "artifacts/of_all").iterdir())) == 2


def test_a_run_is_an_input(run_directory: RunDirectory, calls: Calls) -> None:
    @analysis(ignore=("calls",))
    def last(run: Run, calls: Calls) -> Any:
        calls.append(1)
        return run[run.epochs[-1]]["w"]

    path = run_directory()
    assert last(str(path), calls)[0, 0] == 1000  # type: ignore[arg-type]
    last(Run(path), calls)
    assert len(calls) == 1
    run_directory(epochs=[2000])
    assert last(Run(path), calls)[0, 0] == 2000 and len(calls) == 2
    assert (path / "artifacts" / "last").is_dir()


def test_a_part_of_a_run_leaves_the_door_of_the_whole_where_it_leads(
    run_directory: RunDirectory,
) -> None:
    @analysis
    def number(run: Run) -> Any:
        return float(len(run))

    run = Run(run_directory())
    number(run)
    door = run.path / "artifacts/number/run"
    before = door.resolve()
    number(run.until(500))

    assert door.resolve() == before
    assert doors(run.path, "number") == ["run", "run_until_00500"]


def test_a_file_is_an_input_by_its_bytes(tmp_path: Path, calls: Calls) -> None:
    @analysis(ignore=("calls",))
    def size(file: File, calls: Calls) -> Any:
        calls.append(1)
        return len(file.read_bytes())

    path = tmp_path / "words.txt"
    path.write_text("four")
    assert size(str(path), calls) == size(File(path), calls) == 4  # type: ignore[arg-type]
    assert len(calls) == 1
    path.write_text("seven77")
    assert size(File(path), calls) == 7


def test_an_artifact_is_an_input_by_what_it_holds(
    checkpoint: Path, calls: Calls
) -> None:
    @analysis(ignore=("calls",))
    def norm(artifact: Artifact, calls: Calls) -> Any:
        calls.append(1)
        return np.linalg.norm(np.asarray(artifact))

    @analysis
    def doubled_otherwise(checkpoint: Checkpoint) -> Any:
        return checkpoint["w"] + checkpoint["w"]

    for made in (doubled, doubled_otherwise):
        artifact = made.artifact(Checkpoint(checkpoint))
        assert norm(artifact, calls) == pytest.approx(2 * 55**0.5)
    assert len(calls) == 1
    assert norm.artifact(artifact, calls).path.is_relative_to(checkpoint.parents[1])


# Where the store is


def test_without_an_input_or_a_declared_store_the_call_says_so(calls: Calls) -> None:
    @analysis(ignore=("calls",))
    def constant(calls: Calls) -> Any:
        calls.append(1)
        return 1.0

    with pytest.raises(NoStore, match="ARTIFACT_STORE"):
        constant(calls)
    assert calls == []


def test_the_environment_names_a_store_for_all_calls(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARTIFACT_STORE", str(tmp_path / "common"))

    artifact = doubled.artifact(Checkpoint(checkpoint))
    assert artifact.path.is_relative_to(tmp_path / "common")
    assert not (tmp_path / "run/artifacts").exists()
    # Epochs of all runs meet there, so a door also names the run.
    assert (tmp_path / "common/doubled/run_checkpoint_epoch_00500").exists()


def test_a_declared_store_goes_before_the_environment(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @analysis(store=str(tmp_path / "mine"))
    def constant() -> Any:
        return 1.0

    monkeypatch.setenv("ARTIFACT_STORE", str(tmp_path / "common"))

    assert constant() == 1.0
    assert constant.artifact().path.is_relative_to(tmp_path / "mine")


def test_the_store_of_a_loose_checkpoint_is_beside_it_and_not_where_one_works(
    write_checkpoint: WriteCheckpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_checkpoint("loose/model.safetensors")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    artifact = doubled.artifact("../loose/model.safetensors")  # type: ignore[arg-type]

    assert artifact.path.is_relative_to(path.parent / "artifacts")
    assert list((tmp_path / "work").iterdir()) == []


# Doors


def doors(run: Path, name: str) -> list[str]:
    return sorted(path.name for path in (run / "artifacts" / name).iterdir())


def test_params_that_are_not_at_their_default_are_in_the_name_of_the_door(
    checkpoint: Path, calls: Calls
) -> None:
    for scale in (1.0, 0.5, 1e-09, -3.0):
        mean(Checkpoint(checkpoint), scale=scale, calls=calls)

    assert doors(checkpoint.parents[1], "mean") == [
        "checkpoint_epoch_00500",
        "checkpoint_epoch_00500,scale=-3.0",
        "checkpoint_epoch_00500,scale=0.5",
        "checkpoint_epoch_00500,scale=1e-09",
    ]


def test_calls_with_odd_params_have_doors_of_their_own(checkpoint: Path) -> None:
    @analysis
    def odd(checkpoint: Checkpoint, text: Any) -> Any:
        return len(str(text))

    texts: list[Any] = [
        "a b",
        "a-b",
        "a/b",
        "../../up",
        "x" * 300,
        "x" * 301,
        "",
        ".",
        "ü",
        "\0",
    ]
    long = np.arange(2000)
    texts += [1, "1", True, "True", long, long + (long == 999)]
    for text in texts:
        odd(Checkpoint(checkpoint), text)
    names = doors(checkpoint.parents[1], "odd")

    assert len(names) == len(texts)
    assert all(len(name.encode()) <= 255 and "/" not in name for name in names)
    assert not (checkpoint.parents[1] / "artifacts/up").exists()


# What can be decorated


def test_methods_are_refused() -> None:
    with pytest.raises(BadDeclaration, match="method"):

        class One:
            @analysis
            def method(self, checkpoint: Checkpoint) -> Any: ...

    with pytest.raises(RuntimeError) as caught:

        class Two:
            @analysis
            def method(checkpoint: Checkpoint) -> Any: ...  # noqa: N805

    assert isinstance(caught.value.__cause__, MethodRefused)
    with pytest.raises(BadDeclaration, match="method"):
        analysis(doubled.key)


def test_generators_and_coroutines_are_refused() -> None:
    def generator(checkpoint: Checkpoint) -> Iterator[int]:
        yield 1

    async def coroutine(checkpoint: Checkpoint) -> int:
        return 1

    async def both(checkpoint: Checkpoint) -> Any:
        yield 1

    functions: list[Any] = [generator, coroutine, both, partial(generator)]
    for function in functions:
        with pytest.raises(BadDeclaration, match="generator|asynchronous"):
            analysis(function)


def scaled(checkpoint: Checkpoint, factor: float, shift: float = 0.0) -> Any:
    return checkpoint["w"] * factor + shift


def test_partials_closures_and_named_lambdas_are_analyses_like_any_other(
    checkpoint: Path,
) -> None:
    def scale_by(factor: float) -> Analysis[[Checkpoint], Any]:
        @analysis
        def closure(checkpoint: Checkpoint) -> Any:
            return checkpoint["w"] * factor

        return closure

    one = Checkpoint(checkpoint)
    two, three = scale_by(2.0), scale_by(3.0)
    by_partial = analysis(partial(scaled, factor=4.0))
    by_lambda = analysis(lambda checkpoint: checkpoint["w"] * 5.0, name="five")

    for _ in range(2):
        assert two(one)[0, 1] == 2.0 and three(one)[0, 1] == 3.0
        assert by_partial(one)[0, 1] == 4.0 and by_lambda(one)[0, 1] == 5.0
        assert by_partial(one, shift=1.0)[0, 1] == 5.0
    assert two.key(one) != three.key(one) and two.key(one) == scale_by(2.0).key(one)
    assert (by_partial.__name__, by_lambda.__name__) == ("scaled", "five")


def test_what_is_bound_in_a_partial_is_part_of_the_key(checkpoint: Path) -> None:
    one = Checkpoint(checkpoint)
    keys = {analysis(partial(scaled, factor=f)).key(one) for f in (1.0, 2.0, 1)}

    assert len(keys) == 3


def test_a_lambda_without_a_name_is_refused() -> None:
    with pytest.raises(BadDeclaration, match="identifier"):
        analysis(lambda checkpoint: checkpoint["w"])


# What the decorator declares


def test_the_version_of_a_counted_package_is_in_the_key(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decorate = analysis(versions=("numpy",), name="doubled")
    one = Checkpoint(checkpoint)
    before = decorate(doubled.__wrapped__).key(one)
    uncounted = analysis(doubled.__wrapped__).key(one)
    monkeypatch.setattr("artifact_store.declarations.version_of", lambda name: "99")

    assert decorate(doubled.__wrapped__).key(one) != before
    assert analysis(doubled.__wrapped__).key(one) == uncounted


def test_dims_and_coordinates_reach_xarray(checkpoint: Path) -> None:
    import xarray

    @analysis(dims={"power": ("frequency", "neuron")}, codec="zstd")
    def spectrum(checkpoint: Checkpoint) -> Any:
        return {"power": checkpoint["w"], "frequency": np.array([10, 20])}

    artifact = spectrum.artifact(Checkpoint(checkpoint))
    door = checkpoint.parents[1] / "artifacts/spectrum/checkpoint_epoch_00500"

    for found in (artifact.to_xarray(), xarray.open_zarr(door, zarr_format=3)):
        assert found["power"].sel(frequency=20).values.tolist() == [3.0, 4.0, 5.0]
        assert found["power"].dims == ("frequency", "neuron")


def test_the_codec_and_durability_change_no_key(checkpoint: Path) -> None:
    one = Checkpoint(checkpoint)
    otherwise = analysis(name="doubled", codec="zstd", durable=True)

    assert otherwise(doubled.__wrapped__).key(one) == doubled.key(one)


# Failures


def test_an_error_of_the_function_propagates_and_leaves_nothing_behind(
    checkpoint: Path, calls: Calls
) -> None:
    @analysis(ignore=("fails",))
    def sometimes(checkpoint: Checkpoint, fails: bool) -> Any:
        if fails:
            raise ZeroDivisionError("mine")
        return 1.0

    one = Checkpoint(checkpoint)
    hidden = checkpoint.parents[1] / "artifacts/.store"

    with pytest.raises(ZeroDivisionError, match="mine"):
        sometimes(one, True)
    assert sometimes.find(one, False) is None
    assert list(hidden.glob("staging/*/*")) == []
    with pytest.raises(ZeroDivisionError):
        sometimes.recompute(one, True)
    assert sometimes(one, False) == 1.0  # the lease is free


def fail_at(monkeypatch: pytest.MonkeyPatch, name: str, code: int, when: int) -> None:
    """Let the function `name` of `os` fail from the call number `when` on, below `artifacts`."""
    real, count = getattr(os, name), 0

    def failing(*args: Any, **kwargs: Any) -> Any:
        nonlocal count
        count += 1
        if count > when:
            raise OSError(code, os.strerror(code))
        return real(*args, **kwargs)

    monkeypatch.setattr(os, name, failing)


@pytest.mark.parametrize("name", ["write", "rename", "mkdir"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_result_that_cannot_be_kept_is_returned_with_a_warning_wherever_it_fails(
    write_checkpoint: WriteCheckpoint,
    calls: Calls,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    code: int,
) -> None:
    one = Checkpoint(write_checkpoint())
    root = one.path.parents[1] / "artifacts"
    messages = []
    for when in range(60):
        shutil.rmtree(root, ignore_errors=True)
        with monkeypatch.context() as patch, warnings.catch_warnings(
            record=True
        ) as warned:
            warnings.simplefilter("always")
            fail_at(patch, name, code, when)
            result = mean(one, calls=calls)
        assert result["mean"] == 2.5 and result["w"].tolist()[1] == [3.0, 4.0, 5.0]
        assert not result["w"].flags.writeable
        assert list(root.glob(".store/staging/*/*")) == []
        # Either nothing is there, or all of it.
        found = mean.find(one, calls=calls)
        assert (found is None) == bool(warned)
        assert mean(one, calls=calls)["mean"] == 2.5
        messages += [str(one.message) for one in warned]
        if not warned:
            break

    # It failed at several places, and at last nowhere.
    assert len(messages) == when > 1
    assert all(os.strerror(code) in message for message in messages)


def test_artifact_raises_with_the_result_where_it_cannot_be_kept(
    checkpoint: Path, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_at(monkeypatch, "write", errno.ENOSPC, 0)
    with pytest.raises(StoreFailed, match="No space left") as caught:
        mean.artifact(Checkpoint(checkpoint), calls=calls)

    result: Any = caught.value.result
    assert result["mean"] == 2.5 and isinstance(caught.value, OSError)
    with pytest.raises(StoreFailed):
        mean.recompute(Checkpoint(checkpoint), calls=calls)


def corrupt(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[0] ^= 1
    path.write_bytes(content)
    os.utime(path, (1, 1))


def test_corrupt_data_are_never_returned_but_set_aside_and_computed_again(
    checkpoint: Path, calls: Calls, seen: list[Event]
) -> None:
    artifact = mean.artifact(Checkpoint(checkpoint), calls=calls)
    corrupt(artifact.path / "w" / "c.0.0")

    assert mean.find(Checkpoint(checkpoint), calls=calls) is None
    assert mean(Checkpoint(checkpoint), calls=calls)["w"][0, 0] == 0.0
    assert kinds(seen) == ["Miss", "Published", "SetAside", "Miss", "Published"]
    assert len(calls) == 2
    mean(Checkpoint(checkpoint), calls=calls)
    assert len(calls) == 2


def test_corruption_in_a_store_that_cannot_be_written_is_no_failure_either(
    checkpoint: Path, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifact = mean.artifact(Checkpoint(checkpoint), calls=calls)
    corrupt(artifact.path / "w" / "c.0.0")
    for name in ("mkdir", "rename", "unlink"):
        fail_at(monkeypatch, name, errno.EROFS, 0)

    with pytest.warns(NotStored):
        assert mean(Checkpoint(checkpoint), calls=calls)["w"][0, 0] == 0.0


def test_what_only_decoding_brings_to_light_is_set_aside_and_computed_again(
    checkpoint: Path, seen: list[Event], calls: Calls
) -> None:
    @analysis(codec="zstd", ignore=("calls",))
    def packed(checkpoint: Checkpoint, calls: Calls) -> Any:
        calls.append(1)
        return np.arange(3000.0)

    path = packed.artifact(Checkpoint(checkpoint), calls).path / "value/c.0"
    status = path.stat()
    corrupt(path)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    assert packed(Checkpoint(checkpoint), calls)[-1] == 2999.0
    assert packed(Checkpoint(checkpoint), calls)[-1] == 2999.0
    assert len(calls) == 2 and kinds(seen).count("SetAside") == 1


def test_an_artifact_that_is_evicted_between_find_and_read_is_computed_again(
    checkpoint: Path, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrays, "_at_hand", Recent(0))
    call = mean.call(Checkpoint(checkpoint), calls=calls)
    mean(Checkpoint(checkpoint), calls=calls)
    numpy = Artifact.numpy

    def evicted(artifact: Artifact) -> Any:
        monkeypatch.setattr(Artifact, "numpy", numpy)
        call.store.remove([call.key])
        return numpy(artifact)

    monkeypatch.setattr(Artifact, "numpy", evicted)
    assert mean(Checkpoint(checkpoint), calls=calls)["mean"] == 2.5
    assert len(calls) == 2


def test_a_corrupt_artifact_that_the_function_itself_meets_is_its_own_affair(
    checkpoint: Path, calls: Calls
) -> None:
    @analysis(ignore=("calls",))
    def meets(checkpoint: Checkpoint, calls: Calls) -> Any:
        calls.append(1)
        raise CorruptArtifact("its", "own")

    with pytest.raises(CorruptArtifact, match="its"):
        meets(Checkpoint(checkpoint), calls)
    assert len(calls) == 1


# Several at once, other processes


def test_sixteen_threads_with_one_cold_key_run_the_function_once(
    checkpoint: Path, calls: Calls
) -> None:
    start, results = threading.Barrier(16), list[Any]()

    def call() -> None:
        start.wait(10)
        results.append(mean(Checkpoint(checkpoint), calls=calls)["mean"])

    threads = [threading.Thread(target=call) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert results == [2.5] * 16 and len(calls) == 1


def test_an_analysis_of_a_module_survives_pickling_as_itself() -> None:
    assert pickle.loads(pickle.dumps(mean)) is mean
    assert cloudpickle.loads(cloudpickle.dumps(mean)) is mean


def test_analyses_that_no_import_finds_travel_by_value_and_keep_their_key(
    checkpoint: Path,
) -> None:
    factor = 3.0

    @analysis(dims={"w": ("a", "b")})
    def local(checkpoint: Checkpoint) -> Any:
        return {"w": checkpoint["w"] * factor}

    by_partial = analysis(partial(scaled, factor=4.0), name="four")
    one = Checkpoint(checkpoint)
    made: list[Any] = [local, by_partial]
    for there in made:
        again = cloudpickle.loads(cloudpickle.dumps(there))
        assert again.key(one) == there.key(one)
        assert again.declaration == there.declaration
    assert pickle.loads(pickle.dumps(by_partial)).key(one) == by_partial.key(one)


EXAMPLES: dict[str, tuple[Any, ...]] = {
    "BadDims": ("w", ("a",), "why"),
    "DimLengthsDiffer": ("a", {"x": 1, "y": 2}),
    "DuplicateEpoch": (1, Path("a"), Path("b")),
    "MissingEpoch": (Path("a"), 1, (0, 2)),
    "MissingArtifacts": ("f", "run", (1, 2), 3),
    "ShapesDiffer": ("f", "w", 1, (1,), (2,)),
    "CoordinatesDiffer": ("f", "w", 1),
    "AmbiguousArray": ("f", ("a", "b")),
    "MissingArray": ("f", "a", ("b",)),
    "PipelineFailed": ("run", (("f", 1, "why"), ("g", None, "why")), "outcome"),
    "NoRoomForBlocks": ("x", 10, "No space"),
    "StoreFailed": ("f(x)", "/store", "No space", {"w": [1, 2]}),
    "MissingTensor": (Path("a"), "w", ("v",)),
    "NoCheckpoints": (Path("a"), "pattern", ("x",)),
    "NotATorchDtype": (Path("a"), "w", "F4", (3,)),
    "NothingToDraw": ("view of run", "/run", (("f", "stale", ("why", "why")),)),
}


def every_error() -> list[type[ArtifactStoreError]]:
    kinds, found = ArtifactStoreError.__subclasses__(), []
    while kinds:
        kind = kinds.pop()
        kinds += kind.__subclasses__()
        found.append(kind)
    return [one for one in found if one.__module__ == errors.__name__]


@pytest.mark.parametrize("kind", every_error(), ids=lambda kind: kind.__name__)
def test_every_error_survives_the_trip_from_a_worker(
    kind: type[ArtifactStoreError],
) -> None:
    parameters = inspect.signature(kind).parameters.values()
    plain = tuple(
        f"<{one.name}>"
        for one in parameters
        if one.kind is one.POSITIONAL_OR_KEYWORD and one.default is one.empty
    )
    error = kind(*EXAMPLES.get(kind.__name__, plain))
    again = pickle.loads(pickle.dumps(error))

    assert type(again) is kind and vars(again) == vars(error)
    assert str(again) == str(error) and str(error)


# Code


def test_an_edited_helper_misses_and_editing_it_back_hits(
    write_module: WriteModule, checkpoint: Path, seen: list[Event]
) -> None:
    body = (
        "from artifact_store import analysis, Checkpoint\n"
        "def helper(w):\n    return w {} 2\n"
        "@analysis\ndef f(checkpoint: Checkpoint):\n    return helper(checkpoint['w'])\n"
    )
    for operator in ("*", "+", "*"):
        f = write_module("helped", body.format(operator)).f
        assert f(checkpoint)[0, 1] == {"*": 2.0, "+": 3.0}[operator]

    assert kinds(seen) == ["Miss", "Published", "Miss", "Published", "Hit"]


def test_an_unknown_format_is_told_and_not_overwritten(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    doubled(Checkpoint(checkpoint))
    monkeypatch.setattr("artifact_store.manifests.MANIFEST_FORMAT", 0)

    with pytest.raises(UnknownFormat):
        doubled(Checkpoint(checkpoint))


def test_events_tell_what_happened_and_to_which_key(
    checkpoint: Path, calls: Calls, seen: list[Event]
) -> None:
    mean(Checkpoint(checkpoint), calls=calls)
    mean(Checkpoint(checkpoint), calls=calls)
    key = mean.key(Checkpoint(checkpoint), calls=calls)
    miss, published, hit = seen

    assert (miss, hit) == (Miss(key), Hit(key))
    assert isinstance(published, Published) and not isinstance(published, SetAside)
    assert published.key == key and published.nbytes > 0 and published.seconds >= 0


@analysis
def below_in_no_context(checkpoint: Checkpoint) -> Any:
    return checkpoint["w"] * 2


@analysis(strict=False)
def above_no_context(checkpoint: Checkpoint) -> Any:
    found = contextvars.Context().run(below_in_no_context, checkpoint)
    return found.sum()


def test_a_call_inside_another_may_know_nothing_of_it(checkpoint: Path) -> None:
    # As in a greenlet, or an event loop that is entered again.
    assert above_no_context(Checkpoint(checkpoint)) == 30
    assert above_no_context.find(Checkpoint(checkpoint)) is not None
    assert below_in_no_context.find(Checkpoint(checkpoint)) is not None
