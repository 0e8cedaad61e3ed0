"""`@analysis`: a pure function whose results are kept.

    call ──► key ──► Store.find ─┬─ hit ──────────────────────────────┬─► Artifact
                                 └─ miss ► lease ► compute ► publish ─┘

Read `materialize` first; `Analysis` is the decorated function, which makes the calls for it.
"""

from __future__ import annotations

import functools
import importlib
import pickle
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, cast, overload

from artifact_store.arrays import Codec
from artifact_store.arraysets import UNDECLARED, Dims
from artifact_store.artifacts import Artifact
from artifact_store.calls import Call, home_of_arguments
from artifact_store.closures.reach import Closure, closure_of
from artifact_store.declarations import Declaration, declare
from artifact_store.errors import (
    CorruptArtifact,
    MethodRefused,
    NoStore,
    NotStored,
    StoreFailed,
)
from artifact_store.events import Hit, Miss, Published, SetAside, emit
from artifact_store.explain import Explanation, describe, explain
from artifact_store.files import File
from artifact_store.keys import Key, key_of
from artifact_store.params import (
    Signature,
    anonymous,
    encode_inputs,
    encode_params,
    inputs_in,
)
from artifact_store.results import arrays_of, returned
from artifact_store.runs import Run
from artifact_store.series import series
from artifact_store.stores.base import Entry, Publication, Store
from artifact_store.stores.locate import STORE_VARIABLE, chosen_store

if TYPE_CHECKING:
    import xarray

P = ParamSpec("P")
R = TypeVar("R")


def materialize(call: Call, compute: Callable[[], Publication]) -> Artifact:
    """The artifact of `call`, computed only if the store does not hold it."""
    entry = find_sound(call)
    if entry is not None:
        emit(Hit(call.key))
        return Artifact(entry)

    emit(Miss(call.key))
    with computing(call):
        # Whoever held the lease before us may have published meanwhile.
        return Artifact(find_sound(call) or publish(call, compute()))


# The keys that the code running now is computing: a function may call itself with other ignored arguments.
_computing: ContextVar[frozenset[Key]] = ContextVar("_computing", default=frozenset())


@contextmanager
def computing(call: Call) -> Iterator[None]:
    """Hold the lease of `call`; a call inside itself has it already."""
    if call.key in _computing.get():
        yield
        return
    with call.store.lease(call.key):
        token = _computing.set(_computing.get() | {call.key})
        try:
            yield
        finally:
            _computing.reset(token)


def find_sound(call: Call) -> Entry | None:
    """The entry of `call`; a corrupt one is moved out of the way and is as good as none."""
    try:
        return call.store.find(call.key)
    except CorruptArtifact as corrupt:
        set_aside(call, corrupt)
        return None


def set_aside(call: Call, corrupt: CorruptArtifact) -> None:
    """Move what was found corrupt out of the way."""
    emit(SetAside(call.key, str(corrupt)))
    call.store.set_aside(call.key)


def publish(call: Call, publication: Publication) -> Entry:
    """Keep a result; if that fails, the error carries the result."""
    try:
        entry = call.store.publish(call.key, publication)
    except OSError as error:
        result = returned(publication.arrays, publication.single)
        raise StoreFailed(
            describe(call), call.store.location, str(error), result, call.key
        ) from error
    emit(Published(call.key, publication.provenance.seconds, entry.manifest.nbytes))
    return entry


