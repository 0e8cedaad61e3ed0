"""Folds: a row for each checkpoint of a run, one behind the other along `epoch`.

    run ──► checkpoint by checkpoint ──► *Along* ──► rows ──► arrays (epoch, …)
    entry of its beginning ──► *Begun* ──┘

A fold asks its run for one epoch after the other, and not for all at once. So what is read of a run is the beginning
of what is read of it when it has grown, and rows that were made then are the rows of now.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Mapping
from functools import partial
from types import CodeType
from typing import Any, Final

import msgspec
import numpy as np

from artifact_store.arraysets import ArraySet, Dims, LabelledArray
from artifact_store.artifacts import Artifact
from artifact_store.errors import BadResult, CoordinatesDiffer, RowsDiffer
from artifact_store.reads import ABSENT, Read, Recorder
from artifact_store.results import SINGLE, Labelled, arrays_of, drained
from artifact_store.runs import EPOCH, Run
from artifact_store.shards import AnyArray

# What a fold calls its first argument.
RUN: Final = "run"


class Begun(msgspec.Struct, frozen=True):
    """What is known of a fold before it begins: rows of the first epochs, and all that was read for them.

    Attributes
    ----------
    reads
        Up to the question what comes after the last of these epochs.
    outside
        Which of them no key tells.
    flags
        What making these rows did that a pure function would not.
    """

    arrays: Mapping[str, AnyArray]
    dims: Mapping[str, tuple[str, ...]]
    reads: tuple[Read, ...]
    outside: frozenset[Read]
    flags: tuple[str, ...]

    @property
    def last(self) -> int:
        """The last epoch that has a row."""
        return int(self.arrays[EPOCH][-1])

    @property
    def head(self) -> tuple[Read, ...]:
        """What was read before the first row."""
        return tuple(
            itertools.takewhile(lambda one: one.question.kind != "next", self.reads)
        )

    @property
    def row(self) -> ArraySet:
        """The first row."""
        rows = [
            (
                LabelledArray(name, self.arrays[name][0], dims[1:])
                if dims[:1] == (EPOCH,)
                else LabelledArray(name, self.arrays[name], dims)
            )
            for name, dims in self.dims.items()
            if name != EPOCH
        ]
        return ArraySet(tuple(rows))

    def tell(self, recorder: Recorder) -> None:
        """Have what was read and done for these rows noted, as if they were made now."""
        for read in self.reads:
            is_outside = read in self.outside
            recorder.note(read.question, read.answer, is_outside=is_outside)
        for flag in self.flags:
            recorder.flag(flag)


def begun_by(artifact: Artifact, reads: tuple[Read, ...] | None) -> Begun | None:
    """What an entry of the beginning of a run says of the whole; `None` if it does not tell, or is of no fold."""
    if not reads or (reads[-1].question.kind, reads[-1].answer) != ("next", ABSENT):
        return None
    manifest, arrays = artifact.entry.manifest, artifact.numpy()
    epochs = [one.answer for one in reads[:-1] if one.question.kind == "next"]
    if manifest.single or list(map(str, arrays.get(EPOCH, ()))) != epochs:
        return None
    dims = {one.name: one.dims for one in manifest.arrays}
    if any(len(arrays[name]) != len(epochs) for name in dims if EPOCH in dims[name]):
        return None
    return Begun(arrays, dims, reads[:-1], frozenset(manifest.outside), manifest.flags)


class Along:
    """A function of a checkpoint, as one of a run: its rows, stacked.

    Attributes
    ----------
    func
        The function; called so, it is found by all that looks into a `functools.partial`.
    dims
        The dimensions of the arrays of a row.
    shared
        Parameters that are the result of an analysis of the run, where the caller gives nothing.
    """

    # Without a `__dict__`, `functools.update_wrapper` takes nothing from here.
    __slots__ = ("func", "dims", "shared")

    def __init__(
        self, func: Callable[..., Any], dims: Dims, shared: Mapping[str, Any]
    ) -> None:
        self.func, self.dims, self.shared = func, dict(dims), dict(shared)

    @property
    def __code__(self) -> CodeType:
        code: CodeType = self.func.__code__
        return code

    @property
    def __signature__(self) -> inspect.Signature:
        """That of the function, with a run in the place of the checkpoint."""
        signature = inspect.signature(self.func)
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        run = inspect.Parameter(RUN, kind, annotation=Run)
        _, *others = signature.parameters.values()
        return signature.replace(parameters=[run, *others])

    def __call__(self, run: Run, *args: Any, **kwargs: Any) -> Labelled:
        return self._stacked(None, run, *args, **kwargs)

    def going_on(self, begun: Begun) -> Callable[..., Labelled]:
        """The same, which makes only those rows that are not known."""
        return partial(self._stacked, begun)

    def _stacked(
        self, begun: Begun | None, run: Run, *args: Any, **kwargs: Any
    ) -> Labelled:
        for name, analysis in self.shared.items():
            if kwargs.get(name) is None:
                kwargs[name] = analysis(run)
        begun = _if_still_told(begun, run)
        rows = _Rows(self.func.__name__, begun)
        epoch = None if begun is None else begun.last
        while (epoch := run.following(epoch)) is not None:
            rows.add(epoch, self._row(self.func(run[epoch], *args, **kwargs)))
        return rows.stacked()

    def _row(self, result: Any) -> ArraySet:
        name = self.func.__name__
        if not isinstance(result, Mapping):
            # A fold returns its epochs too, so that what was one array needs a name.
            (only,) = self.dims if len(self.dims) == 1 else (SINGLE,)
            result = {only: result}
        return arrays_of(name, drained(name, result, None), self.dims)[0]


def _if_still_told(begun: Begun | None, run: Run) -> Begun | None:
    """What is known, if all that was read before its first row is what is read now; it then counts as read."""
    recorder = getattr(run, "recorder", None)
    if begun is None or not isinstance(recorder, Recorder):
        return None
    if recorder.reads != begun.head:
        return None
    begun.tell(recorder)
    return begun


class _Rows:
    """Collects rows, each of which has the form of the first."""

    def __init__(self, analysis: str, begun: Begun | None) -> None:
        self._analysis, self._begun = analysis, begun
        self._first = None if begun is None else begun.row
        self._added: dict[int, dict[str, AnyArray]] = {}

    def add(self, epoch: int, row: ArraySet) -> None:
        """One more, provided that it can be stacked on those before."""
        if any(EPOCH in (one.name, *one.dims) for one in row.arrays):
            advice = "Name it otherwise: a fold adds the epochs itself."
            found = f"an array or axis called {EPOCH!r}"
            raise BadResult(self._analysis, found, advice)
        self._first = first = self._first or row
        if _form(row) != _form(first):
            raise RowsDiffer(self._analysis, epoch, _form(row), _form(first))
        for one, other in zip(row.arrays, first.arrays, strict=True):
            if is_coordinate(one) and not np.array_equal(
                one.values, other.values, equal_nan=True
            ):
                raise CoordinatesDiffer(self._analysis, one.name, epoch)
        self._added[epoch] = {one.name: one.values for one in row.arrays}

    def stacked(self) -> Labelled:
        """All of them along their epochs; coordinates are those of each."""
        arrays: dict[str, AnyArray] = {EPOCH: self._epochs()}
        dims: dict[str, tuple[str, ...]] = {EPOCH: (EPOCH,)}
        for one in () if self._first is None else self._first.arrays:
            if is_coordinate(one):
                arrays[one.name], dims[one.name] = one.values, one.dims
            else:
                arrays[one.name] = self._along(one)
                dims[one.name] = (EPOCH, *one.dims)
        return Labelled(arrays, dims)

    def _epochs(self) -> AnyArray:
        added = np.array(list(self._added), np.int64)
        known = [] if self._begun is None else [self._begun.arrays[EPOCH]]
        return np.concatenate([*known, added])

    def _along(self, one: LabelledArray) -> AnyArray:
        known = () if self._begun is None else self._begun.arrays[one.name]
        return np.stack([*known, *(row[one.name] for row in self._added.values())])


def is_coordinate(one: LabelledArray) -> bool:
    """Whether an array says where on an axis of a row things are, and not what is there."""
    return one.dims == (one.name,)


def _form(row: ArraySet) -> str:
    """What an array has to have in common with those that it is stacked on, in words."""
    return ", ".join(
        f"{one.name} {one.values.dtype.name}{list(one.values.shape)}"
        for one in row.arrays
    )
