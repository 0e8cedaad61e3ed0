"""An audit lets an analysis run all that its closure has, and nothing else that its author wrote."""

from __future__ import annotations

import cProfile
import linecache
import logging
import pickle
import sys
import threading
import warnings
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from types import ModuleType
from typing import Any

import pytest

from artifact_store.closures.audit import audited, is_audited
from artifact_store.closures.origins import FirstParty
from artifact_store.closures.reach import closure_of
from artifact_store.digests import digest_of
from artifact_store.errors import OutsideClosure
from artifact_store.events import Miss, emit, listening
from artifact_store.keys import Key

# The tests stand where artifact_store does, which is not followed either.
OURS = FirstParty(frozenset({"pkg"}), foreign=frozenset({__name__.partition(".")[0]}))

HELPERS = """
def helper(*args): return 1
def unused(*args): return 2
"""

# `f` finds what it runs by a computed name, which no closure can follow.
HIDDEN = """
from . import a
def find(name): return getattr(a, name)
def f(name="unused"): return find(name)()
"""

INSIDE = {
    "a function of another module": "from .a import helper\ndef f(): return helper()",
    "nested functions": """
def f():
    def inner(x): return [(lambda z: z)(y) for y in (i for i in range(x))]
    class Local:
        def g(self): return {x: {x} for x in inner(3)}
    return Local().g()
""",
    "methods of every kind": """
import functools
class Meta(type):
    def __call__(cls, *args): return super().__call__(*args)
class Base:
    def __init_subclass__(cls): cls.made = True
    def __new__(cls): return super().__new__(cls)
class A(Base, metaclass=Meta):
    def __init__(self): self._x = 1
    @property
    def x(self): return self._x
    @x.setter
    def x(self, value): self._x = value
    @x.deleter
    def x(self): del self._x
    @staticmethod
    def s(): return 1
    @classmethod
    def c(cls): return 1
    @functools.cached_property
    def cached(self): return 1
    @functools.lru_cache
    def remembered(self): return 1
    @functools.singledispatchmethod
    def d(self, x): return 1
    @d.register
    def _(self, x: int): return 2
    def _p(self, x): return x
    p = functools.partialmethod(_p, 1)
    def __eq__(self, other): return True
    def __hash__(self): return 1
def f():
    one = A()
    one.x = one.x + one.s() + one.c() + one.cached + one.remembered() + one.d(1) + one.d('') + one.p()
    del one.x
    class B(A): pass
    return one == A(), hash(one), B()
""",
    "a descriptor": """
class D:
    def __set_name__(self, owner, name): self.name = name
    def __get__(self, one, owner): return 1
class A: x = D()
def f(): return A().x
""",
    "generated methods": """
from collections import namedtuple
from dataclasses import dataclass, field
from enum import Enum
from functools import total_ordering
from typing import NamedTuple
Pair = namedtuple('Pair', 'a b')
class Named(NamedTuple):
    x: int
    def double(self): return self.x * 2
@total_ordering
@dataclass(frozen=True)
class A:
    x: list = field(default_factory=lambda: [1])
    def __post_init__(self): self.x.append(2)
    def __lt__(self, other): return True
class E(Enum):
    X = 1
    @classmethod
    def _missing_(cls, value): return cls.X
def f():
    return A() == A(), A() >= A(), repr(A()), Pair(1, 2)._replace(a=2), Named(1).double(), E(7)
""",
    "decorators": """
import contextlib, functools
import torch
def ours(function):
    @functools.wraps(function)
    def wrapper(*args): return function(*args)
    return wrapper
@ours
def a(): return 1
@functools.cache
def b(): return 1
@contextlib.contextmanager
def c(): yield 1
@torch.no_grad()
def d(): return 1
@functools.singledispatch
def e(x): return 1
@e.register
def _(x: int): return 2
g = functools.partial(a)
def f():
    with c(): return a() + b() + d() + e(1) + e('') + g()
""",
    "a closure made elsewhere": """
def make(value):
    def inner(): return value
    return inner
inner = make(1)
def f(): return inner()
""",
    "a callback of a library": """
import functools
from concurrent.futures import ThreadPoolExecutor
import numpy as np
def key(x, y=0): return -x
def f():
    with ThreadPoolExecutor(2) as pool:
        return sorted([1, 2], key=key), functools.reduce(key, [1, 2]), np.vectorize(key)([1]), list(pool.map(key, [1]))
""",
    "what was replaced at run time": """
from . import a
a.helper = a.unused
def f(): return a.helper()
""",
    "a module imported while running": """
def f():
    from . import late
    return late.TABLE
## late.py
def twice(x): return 2 * x
class A:
    x = twice(1)
    def g(self): return 1
TABLE = [twice(1), A().g()]
""",
    "the attributes that a module makes": """
from . import lazy
def f(): return lazy.anything
## lazy.py
def made(name): return 1
def __getattr__(name):
    if name == 'anything': return made(name)
    raise AttributeError(name)
""",
}


