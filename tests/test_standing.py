from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from conftest import RunDirectory, WriteCheckpoint, WriteModule

from artifact_store import Run
from artifact_store.manifests import ParamRecord
from artifact_store.stamps import StampedArtifact, stamp_of
from artifact_store.standing import Standing, standings

BODY = """
from artifact_store import Checkpoint, Run, analysis


def scaled(values):
    return values * 2


@analysis
def mean(checkpoint: Checkpoint, *, times: float = 1.0, of: str = "w"):
    return scaled(checkpoint[of]).mean() * times


@analysis
def upper(checkpoint: Checkpoint):
    return mean(checkpoint).round() > 1


@analysis
def along(run: Run):
    return [mean(one) for one in run.values()]
"""


@pytest.fixture
def probe(write_module: WriteModule) -> Any:
    return write_module("probe", BODY)


@pytest.fixture
def run(run_directory: RunDirectory, settled: None) -> Run:
    return Run(run_directory())


def drawn(artifact: Any) -> StampedArtifact:
    return stamp_of("view", {}, "run", None, [artifact]).artifacts[0]


def standing(one: StampedArtifact, run: Run, analysis: Any) -> Standing:
    (found,) = standings([one], run, {one.function: analysis})
    return found


def test_what_was_drawn_is_what_there_is(probe: Any, run: Run) -> None:
    one = drawn(probe.mean.artifact(run[500], times=2.5, of="v"))

    found = standing(one, run, probe.mean)

    assert (found.state, found.key, found.output) == ("same", one.key, one.output)


def test_another_way_to_the_same_output_is_the_same(
    probe: Any, run: Run, write_module: WriteModule
) -> None:
    one = drawn(probe.mean.artifact(run[500]))
    edited = write_module("probe", BODY.replace("values * 2", "values + values"))
    edited.mean(run[500])

    found = standing(one, run, edited.mean)

    assert found.state == "same" and found.key != one.key


def test_other_code_that_was_computed_since_is_shown_as_a_diff(
    probe: Any, run: Run, write_module: WriteModule
) -> None:
    one = drawn(probe.mean.artifact(run[500]))
    edited = write_module("probe", BODY.replace("values * 2", "values * 3"))
    edited.mean(run[500])

    found = standing(one, run, edited.mean)

    assert found.state == "other" and found.output != one.output
    (cause,) = found.causes
    assert cause.what.startswith("probe.scaled changed")
    assert "-    return values * 2\n+    return values * 3" in cause.detail


def test_code_that_was_edited_and_not_run_leaves_none_up_to_date(
    probe: Any, run: Run, write_module: WriteModule
) -> None:
    one = drawn(probe.mean.artifact(run[500]))
    edited = write_module("probe", BODY.replace("values * 2", "values * 3"))

    found = standing(one, run, edited.mean)

    assert (found.state, found.output) == ("none", "")
    assert found.causes[0].what.startswith("probe.scaled changed")


def test_another_checkpoint_in_its_place_is_named(
    probe: Any, run: Run, write_checkpoint: WriteCheckpoint
) -> None:
    one = drawn(probe.mean.artifact(run[500]))
    write_checkpoint(w=np.ones((2, 3)), v=np.ones(4))
    again = Run(run.path)
    probe.mean(again[500])

    found = standing(one, again, probe.mean)

    assert found.state == "other"
    assert [one.what for one in found.causes] == ["checkpoint_epoch_00500 holds something else"]  # fmt: skip


def test_an_analysis_below_that_gave_another_result_is_the_cause(
    probe: Any, run: Run, write_module: WriteModule
) -> None:
    one = drawn(probe.upper.artifact(run[0]))
    edited = write_module("probe", BODY.replace("values * 2", "values + 2"))
    edited.upper(run[0])

    found = standing(one, run, edited.upper)

    assert found.state == "other" and found.causes[0].kind == "upstream"


def test_a_fold_over_a_run_is_compared_with_that_of_the_run(
    probe: Any, run: Run
) -> None:
    assert standing(drawn(probe.along.artifact(run)), run, probe.along).state == "same"


def test_nothing_is_computed_and_nothing_imported(
    probe: Any, run: Run, ran: Any
) -> None:
    one = drawn(probe.mean.artifact(run[500]))
    ran()

    (unnamed,) = standings([one], run, {})
    standing(msgspec.structs.replace(one, inputs=one.inputs * 2), run, probe.mean)

    assert unnamed.state == "unknown"
    assert unnamed.why.startswith("probe:mean is imported only if it is named")
    assert ran() == []


@pytest.mark.parametrize(
    "change, why",
    [
        ({"inputs": ()}, "it was not made of one input"),
        ({"params": {"times": ParamRecord("3", "0" * 64)}}, "param times = 3 cannot be told"),
        ({"params": {"times": ParamRecord("(" * 100_000, "0" * 64)}}, "cannot be told"),
        ({"params": {"times": ParamRecord("exit()", "0" * 64)}}, "cannot be told"),
    ],
    ids=["inputs", "another digest", "nested deeply", "code"],
)  # fmt: skip
def test_what_cannot_be_asked_again_is_said(
    probe: Any, run: Run, change: dict[str, Any], why: str
) -> None:
    one = msgspec.structs.replace(drawn(probe.mean.artifact(run[500])), **change)

    found = standing(one, run, probe.mean)

    assert found.state == "unknown" and why in found.why


def test_a_param_that_is_gone_and_a_checkpoint_that_is_gone_are_said(
    probe: Any, run: Run, write_module: WriteModule, run_directory: RunDirectory
) -> None:
    one = drawn(probe.mean.artifact(run[500], of="v"))
    other = Run(run_directory("other", (0,)))
    edited = write_module("probe", BODY.replace(', of: str = "w"', "").replace("[of]", '["w"]'))  # fmt: skip

    assert "no longer takes that" in standing(one, run, edited.mean).why
    assert standing(one, other, probe.mean).why == "other has no checkpoint checkpoint_epoch_00500"  # fmt: skip
