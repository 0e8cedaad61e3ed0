"""Computations: the function of a call runs, and what it reads is noted.

call ──► anonymous inputs ──► function ──► arrays ─┐
               └──► Recorder ──► reads ────────────┴─► *Publication*
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import Context, ContextVar, Token, copy_context
from typing import Any, TypeVar
from weakref import ref

import msgspec

from artifact_store.artifacts import Artifact
from artifact_store.calls import Call, home_of_arguments, inputs_of, paths_of
from artifact_store.causes import causes_of_miss
from artifact_store.closures.audit import audited, is_audited
from artifact_store.closures.codes import nested
from artifact_store.closures.reach import closure_of
from artifact_store.declarations import Declaration
from artifact_store.encoding import PLAIN
from artifact_store.errors import (
    ArtifactStoreError,
    ComputationRefused,
    KeepRefused,
    MissRefused,
    NotKept,
    OnlyComputed,
    ReadOnly,
    UndeclaredCall,
)
from artifact_store.files import File
from artifact_store.inputs import (
    anonymous,
    as_passed,
    inputs_in,
    place_of_stranger,
)
from artifact_store.keys import Key, key_told
from artifact_store.modes import is_mode_set
from artifact_store.params import closures_of_types
from artifact_store.purity import Impurity, is_strict, observed, refuse, unwatched
from artifact_store.reads import Question, Recorder, Step, in_text, steps_of
from artifact_store.results import arrays_of, drained, returned
from artifact_store.signatures import Arguments, Signature
from artifact_store.stores.base import Publication

T = TypeVar("T")

# The keys that the code running now is computing: a function may call itself with other ignored arguments.
_computing: ContextVar[frozenset[Key]] = ContextVar("_computing", default=frozenset())

# The function that is computed now.
_running: ContextVar[Any] = ContextVar("_running", default=None)

# By their `id`, who notes in any thread; what an interrupt left here goes with its frames.
_open: dict[int, ref[Recorder]] = {}

# Who notes what the code running now reads.
_recorder: ContextVar[Recorder | None] = ContextVar("_recorder", default=None)


def computing(call: Call) -> AbstractContextManager[None]:
    """Hold the lease of `call`; a call inside itself has it already."""
    return nullcontext() if call.key in _computing.get() else _Computing(call)


class _Computing:
    """A class and no generator, as a lease is: Ctrl-C leaves neither open."""

    def __init__(self, call: Call) -> None:
        self._lease, self._key = _leased(call), call.key
        self._token: Token[frozenset[Key]] | None = None

    def __enter__(self) -> None:
        try:
            self._lease.__enter__()
            self._token = _computing.set(_computing.get() | {self._key})
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *given: object) -> None:
        try:
            if self._token is not None:
                _computing.reset(self._token)
        finally:
            self._lease.__exit__(None, None, None)


def _leased(call: Call) -> AbstractContextManager[None]:
    try:
        return call.store.lease(call.key)
    except ComputationRefused:
        causes = tuple(one.what for one in causes_of_miss(call))
        raise MissRefused(str(call), causes) from None
    except ReadOnly:
        raise KeepRefused(str(call), call.store.location, call.key) from None


def compute_aside(call: Call, function: Callable[..., Any], why: str) -> Publication:
    """As `compute`, where the result is not to be kept; refused where nothing is to be computed."""
    try:
        call.store.lease(call.key)  # Asked for, and not taken.
    except ComputationRefused:
        raise MissRefused(str(call), (why,)) from None
    except ReadOnly:
        pass
    return compute(call, function)


@contextmanager
def _recording(recorder: Recorder, function: Any) -> Iterator[None]:
    tokens = _recorder.set(recorder), _running.set(function)
    number = id(recorder)
    _open[number] = ref(recorder, lambda _: _open.pop(number, None))
    try:
        yield
    finally:
        _open.pop(number, None)
        _recorder.reset(tokens[0])
        _running.reset(tokens[1])


def _is_defined_in(function: Any, analysis: Any) -> bool:
    code = getattr(function, "__code__", None)
    own = getattr(analysis.__wrapped__, "__code__", None)
    return code is not None and any(one is own for one in nested(code))


def compute(
    call: Call,
    function: Callable[..., Any],
    instead: Callable[..., Any] | None = None,
) -> Publication:
    """What `function` returns for the arguments of `call`, and all that is to be kept with it.

    Parameters
    ----------
    instead
        What to call in its place, that returns and reads the same.
    """
    # In a context of its own, so that an interrupt, wherever it comes, leaves nothing set of who notes and watches.
    context = copy_context()
    return context.run(_computed, call, function, instead or function, context)


def _computed(
    call: Call,
    function: Callable[..., Any],
    called: Callable[..., Any],
    context: Context,
) -> Publication:
    started = time.perf_counter()
    recorder = Recorder(
        call.closure.calls, is_strict=is_strict(call.declaration.strict)
    )
    recorder.context = context
    if call.closure.remembers:
        recorder.untold = "it may remember results of other analyses from before"
    inputs = anonymous(call.arguments.inputs, recorder)
    args, kwargs = call.signature.unbind(
        {**call.arguments.params, **call.arguments.ignored, **inputs}
    )

    def note(impurity: Impurity) -> None:
        if recorder.is_strict:
            refuse(impurity)
        recorder.flag(str(impurity))

    with _recording(recorder, function), _watching(call):
        result = observed(
            lambda: drained(
                call.key.analysis, called(*args, **kwargs), call.store.location
            ),
            call.closure.externals,
            [path for one in inputs_of(call.arguments) for path in paths_of(one)],
            note,
        )
        changed = ", ".join(_changed(call, function))
        if changed:
            note(Impurity(f"changed {changed}, which its code uses", "", _KEEP))
            recorder.fleeting = f"it changed {changed}, which its code uses"
    for one in inputs_of(call.arguments):
        if isinstance(one, File):
            # Unlike a checkpoint, which checks at every read, it may have been read by its path.
            one.check_unchanged()
    if not call.is_as_made():
        recorder.fleeting = "it changed the arguments that it was given"
    arrays, single = arrays_of(call.declaration.name, result, call.declaration.dims)
    if recorder.fleeting:
        made = returned(arrays, single)
        raise NotKept(str(call), recorder.fleeting, made, call.key)
    key, steps = call.key, dict[str, Step]()
    if not recorder.untold:
        # Of two calls that only labels distinguish, neither takes the place of the other.
        key = key_told(key, recorder.outside) if recorder.outside else key
        steps = steps_of(call.start, recorder.reads, key.digest.hex)
    return Publication(
        key=key,
        arrays=arrays,
        single=single,
        codec=call.declaration.codec,
        durable=call.declaration.durable,
        label=call.label,
        provenance=call.provenance(time.perf_counter() - started),
        details=call.details(),
        reads=next(reversed(steps), None),
        outside=recorder.outside,
        flags=tuple(recorder.flags),
        steps=steps,
        kinship=call.kinship,
    )


def uncached(
    function: Callable[..., Any],
    declaration: Declaration,
    signature: Signature,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    """What a function returns, as if it had been kept; nothing is looked up, noted or written."""
    name = declaration.name
    note_aside(f"it called {name} with the store off")
    arguments = signature.bind(args, kwargs)
    home = home_of_arguments(arguments)
    args, kwargs = signature.unbind(
        {**arguments.params, **arguments.ignored, **arguments.inputs}
    )
    folder = None if home is None else str(home)
    result = drained(name, function(*args, **kwargs), folder)
    return returned(*arrays_of(name, result, declaration.dims))


_KEEP = (
    "What code uses is part of its key, so the next call is another one. Return it, or have functools.cache "
    "remember it."
)


def _changed(call: Call, function: Any) -> list[str]:
    """The constants of a function that are not what they were before it ran."""
    if call.closure.guard.holds():
        return []
    declared = call.declaration
    try:
        now = closure_of(function, declared.depends_on, declared.first_party)
    except ArtifactStoreError:
        return ["a constant"]
    after = {
        (one.name, part.spelled): part for one in now.members for part in one.references
    }
    return [
        part.spelled
        for one in call.closure.members
        for part in one.references
        if after.get((one.name, part.spelled), part).digest != part.digest
    ]


def _watching(call: Call) -> AbstractContextManager[None]:
    """Fail, if the environment asks for that, when the function runs what its closure does not have."""
    if not is_audited():
        return nullcontext()
    types = closures_of_types([call.arguments.params, call.arguments.inputs])
    ignored = call.arguments.ignored.values()
    closures = [call.closure, *types]
    return audited(call.key.analysis, closures, call.closure.ours, ignored)


def recorder_of(analysis: Any, call: Call) -> Recorder | None:
    """Who notes what `call` gives, if a computation makes it: it may do so in a thread."""
    if not _open:
        return None
    recorder = _recorder.get() or _recorder_told(call.arguments)
    if recorder is not None:
        return recorder
    for known in list(_open.values()):
        one = known()
        # A thread that a computation started tells nobody for whom it makes a call.
        if one is not None and one.number_of(analysis) is not None:
            one.untold = f"{analysis.__name__} was called in a thread, perhaps by it"
    return None


def _recorder_told(arguments: Arguments) -> Recorder | None:
    """Who notes, as the inputs that a computation was given tell in any thread."""
    for value in arguments.passed.values():
        if type(value) not in PLAIN:
            for one in inputs_in(value):
                recorder = getattr(one, "recorder", None)
                if isinstance(recorder, Recorder):
                    return recorder
    return None


def where_computed(arguments: Arguments, ask: Callable[[], T]) -> T:
    """What `ask` gives; in a thread that a computation started, what it gives where that runs, as its inputs tell."""
    if _open and _recorder.get() is None and not is_mode_set():
        recorder = _recorder_told(arguments)
        if recorder is not None and recorder.context is not None:
            return recorder.context.copy().run(ask)
    return ask()


@contextmanager
def noting(
    recorder: Recorder, analysis: Any, call: Call
) -> Iterator[Callable[[Artifact | None], None]]:
    """Note that a computation calls `analysis`; what comes of it is to be told."""
    number = recorder.number_of(analysis)
    if number is None:
        if not _is_defined_in(_running.get(), analysis):
            raise UndeclaredCall(analysis.__name__)
        # Its code is part of that of the caller, but no later call could name it.
        recorder.untold = f"it called {analysis.__name__}, which it defines itself"
        yield lambda artifact: None
        return

    def note(artifact: Artifact | None) -> None:
        if artifact is None:
            # Later it may be: what depends on that is no result.
            recorder.fleeting = (
                f"it looked for {analysis.__name__}, which is not stored"
            )
            return
        _note_call(
            recorder, call, Question("call", number, analysis.__name__), artifact
        )

    try:
        with unwatched():
            yield note
    except OnlyComputed:
        # Whoever called it goes on with what was computed; no step leads to what is not there.
        recorder.untold = f"{analysis.__name__} is not written down in this mode"
        raise
    except BaseException as error:
        # The function may catch it, and then depends on a failure that may not come again.
        recorder.fleeting = f"{analysis.__name__} failed in it with {error!r}"
        raise


def _note_call(
    recorder: Recorder, call: Call, question: Question, artifact: Artifact
) -> None:
    """Note a call of another analysis, such that it can be made again."""
    manifest, passed = artifact.entry.manifest, call.arguments.passed

    def place_of(one: Any) -> str | None:
        return recorder.place_of(one) or place_of_stranger(one)

    placed = [one for value in passed.values() for one in inputs_in(value)]
    if None in map(place_of, placed):
        recorder.fleeting = (
            f"{question.name} was given an input that is none of its own"
        )
        return
    given = as_passed(passed, place_of)
    if given is None:
        recorder.untold = f"{question.name} was given what cannot be written down"
        return
    # An input that it opens itself is in no key of its own.
    own = [one for one in placed if recorder.place_of(one) is not None]
    is_outside = len(own) < len(inputs_of(call.arguments)) or bool(manifest.outside)
    asked = msgspec.structs.replace(question, given=in_text(given))
    recorder.note(asked, manifest.told.hex, artifact, is_outside=is_outside)


def note_aside(what: str) -> None:
    """Inside a computation, note that it does what its reads do not tell."""
    recorder = _recorder.get()
    if recorder is not None:
        recorder.untold = what
