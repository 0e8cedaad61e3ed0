"""Computations: the function of a call runs, and what it reads is noted.

call ──► anonymous inputs ──► function ──► arrays ─┐
               └──► Recorder ──► reads ────────────┴─► *Publication*
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from artifact_store.artifacts import Artifact
from artifact_store.calls import Call, inputs_of
from artifact_store.errors import UndeclaredCall
from artifact_store.files import File
from artifact_store.keys import Key
from artifact_store.params import anonymous, as_passed, inputs_in
from artifact_store.purity import is_strict
from artifact_store.reads import OUTSIDE, Question, Recorder, in_text, steps_of
from artifact_store.results import arrays_of
from artifact_store.stores.base import Publication

# The keys that the code running now is computing: a function may call itself with other ignored arguments.
_computing: ContextVar[frozenset[Key]] = ContextVar("_computing", default=frozenset())

# Who notes what the code running now reads.
_recorder: ContextVar[Recorder | None] = ContextVar("_recorder", default=None)


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


@contextmanager
def _recording(recorder: Recorder | None) -> Iterator[None]:
    token = _recorder.set(recorder)
    try:
        yield
    finally:
        _recorder.reset(token)


def compute(call: Call, function: Callable[..., Any]) -> Publication:
    """What `function` returns for the arguments of `call`, and all that is to be kept with it."""
    started = time.perf_counter()
    recorder = Recorder(
        call.closure.calls, is_strict=is_strict(call.declaration.strict)
    )
    inputs = anonymous(call.arguments.inputs, recorder)
    args, kwargs = call.signature.unbind(
        {**call.arguments.params, **call.arguments.ignored, **inputs}
    )
    with _recording(recorder):
        result = function(*args, **kwargs)
    for one in inputs_of(call.arguments):
        if isinstance(one, File):
            # Unlike a checkpoint, which checks at every read, it may have been read by its path.
            one.check_unchanged()
    arrays, single = arrays_of(call.key.analysis, result, call.declaration.dims)
    reads = recorder.reads
    steps = {} if recorder.untold else steps_of(call.start, reads, call.key.digest.hex)
    return Publication(
        arrays=arrays,
        single=single,
        codec=call.declaration.codec,
        durable=call.declaration.durable,
        label=call.label,
        provenance=call.provenance(time.perf_counter() - started),
        details=call.details(),
        reads=next(reversed(steps), None),
        outside=tuple(one for one in reads if one.question.kind in OUTSIDE),
        flags=tuple(recorder.flags),
        steps=steps,
        kinship=call.kinship,
    )


@contextmanager
def noting(analysis: Any, call: Call) -> Iterator[Callable[[Artifact | None], None]]:
    """Inside a computation, note that it calls `analysis`; what comes of it is to be told."""
    recorder = _recorder.get() or _recorder_in(call)
    if recorder is None:
        yield lambda artifact: None
        return
    number = recorder.number_of(analysis)
    if number is None:
        raise UndeclaredCall(analysis.__name__)

    def note(artifact: Artifact | None) -> None:
        if artifact is None:
            recorder.untold = f"it looked whether {analysis.__name__} is stored"
            recorder.flag(recorder.untold)
            return
        passed = as_passed(call.arguments.passed, recorder.place_of)
        if passed is None:
            recorder.untold = (
                f"{analysis.__name__} was given what cannot be written down"
            )
            return
        question = Question("call", number, analysis.__name__, in_text(passed))
        recorder.note(question, artifact.entry.manifest.told.hex, artifact)

    try:
        yield note
    except Exception:
        # The function may catch it, and then depends on a failure, which nothing keeps.
        recorder.untold = f"{analysis.__name__} failed"
        raise


def note_bypass(analysis: str) -> None:
    """Inside a computation, note that it calls a function around its cache."""
    recorder = _recorder.get()
    if recorder is not None:
        recorder.untold = f"it called {analysis} around its cache"


def _recorder_in(call: Call) -> Recorder | None:
    """Who notes what is read of the inputs of a call, which a computation may make in a thread of its own."""
    for value in call.arguments.passed.values():
        for one in inputs_in(value):
            recorder: Recorder | None = getattr(one, "recorder", None)
            if recorder is not None:
                return recorder
    return None
