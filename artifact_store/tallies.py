"""Tallies: how far a pipeline is, and how long the rest will take."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from time import monotonic
from typing import Final

from artifact_store.outcomes import ENDINGS, Done, Ending
from artifact_store.quantities import duration

# The time that is left is told by the pace at which this many became known.
_RECENT: Final = 64


class Tally:
    """What is done of what there is to do, and how long the rest will take.

    Filled by one thread; others may look.
    """

    def __init__(self, totals: Mapping[str, int]) -> None:
        self.totals, self.total, self.done = dict(totals), sum(totals.values()), 0
        self.counts: Counter[tuple[str, Ending]] = Counter()
        self.seconds: dict[str, float] = {}
        self.begun = monotonic()
        self._recent = deque([(self.begun, 0)], maxlen=_RECENT)

    def add(self, together: Sequence[Done]) -> None:
        """Count some that became known together."""
        if not self.count("computed") and any(o.state == "computed" for o in together):
            # Those that were there say nothing of how long the others take.
            self._recent = deque([self._recent[-1]], maxlen=_RECENT)
        for one in together:
            self.counts[one.analysis, one.state] += 1
            self.seconds[one.analysis] = self.seconds.get(one.analysis, 0) + one.seconds
        self.done += len(together)
        self._recent.append((monotonic(), self.done))

    def count(self, state: Ending, analysis: str | None = None) -> int:
        """How many ended so, of one analysis or all."""
        names = self.totals if analysis is None else (analysis,)
        return sum(self.counts[name, state] for name in names)

    @property
    def pace(self) -> float | None:
        """Seconds from one to the next, of late; `None` before the first."""
        recent = self._recent  # Another thread may begin a new one.
        (begin, before), (end, done) = recent[0], recent[-1]
        return (end - begin) / (done - before) if done > before else None

    @property
    def seconds_left(self) -> float | None:
        """How long the others will take, if they go at the pace of late."""
        pace = self.pace
        if pace is None:
            return None
        since = monotonic() - self._recent[-1][0]
        return max(0.0, pace * (self.total - self.done) - since)

    def endings(self, analysis: str | None = None) -> str:
        """How many ended each way, in words."""
        counts = {state: self.count(state, analysis) for state in ENDINGS}
        return ", ".join(f"{count} {state}" for state, count in counts.items() if count)

    def time_left(self) -> str:
        """The pace and the time that is left, in words; empty before the first."""
        pace, left = self.pace, self.seconds_left
        if not pace or left is None:
            return ""
        return f"{_rate(pace)}, {duration(left)} left"


def _rate(pace: float) -> str:
    rate = 1 / pace
    return (
        f"{rate:.{0 if rate > 9.95 else 1}f}/s"
        if rate > 1
        else f"{duration(pace)} each"
    )