def run(
    main: ModuleType, depends_on: tuple[Any, ...] = (), ignored: Iterable[Any] = ()
) -> Any:
    """What `f` of a project returns, audited."""
    with watch(main, depends_on, ignored):
        return main.f()


def watch(
    main: ModuleType, depends_on: tuple[Any, ...] = (), ignored: Iterable[Any] = ()
) -> AbstractContextManager[None]:
    return audited("f", [closure_of(main.f, depends_on)], OURS, ignored)


@pytest.fixture
def hidden(write_project: Callable[..., ModuleType]) -> ModuleType:
    return write_project({"main.py": HIDDEN, "a.py": HELPERS})


@pytest.mark.parametrize("body", INSIDE.values(), ids=list(INSIDE))
def test_what_the_closure_has_may_run(write_project: Any, body: str) -> None:
    main = write_project(body + "\n## a.py\n" + HELPERS)

    assert run(main)


def test_a_function_outside_the_closure_fails_the_call(hidden: ModuleType) -> None:
    with pytest.raises(OutsideClosure) as failed:
        run(hidden, depends_on=(1,))

    assert str(failed.value) == (
        f"f ran unused ({hidden.a.__file__}:3), which is not in its closure: an edit there would go unnoticed. "
        "Declare it: @analysis(depends_on=(unused,))."
    )


def test_a_function_that_is_declared_may_run(hidden: ModuleType) -> None:
    assert run(hidden, depends_on=(hidden.a.unused,)) == 2


@pytest.mark.parametrize(
    "call",
    [
        "unused()",
        "sorted([1], key=unused)",
        "eval('a.unused()')",
        "Wrapper(unused).g()",
        "[one() for one in [unused]]",
        "functools.lru_cache(unused)()",
        "in_thread(unused)",
        "list(ThreadPoolExecutor(1).map(unused, [1]))",
    ],
)
def test_it_is_found_by_whatever_way_it_is_called(
    write_project: Any, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    main = write_project(f"""
import functools, threading
from concurrent.futures import ThreadPoolExecutor
from . import a
class Wrapper:
    def __init__(self, held): self.held = held
    def __getattr__(self, name): return self.held
def in_thread(function):
    thread = threading.Thread(target=function)
    thread.start(), thread.join()
def f(name='unused'):
    unused = getattr(a, name)
    {call}
## a.py
{HELPERS}
""")

    with pytest.raises(OutsideClosure, match="f ran unused"):
        run(main, depends_on=(1,))


def test_catching_the_error_does_not_hide_it(write_project: Any) -> None:
    main = write_project(
        HIDDEN.replace("def f(", "def g(")
        + "def f():\n    try: return g()\n    except Exception: return 0\n## a.py\n"
        + HELPERS
    )

    with pytest.raises(OutsideClosure):
        run(main, depends_on=(1,))


def test_an_analysis_inside_runs_what_its_own_closure_has(
    write_project: Any,
) -> None:
    main = write_project("""
def inner(): return 1
def g(): return inner()
def mine(): return 1
def f(): return mine(), watched(), mine()
""")
    closure = closure_of(main.g)

    def watched() -> Any:
        with audited("g", [closure], OURS):
            return main.g()

    main.watched = (
        len  # For the closure; a call of an analysis is no part of it either.
    )
    with audited("f", [closure_of(main.f)], OURS):
        main.watched = watched
        assert main.f() == (1, 1, 1)


def test_the_error_of_an_analysis_inside_is_not_hidden_by_the_one_around(
    hidden: ModuleType,
) -> None:
    with pytest.raises(OutsideClosure, match="g ran unused"):
        with watch(hidden, depends_on=(1,)):
            try:
                with audited("g", [closure_of(hidden.f, (1,))], OURS):
                    hidden.f()
            except OutsideClosure:
                pass


def test_analyses_side_by_side_do_not_mix_their_threads(write_project: Any) -> None:
    main = write_project("""
import threading
def in_thread(function):
    thread = threading.Thread(target=function)
    thread.start(), thread.join()
def one(): meet.wait()
def two(): meet.wait()
def f(): in_thread(one)
def g(): in_thread(two)
""")
    main.meet = threading.Barrier(2, timeout=30)
    failed: list[BaseException] = []

    def compute(function: Any) -> None:
        try:
            with audited("f", [closure_of(function, (1,))], OURS):
                function()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=compute, args=[one]) for one in (main.f, main.g)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failed == []


