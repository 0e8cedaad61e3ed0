"""One constant of every kind that has a canonical form."""

from __future__ import annotations

import re
from collections import Counter, OrderedDict, deque, namedtuple
from datetime import timedelta
from decimal import Decimal
from enum import Enum, Flag, IntEnum, auto
from fractions import Fraction
from operator import itemgetter, methodcaller
from types import MappingProxyType, SimpleNamespace

import numpy as np

WEIGHT = 0.25
ROUNDS = 1_000
TURN = 1 + 2j
MODE = "mean"
MARK = b"\x02\x03"
SIGNED = True
SHIFTS = (1, 2)
ORDER = [2, 0, 1]
TABLE = {"low": 0.1, "high": {"a": 0.9, "b": 0.8}}
CHOSEN = frozenset({"W_in", "b_in"})
KEPT = {1, 3}
KERNEL = np.array([0.25, 0.5, 0.25])
DTYPE = np.dtype("f4")
SCALAR = np.float32(1.5)
EVERY = slice(0, None, 2)
STEPS = range(1, 4)
RATIO = Fraction(1, 3)
PRICE = Decimal("0.7")
PERIOD = timedelta(seconds=2)
MATRICES = re.compile(r"^mlp\.W")
COUNTS = Counter("abbccc")
LIMITS = OrderedDict(first=0.5, last=0.75)
RECENT = deque([3.0, 4.0], maxlen=2)
FROZEN = MappingProxyType({"a": 1.25})
OPTIONS = SimpleNamespace(gain=1.75)
COMBINE = np.add
KIND = np.float64
PICK = itemgetter(0)
REDUCE = methodcaller("max", axis=0)

Bounds = namedtuple("Bounds", "low high")
BOUNDS = Bounds(0.2, 0.6)


class Level(Enum):
    """How much."""

    LOW = 0.3
    HIGH = 0.9

    @property
    def doubled(self) -> float:
        """Twice as much."""
        return 2 * self.value


class Rank(IntEnum):
    """Where in line."""

    FIRST = 1
    SECOND = 2


class Parts(Flag):
    """What to count."""

    ROWS = auto()
    COLUMNS = auto()


LEVEL = Level.HIGH
PARTS = Parts.ROWS | Parts.COLUMNS
