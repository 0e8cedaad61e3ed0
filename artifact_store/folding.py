"""`@fold`: one analysis over a whole training, told by the row of one checkpoint.

function of a checkpoint ──► *Along* a run ──► *Fold*, an analysis of the run

When the run has grown, the rows of its longest part that is stored are taken as they are, and only the others made.
"""

from __future__ import annotations

import functools
import inspect
import platform
from collections.abc import Callable, Mapping
from types import FunctionType, MappingProxyType
from typing import (
    Any,
    Concatenate,
    Final,
    ParamSpec,
    TypedDict,
    TypeVar,
    Unpack,
    cast,
    overload,
)

from artifact_store.arrays import Codec
from artifact_store.arraysets import UNDECLARED, Dims
from artifact_store.artifacts import Artifact
from artifact_store.calls import Call, inputs_of, versions_of
from artifact_store.checkpoints import Checkpoint
from artifact_store.computations import compute
from artifact_store.declarations import Declaration, declare
from artifact_store.errors import BadDeclaration, CorruptArtifact
from artifact_store.folds import RUN, Along, Begun, begun_by
from artifact_store.keeping import (
    find_sound,
    materialized,
    reuse,
    reuse_part,
    set_aside_if_there,
)
from artifact_store.memoize import Analysis
from artifact_store.modes import ModeName
from artifact_store.runs import EPOCH, Run
from artifact_store.stores.base import Entry, Publication, Store
from artifact_store.traces import asked_anew, reads_of

P = ParamSpec("P")
R = TypeVar("R")

NOTHING_SHARED: Final[Mapping[str, Analysis[..., Any]]] = MappingProxyType({})


class Fold(Analysis[P, R]):
    """An analysis of a run, made of a row for each of its checkpoints."""

    def __init__(
        self,
        function: Callable[..., Any],
        declaration: Declaration,
        shared: Mapping[str, Analysis[..., Any]],
    ) -> None:
        rows = {name: dims[1:] for name, dims in declaration.dims.items()}
        self._along = Along(function, rows, shared)
        super().__init__(cast(Callable[P, R], self._along), declaration)
        functools.update_wrapper(self, function)
        self.__name__ = declaration.name

    def _reused(self, call: Call) -> Entry | None:
        # The function asks for these first; and what is kept of a shorter run may stand by what is known of them.
        for name, analysis in self._along.shared.items():
            if call.arguments.params.get(name, call) is None:
                materialized(analysis, analysis.call(inputs_of(call.arguments)[0]))
        begun = self._begun_by_key(call)
        if begun is not None:
            # Of the rows that are known, nothing has to be asked again.
            head = asked_anew(call, begun.head)
            if all(one.answer == one.read.answer for one in head):
                return reuse(call, begun.reads)
        return reuse(call)

    def _made(self, call: Call) -> Publication:
        begun = self._begun_by_key(call) or self._begun_by_reads(call)
        rest = None if begun is None else self._along.going_on(begun)
        return compute(call, self._function, rest)

    def _begun_by_key(self, call: Call) -> Begun | None:
        """The longest part of the run whose entry was made by the very code and params of `call`."""
        run = inputs_of(call.arguments)[0]
        if not isinstance(run, Run):
            return None
        ends = {one.hex: epoch for one, epoch in run.beginnings().items()}
        known, _ = call.store.kin(call.key, call.kinship)
        epochs = {
            ends[one.digest]
            for manifest in known
            for one in manifest.provenance.inputs
            if one.digest in ends
            and manifest.provenance.closure == call.closure.digest.hex
        }
        for epoch in sorted(epochs - {run.epochs[-1]}, reverse=True):
            shorter = self.call_with({**call.arguments.passed, RUN: run.until(epoch)})
            entry = find_sound(shorter) if _is_part(shorter, run) else None
            if entry is not None and (begun := _begun(entry, shorter)) is not None:
                return begun
        return None

    def _begun_by_reads(self, call: Call) -> Begun | None:
        """The longest part of the run whose entry was made from what `call` would read of it."""
        entry = reuse_part(call)
        return None if entry is None else _begun(entry, call)


def _is_part(shorter: Call, run: Run) -> bool:
    """Whether no checkpoint of a shorter run was replaced since the longer one was digested."""
    (part, *_), whole = inputs_of(shorter.arguments), run.digested
    return all(one.root == whole[epoch].root for epoch, one in part.digested.items())


def _begun(entry: Entry, call: Call) -> Begun | None:
    """What the entry of a part of a run says of it; `None` if to compute it now might give something else."""
    made = entry.manifest.provenance
    if (made.closure, made.python, made.versions) != (
        # Neither what a blessing may be taken back of, nor what has drifted, is to go unnoticed in new entries.
        call.closure.digest.hex,
        platform.python_version(),
        versions_of(call.closure.packages),
    ):
        return None
    try:
        return begun_by(Artifact(entry), reads_of(entry.manifest, call.store))
    except CorruptArtifact as corrupt:
        set_aside_if_there(call, entry, corrupt)
    except OSError:
        pass  # It may be readable the next time.
    return None


