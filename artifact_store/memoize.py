"""A pure function whose results are kept.

    call ──► find ─┬─ hit: nothing has changed ────────────────────────────────────────┬─► Artifact
                   └─ miss ► reuse ─┬─ hit: nothing has changed that the function read ┤
                                    └─ miss ► lease ► compute ► publish ───────────────┘

Read `materialize` first; `Analysis` is the decorated function, which makes the calls for it.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Hashable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, cast

import msgspec

from artifact_store.artifacts import Artifact
from artifact_store.calls import Call, home_of_arguments
from artifact_store.closures.caches import forget_stale
from artifact_store.closures.reach import Callee, Closure, closure_of, whole_of
from artifact_store.computations import (
    compute,
    compute_aside,
    computing,
    note_aside,
    noting,
    recorder_of,
    uncached,
    where_computed,
)
from artifact_store.counts import CacheInfo, Counts
from artifact_store.declarations import Declaration
from artifact_store.digests import Digest
from artifact_store.errors import (
    CorruptArtifact,
    KeepRefused,
    MethodRefused,
    NoStore,
    NotStored,
    OnlyComputed,
    StoreFailed,
    StoreOff,
)
from artifact_store.events import Hit, Miss, emit
from artifact_store.keeping import (
    find_sound,
    only_computed,
    publish,
    replace,
    reuse,
    set_aside_if_there,
    stored,
    unreadable,
)
from artifact_store.keys import Key, key_of
from artifact_store.markup import dim, element, mono, title_of, whole
from artifact_store.params import encode_inputs, encode_params
from artifact_store.recent import Recent, cached_property
from artifact_store.runs import Run
from artifact_store.series import series
from artifact_store.signatures import Signature
from artifact_store.spellings import Spelled, spelled, spelling_of
from artifact_store.stores.base import Entry, Publication
from artifact_store.stores.locate import chosen_store
from artifact_store.stores.places import STORE_VARIABLE
from artifact_store.transport import (
    address_of,
    is_found_by_name,
    is_packing,
    named,
    packed,
    unpacked,
)

if TYPE_CHECKING:
    import xarray

    from artifact_store.explain import Explanation

P = ParamSpec("P")
R = TypeVar("R")
A = TypeVar("A", Artifact, Artifact | None)


def materialize(
    call: Call,
    make: Callable[[], Publication],
    counts: Counts,
    reused: Callable[[Call], Entry | None] = reuse,
) -> Artifact:
    """The artifact of `call`, computed only if the store does not hold it."""
    entry = find_sound(call) or reused(call)
    if entry is not None:
        counts.hit(entry)
        emit(Hit(call.key))
        return Artifact(entry)

    counts.miss()
    emit(Miss(call.key))
    with computing(call):
        # Whoever held the lease before us may have published meanwhile.
        return Artifact(find_sound(call) or publish(call, make()))


class Recomputation(msgspec.Struct, frozen=True):
    """The artifact of a call that was computed again, and whether that gave something else than before."""

    artifact: Artifact
    previous: Artifact | None

    @property
    def changed(self) -> bool:
        """Whether the result differs from the stored one, as it never does for a pure function."""
        return (
            self.previous is not None
            and self.previous.output_digest != self.artifact.output_digest
        )


class Analysis(Generic[P, R]):
    """A pure function whose results are kept; calling it computes what is not there yet.

    Every method but `series` takes the arguments of the function. A `str` or `Path` for a parameter
    annotated `Checkpoint`, `Run` or `File` is opened as one. `__wrapped__` is the plain function.
    """

    __analysis__ = True  # For closures, which must not look inside.
    __name__: str
    _last_whole: tuple[Digest, tuple[tuple[Callee, Closure], ...]] | None = None

    def __init__(self, function: Callable[P, R], declaration: Declaration) -> None:
        functools.update_wrapper(self, function)
        self._function = function
        self.__name__ = declaration.name
        self.declaration = declaration
        self._last_closure: Closure | None = None

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """What the function returns, as read-only numpy arrays; computed only if it is not stored."""
        try:
            call = self.call(*args, **kwargs)
        except StoreOff:
            return cast(
                R,
                uncached(
                    self._function, self.declaration, self._signature, args, kwargs
                ),
            )
        try:
            artifact = self._told(call, self._served)
            try:
                return cast(R, artifact.numpy())
            except CorruptArtifact as corrupt:
                # What only reading brings to light; or it was evicted since it was found.
                set_aside_if_there(call, artifact.entry, corrupt)
                artifact = self._served(call)
            except OSError:
                pass  # Too many open files, say: that may be over by now.
            return cast(R, self._read(call, artifact))
        except StoreFailed as failure:
            if failure.key != call.key:
                raise  # Of an artifact that the function asked for.
            if isinstance(failure, OnlyComputed):
                return cast(R, failure.result)
            warnings.warn(str(failure), NotStored, stacklevel=2)
            return cast(R, failure.result)

    def artifact(self, *args: P.args, **kwargs: P.kwargs) -> Artifact:
        """A lazy handle on the stored result; computed if missing. Raises `StoreFailed` if it cannot be kept.

        In the mode `ro`, a miss raises `KeepRefused` before anything is computed: an artifact is what lies on disk. In
        the mode `off` there is none, which raises `StoreOff`, as in all that follows but `find`.
        """
        return self._told(self.call(*args, **kwargs), self.materialize)

    def _served(self, call: Call) -> Artifact:
        """As `materialize`; what there can be no artifact of is computed, and is in the error."""
        try:
            return self.materialize(call)
        except KeepRefused as refused:
            return self._unkept(call, refused, self._made)

    def _read(self, call: Call, artifact: Artifact) -> Any:
        """Its arrays; where they cannot be read, the function runs for this once, and its result is in the error."""
        try:
            return artifact.numpy()
        except (CorruptArtifact, OSError) as error:
            # A disk that fails, or what is corrupt where nothing is to be written: what is stored stays.
            why = f"it cannot be read at this moment ({error})"
            again = compute_aside(call, self._function, why)
            raise unreadable(call, error, again) from error

    def _unkept(
        self, call: Call, refused: KeepRefused, make: Callable[[Call], Publication]
    ) -> Artifact:
        if refused.key != call.key:
            raise refused  # Of an artifact that the function asked for.
        raise only_computed(call, make(call)) from None

    def _told(self, call: Call, act: Callable[[Call], A]) -> A:
        """What `act` gives; if a computation makes this call, it is noted there."""
        recorder = recorder_of(self, call)
        if recorder is None:
            return act(call)
        with noting(recorder, self, call) as note:
            artifact = act(call)
            note(artifact)
        return artifact

    def materialize(self, call: Call) -> Artifact:
        """The artifact of a call made by `call`, computed if missing."""
        make = partial(self._made, call)
        return materialize(call, make, self._counts, self._reused)

    def _reused(self, call: Call) -> Entry | None:
        """The entry that was made from what a call would read."""
        return reuse(call)

    def _made(self, call: Call) -> Publication:
        """The result of a call for which there is no entry."""
        return compute(call, self._function)

    def find(self, *args: P.args, **kwargs: P.kwargs) -> Artifact | None:
        """The stored artifact, or `None`; never computes. Nothing is stored in the mode `off`."""
        try:
            call = self.call(*args, **kwargs)
        except StoreOff:
            return None
        return self._told(call, stored)

    def recompute(self, *args: P.args, **kwargs: P.kwargs) -> Recomputation:
        """Compute it again whatever is stored, keep that, and say whether it changed.

        In the mode `ro`, where it cannot be kept, `OnlyComputed` is raised, with the new arrays in its `result`. In
        `require` nothing is computed, which raises `MissRefused`. In `refresh`, what was stored before is not compared.
        """
        call, before = self.call(*args, **kwargs), None
        try:
            with computing(call):
                before = stored(call)
                after = self._told(call, self._replaced)
        except KeepRefused as refused:
            anew = partial(compute, function=self._function)
            after = self._told(call, partial(self._unkept, refused=refused, make=anew))
        return Recomputation(after, before)

    def _replaced(self, call: Call) -> Artifact:
        return Artifact(replace(call, compute(call, self._function)))

    def key(self, *args: P.args, **kwargs: P.kwargs) -> Key:
        """The key of this call."""
        note_aside(f"it asked for the key of {self.__name__}")
        return self.call(*args, **kwargs).key

    def explain(self, *args: P.args, **kwargs: P.kwargs) -> Explanation:
        """Why this call would hit or miss now, in words."""
        from artifact_store.explain import explain  # for those who ask

        note_aside(f"it asked for an explanation of {self.__name__}")
        return explain(self.call(*args, **kwargs))

    def cache_info(self) -> CacheInfo:
        """How often calls of it in this process found their result, and what that saved; of whatever store.

        Counted are calls that would have computed a missing one: of the function, of `artifact`, of another analysis
        and of a pipeline; not `find` and `recompute`, nor what workers of a pipeline do in processes of their own.
        Threads may call and ask at any time.
        """
        return self._counts.info()

    def series(
        self, run: Run | str, array: str | None = None, **params: Any
    ) -> xarray.DataArray:
        """One of its arrays along the epochs of a run, read where it is indexed; see `Run.series`."""
        opened = run if isinstance(run, Run) else Run(run)
        self._foresee(opened, params)
        found = {epoch: self.find(opened[epoch], **params) for epoch in opened}  # type: ignore[arg-type]
        name = getattr(opened, "named", opened).name
        return series(self.__name__, name, found, array)

    def _foresee(self, run: Run, params: Mapping[str, Any]) -> None:
        """Look the results along a run up together, where each look is a round trip."""
        keys: list[Key] = []
        for epoch in run:
            try:
                call = self.call(run[epoch], **params)  # type: ignore[arg-type]
            except StoreOff:
                return
            if not call.store.is_far:
                return
            keys.append(call.key)
        call.store.foresee(keys)

    def call(self, *args: P.args, **kwargs: P.kwargs) -> Call:
        """The call with these arguments, not yet computed. Its store, and how it is seen, are those of this moment.

        In the mode `off` there is none, which raises `StoreOff`.
        """
        spelling = spelling_of(args, kwargs)
        if spelling is None:
            return self._bound(args, kwargs)
        known = self._calls.get(spelling)
        if known is not None and known.call.whole is self.whole and known.stands():
            return known.call
        call = self._bound(args, kwargs)
        if (meant := spelled(call)) is not None:
            self._calls.put(spelling, meant)
        return call

    def _bound(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        arguments = self._signature.bind(args, kwargs)
        declared, home = self.declaration, home_of_arguments(arguments)
        store = where_computed(
            arguments, lambda: chosen_store(declared.store, home, declared.mode)
        )
        if store is None:
            raise NoStore(self.__name__, STORE_VARIABLE)
        whole, closures = self._whole()
        params = encode_params(self.__name__, arguments.params)
        inputs = encode_inputs(self.__name__, arguments.inputs, store)
        return Call(
            key_of(self.__name__, whole, params, inputs),
            whole,
            closures[0][1],
            self.declaration,
            self._signature,
            arguments,
            params,
            store,
        )

    def call_with(self, passed: Mapping[str, Any]) -> Call:
        """The call with these arguments, by name."""
        args, kwargs = self._signature.unbind(passed)
        return self.call(*args, **kwargs)

    @property
    def closure(self) -> Closure:
        """The first-party code and constants it can reach as they are now, up to the analyses that it calls."""
        last, declared = self._last_closure, self.declaration
        if last is not None and last.guard.holds():
            return last
        closure = closure_of(self._function, declared.depends_on, declared.first_party)
        self._last_closure = closure
        return closure

    @property
    def closures(self) -> tuple[Closure, ...]:
        """Its closure, and those of the analyses that it calls."""
        return tuple(closure for _, closure in self._whole()[1])

    @property
    def whole(self) -> Digest:
        """The digest of all that it and the analyses it calls can reach, as they are now."""
        return self._whole()[0]

    def _whole(self) -> tuple[Digest, tuple[tuple[Callee, Closure], ...]]:
        known = self._last_whole
        if known is not None:
            for one, was in known[1]:
                if one.closure is not was:
                    break
            else:
                return known
        known = whole_of(self)
        forget_stale(known[0], [closure for _, closure in known[1]])
        self._last_whole = known
        return known

    @property
    def __wrapped__(self) -> Callable[P, R]:
        """The plain function."""
        note_aside(f"it called {self.__name__} around its cache")
        return self._function

    @__wrapped__.setter
    def __wrapped__(self, function: Callable[P, R]) -> None:
        pass  # `update_wrapper` sets it.

    @property
    def defaults(self) -> bytes:
        """What its callers may leave to it: a call that does is another one when a default changes."""
        return self._signature.default_bytes

    @cached_property
    def identity(self) -> bytes:
        """What decides its key beside its closure: its name and what was declared of it."""
        return self.__name__.encode() + b":" + self.declaration.environment_bytes

    @property
    def is_imported(self) -> bool:
        """Whether another process finds it by its module and name."""
        return is_found_by_name(self)

    @property
    def takes_run(self) -> bool:
        """Whether its first parameter is a whole run and not one checkpoint."""
        return self._signature.takes_run

    @cached_property
    def _signature(self) -> Signature:
        return Signature(self._function, self.declaration.ignore)

    @cached_property
    def _calls(self) -> Recent[Hashable, Spelled]:
        # As many as a long run has checkpoints.
        return Recent(1024)

    @cached_property
    def _counts(self) -> Counts:
        return Counts()

    def __dask_tokenize__(self) -> Any:
        return "artifact_store.Analysis", self.identity, self.whole.hex

    def __set_name__(self, owner: type, name: str) -> None:
        raise MethodRefused(f"{owner.__qualname__}.{name}")

    def __repr__(self) -> str:
        return f"<analysis {self.__module__}.{self.__name__}>"

    def _repr_html_(self) -> str:
        import inspect  # for those who look

        said = (inspect.getdoc(self) or "").partition("\n")[0]
        spelled = inspect.signature(self._function)
        bare = [p.replace(annotation=p.empty) for p in spelled.parameters.values()]
        arguments = spelled.replace(parameters=bare, return_annotation=spelled.empty)
        title = title_of(self.__name__, mono(arguments), dim(self.__module__))
        return whole(title, element("div", said), dim(self.cache_info()))

    def __reduce__(self) -> tuple[Any, ...]:
        if self.is_imported:
            return named, address_of(self)
        if is_packing():
            # Its closure goes along, for where it arrives there may be no source to make one from; but not if it
            # reaches imported code, which does not travel and may differ there.
            travels = all(
                one.name.startswith("__main__.") for one in self.closure.members
            )
            state = {**vars(self), "_last_closure": self.closure if travels else None}
            for remade in ("_signature", "_last_whole", "_calls", "_counts"):
                state.pop(remade, None)
            return object.__new__, (type(self),), state
        return unpacked, (packed(self),)
