"""One call has one key, however it is spelled."""

from __future__ import annotations

import functools
from collections import namedtuple
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from artifact_store.anonymity import AnonymousCheckpoint
from artifact_store.checkpoints import Checkpoint
from artifact_store.errors import LabelRead, UnencodableParam
from artifact_store.files import File
from artifact_store.inputs import anonymous, inputs_in
from artifact_store.params import encode_params
from artifact_store.reads import Recorder
from artifact_store.runs import Run
from artifact_store.signatures import Arguments, Signature

if TYPE_CHECKING:
    from nowhere import Mystery  # type: ignore[import-not-found]


def function(
    checkpoint: Checkpoint,
    k: int = 1,
    *rest: int,
    name: str = "a",
    device: str = "cpu",
    **more: Any,
) -> None: ...


SIGNATURE = Signature(function, ("device",))


def bind(*args: Any, **kwargs: Any) -> Arguments:
    return SIGNATURE.bind(args, kwargs)


def key_bytes(*args: Any, **kwargs: Any) -> bytes:
    return encode_params("function", bind(*args, **kwargs).params)


SPELLINGS: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    (("c", 1), {}),
    (("c",), {"k": 1}),
    (("c",), {"k": np.int64(1)}),
    ((), {"checkpoint": "c"}),
    ((), {"k": 1, "checkpoint": "c"}),
    (("c",), {"name": "a"}),
    (("c",), {"name": "a", "k": 1}),
    (("c",), {"device": "cuda"}),
]

OTHERS: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    (("c", 2), {}),
    (("c", 1.0), {}),
    (("c", True), {}),
    (("c", None), {}),
    (("c", 1, 2), {}),
    (("c", 1, 2, 3), {}),
    (("c",), {"name": "b"}),
    (("c",), {"extra": 1}),
    (("c",), {"extra": [1]}),
    (("c",), {"extra": (1,)}),
    (("c",), {"extra": {"a": 1}}),
    (("c",), {"extra": np.zeros(2)}),
    (("c",), {"extra": None}),
    (("c",), {"other": 1}),
]


@pytest.fixture(autouse=True)
def any_path_is_a_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = {"checkpoint": lambda path: f"opened {path}"}
    monkeypatch.setattr(SIGNATURE, "_openers", opened)


@pytest.mark.parametrize(("args", "kwargs"), SPELLINGS)
def test_every_spelling_of_a_call_has_the_same_bytes(args: Any, kwargs: Any) -> None:
    assert key_bytes(*args, **kwargs) == key_bytes("c")


def test_calls_that_differ_have_different_bytes() -> None:
    found = [key_bytes(*args, **kwargs) for args, kwargs in [(("c",), {}), *OTHERS]]

    assert len(set(found)) == len(found)


def test_what_is_ignored_is_in_no_bytes_but_reaches_the_function() -> None:
    bound = bind("c", device="cuda")

    assert bound.ignored == {"device": "cuda"} and "device" not in bound.params


@pytest.mark.parametrize(
    ("args", "kwargs"), [((), {}), (("c",), {"checkpoint": "d"})]
)  # fmt: skip
def test_arguments_that_do_not_fit_raise_as_the_function_would(
    args: Any, kwargs: Any
) -> None:
    with pytest.raises(TypeError):
        bind(*args, **kwargs)
    with pytest.raises(TypeError):
        function(*args, **kwargs)


def test_what_was_bound_can_be_passed_again() -> None:
    bound = bind("c", 2, 3, 4, name="b", extra=5)

    args, kwargs = SIGNATURE.unbind({**bound.params, **bound.ignored})

    assert args == ("opened c", 2, 3, 4)
    assert kwargs == {"name": "b", "device": "cpu", "extra": 5}


@pytest.mark.parametrize(
    ("args", "kwargs", "expected"),
    [
        (("c",), {}, {"checkpoint"}),
        (("c", 1), {"name": "a"}, {"checkpoint"}),
        (("c", 2), {}, {"checkpoint", "k"}),
        (("c", 1.0), {}, {"checkpoint", "k"}),
        (("c", 1, 2), {"x": 1}, {"checkpoint", "rest", "more"}),
    ],
)
def test_only_what_is_not_default_distinguishes_a_call(
    args: Any, kwargs: Any, expected: set[str]
) -> None:
    assert set(SIGNATURE.non_default(bind(*args, **kwargs).params)) == expected


