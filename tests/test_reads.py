from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import RunDirectory
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from artifact_store import Checkpoint, Run
from artifact_store.anonymity import AnonymousCheckpoint, AnonymousRun
from artifact_store.digests import digest_of
from artifact_store.encoding import decode, encode
from artifact_store.errors import LabelRead, MissingEpoch, MissingTensor
from artifact_store.reads import (
    ABSENT,
    Ask,
    Found,
    Kind,
    Question,
    Read,
    Recorder,
    after,
    answer_of,
    from_text,
    in_text,
    node_of,
    steps_of,
)

START = digest_of("start", b"")


@pytest.fixture
def recorder() -> Recorder:
    return Recorder(is_strict=True)


@pytest.fixture
def two(tmp_path: Path) -> Checkpoint:
    """A checkpoint of `v` and `w`, with metadata."""
    path = tmp_path / "run/checkpoints/checkpoint_epoch_00500.safetensors"
    path.parent.mkdir(parents=True)
    v, w = np.ones(2), np.arange(6, dtype=np.float32).reshape(2, 3)
    save_file({"v": v, "w": w}, path, metadata={"lr": "0.1"})
    return Checkpoint(path)


def asked(recorder: Recorder) -> list[str]:
    return [str(read.question) for read in recorder.reads]


# What is noted


@pytest.mark.parametrize(
    "ask, noted",
    [
        (lambda one: one["w"], "tensor w"),
        (lambda one: one.tensor("w"), "tensor w"),
        (lambda one: one.digest("w"), "tensor w"),
        (lambda one: one.shape("w"), "shape of w"),
        (lambda one: one.dtype("w"), "dtype of w"),
        (lambda one: "w" in one, "whether there is w"),
        (lambda one: list(one), "names of all tensors"),
        (lambda one: one.keys(), "names of all tensors"),
        (lambda one: len(one), "names of all tensors"),
        (lambda one: one.metadata, "metadata"),
        (lambda one: one.digests, "content"),
        (lambda one: one.root, "content"),
    ],
)
def test_what_is_asked_of_a_checkpoint_is_noted_and_nothing_else(
    two: Checkpoint, recorder: Recorder, ask: Callable[[Checkpoint], Any], noted: str
) -> None:
    ask(AnonymousCheckpoint(two, recorder, "0"))

    assert asked(recorder) == [noted]


def test_who_asks_nothing_has_no_reads(two: Checkpoint, recorder: Recorder) -> None:
    AnonymousCheckpoint(two, recorder, "0")

    assert recorder.reads == ()


def test_a_question_is_noted_once_and_where_it_was_first_asked(
    two: Checkpoint, recorder: Recorder
) -> None:
    one = AnonymousCheckpoint(two, recorder, "0")
    for name in ("w", "v", "w"):
        one[name]
        one.shape(name)

    assert asked(recorder) == ["tensor w", "shape of w", "tensor v", "shape of v"]


def test_whoever_takes_all_items_is_told_all_names_first(
    two: Checkpoint, recorder: Recorder
) -> None:
    dict(AnonymousCheckpoint(two, recorder, "0"))

    assert asked(recorder) == ["names of all tensors", "tensor v", "tensor w"]


def test_a_tensor_that_is_not_there_is_noted_as_absent(
    two: Checkpoint, recorder: Recorder
) -> None:
    for ask in (
        AnonymousCheckpoint(two, recorder, "0").__getitem__,
        AnonymousCheckpoint(two, recorder, "0").shape,
    ):
        with pytest.raises(MissingTensor):
            ask("x")

    assert [read.answer for read in recorder.reads] == [ABSENT, ABSENT]


def test_what_is_no_name_of_a_tensor_tells_nothing(
    two: Checkpoint, recorder: Recorder
) -> None:
    assert 3 not in AnonymousCheckpoint(two, recorder, "0")
    assert recorder.reads == ()


def test_the_same_tensor_of_two_inputs_is_read_twice(
    two: Checkpoint, recorder: Recorder
) -> None:
    for place in ("0", "1"):
        AnonymousCheckpoint(two, recorder, place)["w"]

    first, second = recorder.reads
    assert (first.question.of, second.question.of) == ("0", "1")
    assert first.answer == second.answer


@pytest.mark.parametrize(
    "kind, name",
    [
        ("tensor", "w"),
        ("shape", "w"),
        ("dtype", "w"),
        ("has", "x"),
        ("names", ""),
        ("metadata", ""),
        ("content", ""),
    ],
)
def test_every_answer_follows_what_it_is_about(
    two: Checkpoint, kind: Kind, name: str
) -> None:
    question = Question(kind, "0", name)
    before = two.answer(question)
    save_file(
        {"w": np.zeros((3, 4)), "x": np.ones(1)}, two.path, metadata={"lr": "0.2"}
    )

    assert Checkpoint(two.path).answer(question) != before