@dataclass(frozen=True, slots=True)
class Recomputation:
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

    __wrapped__: Callable[P, R]
    __name__: str

    def __init__(self, function: Callable[P, R], declaration: Declaration) -> None:
        functools.update_wrapper(self, function)
        self.__wrapped__ = function
        self.__name__ = declaration.name
        self.declaration = declaration
        self._last_closure: Closure | None = None

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """What the function returns, as read-only numpy arrays; computed only if it is not stored."""
        call = self.call(*args, **kwargs)
        try:
            artifact = self.materialize(call)
            try:
                return cast(R, artifact.numpy())
            except CorruptArtifact as corrupt:
                # What only reading brings to light; or it was evicted since it was found.
                set_aside(call, corrupt)
                return cast(R, self.materialize(call).numpy())
        except StoreFailed as failure:
            if failure.key != call.key:
                raise  # Of an artifact that the function asked for.
            warnings.warn(str(failure), NotStored, stacklevel=2)
            return cast(R, failure.result)

    def artifact(self, *args: P.args, **kwargs: P.kwargs) -> Artifact:
        """A lazy handle on the stored result; computed if missing. Raises `StoreFailed` if it cannot be kept."""
        return self.materialize(self.call(*args, **kwargs))

    def materialize(self, call: Call) -> Artifact:
        """The artifact of a call made by `call`, computed if missing."""
        return materialize(call, lambda: self._compute(call))

    def find(self, *args: P.args, **kwargs: P.kwargs) -> Artifact | None:
        """The stored artifact, or `None`; never computes."""
        call = self.call(*args, **kwargs)
        try:
            entry = call.store.find(call.key)
        except CorruptArtifact:
            return None
        return None if entry is None else Artifact(entry)

    def recompute(self, *args: P.args, **kwargs: P.kwargs) -> Recomputation:
        """Compute it again whatever is stored, keep that, and say whether it changed."""
        call = self.call(*args, **kwargs)
        with computing(call):
            before = find_sound(call)
            after = publish(call, self._compute(call))
        return Recomputation(
            Artifact(after), None if before is None else Artifact(before)
        )

    def key(self, *args: P.args, **kwargs: P.kwargs) -> Key:
        """The key of this call."""
        return self.call(*args, **kwargs).key

    def explain(self, *args: P.args, **kwargs: P.kwargs) -> Explanation:
        """Why this call would hit or miss now, in words."""
        return explain(self.call(*args, **kwargs))

    def series(
        self, run: Run | str, array: str | None = None, **params: Any
    ) -> xarray.DataArray:
        """One of its arrays along the epochs of a run, read where it is indexed; see `Run.series`."""
        opened = run if isinstance(run, Run) else Run(run)
        found = {epoch: self.find(opened[epoch], **params) for epoch in opened}  # type: ignore[arg-type]
        return series(self.__name__, opened.name, found, array)

    def call(self, *args: P.args, **kwargs: P.kwargs) -> Call:
        """The call with these arguments, not yet computed."""
        arguments = self._signature.bind(args, kwargs)
        store = chosen_store(self.declaration.store, home_of_arguments(arguments))
        if store is None:
            raise NoStore(self.__name__, STORE_VARIABLE)
        closure = self.closure
        key = key_of(
            self.__name__,
            closure.digest,
            self._environment,
            encode_params(self.__name__, arguments.params),
            encode_inputs(arguments.inputs, store),
        )
        return Call(key, closure, self.declaration, self._signature, arguments, store)

    @property
    def closure(self) -> Closure:
        """All first-party code and constants it can reach, as they are now."""
        if self._last_closure is None or not self._last_closure.guard.holds():
            self._last_closure = closure_of(
                self.__wrapped__, self.declaration.depends_on
            )
        return self._last_closure

    def __closure_parts__(self) -> tuple[Any, ...]:
        # An analysis that calls this one reaches all that this one reaches.
        return (
            self.__wrapped__,
            self.declaration.depends_on,
            self.declaration.environment,
        )

    @property
    def is_imported(self) -> bool:
        """Whether another process finds it by its module and name."""
        module, name = self.__wrapped__.__module__, _qualname(self)
        return module not in _MAIN and named(module, name) is self

    @property
    def takes_run(self) -> bool:
        """Whether its first parameter is a whole run and not one checkpoint."""
        return self._signature.takes_run

    @functools.cached_property
    def _signature(self) -> Signature:
        return Signature(self.__wrapped__, self.declaration.ignore)

    @functools.cached_property
    def _environment(self) -> bytes:
        return self.declaration.environment_bytes

    def _compute(self, call: Call) -> Publication:
        started = time.perf_counter()
        inputs = {
            name: anonymous(value) for name, value in call.arguments.inputs.items()
        }
        args, kwargs = self._signature.unbind(
            {**call.arguments.params, **call.arguments.ignored, **inputs}
        )
        result = self.__wrapped__(*args, **kwargs)
        for value in call.arguments.inputs.values():
            for one in inputs_in(value):
                if isinstance(one, File):
                    # Unlike a checkpoint, which checks at every read, it may have been read by its path.
                    one.check_unchanged()
        arrays, single = arrays_of(self.__name__, result, self.declaration.dims)
        return Publication(
            arrays=arrays,
            single=single,
            codec=self.declaration.codec,
            durable=self.declaration.durable,
            label=call.label,
            provenance=call.provenance(time.perf_counter() - started),
            details=call.details(),
        )

    def __set_name__(self, owner: type, name: str) -> None:
        raise MethodRefused(f"{owner.__qualname__}.{name}")

    def __repr__(self) -> str:
        return f"<analysis {self.__wrapped__.__module__}.{self.__name__}>"

    def __reduce__(self) -> tuple[Any, ...]:
        if self.is_imported:
            return named, (self.__wrapped__.__module__, _qualname(self))
        if _PACKING.get():
            # Its closure goes along, for where it arrives there may be no source to make one from; but not if it
            # reaches imported code, which does not travel and may differ there.
            travels = all(
                one.name.startswith("__main__.") for one in self.closure.members
            )
            state = {**vars(self), "_last_closure": self.closure if travels else None}
            state.pop("_signature", None)
            return object.__new__, (Analysis,), state
        return _unpacked, (_packed(self),)