@pytest.mark.parametrize(
    ("value", "advice"),
    [
        (object(), "Pass numbers"),
        (Path("a"), "File(path)"),
        ([1, Path("a")], "File(path)"),
        (len, "look the function up"),
    ],
)
def test_a_param_without_encoding_is_refused_by_its_name(
    value: Any, advice: str
) -> None:
    with pytest.raises(UnencodableParam) as refused:
        key_bytes("c", name=value)

    assert (refused.value.analysis, refused.value.name) == ("function", "name")
    assert advice in str(refused.value) and "ignore=('name',)" in str(refused.value)


def by_type(x: Checkpoint) -> None: ...
def by_run(x: Run) -> None: ...
def by_file(x: File) -> None: ...
def by_choice(x: Checkpoint | None = None) -> None: ...
def by_list(x: list[Checkpoint]) -> None: ...
def by_dict(x: dict[str, Checkpoint]) -> None: ...
def by_mystery(x: Checkpoint, y: "Mystery") -> None: ...
def by_text(x: str) -> None: ...
def by_nothing(x) -> None: ...  # type: ignore[no-untyped-def]


@pytest.mark.parametrize(
    ("function", "value", "kind"),
    [
        (by_type, "PATH", Checkpoint),
        (by_type, Path("PATH"), Checkpoint),
        (by_choice, "PATH", Checkpoint),
        (by_file, "PATH", File),
        (by_mystery, "PATH", Checkpoint),
        (by_text, "PATH", str),
        (by_nothing, "PATH", str),
        (by_choice, None, type(None)),
        (functools.partial(by_mystery, y=1), "PATH", Checkpoint),
    ],
)
def test_a_path_is_opened_as_its_annotation_says(
    checkpoint: Path, function: Any, value: Any, kind: type
) -> None:
    given = type(value)(checkpoint) if value is not None else None
    signature = Signature(function, ())

    bound = signature.bind((given,), {"y": 1} if function is by_mystery else {})

    assert isinstance({**bound.inputs, **bound.params}["x"], kind)
    assert bool(bound.inputs) == (kind in (Checkpoint, File))


def test_paths_in_lists_and_dicts_are_opened(checkpoint: Path) -> None:
    path = str(checkpoint)

    many = Signature(by_list, ()).bind(([path, path],), {}).inputs["x"]
    named = Signature(by_dict, ()).bind(({"a": path},), {}).inputs["x"]

    assert [type(one) for one in (*many, named["a"])] == [Checkpoint] * 3


def test_only_a_first_parameter_makes_an_analysis_take_a_run() -> None:
    assert Signature(by_run, ()).takes_run
    assert not Signature(by_type, ()).takes_run
    assert not Signature(lambda: 1, ()).takes_run


Pair = namedtuple("Pair", "a b")


@pytest.mark.parametrize(
    "hold",
    [
        lambda one: one,
        lambda one: [one, 1],
        lambda one: (one, 1),
        lambda one: {"a": one},
        lambda one: [{"a": (one,)}],
        lambda one: {one},
        lambda one: Pair(one, 1),
    ],
)
def test_an_input_is_found_wherever_it_stands(checkpoint: Path, hold: Any) -> None:
    opened = Checkpoint(checkpoint)
    value = hold(opened)
    bound = Signature(by_nothing, ()).bind((value,), {})

    assert inputs_in(bound.inputs["x"]) == [opened]
    inside = anonymous({"x": value}, Recorder(is_strict=True))["x"]
    assert type(inside) is (AnonymousCheckpoint if value is opened else type(value))
    (hidden,) = inputs_in(inside)
    with pytest.raises(LabelRead):
        hidden.path
    assert inputs_in(Signature(by_nothing, ()).bind((inside,), {}).inputs["x"]) == [
        opened
    ]
