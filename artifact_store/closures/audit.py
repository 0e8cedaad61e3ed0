"""Whether an analysis really runs nothing outside its closure.

A closure is found without running anything. An audit watches a run, and fails it when it enters a first-party function
that the closure does not have. Python code takes up to 9 times as long, so it is asked for: `ARTIFACT_STORE_AUDIT=1`.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import CodeType, FrameType, FunctionType
from typing import Any

from artifact_store.closures.classes import plain_function
from artifact_store.closures.codes import nested
from artifact_store.closures.origins import MAIN, OURSELVES, FirstParty, top
from artifact_store.closures.reach import Closure
from artifact_store.errors import OutsideClosure

AUDIT_VARIABLE = "ARTIFACT_STORE_AUDIT"

_START = threading.Thread.start.__code__

# What these call decides no result: modules that are being imported, handlers of messages, listeners of events.
_ASIDE = frozenset({"importlib", "logging", "warnings", OURSELVES})


def is_audited() -> bool:
    """Whether the environment asks for audits now."""
    return os.environ.get(AUDIT_VARIABLE, "") not in ("", "0")


@contextmanager
def audited(
    analysis: str,
    closures: Sequence[Closure],
    ours: FirstParty,
    ignored: Iterable[object] = (),
) -> Iterator[None]:
    """Watch what runs inside, in this thread and in those started inside.

    Parameters
    ----------
    analysis
        Whose run it is, for the error.
    closures
        What it may enter: its own, and those of the types of its params.
    ours
        What of all else it may not.
    ignored
        Arguments that change how and not what is computed: they may enter anything.

    Raises
    ------
    OutsideClosure
        It entered another function; raised there, and once more at the end if that was caught.
    """
    codes = [code for closure in closures for code in closure.guard.codes]
    audit = _Audit(analysis, codes, ours, ignored)
    with audit.watching():
        yield
    if audit.finding is not None:
        raise audit.finding


class _Audit:
    """What one analysis may enter, and the first other function that it did."""

    def __init__(
        self,
        analysis: str,
        codes: list[CodeType],
        ours: FirstParty,
        ignored: Iterable[object],
    ) -> None:
        self.finding: OutsideClosure | None = None
        self._analysis, self._ours = analysis, ours
        # By identity: code is equal to its copy in another module, where its names mean something else.
        self._known = {id(one): one for code in codes for one in (code, *nested(code))}
        self._passed = dict(self._known)
        self._ignored = {id(code): code for one in ignored for code in _codes_of(one)}
        # With a closure that came in a pickle no code came; and of its script, nothing but what it reaches.
        self._travelled = not codes
        around = getattr(sys.getprofile(), "__self__", None)
        self._around = around if isinstance(around, _Audit) else None

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Have this thread report every function that it enters."""
        before: Any = sys.getprofile()
        sys.setprofile(self._see)
        try:
            yield
        finally:
            # One of `cProfile` is an object, and no function.
            getattr(before, "enable", lambda: sys.setprofile(before))()

    def _see(self, frame: FrameType, event: str, _: object) -> None:
        if event == "call" and id(frame.f_code) not in self._passed:
            self._enter(frame, frame.f_code, _module_of(frame))

    def _enter(self, frame: FrameType, code: CodeType, module: str) -> None:
        if code is _START:
            self._follow(frame.f_locals["self"])
        elif not self._ours.wrote(code, module):
            self._passed[id(code)] = code
        elif self._travelled and module in MAIN:
            self._passed[id(code)] = self._known[id(code)] = code
        elif not self._is_aside(frame):
            place = f"{code.co_filename}:{code.co_firstlineno}"
            self._report(OutsideClosure(self._analysis, code.co_qualname, place))

    def _is_aside(self, frame: FrameType | None) -> bool:
        """Whether the analysis merely set off what is entered, and does not see what it returns."""
        while frame is not None and id(frame.f_code) not in self._known:
            code = frame.f_code
            if top(_module_of(frame)) in _ASIDE or id(code) in self._ignored:
                return True
            # Finalizers run at any time; what `__getattr__` of a module returns is watched by the closure.
            if code.co_name == "__del__" or code.co_qualname == "__getattr__":
                return True
            frame = frame.f_back
        return False

    def _follow(self, thread: threading.Thread) -> None:
        """Watch a thread too; `threading.setprofile` would also reach those of analyses that run beside this one."""
        run = thread.run

        def run_watched() -> None:
            with self.watching():
                run()

        self._known[id(run_watched.__code__)] = run_watched.__code__
        thread.run = run_watched  # type: ignore[method-assign]

    def _report(self, finding: OutsideClosure) -> None:
        """Fail; and in the end once more, for whatever runs may catch it, here and in the analyses around."""
        audit: _Audit | None = self
        while audit is not None:
            audit.finding = audit.finding or finding
            audit = audit._around
        raise finding


def _module_of(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__"))


def _codes_of(value: Any) -> Iterator[CodeType]:
    """The code of a callable, or of the methods of a value."""
    value = getattr(value, "__func__", getattr(value, "func", value))
    methods = [one for base in type(value).__mro__ for one in vars(base).values()]
    for one in [value] if isinstance(value, FunctionType) else methods:
        if isinstance(plain_function(one), FunctionType):
            yield plain_function(one).__code__