def test_labels_are_refused_where_one_is_strict_and_else_noted_and_flagged(
    two: Checkpoint, recorder: Recorder
) -> None:
    for label in ("path", "label", "epoch"):
        with pytest.raises(LabelRead, match=label):
            getattr(AnonymousCheckpoint(two, recorder, "0"), label)
    assert recorder.reads == () and not recorder.flags

    lenient = Recorder(is_strict=False)
    assert AnonymousCheckpoint(two, lenient, "0").epoch == 500
    assert asked(lenient) == ["label epoch"]
    assert list(lenient.flags) == ["read checkpoint.epoch"]


def test_what_is_no_part_of_an_input_is_kept_apart(two: Checkpoint) -> None:
    recorder = Recorder(is_strict=False)
    one = AnonymousCheckpoint(two, recorder, "0")
    one["w"], one.metadata, one.label, one.shape("v")

    assert [read.question.kind for read in recorder.outside] == ["metadata", "label"]
    assert len(recorder.reads) == 4


# Runs


@pytest.mark.parametrize(
    "ask, noted",
    [
        (lambda run: run[500], ["whether there is 500"]),
        (lambda run: run.at(500), ["whether there is 500"]),
        (lambda run: 7 in run, ["whether there is 7"]),
        (lambda run: run[500]["w"], ["whether there is 500", "tensor w"]),
        (lambda run: run.epochs, ["epochs"]),
        (lambda run: len(run), ["epochs"]),
        (lambda run: list(run.values()), ["epochs"]),
        (lambda run: [run[epoch]["v"] for epoch in run], ["epochs", *["tensor v"] * 3]),
        (lambda run: run.config, ["metadata"]),
        (lambda run: run.following(None), ["the first epoch"]),
        (lambda run: run[run.following(0)], ["the epoch after 0"]),
        (lambda run: [run.epochs, run[500]], ["epochs"]),
        (lambda run: [500 in run.until(500), run.until(0).epochs], ["epochs"]),
        (lambda run: run.until(500).config, ["epochs", "metadata"]),
        (lambda run: run.until(500)[500]["v"], ["epochs", "tensor v"]),
    ],
)
def test_what_is_asked_of_a_run_is_noted_and_nothing_else(
    run_directory: RunDirectory,
    recorder: Recorder,
    ask: Callable[[Run], Any],
    noted: list[str],
) -> None:
    ask(AnonymousRun(Run(run_directory()), recorder, "0"))

    assert asked(recorder) == noted


def test_an_epoch_that_is_not_there_is_noted(
    run_directory: RunDirectory, recorder: Recorder
) -> None:
    run = AnonymousRun(Run(run_directory()), recorder, "0")
    assert run.get(7) is None
    with pytest.raises((MissingEpoch, KeyError)):
        run[8]

    assert [read.answer for read in recorder.reads] == ["False", "False"]


def test_config_and_metadata_of_a_run_are_told_apart(
    run_directory: RunDirectory, recorder: Recorder
) -> None:
    folder = run_directory()
    (folder / "config.json").write_text(json.dumps({"p": 7}))
    run = AnonymousRun(Run(folder), recorder, "0")

    assert (run.config, run.metadata) == ({"p": 7}, {})
    assert [read.answer for read in recorder.reads] == [
        answer_of({"p": 7}),
        answer_of({}),
    ]


# Places


def test_a_value_is_known_by_itself_and_not_by_an_equal_one(recorder: Recorder) -> None:
    value, equal = [1], [1]
    recorder.note(Question("call", "0"), "told", value)

    assert recorder.place_of(value) == "@0"
    assert recorder.place_of(equal) is None


def test_what_belongs_to_another_computation_has_no_place(
    two: Checkpoint, recorder: Recorder
) -> None:
    other = Recorder(is_strict=True)

    assert recorder.place_of(AnonymousCheckpoint(two, recorder, "0")) == "0"
    assert recorder.place_of(AnonymousCheckpoint(two, other, "0")) is None


def test_reads_in_a_forked_process_are_refused_and_not_lost(
    two: Checkpoint, recorder: Recorder
) -> None:
    one = AnonymousCheckpoint(two, recorder, "0")
    child = os.fork()
    if child == 0:
        try:
            one["w"]
        except RuntimeError as error:
            os._exit(7 if "forked" in str(error) else 1)
        finally:
            os._exit(0)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert recorder.reads == ()


# Steps

