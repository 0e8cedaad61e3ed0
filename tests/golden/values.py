"""Values of every encodable kind. Add at will; what is here stays as it is."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import fractions
import re
import types
import uuid
from enum import Enum
from typing import Any, NamedTuple

import numpy as np
import torch


class Colour(Enum):
    RED = 1


class Point(NamedTuple):
    x: int
    y: float


@dataclasses.dataclass(frozen=True)
class Config:
    scale: float
    names: tuple[str, ...]


VALUES: dict[str, Any] = {
    "None": None,
    "ellipsis": ...,
    "true": True,
    "int": 113,
    "negative int": -1,
    "big int": 2**70,
    "float": 0.1,
    "negative zero": -0.0,
    "complex": 1 + 2j,
    "str": "grüße",
    "bytes": b"\x00\xff",
    "bytearray": bytearray(b"a"),
    "tuple": (1, "a", (None,)),
    "list": [1, [2.0]],
    "dict": {"b": 1, "a": [2]},
    "set": {"b", "a", 1},
    "frozenset": frozenset({1, 2}),
    "range": range(1, 10, 2),
    "slice": slice(1, None),
    "pattern": re.compile("a+", re.I),
    "enum": Colour.RED,
    "named tuple": Point(1, 2.0),
    "dataclass": Config(1.0, ("a", "b")),
    "numpy int": np.int64(3),
    "numpy scalar": np.float32(0.5),
    "dtype": np.dtype("<f4"),
    "array": np.arange(6, dtype="<i4").reshape(2, 3),
    "record": np.array([(1, 2.0)], dtype=[("a", "<i2"), ("b", "<f8")]),
    "tensor": torch.arange(3, dtype=torch.float32),
    "bfloat16 tensor": torch.ones(2, dtype=torch.bfloat16),
    "torch dtype": torch.bfloat16,
    "torch device": torch.device("cpu"),
    "torch size": torch.Size([1, 2]),
    "ordered dict": collections.OrderedDict(b=1, a=2),
    "counter": collections.Counter("aab"),
    "deque": collections.deque([1, 2], maxlen=3),
    "mapping proxy": types.MappingProxyType({"a": 1}),
    "namespace": types.SimpleNamespace(b=1, a=2),
    "decimal": decimal.Decimal("1.50"),
    "fraction": fractions.Fraction(1, 3),
    "date": datetime.date(2020, 1, 2),
    "datetime": datetime.datetime(2020, 1, 2, 3, 4, tzinfo=datetime.timezone.utc),
    "timedelta": datetime.timedelta(days=1, seconds=2),
    "uuid": uuid.UUID(int=7),
}
