"""Plans: which calls would hit, which miss and why, before anything runs."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Literal, TypeAlias

from artifact_store.calls import Call
from artifact_store.causes import causes_of_miss
from artifact_store.errors import ArtifactStoreError, CorruptArtifact
from artifact_store.explain import drift_of, waits_for
from artifact_store.markup import coloured, dim, shares, table, title_of, whole
from artifact_store.quantities import duration
from artifact_store.stores.base import Entry, Store
from artifact_store.terminals import visible
from artifact_store.traces import Pending, peek

State: TypeAlias = Literal["fresh", "drift", "pending", "stale", "missing", "corrupt"]

# In the order in which they should worry the reader.
STATES: tuple[State, ...] = (
    "fresh",
    "drift",
    "pending",
    "stale",
    "missing",
    "corrupt",
)


@dataclass(frozen=True, slots=True)
class Step:
    """One call of a plan: an analysis at an epoch, or of a whole run (epoch `None`).

    Attributes
    ----------
    state
        `fresh` and `drift` hit; of `drift`, installed packages have changed since. `pending`: it calls an analysis
        that has to be computed first, and hits if that gives what it gave before. `stale`: there is an entry, made in
        another way. `missing`: there is none. `corrupt`: there is one that must not be used.
    causes
        Why it would miss, or what has drifted; the first line of each.
    """

    analysis: str
    epoch: int | None
    key: str
    state: State
    causes: tuple[str, ...]
    details: tuple[str, ...] = ()

    @property
    def hits(self) -> bool:
        """Whether the stored result would be used."""
        return self.state in ("fresh", "drift")


@dataclass(frozen=True, slots=True)
class Plan:
    """What a pipeline would do, step by step.

    Attributes
    ----------
    seconds
        How long the misses would take one after another, from how long they took before; `None` if nothing is known.
    twins
        Epochs whose checkpoint holds the very weights of an earlier one, with that one: computed once.
    """

    run: str
    steps: tuple[Step, ...]
    seconds: float | None
    twins: tuple[tuple[int, int], ...] = ()

    @property
    def hits(self) -> tuple[Step, ...]:
        """Steps whose result is stored."""
        return tuple(step for step in self.steps if step.hits)

    @property
    def misses(self) -> tuple[Step, ...]:
        """Steps that would be computed."""
        return tuple(
            step for step in self.steps if not step.hits and step.state != "pending"
        )

    @property
    def pending(self) -> tuple[Step, ...]:
        """Steps that would be computed if what they wait for gives something new."""
        return tuple(step for step in self.steps if step.state == "pending")

    def by_analysis(self) -> dict[str, tuple[Step, ...]]:
        """The steps of each analysis."""
        names = dict.fromkeys(step.analysis for step in self.steps)
        return {
            name: tuple(step for step in self.steps if step.analysis == name)
            for name in names
        }

    def reasons(
        self, state: State | None = None
    ) -> Iterator[tuple[str, str, tuple[int | None, ...]]]:
        """Each analysis, each cause in it, and the epochs that it holds for; of those in one state, or of all."""
        for name, steps in self.by_analysis().items():
            epochs: dict[str, dict[int | None, None]] = {}
            for step in steps:
                for cause in step.causes if state in (None, step.state) else ():
                    epochs.setdefault(cause, {})[step.epoch] = None
            yield from ((name, cause, tuple(at)) for cause, at in epochs.items())

    def as_dict(self) -> dict[str, Any]:
        """The same, for JSON."""
        counts = {"hits": len(self.hits), "misses": len(self.misses)}
        return asdict(self) | counts | {"pending": len(self.pending)}

    def counted(self) -> str:
        """Hits, misses and, if there are any, what is pending."""
        pending = f", {len(self.pending)} pending" if self.pending else ""
        return f"{_number(self.hits, 'hit')}, {_number(self.misses, 'miss')}{pending}"

    def same_weights(self) -> str:
        """What there is to say about checkpoints with equal weights; empty if there are none."""
        if not self.twins:
            return ""
        epochs = epochs_in_words([epoch for epoch, _ in self.twins])
        hold, their = ("holds", "its") if len(self.twins) == 1 else ("hold", "their")
        firsts = tuple(dict.fromkeys(first for _, first in self.twins))
        of = f"those of {epochs_in_words(firsts)}"
        return f"{epochs} {hold} no weights of {their} own but {of}: computed once"

    def __str__(self) -> str:
        lines = [f"{self.run}: {self.counted()}{_time(self.seconds)}"]
        for name, steps in self.by_analysis().items():
            lines.append(f"  {name}: {in_words(steps)}")
        lines += [
            f"    {name}, {epochs_in_words(epochs)}: {cause}"
            for name, cause, epochs in self.reasons()
        ]
        if self.twins:
            lines.append(f"  {self.same_weights()}")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return visible(f"<Plan of {self.run}: {self.counted()}>")

    def _repr_html_(self) -> str:
        rows = [
            (name, shares(counts_of(steps)), in_words(steps))
            for name, steps in self.by_analysis().items()
        ]
        why = [
            (coloured(state, state), name, epochs_in_words(epochs), cause)
            for state in STATES
            for name, cause, epochs in self.reasons(state)
        ]
        return whole(
            title_of(self.run, dim(f"{self.counted()}{_time(self.seconds)}")),
            table(["analysis", "", ""], rows),
            table(["state", "analysis", "at", "why"], why) if why else "",
            dim(self.same_weights()),
        )


def step_of(call: Call, epoch: int | None) -> Step:
    """What would happen to one call, and why."""
    name, key = call.key.analysis, call.key.digest.hex
    try:
        found = peek(call)
    except CorruptArtifact as error:
        # Not where, for that differs from epoch to epoch: the details say it.
        what = f"what is stored {error.problem}"
        return Step(name, epoch, key, "corrupt", (what,), (str(error),))
    except ArtifactStoreError as error:
        return Step(name, epoch, key, "corrupt", (str(error),))
    if isinstance(found, Entry):
        drift = tuple(drift_of(found.manifest, call))
        return Step(name, epoch, key, "drift" if drift else "fresh", drift)
    if isinstance(found, Pending):
        # Not which call, for that differs from epoch to epoch: the details say it.
        waits, cause = found.upstream.key.analysis, waits_for(found.upstream)
        what = f"{waits} has to be computed first"
        return Step(name, epoch, key, "pending", (what,), (str(cause),))
    causes = causes_of_miss(call)
    state: State = (
        "missing"
        if all(cause.kind == "never computed" for cause in causes)
        else "stale"
    )
    return Step(
        name,
        epoch,
        key,
        state,
        tuple(cause.what for cause in causes),
        tuple(map(str, causes)),
    )


def impossible(analysis: str, epoch: int | None, error: ArtifactStoreError) -> Step:
    """The step of a call that has no key: its checkpoint cannot be read, or its code not be followed."""
    return Step(analysis, epoch, "", "missing", (str(error),))


# Enough for a median, and soon read.
_SAMPLE = 50


def seconds_of(steps: Iterable[Step], stores: Collection[Store]) -> float | None:
    """How long the misses among `steps` took before: the median of some of each analysis."""
    missing = Counter(step.analysis for step in steps if not step.hits)
    known = {
        name: [
            one.provenance.seconds
            for store in stores
            for one in itertools.islice(store.manifests(name), _SAMPLE)
        ]
        for name in missing
    }
    if not all(known.values()):
        return None
    return sum(count * median(known[name]) for name, count in missing.items())


def count_of(steps: Sequence[Step], state: State) -> int:
    """How many steps are in a state."""
    return sum(step.state == state for step in steps)


def counts_of(steps: Sequence[Step]) -> dict[str, int]:
    """How many steps are in each state."""
    return {state: count_of(steps, state) for state in STATES}


def in_words(steps: Sequence[Step]) -> str:
    """The states of some steps, counted."""
    return ", ".join(f"{n} {state}" for state, n in counts_of(steps).items() if n)


def epochs_in_words(epochs: Sequence[int | None]) -> str:
    """Some epochs: all of few, the ends of many."""
    if epochs == (None,):
        return "whole run"
    if len(epochs) <= 4:
        return f"epoch{'s' if len(epochs) > 1 else ''} {', '.join(map(str, epochs))}"
    return f"{len(epochs)} epochs, {epochs[0]} to {epochs[-1]}"


def _number(some: Sequence[Step], one: str) -> str:
    plural = "es" if one.endswith("s") else "s"
    return f"{len(some)} {one}{plural if len(some) != 1 else ''}"


def _time(seconds: float | None) -> str:
    return "" if not seconds else f", about {duration(seconds)}"
