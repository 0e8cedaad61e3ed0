"""Outcomes: what became of each call that a pipeline made.

each call, as it ends ──► *Done* ──► who watches
                             └──► *Outcome* of them all
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

from artifact_store.markup import dim, shares, table, title_of, whole
from artifact_store.quantities import duration, size
from artifact_store.terminals import visible

Ending: TypeAlias = Literal["hit", "computed", "failed"]

# How many failures are named one by one.
_FEW = 20

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
        return visible(f"<Outcome of {self}>")

    def _repr_html_(self) -> str:
        rows = [self._row(name) for name in dict.fromkeys(d.analysis for d in self.done)]  # fmt: skip
        heads = ["analysis", "", *(f">{state}" for state in ENDINGS), ">time", ">size"]
        failed = [
            ("run" if one.epoch is None else one.epoch, one.analysis, one.error)
            for one in self.failures[:_FEW]
        ]
        more = len(self.failures) - len(failed)
        return whole(
            title_of(self.run, dim(str(self).removeprefix(f"{self.run}: "))),
            table(heads, rows),
            table(["epoch", "failed", "why"], failed) if failed else "",
            dim(f"and {more} more") if more else "",
        )

    def _row(self, name: str) -> tuple[object, ...]:
        counts = {state: self.count(state, name) for state in ENDINGS}
        seconds = sum(one.seconds for one in self.done if one.analysis == name)
        nbytes = sum(one.nbytes for one in self.done if one.analysis == name)
        time = duration(seconds) if seconds else ""
        return (
            name,
            shares(counts),
            *(n or "" for n in counts.values()),
            time,
            size(nbytes),
        )
