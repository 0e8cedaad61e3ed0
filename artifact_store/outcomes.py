"""Outcomes: what became of each call that a pipeline made.

each call, as it ends ──► *Done* ──► who watches
                             └──► *Outcome* of them all
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

Ending: TypeAlias = Literal["hit", "computed", "failed"]

ENDINGS: tuple[Ending, ...] = ("computed", "hit", "failed")


@dataclass(frozen=True, slots=True)
class Done:
    """What became of one analysis at one epoch."""

    analysis: str
    epoch: int | None
    state: Ending
    seconds: float = 0.0
    nbytes: int = 0
    path: str = ""
    error: str = ""
    trace: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a pipeline did."""

    run: str
    done: tuple[Done, ...]

    @property
    def failures(self) -> tuple[Done, ...]:
        """What could not be computed or kept."""
        return tuple(one for one in self.done if one.state == "failed")

    def count(self, state: str, analysis: str | None = None) -> int:
        """How many are in a state, of one analysis or all."""
        return sum(
            one.state == state and analysis in (None, one.analysis) for one in self.done
        )

    def counts(self) -> dict[str, int]:
        """How many ended each way."""
        return dict(Counter(one.state for one in self.done))

    def as_dict(self) -> dict[str, Any]:
        """The same, for JSON."""
        return {
            "run": self.run,
            "counts": self.counts(),
            "done": [asdict(one) for one in self.done],
        }

    def __str__(self) -> str:
        counts = self.counts()
        words = [f"{counts[state]} {state}" for state in ENDINGS if state in counts]
        return f"{self.run}: {', '.join(words) or 'nothing to do'}"

    def __repr__(self) -> str:
        return f"<Outcome of {self}>"
