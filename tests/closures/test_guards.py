"""A guard notices every change at run time that changes the closure, and is quick."""

from __future__ import annotations

import contextvars
import pickle
from typing import Any

import pytest

from artifact_store.closures.reach import closure_of

BODY = """
import abc, collections, functools, types
from contextvars import ContextVar
from dataclasses import dataclass, field
import numpy as np
import torch
from . import a

@dataclass
class Config:
    scale: float = 1.0
    names: list = field(default_factory=lambda: ["a"])

class Slotted:
    __slots__ = ("x", "y")
    def __init__(self): self.x = 1

class Name(str): pass

class Base:
    def g(self): return 1

class Derived(Base): pass

class Abstract(abc.ABC): pass

N = 1
TABLE = {"a": 1, "b": {"c": [1, 2]}}
STEPS = [1, (2, [3])]
MANY = list(range(100))
NOTHING = []
KEYS = {1, 2}
CONFIG = Config()
NAME = Name("a")
SLOTTED = Slotted()
ARRAY = np.arange(3.0)
FORTRAN = np.ones((2, 3), order="F")
STRIDED = np.arange(6.0)[::2]
FROZEN = np.arange(3.0)
WINDOW = FROZEN[:]
FROZEN.flags.writeable = False
DATES = np.zeros(2, "M8[s]")
TENSOR = torch.arange(3.0)
WEIGHT = torch.nn.Parameter(torch.ones(2))
BRAIN = torch.ones(2, dtype=torch.bfloat16)
BYTES = bytearray(b"abc")
QUEUE = collections.deque([1], 3)
ORDERED = collections.OrderedDict(a=1, b=2)
PROXY = types.MappingProxyType(TABLE)
NAMESPACE = types.SimpleNamespace(x=1)
VARIABLE = ContextVar("VARIABLE")
DEFAULTED = ContextVar("DEFAULTED", default=1)
PARTIAL = functools.partial(pow, **{"exp": 2})
BOUND = CONFIG.names.count
METHOD = Derived().g

@functools.singledispatch
def dispatch(x): return 1

def other(*args): return 2

def helper(x=[1], *, k=1): return helper.scale
helper.scale = 2

def make(value):
    def inner(): return value
    def rebind(new):
        nonlocal value
        value = new
    return inner, rebind
inner, rebind = make(1)

def make_later():
    def inner(): return value
    def bind():
        nonlocal value
        value = 1
    if False: value = 0
    return inner, bind
later, bind = make_later()

@np.vectorize
def vectorized(x): return x

def f():
    return (N, TABLE, STEPS, MANY, NOTHING, KEYS, CONFIG, NAME, SLOTTED, ARRAY, FORTRAN, STRIDED, FROZEN, DATES, TENSOR,
            WEIGHT, BRAIN, BYTES, QUEUE, ORDERED, NAMESPACE, VARIABLE, DEFAULTED, PARTIAL, METHOD, dispatch, helper,
            helper.scale, inner, later, vectorized, Derived, Abstract, a.helper, PROXY, BOUND, len, np.sin, missing)
"""

CHANGES = """
m.N = 2
m.N = 1.0
m.N = True
m.TABLE["a"] = 2
m.TABLE["a"] = 1.0
m.TABLE["z"] = 1
m.TABLE["b"]["c"].append(3)
m.TABLE["b"]["c"][0] = True
m.TABLE.update({"a": m.TABLE.pop("a")})
m.STEPS.append(4)
m.STEPS.reverse()
m.STEPS[1][1].clear()
m.MANY[50] = 50.0
m.MANY.append(1)
m.MANY.pop()
m.NOTHING.append(1)
m.KEYS.add(3)
m.CONFIG.scale = 2.0
m.CONFIG.names.append("b")
m.CONFIG.extra = 1
m.NAME.x = 2
m.SLOTTED.x = 2
m.SLOTTED.y = 2
m.ARRAY[0] = 7
m.ARRAY.shape = (1, 3)
m.ARRAY.dtype = "i8"
m.FORTRAN[0, 0] = 7
m.STRIDED[0] = 7
m.WINDOW[0] = 7
m.DATES[0] = 7
m.TENSOR[0] = 7
m.TENSOR.numpy()[0] = 7
m.TENSOR.data = m.torch.ones(3)
m.TENSOR.resize_(2)
m.TENSOR.data = m.BRAIN
m.WEIGHT.data[0] = 7
m.BRAIN[0] = 7
m.BYTES[0] = 0
m.QUEUE.append(2)
m.ORDERED.move_to_end("a")
m.NAMESPACE.x = 2
m.VARIABLE.set(2)
m.DEFAULTED.set(True)
m.PARTIAL.keywords["exp"] = 3
m.METHOD.__self__.x = 1
m.dispatch.register(int, m.other)
m.helper.scale = 3
m.helper.__defaults__ = ([2],)
m.helper.__defaults__[0].append(2)
m.helper.__kwdefaults__ = {"k": 2}
m.helper.__kwdefaults__["k"] = 2
m.helper.__code__ = m.make.__code__
m.rebind(2)
m.rebind(True)
m.bind()
m.vectorized.pyfunc = m.make
m.Base.g = m.other
m.Derived.g = m.other
m.Derived.x = 1
m.Abstract.register(m.Base)
m.helper.new = 1
del m.Base.g
m.Derived.__bases__ = (type("Other", (m.Base,), {}),)
m.a.helper = m.other
m.missing = 1
del m.N
""".strip().splitlines()


@pytest.fixture
def module(write_project: Any) -> Any:
    return write_project({"main.py": BODY, "a.py": "def helper(): return 1\n"})


def test_nothing_changed(module: Any) -> None:
    guard = closure_of(module.f).guard

    module.f.__doc__ = module.UNUSED = "unused"
    module.dispatch(1)
    assert guard.holds() and guard.holds()


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_at_run_time_is_noticed(module: Any, change: str) -> None:
    closure = closure_of(module.f)
    assert closure.guard.holds()

    contextvars.copy_context().run(_changed, module, change, closure)


def _changed(module: Any, change: str, closure: Any) -> None:
    exec(change, {"m": module, "__name__": "pkg.main"})

    assert not closure.guard.holds()
    again = closure_of(module.f)
    assert again.digest != closure.digest
    assert again.guard.holds()


def test_a_function_installed_where_a_library_had_its_own_is_noticed(
    module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    closure = closure_of(module.f)

    monkeypatch.setattr(module.np, "sin", module.helper)

    assert not closure.guard.holds()
    assert closure_of(module.f).digest != closure.digest


def test_what_is_new_but_equal_gives_the_same_closure(module: Any) -> None:
    closure = closure_of(module.f)

    module.TABLE = {"a": 1, "b": {"c": [1, 2]}}
    module.PROXY = type(module.PROXY)(module.TABLE)

    assert not closure.guard.holds()
    assert closure_of(module.f).digest == closure.digest


def test_a_pickled_guard_holds(module: Any) -> None:
    closure = closure_of(module.f)

    there = pickle.loads(pickle.dumps(closure))

    assert there.digest == closure.digest and there.guard.holds()
