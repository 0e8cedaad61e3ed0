from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest

from artifact_store.differences import differences

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    "then, now, elements, absolute, relative",
    [
        ([1.0, 1.0, 2.0], [1.0, 1.0, 2.5], 1, 0.5, 0.25),
        ([-4.0, 1.0], [-5.0, 2.0], 2, 1.0, 1.0),
        ([0.0], [3.0], 1, 3.0, None),
        ([0.0, 1.0], [-0.0, 1.0], 1, 0.0, None),
        ([NAN, 1.0], [2.0, 1.0], 1, None, None),
        ([INF, 1.0], [1.0, 1.5], 2, 0.5, 0.5),
        ([1j, 1.0], [2j, 1.0], 1, 1.0, 1.0),
        ([True, False], [True, True], 1, 1.0, None),
        (np.array([2**63], np.uint64), np.array([0], np.uint64), 1, 2.0**63, 1.0),
        (np.array(3, np.int8), np.array(1, np.int8), 1, 2.0, 2 / 3),
        (np.ones((2, 3)).T, np.zeros((2, 3)).T, 6, 1.0, 1.0),
    ],
    ids=str,
)
def test_a_difference_is_told_in_numbers(
    then: Any, now: Any, elements: int, absolute: float | None, relative: float | None
) -> None:
    then, now = np.asarray(then), np.asarray(now)
    (found,) = differences({"x": then}, {"x": now})

    assert (found.elements, found.of) == (elements, then.size)
    assert found.absolute == absolute
    assert found.relative == pytest.approx(relative)
    assert f"{elements} of {then.size} elements" in found.what
    json.dumps(asdict(found), allow_nan=False)
    assert list(differences({"x": then}, {"x": then.copy()})) == []


@pytest.mark.parametrize(
    "now, words",
    [
        ({"x": np.ones(3)}, "was float64 of shape (2,), and is float64 of shape (3,)"),
        ({"x": np.ones(2, int)}, "and is int64 of shape (2,)"),
        ({}, "is gone"),
        ({"x": np.ones(2), "y": np.ones(1)}, "is new"),
    ],
    ids=str,
)
def test_arrays_of_other_names_or_forms_are_told(now: Any, words: str) -> None:
    (found,) = differences({"x": np.ones(2)}, now)
    assert words in found.what and found.absolute is None


def test_equal_bits_are_no_difference_whatever_they_mean() -> None:
    arrays = {
        "nan": np.array([NAN, -0.0]),
        "empty": np.ones((0, 3)),
        "0-d": np.ones(()),
    }
    assert list(differences(arrays, {k: v.copy() for k, v in arrays.items()})) == []