def test_what_an_ignored_argument_runs_decides_no_result(hidden: ModuleType) -> None:
    with pytest.raises(OutsideClosure):
        run(hidden, (1,))

    assert run(hidden, (1,), ignored=[hidden.a.unused]) == 2


def test_the_methods_of_a_param_may_run(write_project: Any) -> None:
    main = write_project("""
from enum import Enum
class Mode(Enum):
    FAST = 1
    def scale(self): return 3
def f(mode): return mode.scale()
""")

    with audited("f", [closure_of(main.f), closure_of(main.Mode)], OURS):
        assert main.f(main.Mode.FAST) == 3


def test_listeners_and_handlers_decide_no_result(
    write_project: Any, caplog: pytest.LogCaptureFixture
) -> None:
    main = write_project("""
import logging, warnings
def emit(): pass
class Handler(logging.Handler):
    def emit(self, record): seen.append(self.text(record))
    def text(self, record): return record.getMessage()
def listen(event): seen.append('event')
def show(message, *rest, **more): seen.append(str(message))
seen = []
def f():
    logging.getLogger('pkg').warning('logged')
    warnings.warn('warned')
    emit()
""")
    closure = closure_of(main.f)
    main.emit = lambda: emit(Miss(Key("f", digest_of("key"))))
    handler = main.Handler()
    logging.getLogger("pkg").addHandler(handler)
    try:
        with listening(main.listen), warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.showwarning = main.show
            with audited("f", [closure], OURS):
                main.f()
    finally:
        logging.getLogger("pkg").removeHandler(handler)

    assert main.seen == ["logged", "warned", "event"]


def test_a_finalizer_decides_no_result(write_project: Any) -> None:
    main = write_project("""
class Unrelated:
    def __del__(self): done.append(1)
done, held = [], [Unrelated()]
def f(held): held.clear()
""")

    with audited("f", [closure_of(main.f)], OURS):
        main.f(main.held)

    assert main.done == [1]


def test_code_of_a_notebook_is_the_authors(
    write_project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    main = write_project("def f(function): return function()")
    text = "def typed(): return 1\n"
    cell: dict[str, Any] = {"__name__": "__main__"}
    monkeypatch.setitem(linecache.cache, "<cell>", (len(text), None, [text], "<cell>"))
    exec(compile(text, "<cell>", "exec"), cell)

    with pytest.raises(OutsideClosure, match="f ran typed"):
        with watch(main):
            main.f(cell["typed"])


def test_a_closure_that_travelled_has_the_script_it_came_from(
    write_project: Any,
) -> None:
    main = write_project(
        "from . import a\ndef f(): return a.helper()\n## a.py\n" + HELPERS
    )
    closure = pickle.loads(pickle.dumps(closure_of(main.f)))
    vars(main)["__name__"] = "__main__"

    with pytest.raises(OutsideClosure, match="f ran helper"):
        with audited("f", [closure], OURS):
            main.f()


def test_a_profiler_goes_on_after_an_audit(write_project: Any) -> None:
    main = write_project("def f(): return 1\ndef later(): return 1")
    seen: list[str] = []

    def profiler(frame: Any, event: str, _: object) -> None:
        seen.append(frame.f_code.co_name)

    closure = closure_of(main.f)
    sys.setprofile(profiler)
    try:
        with audited("f", [closure], OURS):
            main.f()
        main.later()
    finally:
        sys.setprofile(None)

    assert "later" in seen and "f" not in seen


def test_cprofile_goes_on_after_an_audit(write_project: Any) -> None:
    main = write_project("def f(): return 1\ndef later(): return 1")
    closure = closure_of(main.f)
    profiler = cProfile.Profile()

    with profiler:
        with audited("f", [closure], OURS):
            main.f()
        main.later()

    seen = {getattr(one.code, "co_name", "") for one in profiler.getstats()}
    assert "later" in seen and "f" not in seen
    assert sys.getprofile() is None


def test_an_audit_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ARTIFACT_STORE_AUDIT", raising=False)
    assert not is_audited()
    monkeypatch.setenv("ARTIFACT_STORE_AUDIT", "0")
    assert not is_audited()
    monkeypatch.setenv("ARTIFACT_STORE_AUDIT", "1")
    assert is_audited()
