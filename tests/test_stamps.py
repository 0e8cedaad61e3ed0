from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from conftest import RunDirectory, WriteModule

from artifact_store import Checkpoint, Run, analysis
from artifact_store.errors import BadStamp, UnknownFormat
from artifact_store.pictures import record_in, with_record
from artifact_store.stamps import Stamp, read_stamp, stamp_of, stamped
from artifact_store.stores.locate import store_at

BODY = """
from artifact_store import Checkpoint, Run, analysis


def halved(values):
    return values / 2


@analysis
def half(checkpoint: Checkpoint):
    return halved(checkpoint["w"])


@analysis
def total(checkpoint: Checkpoint, *, times: int = 1):
    return half(checkpoint).sum() * times


@analysis
def totals(run: Run):
    return [total(one) for one in run.values()]
"""
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><rect/></svg>'


@pytest.fixture
def probe(write_module: WriteModule) -> Any:
    return write_module("probe", BODY)


@pytest.fixture
def run(run_directory: RunDirectory) -> Run:
    return Run(run_directory())


@pytest.fixture
def stamp(probe: Any, run: Run) -> Stamp:
    drawn = [probe.total.artifact(run[500], times=3)]
    return stamp_of("totals", {"threshold": "0.75"}, run.name, 500, drawn)


def test_a_stamp_names_code_checkpoint_and_params(
    stamp: Stamp, probe: Any, run: Run
) -> None:
    (one,) = stamp.artifacts

    assert one.key == probe.total.key(run[500], times=3).digest.hex
    assert str(one) == "total(checkpoint_epoch_00500, times=3)"
    assert one.inputs[0].digest == run[500].identify(store_at(run.path)).hex
    (member,) = stamp.code[one.closure]
    assert (member.name, member.file, member.line) == ("probe.total", "probe.py", 14)


def test_a_stamp_names_what_was_computed_from_what(stamp: Stamp) -> None:
    (half,) = stamp.below

    assert str(half) == "half(checkpoint_epoch_00500)"
    names = [one.name for one in stamp.code[half.closure]]
    assert names == ["probe.half", "probe.halved"]


def test_below_a_fold_over_a_run_are_the_artifacts_of_all_its_epochs(
    probe: Any, run: Run
) -> None:
    stamp = stamp_of("fold", {}, run.name, None, [probe.totals.artifact(run)])

    assert [one.analysis for one in stamp.below].count("total") == 3
    assert [one.analysis for one in stamp.below].count("half") == 3


def test_what_is_drawn_itself_is_not_told_twice(probe: Any, run: Run) -> None:
    drawn = [probe.total.artifact(run[0]), probe.half.artifact(run[0])]

    stamp = stamp_of("both", {}, run.name, 0, [*drawn, *drawn])

    assert [one.analysis for one in stamp.artifacts] == ["total", "half"]
    assert stamp.below == ()


def test_equal_artifacts_give_equal_stamps_that_hold_no_place_on_the_disk(
    stamp: Stamp, probe: Any, run: Run, tmp_path: Path
) -> None:
    drawn = [probe.total.artifact(run[500], times=3)]
    again = stamp_of("totals", {"threshold": "0.75"}, run.name, 500, drawn)
    content = stamped(SVG, "svg", again)

    assert content == stamped(SVG, "svg", stamp)
    assert str(tmp_path).encode() not in content and b"/tmp" not in content


def test_code_that_is_no_longer_recorded_is_left_out(probe: Any, run: Run) -> None:
    artifact = probe.half.artifact(run[0])
    for record in (run.path / "artifacts" / ".store").rglob("closures/**/*.json"):
        record.unlink()

    stamp = stamp_of("half", {}, run.name, 0, [artifact])

    assert stamp.code == {artifact.provenance.closure: ()}


def test_a_stamp_is_read_as_it_was_made(stamp: Stamp) -> None:
    content = stamped(SVG, "svg", stamp)

    assert read_stamp(content, "x") == stamp
    assert b"<title>totals of run, epoch 500</title>" in content
    assert b"<desc>Drawn from total with threshold = 0.75. " in content


def test_names_that_are_no_text_are_written_out(stamp: Stamp) -> None:
    odd = msgspec.structs.replace(stamp, run="a\udcff\x1b<b>", params={"é": "ü"})

    found = read_stamp(stamped(SVG, "svg", odd), "x")

    assert found.run == "a\\udcff\x1b<b>" and found.params == {"é": "ü"}


def changed(stamp: Stamp, **fields: Any) -> bytes:
    record = json.loads(record_in(stamped(SVG, "svg", stamp), "x")) | fields
    return with_record(SVG, "svg", json.dumps(record).encode(), "title", "words")


@pytest.mark.parametrize(
    "fields",
    [{"artifacts": [{}]}, {"run": 5}, {"code": {"..": []}}, {"epoch": "x" * 9}],
    ids=lambda fields: next(iter(fields)),
)
def test_a_stamp_that_nobody_wrote_is_named(stamp: Stamp, fields: Any) -> None:
    with pytest.raises(BadStamp, match="fig.svg has a stamp that cannot be read"):
        read_stamp(changed(stamp, **fields), "fig.svg")


def test_deep_nesting_is_no_crash() -> None:
    with pytest.raises(BadStamp, match="cannot be read"):
        read_stamp(with_record(SVG, "svg", b"[" * 100_000, "title", "words"), "x")


def test_a_stamp_of_a_newer_release_is_named(stamp: Stamp) -> None:
    with pytest.raises(UnknownFormat, match="newer artifact-store"):
        read_stamp(changed(stamp, format=2), "fig.svg")


def test_a_stamp_of_a_newer_release_may_have_any_form(stamp: Stamp) -> None:
    with pytest.raises(UnknownFormat, match="newer artifact-store"):
        read_stamp(changed(stamp, format=2, artifacts="elsewhere"), "fig.svg")


def test_of_equal_results_that_of_the_same_checkpoint_is_named(
    run_directory: RunDirectory,
) -> None:
    run = Run(run_directory())

    @analysis
    def shape(checkpoint: Checkpoint) -> Any:
        return np.array(checkpoint["w"].shape)

    @analysis
    def twice(checkpoint: Checkpoint) -> Any:
        return shape(checkpoint) * 2 + checkpoint["w"][0, 0]

    for epoch in run:
        twice(run[epoch])

    stamp = stamp_of("twice", {}, run.name, 500, [twice.artifact(run[500])])

    assert [str(one) for one in stamp.below] == ["shape(checkpoint_epoch_00500)"]