READS = st.builds(
    Read,
    st.builds(
        Question, st.sampled_from(["tensor", "has", "call"]), st.just("0"), st.text()
    ),
    st.text(max_size=3),
)


def unique(reads: list[Read]) -> tuple[Read, ...]:
    return tuple({read.question: read for read in reads}.values())


@given(st.lists(READS))
def test_who_follows_the_steps_and_is_told_the_same_finds_the_entry(
    chosen: list[Read],
) -> None:
    reads = unique(chosen)
    steps, told = steps_of(START, reads, "key"), {one.question: one for one in reads}

    node, asked = START, list[Read]()
    while isinstance(step := steps.pop(node.hex), Ask):
        some = [told[question] for question in step.questions]
        asked += some
        node = after(node, some)

    assert step == Found("key", reads) and tuple(asked) == reads
    assert not steps


@given(st.lists(READS, min_size=1), st.data())
def test_who_is_told_something_else_finds_nothing(
    chosen: list[Read], data: st.DataObject
) -> None:
    reads = list(unique(chosen))
    known = steps_of(START, reads, "key")
    at = data.draw(st.integers(0, len(reads) - 1))
    reads[at] = Read(reads[at].question, reads[at].answer + "!")

    (end,) = [
        node
        for node, step in steps_of(START, reads, "key").items()
        if isinstance(step, Found)
    ]
    assert end not in known


def test_calls_of_other_analyses_stand_alone() -> None:
    kinds: list[Kind] = ["tensor", "shape", "call", "call", "has"]
    reads = [Read(Question(kind, "0", kind * n), "") for n, kind in enumerate(kinds)]

    *steps, _ = steps_of(START, reads, "key").values()

    assert [len(step.questions) for step in steps if isinstance(step, Ask)] == [2, 1, 1, 1]  # fmt: skip


def test_what_comes_next_stands_alone_so_that_a_longer_run_goes_on_there() -> None:
    def reads(*epochs: str) -> list[Read]:
        chain = zip(("", *epochs), (*epochs, ABSENT), strict=True)
        every = []
        for before, epoch in chain:
            every.append(Read(Question("next", "0", before), epoch))
            if epoch != ABSENT:
                every.append(Read(Question("tensor", f"0/{epoch}", "v"), epoch))
        return every

    shorter, longer = reads("0", "500"), reads("0", "500", "700")
    before = steps_of(START, shorter, "key").items()
    after_all = steps_of(START, longer, "key").items()

    assert len(before) == 6 and len(after_all) == 8
    assert len(before - after_all) == 1  # where the shorter one ends
    assert node_of(START, longer).hex == list(after_all)[-1][0]


def test_who_reads_nothing_is_found_by_the_start_alone() -> None:
    assert steps_of(START, [], "key") == {START.hex: Found("key", ())}


def test_the_order_of_reads_counts() -> None:
    one, other = Read(Question("tensor", "0", "v"), "1"), Read(
        Question("tensor", "0", "w"), "1"
    )

    assert after(START, [one, other]) != after(START, [other, one])


# What is written down

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.complex_numbers()
    | st.text(st.characters(codec=None))
    | st.binary(),
    lambda inner: st.lists(inner)
    | st.lists(inner).map(tuple)
    | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=12,
)


def refuse(payload: bytes) -> Any:
    raise AssertionError(payload)


@given(PLAIN)
def test_what_is_plain_is_the_same_after_being_written_down(value: Any) -> None:
    canonical = from_text(in_text(encode(value)))
    again = decode(canonical, refuse)

    # By their bytes, which tell types and NaNs apart.
    assert type(again) is type(value) and encode(again) == encode(value)


class Placed:
    """What has no bytes of its own."""

    def __init__(self, place: str) -> None:
        self.place = place


@given(st.lists(PLAIN | st.text().map(Placed), max_size=4))
def test_what_has_a_place_is_looked_up_there(values: list[Any]) -> None:
    places = {one.place: one for one in values if isinstance(one, Placed)}

    def place_of(one: Any) -> bytes | None:
        return one.place.encode() if isinstance(one, Placed) else None

    again = decode(
        encode(["first", *values], place_of), lambda place: places[place.decode()]
    )

    assert encode(again, place_of) == encode(["first", *values], place_of)


@given(st.binary(max_size=40))
def test_bytes_of_no_value_are_refused_as_such(canonical: bytes) -> None:
    try:
        value = decode(canonical, lambda payload: None)
    except (ValueError, LookupError, TypeError, OverflowError):
        return
    assert len(encode(value)) <= len(canonical) + 2


@pytest.mark.parametrize("value", [np.ones(2), {1, 2}, range(3)])
def test_what_bytes_alone_cannot_make_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="is not plain"):
        decode(encode(value), refuse)
