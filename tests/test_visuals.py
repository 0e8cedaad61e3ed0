from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from artifact_store.visuals import (
    Between,
    Choice,
    Kind,
    Numbers,
    Span,
    Visual,
    visuals_of,
)

SHARE, COUNT, PAGE = Between(0, 1, 0.01), Between(1, 24), Between(1)
COLOURS, NUMBERS, SPAN = Choice(("Viridis", "Greys")), Numbers(), Span()


def declared(draw: Any, *reserved: str) -> dict[str, Visual]:
    return dict(visuals_of(draw, frozenset(reserved)))


def test_the_kind_of_a_parameter_is_that_of_its_annotation() -> None:
    def draw(
        losses: Any,
        *,
        colours: Literal["Viridis", "Greys"] = "Greys",
        threshold: Annotated[float, "a share", SHARE] = 0.85,
        neurons: Annotated[tuple[int, ...], NUMBERS] = (),
        scale: Annotated[tuple[float, float] | None, SPAN] = None,
    ) -> None: ...

    assert declared(draw) == {
        "colours": Visual("colours", COLOURS, "Greys"),
        "threshold": Visual("threshold", SHARE, 0.85),
        "neurons": Visual("neurons", NUMBERS, ()),
        "scale": Visual("scale", SPAN, None),
    }


def test_reserved_parameters_are_not_visual() -> None:
    def draw(*, losses: Any, epoch: int | None = None, page: Annotated[int, PAGE] = 1) -> None: ...  # fmt: skip

    assert list(declared(draw, "epoch", "losses")) == ["page"]


def test_a_parameter_without_a_default_is_refused() -> None:
    def draw(*, page: Annotated[int, PAGE]) -> None: ...

    with pytest.raises(TypeError, match="page is no visual parameter: give it a default"):  # fmt: skip
        declared(draw)


@pytest.mark.parametrize("hint", [int, Annotated[int, "pages"], Literal["one", 2], None])  # fmt: skip
def test_a_parameter_without_a_kind_is_refused(hint: Any) -> None:
    def draw(*, page: int = 1) -> None: ...

    draw.__annotations__["page"] = hint
    with pytest.raises(TypeError, match="page is no visual parameter.*annotate it as"):
        declared(draw)


def test_a_default_that_could_not_be_given_is_refused() -> None:
    def draw(*, threshold: Annotated[float, SHARE] = 85) -> None: ...

    with pytest.raises(TypeError, match="threshold is 85 by default.*from 0 to 1"):
        declared(draw)


@pytest.mark.parametrize(
    "kind, text, value",
    [
        (COLOURS, "Greys", "Greys"),
        (SHARE, "0.85", 0.85),
        (SHARE, "1", 1.0),
        (SHARE, " 1e-3 ", 0.001),
        (COUNT, "24", 24),
        (COUNT, "3.0", 3),
        (NUMBERS, "3, 17", (3, 17)),
        (NUMBERS, "3,17,", (3, 17)),
        (NUMBERS, "  ", ()),
        (SPAN, "-1.5, 2", (-1.5, 2.0)),
        (SPAN, "", None),
    ],
)
def test_what_is_typed_stands_for_a_value(kind: Kind, text: str, value: Any) -> None:
    parsed = kind.parse(text)

    assert parsed == value and type(parsed) is type(value)


@pytest.mark.parametrize(
    "kind, text",
    [
        (COLOURS, "greys"),
        (COLOURS, ""),
        (SHARE, "1.01"),
        (SHARE, "-0.01"),
        (SHARE, "nan"),
        (SHARE, "85 %"),
        (COUNT, "0"),
        (COUNT, "2.5"),
        (COUNT, "many"),
        (PAGE, "inf"),
        (PAGE, "1e999"),
        (Between(0, step=0.1), "inf"),
        (NUMBERS, "-1"),
        (NUMBERS, "1.5"),
        (NUMBERS, "9" * 5000),
        (SPAN, "1"),
        (SPAN, "2, 1"),
        (SPAN, "1, 1"),
        (SPAN, "0, inf"),
        (SPAN, "0, nan"),
        (SPAN, "0, 1, 2"),
    ],
)
def test_what_stands_for_no_value_is_refused(kind: Kind, text: str) -> None:
    with pytest.raises((ValueError, TypeError, OverflowError)):
        kind.parse(text)