def _qualname(analysis: Analysis[..., Any]) -> str:
    return str(getattr(analysis.__wrapped__, "__qualname__", analysis.__name__))


# The names of a script or notebook, which mean something else in another process.
_MAIN = ("__main__", "__mp_main__")
_PACKING: ContextVar[bool] = ContextVar("_PACKING", default=False)


def _packed(analysis: Analysis[..., Any]) -> bytes:
    """An analysis that no import finds, whole, so that any pickler can carry it."""
    # Here and not above for its weight: most analyses are imported.
    import cloudpickle

    token = _PACKING.set(True)
    try:
        return cast(bytes, cloudpickle.dumps(analysis))
    finally:
        _PACKING.reset(token)


def _unpacked(packed: bytes) -> Any:
    """The inverse of `_packed`."""
    return pickle.loads(packed)


def named(module: str, name: str) -> Any:
    """What a module holds under a name; `None` if it does not."""
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


@overload
def analysis(
    function: Callable[P, R],
    /,
    *,
    name: str | None = None,
    dims: Dims = UNDECLARED,
    codec: Codec = "raw",
    ignore: tuple[str, ...] = (),
    versions: tuple[str, ...] = (),
    depends_on: tuple[Any, ...] = (),
    store: Store | str | None = None,
    durable: bool = False,
) -> Analysis[P, R]: ...
@overload
def analysis(
    *,
    name: str | None = None,
    dims: Dims = UNDECLARED,
    codec: Codec = "raw",
    ignore: tuple[str, ...] = (),
    versions: tuple[str, ...] = (),
    depends_on: tuple[Any, ...] = (),
    store: Store | str | None = None,
    durable: bool = False,
) -> Callable[[Callable[P, R]], Analysis[P, R]]: ...
def analysis(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    dims: Dims = UNDECLARED,
    codec: Codec = "raw",
    ignore: tuple[str, ...] = (),
    versions: tuple[str, ...] = (),
    depends_on: tuple[Any, ...] = (),
    store: Store | str | None = None,
    durable: bool = False,
) -> Any:
    """Keep the results of a pure function.

    Parameters
    ----------
    function
        Takes checkpoints (or runs, files, artifacts) and values; returns an array, a number, a tensor, or a mapping
        of these by name. The same arguments and code give the same result.
    name
        Its name in stores; that of the function if not given.
    dims
        Names of the axes of its arrays, as in `{"norm": ("frequency", "neuron")}`. A returned 1-D array
        named like a dimension is its coordinate.
    codec
        `"raw"` is mapped into memory in microseconds; `"zstd"` takes less space and 10 times as long to read.
    ignore
        Parameters that change how it is computed and not what, such as a device. They are in no key.
    versions
        Packages whose installed version is part of the key.
    depends_on
        Functions, classes and constants that it reaches in ways that cannot be followed.
    store
        A directory or a store. If not given: `ARTIFACT_STORE`, or the directory beside the first input.
    durable
        Whether to wait until a result is on disk (20 ms at 26 MB). Without it, a power cut may cost a recomputation.
    """

    def decorate(plain: Callable[..., Any]) -> Analysis[..., Any]:
        declaration = declare(
            plain,
            name,
            dims,
            codec=codec,
            ignore=ignore,
            versions=versions,
            depends_on=depends_on,
            store=store,
            durable=durable,
        )
        return Analysis(plain, declaration)

    return decorate if function is None else decorate(function)
