"""Equal values have equal bytes in every process; different values never share any."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import fractions
import math
import re
import subprocess
import sys
import threading
import types
import uuid
from enum import Enum, Flag, IntEnum
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from artifact_store.encoding import encode, has_encoding, shown, type_name
from artifact_store.errors import Unencodable


class Colour(Enum):
    RED = 1
    BLUE = "1"


class Level(IntEnum):
    LOW = 1


class Mode(Flag):
    A = 1
    B = 2


class Point(NamedTuple):
    x: Any
    y: Any = 0


@dataclasses.dataclass(frozen=True)
class Frozen:
    x: Any
    y: Any = 0


@dataclasses.dataclass
class Thawed:
    x: Any


UTC = datetime.timezone.utc
RECORD = np.dtype(
    {"names": ["a", "b"], "formats": ["i1", "f8"], "offsets": [0, 8], "itemsize": 16}
)


def padded(noise: int) -> np.ndarray[Any, Any]:
    """Equal records, with different bytes between their fields."""
    raw = np.full(16, noise, np.uint8)
    record = raw.view(RECORD)
    record["a"], record["b"] = 1, 2.0
    return record


# No two of these are the same value.
DISTINCT: list[Any] = [
    None, ..., NotImplemented, True, False, 0, 1, -1, 255, -255, 2**70, 0.0, -0.0, 1.0, math.nan, math.inf, -math.inf,
    5e-324, 1j, 0j, 1 + 1j, "", "1", "a", "b", "ä", "\ud800", "None", b"", b"1", b"a", bytearray(b"a"),
    (), (1,), (1, 2), (2, 1), ((1,), 2), (1, (2,)), (None,), [], [1], [1, 2], [[1], 2], [(1,)], {}, {"a": 1},
    {"a": 1.0},
    {"a": 1, "b": 2}, {"b": 2, "a": 1}, {1: "a"}, {(): []}, set(), {1}, {"a"}, {1, 2}, frozenset(), frozenset({1}),
    ["a", "b"], ["ab"], ["a", ["b"]], range(3), range(1, 3), range(0, 3, 2), slice(3), slice(1, 3), slice(None),
    re.compile("a"), re.compile("b"), re.compile(b"a"), re.compile("a", re.I), Colour.RED, Colour.BLUE, Level.LOW,
    Mode.A, Mode.A | Mode.B, Point(1), Point(1, 1), Point(1.0), Frozen(1), Frozen(1, 1), Frozen(Frozen(1)),
    np.float32(1), np.float16(1), np.int32(1), np.uint8(1), np.complex64(1), np.datetime64("2020-01-01"),
    np.datetime64("2020-01-01", "s"), np.timedelta64(1, "s"), np.dtype("f4"), np.dtype("f8"), np.dtype(">f4"),
    np.zeros(2), np.zeros(3), np.zeros((1, 2)), np.zeros((2, 1)), np.zeros(()), np.zeros(2, "f4"), np.zeros(2, ">f8"),
    np.zeros((2, 3)), np.zeros((2, 3), order="F"), np.arange(6)[::2], np.arange(6)[::-2], np.zeros(2, RECORD)[::-1],
    torch.zeros(2, 3), torch.zeros(3, 2).T, np.array([0.0, -0.0]), np.array(["a"]), np.array([b"a"]),
    np.array([True]), padded(0), np.zeros(1, RECORD),
    torch.zeros(2), torch.zeros(3), torch.zeros(1, 2), torch.zeros(()), torch.zeros(2, dtype=torch.float64),
    torch.zeros(2, dtype=torch.bfloat16), torch.tensor([True]), torch.tensor([1j]), torch.empty(0),
    torch.float32, torch.float64, torch.device("cpu"), torch.device("cuda", 0), torch.strided, torch.channels_last,
    collections.OrderedDict(a=1), collections.OrderedDict(a=1, b=2), collections.OrderedDict(b=2, a=1),
    collections.Counter("a"), collections.Counter("aa"), collections.deque([1]), collections.deque([1], 2),
    types.MappingProxyType({"a": 1}), types.SimpleNamespace(a=1), types.SimpleNamespace(a=2),
    decimal.Decimal("1"), decimal.Decimal("1.0"), fractions.Fraction(1, 2), fractions.Fraction(1, 3),
    datetime.date(2020, 1, 1), datetime.datetime(2020, 1, 1), datetime.datetime(2020, 1, 1, tzinfo=UTC),
    datetime.datetime(2020, 1, 1, fold=1), datetime.time(1), datetime.time(1, tzinfo=UTC), datetime.timedelta(1),
    UTC, datetime.timezone(datetime.timedelta(hours=1)), uuid.UUID(int=1),
]  # fmt: skip

SAME: list[tuple[Any, Any]] = [
    ({1, 2, 3}, {3, 2, 1}),
    ({"a", "b", 1, None}, {None, 1, "b", "a"}),
    (types.SimpleNamespace(a=1, b=2), types.SimpleNamespace(b=2, a=1)),
    (np.zeros((1, 3)), np.zeros((1, 3), order="F")),
    (np.zeros((1, 6))[::-1], np.zeros((1, 6))),
    (np.arange(6)[:3], np.arange(3)),
    (padded(0), padded(255)),
    (torch.tensor([1 + 2j]).conj(), torch.tensor([1 - 2j])),
    (torch.ones(2, requires_grad=True), torch.ones(2)),
    (torch.nn.Parameter(torch.ones(2)), torch.ones(2)),
    (torch.Size([1, 2]), (1, 2)),
    (np.float32, np.dtype("f4")),
    (b"a" * 3, b"aaa"),
]


def assert_encodes(value: Any, like: Any) -> None:
    """The law: the same bytes each time, here and for an equal value."""
    assert encode(value) == encode(value) == encode(like)
    assert encode([value]) == encode([like]) != encode(value)


def test_different_values_never_share_their_bytes() -> None:
    seen: dict[bytes, Any] = {}
    for value in DISTINCT:
        clash = seen.setdefault(encode(value), value)
        assert clash is value, f"{value!r} and {clash!r}"


@pytest.mark.parametrize("pair", SAME, ids=lambda pair: type_name(pair[0]))
def test_the_same_value_has_the_same_bytes(pair: tuple[Any, Any]) -> None:
    assert_encodes(*pair)


@pytest.mark.parametrize("value", DISTINCT, ids=type_name)
def test_what_can_be_encoded_says_so(value: Any) -> None:
    assert has_encoding(value)
    assert_encodes(value, value)


plain = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
)
keys = st.none() | st.booleans() | st.integers() | st.text() | st.binary()
nested = st.recursive(
    plain,
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(keys, inner) | st.frozensets(keys),
)  # fmt: skip


def identity(value: Any) -> Any:
    """A value in terms in which `==` is exact: types told apart, floats by their bits, sets in no order."""
    if isinstance(value, float):
        return "float", value.hex() if value == value else np.float64(value).tobytes()
    if isinstance(value, list | tuple):
        return type(value), [identity(one) for one in value]
    if isinstance(value, dict):
        return dict, [(identity(key), identity(one)) for key, one in value.items()]
    if isinstance(value, frozenset):
        return frozenset, {(type(one), one) for one in value}
    return type(value), value


@given(nested, nested)
def test_bytes_are_equal_exactly_if_values_are(one: Any, other: Any) -> None:
    assert (encode(one) == encode(other)) == (identity(one) == identity(other))


@given(st.lists(nested, max_size=4), st.lists(nested, max_size=4))
def test_no_sequence_of_items_reads_as_another(one: Any, other: Any) -> None:
    joined = [b"".join(map(encode, items)) for items in (one, other)]

    assert (joined[0] == joined[1]) == (identity(one) == identity(other))


@pytest.mark.parametrize(
    ("value", "named", "advice"),
    [
        (object(), "object", "Pass numbers"),
        (Path("a"), "PosixPath", "File(path)"),
        (sys.stdout, "", "File(path)"),
        (len, "builtin_function", "look the function up"),
        (lambda: 1, "function", "look the function up"),
        (Thawed(1), "Thawed", "frozen=True"),
        ([1, {"a": object()}], "object", "Pass numbers"),
        (Frozen(object()), "object", "Pass numbers"),
        (threading.Lock(), "lock", "Pass numbers"),
        (np.random.default_rng(0), "Generator", "Pass numbers"),
        (np.array([None]), "array of Python objects", "array of numbers"),
        (np.array(["a"], np.dtypes.StringDType()), "array of Python objects", "array"),
        (np.zeros(1, np.longdouble), "long doubles", "float64"),
        (np.ma.array([1.0]), "MaskedArray", "Pass numbers"),
        (torch.eye(2).to_sparse(), "not dense", "dense"),
        (torch.empty(2, device="meta"), "not dense", "dense"),
        (torch.nn.Linear(1, 1), "Linear", "Pass"),
        (iter([]), "list_iterator", "Pass numbers"),
    ],
    ids=lambda one: "",
)
def test_what_has_no_encoding_is_refused_with_advice(
    value: Any, named: str, advice: str
) -> None:
    with pytest.raises(Unencodable) as refused:
        encode(value)

    assert named in refused.value.found
    assert advice in str(refused.value)


def test_a_container_that_contains_itself_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)

    with pytest.raises(Unencodable, match="contains itself"):
        encode(endless)


def test_a_fallback_is_asked_for_what_is_not_plain_and_at_any_depth() -> None:
    asked: list[Any] = []

    def fallback(value: Any) -> bytes | None:
        asked.append(value)
        return b"known" if value is len else None

    assert encode([1, {"a": len}, Colour.RED], fallback) != encode(
        [1, {"a": len}], fallback
    )
    assert asked[:2] == [len, Colour.RED]


def test_no_hash_seed_shows() -> None:
    program = (
        "from artifact_store.encoding import encode\n"
        "kinds = {int, str, float, bytes, len, print}\n"
        "numbers = {}\n"
        "number = lambda kind: b'%d' % numbers.setdefault(kind, len(numbers))\n"
        "print(encode({'a', 'b', 'c', None, 1}).hex(), encode(kinds, number).hex(), [k.__name__ for k in numbers])"
    )
    seen = {
        subprocess.check_output([sys.executable, "-c", program], env={"PYTHONHASHSEED": seed})
        for seed in "12"
    }  # fmt: skip

    assert len(seen) == 1


def test_a_value_is_shown_in_one_line_of_bearable_length() -> None:
    assert shown("a") == "'a'"
    assert len(shown("a" * 1000)) == 120
    assert shown(10**5000) == "<int>"
    assert type_name(1) == "int"
    assert type_name(np.float32(1)) == "numpy.float32"