@pytest.mark.parametrize(
    "kind, value, taken",
    [
        (SHARE, np.float32(0.5), 0.5),
        (SHARE, np.array(0.5), 0.5),
        (SHARE, 1, 1.0),
        (COUNT, np.int64(3), 3),
        (COUNT, 3.0, 3),
        (NUMBERS, [3, 17], (3, 17)),
        (NUMBERS, np.array([3, 17], np.uint8), (3, 17)),
        (NUMBERS, range(2), (0, 1)),
        (SPAN, np.array([0, 1]), (0.0, 1.0)),
        (SPAN, [], None),
    ],
)
def test_numbers_of_numpy_and_lists_are_taken(
    kind: Kind, value: Any, taken: Any
) -> None:
    checked = kind.check(value)

    assert checked == taken and type(checked) is type(taken)
    assert kind.parse(kind.show(checked)) == taken


@pytest.mark.parametrize(
    "kind, value",
    [
        (COLOURS, None),
        (COLOURS, ["Greys"]),
        (SHARE, True),
        (SHARE, np.True_),
        (SHARE, "0.5"),
        (SHARE, None),
        (SHARE, 10**400),
        (SHARE, [0.5]),
        (COUNT, 2.5),
        (COUNT, math.inf),
        (COUNT, 10**400),
        (NUMBERS, 3),
        (NUMBERS, "317"),
        (NUMBERS, None),
        (NUMBERS, [0.5]),
        (NUMBERS, [-1]),
        (SPAN, 3),
        (SPAN, "05"),
        (SPAN, [0]),
        (SPAN, [1, 0]),
    ],
)
def test_values_of_another_kind_are_refused(kind: Kind, value: Any) -> None:
    with pytest.raises((ValueError, TypeError, OverflowError)):
        kind.check(value)


def test_a_mask_does_not_count_as_the_numbers_zero_and_one() -> None:
    with pytest.raises(TypeError):
        NUMBERS.check(np.array([False, True, True]))


@pytest.mark.parametrize(
    "kind, words",
    [
        (COLOURS, "one of Viridis, Greys"),
        (SHARE, "a number from 0 to 1"),
        (COUNT, "a whole number from 1 to 24"),
        (PAGE, "a whole number from 1 up"),
    ],
)
def test_a_kind_says_in_words_what_it_takes(kind: Kind, words: str) -> None:
    assert kind.words == words


def test_numbers_are_shown_with_no_more_digits_than_they_need() -> None:
    assert SHARE.show(0.85) == "0.85" and SHARE.show(1.0) == "1"
    assert SPAN.show((-1.0, 0.5)) == "-1,0.5"


@given(st.floats(0, 1))
def test_a_share_is_read_back_as_it_was_shown(share: float) -> None:
    assert SHARE.parse(SHARE.show(share)) == share


@given(st.integers(1, 1 << 53))
def test_a_whole_number_is_read_back_as_it_was_shown(number: int) -> None:
    assert PAGE.parse(PAGE.show(number)) == number


@given(st.lists(st.integers(0)).map(tuple))
def test_numbers_are_read_back_as_they_were_shown(numbers: tuple[int, ...]) -> None:
    assert NUMBERS.parse(NUMBERS.show(numbers)) == numbers


FINITE = st.floats(allow_nan=False, allow_infinity=False)


@given(st.tuples(FINITE, FINITE).filter(lambda ends: ends[0] < ends[1]))
def test_a_span_is_read_back_as_it_was_shown(ends: tuple[float, float]) -> None:
    assert SPAN.parse(SPAN.show(ends)) == ends


@given(st.text())
def test_whatever_is_typed_is_a_value_or_refused(text: str) -> None:
    for kind in (COLOURS, SHARE, COUNT, PAGE, NUMBERS, SPAN):
        try:
            value = kind.parse(text)
        except (ValueError, TypeError, OverflowError):
            continue
        assert kind.check(value) == value
