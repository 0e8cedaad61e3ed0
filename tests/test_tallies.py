from __future__ import annotations

import pytest

from artifact_store import tallies
from artifact_store.outcomes import Done
from artifact_store.tallies import Tally


class Clock:
    """Goes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(tallies, "monotonic", clock)
    return clock


def hit(analysis: str = "f") -> Done:
    return Done(analysis, 0, "hit")


def computed(analysis: str = "f", seconds: float = 1.0) -> Done:
    return Done(analysis, 0, "computed", seconds)


def test_before_anything_is_done_no_time_is_told(clock: Clock) -> None:
    tally = Tally({"f": 3})

    assert tally.pace is None and tally.seconds_left is None and not tally.time_left()


def test_the_time_left_runs_down_while_one_waits(clock: Clock) -> None:
    tally = Tally({"f": 3})
    clock.now += 10
    tally.add([computed()])

    assert tally.seconds_left == 20
    clock.now += 4
    assert tally.seconds_left == 16
    clock.now += 100
    assert tally.seconds_left == 0


def test_what_was_there_does_not_hasten_what_has_to_be_computed(clock: Clock) -> None:
    tally = Tally({"f": 1003})
    for _ in range(1000):
        clock.now += 0.001
        tally.add([hit()])
    clock.now += 10
    tally.add([computed()])

    assert tally.seconds_left == pytest.approx(20)


def test_those_that_become_known_together_took_as_long_together(clock: Clock) -> None:
    tally = Tally({"f": 4, "g": 4})
    clock.now += 10
    tally.add([computed("f"), computed("g")])

    assert tally.pace == 5 and tally.seconds_left == 30
    assert tally.time_left() == "5.0 s each, 30 s left"


def test_endings_are_counted_by_analysis(clock: Clock) -> None:
    tally = Tally({"f": 2, "g": 1})
    tally.add([computed("f"), hit("f"), Done("g", 0, "failed")])

    assert tally.endings("f") == "1 computed, 1 hit"
    assert tally.endings() == "1 computed, 1 hit, 1 failed"
    assert tally.done == tally.total == 3