class Options(TypedDict, total=False):
    """What else an author may say of a fold, as of any analysis."""

    codec: Codec
    ignore: tuple[str, ...]
    versions: tuple[str, ...]
    depends_on: tuple[Any, ...]
    first_party: tuple[str, ...]
    was: Mapping[str, Any]
    strict: bool | None
    store: Store | str | None
    durable: bool
    mode: ModeName | None


_DEFAULTS: Final = Options(
    codec="raw",
    ignore=(),
    versions=(),
    depends_on=(),
    first_party=(),
    was={},
    strict=None,
    store=None,
    durable=False,
    mode=None,
)


@overload
def fold(
    function: Callable[Concatenate[Checkpoint, P], R],
    /,
    *,
    name: str | None = None,
    dims: Dims = UNDECLARED,
    shared: Mapping[str, Analysis[..., Any]] = NOTHING_SHARED,
    **others: Unpack[Options],
) -> Fold[Concatenate[Run, P], R]: ...
@overload
def fold(
    *,
    name: str | None = None,
    dims: Dims = UNDECLARED,
    shared: Mapping[str, Analysis[..., Any]] = NOTHING_SHARED,
    **others: Unpack[Options],
) -> Callable[
    [Callable[Concatenate[Checkpoint, P], R]], Fold[Concatenate[Run, P], R]
]: ...
def fold(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    dims: Dims = UNDECLARED,
    shared: Mapping[str, Analysis[..., Any]] = NOTHING_SHARED,
    **others: Unpack[Options],
) -> Any:
    """An analysis of a run, told by the row of one checkpoint: rows are stacked along `epoch`.

    What is decorated is called as an analysis of the run, with the same params. A run that has grown costs the rows
    of its new checkpoints, and one entry; a checkpoint that was replaced, those from there on.

    That takes what was read for a row to be written down. Where a row passes an array to another analysis it is not,
    and a run that has grown has all of its rows made again: pass what identifies the array instead, or its values as a
    tuple of plain numbers.

    Parameters
    ----------
    function
        Takes one checkpoint and values; returns what an analysis returns, of one form for every checkpoint. A
        coordinate has to be the same for all, and stays as it is.
    dims
        Names of the axes of a row: `epoch` comes in front of them.
    shared
        Keyword parameters, `None` by default, that are the result of an analysis of the run where the caller gives
        nothing. It is asked for once; while that stays the same, so do the rows.
    others
        As of `@analysis`.
    """

    def decorate(row: Callable[..., Any]) -> Fold[..., Any]:
        declaration = declare(
            row,
            name,
            {array: _along_epochs(row, array, dims[array]) for array in dims},
            **(_DEFAULTS | others),
        )
        _check(declaration.name, row, shared)
        return Fold(row, declaration, shared)

    return decorate if function is None else decorate(function)


def _along_epochs(row: Any, array: str, dims: tuple[str, ...]) -> Any:
    if isinstance(dims, str):
        return dims  # Which is refused, with all else that is wrong.
    if EPOCH in dims:
        problem = f"dims of {array!r} have {EPOCH!r}, which a fold puts in front itself"
        raise BadDeclaration(_name_of(row), problem, "Name the axes of one row.")
    return (EPOCH, *dims)


def _name_of(row: Any) -> str:
    return str(getattr(row, "__name__", type(row).__name__))


def _check(
    name: str, row: Callable[..., Any], shared: Mapping[str, Analysis[..., Any]]
) -> None:
    """Raise `BadDeclaration` unless a function can make rows, and be given what it shares."""
    if not isinstance(row, FunctionType):
        problem = f"it is a {type(row).__name__}"
        raise BadDeclaration(name, problem, "Make rows with a plain function.")
    parameters = list(inspect.signature(row).parameters.values())
    first, others = parameters[:1], parameters[1:]
    if not any(one.kind is one.POSITIONAL_OR_KEYWORD for one in first):
        problem = "its first parameter takes no checkpoint"
        raise BadDeclaration(name, problem, "Begin with `checkpoint: Checkpoint`.")
    if any(one.name == RUN for one in others):
        problem = f"it has a parameter {RUN!r}, as its checkpoints have become"
        raise BadDeclaration(name, problem, "Name it otherwise.")
    known = {one.name: one for one in others}
    for parameter, analysis in shared.items():
        found = known.get(parameter)
        if (
            found is None
            or found.kind is not found.KEYWORD_ONLY
            or found.default is not None
        ):
            problem = f"shared names {parameter!r}, which is no keyword parameter that is None by default"
            raise BadDeclaration(
                name, problem, f"Write (checkpoint, *, {parameter}=None)."
            )
        if not isinstance(analysis, Analysis) or not analysis.takes_run:
            problem = f"shared gives {parameter!r} what is no analysis of a run"
            raise BadDeclaration(name, problem, "Decorate a function of a `Run`.")
