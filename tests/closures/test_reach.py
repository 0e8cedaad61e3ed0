"""Every change that matters changes the closure, and nothing else does.

A row is a project and one edit of it. To add one, write the smallest `main.py`
with a function `f`, and say which text becomes which; further files follow
lines `## name.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from artifact_store.closures.reach import closure_of
from artifact_store.errors import SourceUnavailable, UnresolvedDependency

Digest = Callable[[str], Any]


class Edit(NamedTuple):
    name: str
    project: str
    old: str
    new: str

    @property
    def edited(self) -> str:
        assert self.old in self.project, "the edit must apply"
        return self.project.replace(self.old, self.new)


def edits(text: str) -> list[Any]:
    """Rows from text: `=== name`, the project, `--- old ---> new`."""
    rows = []
    for block in text.split("=== ")[1:]:
        name, _, rest = block.partition("\n")
        project, _, change = rest.rpartition("\n--- ")
        old, arrow, new = change.rstrip("\n").replace("\\n", "\n").partition(" --->")
        assert arrow, name
        row = Edit(name, project + "\n", old, new.removeprefix(" "))
        rows.append(pytest.param(row, id=name.replace(" ", "-")))
    return rows


MATTERS = r"""
=== a helper of the same module
def helper(): return 1
def f(): return helper()
--- 1 ---> 2
=== a helper imported by name
from pkg.a import helper
def f(): return helper()
## a.py
def helper(): return 1
--- 1 ---> 2
=== a helper imported under another name
from pkg.a import helper as g
def f(): return g()
## a.py
def helper(): return 1
--- 1 ---> 2
=== a helper of an imported module
import pkg.a
def f(): return pkg.a.helper()
## a.py
def helper(): return 1
--- 1 ---> 2
=== a helper of a module imported under another name
import pkg.sub.a as m
def f(): return m.helper()
## sub/__init__.py
## sub/a.py
def helper(): return 1
--- 1 ---> 2
=== a helper imported relatively
from .sub import a
def f(): return a.helper()
## sub/__init__.py
## sub/a.py
from ..b import inner
def helper(): return inner()
## b.py
def inner(): return 1
--- 1 ---> 2
=== a helper imported inside the body
def f():
    from .a import helper
    return helper()
## a.py
def helper(): return 1
--- 1 ---> 2
=== a module imported inside the body
def f():
    import pkg.a
    return pkg.a.helper()
## a.py
def helper(): return 1
--- 1 ---> 2
=== a module imported inside the body under another name
def f():
    import pkg.a as m
    return m.helper()
## a.py
def helper(): return 1
--- 1 ---> 2
=== the first of two imports of one name
def f(fast=True):
    if fast:
        from .a import helper
    else:
        from .b import helper
    return helper()
## a.py
def helper(): return 1
## b.py
def helper(): return 10
--- return 1\n ---> return 2\n
=== the second of two imports of one name
def f(fast=True):
    if fast:
        from .a import helper
    else:
        from .b import helper
    return helper()
## a.py
def helper(): return 1
## b.py
def helper(): return 10
--- 10 ---> 20
=== which of two modules a body imports from
def f():
    from .a import helper
    return helper()
## a.py
def helper(): return 1
## b.py
def helper(): return 10
--- from .a ---> from .b
=== which name of an installed module a body imports
def f(x):
    from math import sin as g
    return g(x)
--- sin ---> cos
=== which installed module a body imports
def f(x):
    import math as m
    return m.sqrt(x)
--- math ---> cmath
=== a name used in two scopes of which one is local
from .a import helper
def f():
    def inner():
        from .b import helper
        return helper()
    return helper() + inner()
## a.py
def helper(): return 1
## b.py
def helper(): return 10
--- return 1\n ---> return 2\n
=== a star import
from .a import *
def f(): return helper()
## a.py
def helper(): return 1
--- 1 ---> 2
=== a re-export
from .api import helper
def f(): return helper()
## api.py
from .a import helper
## a.py
def helper(): return 1
--- 1 ---> 2
=== a submodule reached through its package
import pkg.sub
def f(): return pkg.sub.helper()
## sub/__init__.py
from .a import helper
## sub/a.py
def helper(): return 1
--- 1 ---> 2
=== a name from a module's own getattr
from . import a
def f(): return a.late
## a.py
def __getattr__(name): return {'late': 1}[name]
--- 1 ---> 2
=== a helper three calls away
from .a import one
def f(): return one()
## a.py
def one(): return two()
def two(): return three()
def three(): return 1
--- 1 ---> 2
=== getattr by a constant name
from . import a
def f(): return getattr(a, 'helper')()
## a.py
def helper(): return 1
--- return 1 ---> return 2
=== a name defined after the function
def f(): return helper() + LATER
def helper(): return 1
LATER = 2
--- LATER = 2 ---> LATER = 3
=== recursion
def helper(n): return 1 if n == 0 else helper(n - 1)
def f(): return helper(3)
--- else ---> else 2 *
=== mutual recursion
def even(n): return n == 0 or odd(n - 1)
def odd(n): return n != 0 and even(n - 1)
def f(): return even(4)
--- n != 0 ---> n > 0
=== the default that a recursive call relies on
def f(x, depth=3): return x if depth < 2 else f(x)
--- depth=3 ---> depth=4
=== conditional definition
import sys
if sys.maxsize > 0:
    def helper(): return 1
else:
    def helper(): return 10
def f(): return helper()
--- return 1\n ---> return 2\n
=== fallback after an import error
try:
    from no_such_module import helper
except ImportError:
    def helper(): return 1
def f(): return helper()
--- 1 ---> 2
=== fallback for a missing package
try:
    import no_such_package as backend
except ImportError:
    backend = None
def f(): return 1 if backend is None else 2
--- None\n ---> 0\n
=== a nested function
def f():
    def inner(): return 1
    return inner()
--- 1 ---> 2
=== what only a nested function uses
CONSTANT = 1
def f():
    def inner(): return CONSTANT
    return inner()
--- = 1 ---> = 2
=== a lambda of the module
helper = lambda: 1
def f(): return helper()
--- 1 ---> 2
=== the second of two lambdas on a line
first, second = lambda: 1, lambda: 10
def f(): return second()
--- 10 ---> 20
=== the first of two lambdas on a line
first, second = lambda: 1, lambda: 10
def f(): return first()
--- lambda: 1, ---> lambda: 2,
=== a lambda in a dict
TABLE = {'a': lambda x: x + 1, 'b': lambda x: x + 2}
def f(): return TABLE['b'](0)
--- + 2 ---> + 3
=== a lambda in a list
STEPS = [lambda x: x + 1, lambda x: x * 2]
def f(): return STEPS[0](0)
--- x + 1 ---> x - 1
=== a lambda in a lambda
helper = lambda x: (lambda y: y + 1)(x)
def f(): return helper(0)
--- + 1 ---> + 2
=== functions in a set
def one(): return 1
def two(): return 10
ALL = {one, two}
def f(): return sum(g() for g in ALL)
--- 10 ---> 20
=== the order of a list of functions
def one(x): return x + 1
def two(x): return x * 2
STEPS = [one, two]
def f(): return STEPS[0](1)
--- [one, two] ---> [two, one]
=== a comprehension
def helper(x): return x + 1
def f(): return [helper(x) for x in range(3)]
--- x + 1 ---> x + 2
=== a generator
def helper():
    yield 1
def f(): return list(helper())
--- 1 ---> 2
=== an asynchronous helper
import asyncio
async def helper(): return 1
def f(): return asyncio.run(helper())
--- 1 ---> 2
=== a walrus
LIMIT = 1
def f(): return y if (y := LIMIT) else 0
--- LIMIT = 1 ---> LIMIT = 2
=== a value pattern
class Kind: A = 1
def f(x):
    match x:
        case Kind.A: return 1
        case _: return 0
--- A = 1 ---> A = 2
=== a class pattern
class Point:
    __match_args__ = ('x',)
def f(x):
    match x:
        case Point(1): return 1
--- 'x' ---> 'y'
=== an f-string
WIDTH = 3
def f(x): return f'{x:{WIDTH}}'
--- = 3 ---> = 4
=== an operator
def f(x): return x + 1
--- + ---> -
=== a constant in the body
def f(x): return x + 1
--- 1 ---> 1.0
=== True for one
def f(x): return x + 1
--- 1 ---> True
=== the order of statements
def f(x):
    x += 1
    x *= 2
    return x
--- x += 1\n    x *= 2 ---> x *= 2\n    x += 1
=== the name of a parameter
def helper(a, b): return a - b
def f(): return helper(a=1, b=2)
--- def helper(a, b) ---> def helper(b, a)
=== a positional default
def helper(x=1): return x
def f(): return helper()
--- x=1 ---> x=2
=== a keyword default
def helper(*, x=1): return x
def f(): return helper()
--- x=1 ---> x=2
=== a default that is a constant of the module
SCALE = 1
def helper(x=SCALE): return x
def f(): return helper()
--- = 1 ---> = 2
=== a default that is a function
def one(): return 1
def helper(g=one): return g()
def f(): return helper()
--- return 1 ---> return 2
=== a default that is a lambda
def helper(g=lambda: 1): return g()
def f(): return helper()
--- lambda: 1 ---> lambda: 2
=== an annotation that is evaluated
def helper(x: int): return x
def f(): return helper(1)
--- int ---> float
=== a closure cell
def make(scale):
    def inner(): return scale
    return inner
helper = make(1)
def f(): return helper()
--- make(1) ---> make(2)
=== a function in a closure cell
def one(): return 1
def make(g):
    return lambda: g()
helper = make(one)
def f(): return helper()
--- return 1 ---> return 2
=== the analysis itself a closure
def make(scale):
    def inner(): return scale
    return inner
f = make(1)
--- make(1) ---> make(2)
=== the analysis itself a partial
from functools import partial
def helper(x, k): return x + k
f = partial(helper, k=1)
--- k=1 ---> k=2
=== the function of a partial
from functools import partial
def helper(x, k): return x + k
f = partial(helper, k=1)
--- x + k ---> x - k
=== the positional argument of a partial
from functools import partial
g = partial(pow, 2)
def f(): return g(3)
--- 2) ---> 4)
=== a lru_cache
from functools import lru_cache
@lru_cache
def helper(): return 1
def f(): return helper()
--- 1 ---> 2
=== a cached_property
from functools import cached_property
class Thing:
    @cached_property
    def value(self): return 1
def f(): return Thing().value
--- 1 ---> 2
=== a decorator
def twice(g):
    def inner(): return 2 * g()
    return inner
@twice
def helper(): return 1
def f(): return helper()
--- 2 * ---> 3 *
=== what a decorator wraps
def twice(g):
    def inner(): return 2 * g()
    return inner
@twice
def helper(): return 1
def f(): return helper()
--- return 1 ---> return 5
=== a decorator that uses wraps
from functools import wraps
def twice(g):
    @wraps(g)
    def inner(): return 2 * g()
    return inner
@twice
def f(): return 1
--- 2 * ---> 3 *
=== the argument of a decorator
def times(n):
    def decorate(g):
        return lambda: n * g()
    return decorate
@times(2)
def f(): return 1
--- times(2) ---> times(3)
=== the constant argument of a decorator
N = 2
def times(n):
    def decorate(g):
        return lambda: n * g()
    return decorate
@times(N)
def f(): return 1
--- N = 2 ---> N = 3
=== a decorator that returns its function
def mark(g):
    g.factor = 2
    return g
@mark
def helper(): return 1
def f(): return helper.factor
--- = 2 ---> = 3
=== a class as a decorator
class Twice:
    def __init__(self, g): self.g = g
    def __call__(self): return 2 * self.g()
@Twice
def helper(): return 1
def f(): return helper()
--- return 1 ---> return 5
=== the call of a class as a decorator
class Twice:
    def __init__(self, g): self.g = g
    def __call__(self): return 2 * self.g()
@Twice
def helper(): return 1
def f(): return helper()
--- 2 * ---> 3 *
=== a decorator above an analysis
from artifact_store import analysis
def outer(g): return lambda c: g(c)
@outer
@analysis
def f(checkpoint): return 1
--- g(c) ---> g(c) + 1
=== a decorator below an analysis
from artifact_store import analysis
def inner(g): return lambda c: g(c)
@analysis(name='f')
@inner
def f(checkpoint): return 1
--- g(c) ---> g(c) + 1
=== the body below a decorator of torch
import torch
@torch.no_grad()
def f(x): return x + 1
--- + 1 ---> + 2
=== the arguments of a decorator of torch
import torch
@torch.autocast('cpu', enabled=False)
def f(x): return x + 1
--- False ---> True
=== a contextmanager
from contextlib import contextmanager
@contextmanager
def scaled():
    yield 1
def f():
    with scaled() as x: return x
--- yield 1 ---> yield 2
=== np.vectorize
import numpy as np
@np.vectorize
def helper(x): return x + 1
def f(): return helper([1])
--- + 1 ---> + 2
=== a singledispatch
from functools import singledispatch
@singledispatch
def helper(x): return 1
@helper.register
def _(x: int): return 10
def f(): return helper(1)
--- 10 ---> 20
=== a singledispatchmethod
from functools import singledispatchmethod
class A:
    @singledispatchmethod
    def g(self, x): return 1
    @g.register
    def _(self, x: int): return 10
def f(): return A().g(1)
--- 10 ---> 20
=== a partialmethod
from functools import partialmethod
class A:
    def g(self, x): return x
    h = partialmethod(g, 1)
def f(): return A().h()
--- g, 1 ---> g, 2
=== a bound method
class A:
    def __init__(self, x): self.x = x
    def g(self): return self.x
g = A(1).g
def f(): return g()
--- A(1) ---> A(2)
=== a bound method of a builtin
has = {1, 2}.__contains__
def f(): return has(3)
--- {1, 2} ---> {1, 3}
=== operator.itemgetter
from operator import itemgetter
g = itemgetter(0)
def f(): return g([1, 2])
--- itemgetter(0) ---> itemgetter(1)
=== a method
class A:
    def g(self): return 1
def f(): return A().g()
--- 1 ---> 2
=== a property
class A:
    @property
    def g(self): return 1
def f(): return A().g
--- 1 ---> 2
=== the setter of a property
class A:
    @property
    def g(self): return self._g
    @g.setter
    def g(self, value): self._g = value + 1
def f():
    a = A()
    a.g = 1
    return a.g
--- + 1 ---> + 2
=== a static method
class A:
    @staticmethod
    def g(): return 1
def f(): return A.g()
--- 1 ---> 2
=== a class method
class A:
    @classmethod
    def g(cls): return 1
def f(): return A.g()
--- 1 ---> 2
=== a decorated method
def twice(g): return lambda self: 2 * g(self)
class A:
    @twice
    def g(self): return 1
def f(): return A().g()
--- 2 * ---> 3 *
=== a base class
class Base:
    def g(self): return 1
class A(Base): pass
def f(): return A().g()
--- 1 ---> 2
=== a mixin of another module
from .a import Mixin
class A(Mixin, dict): pass
def f(): return A().g()
## a.py
class Mixin:
    def g(self): return 1
--- 1 ---> 2
=== the order of bases
class B:
    x = 1
class C:
    x = 2
class A(B, C): pass
def f(): return A.x
--- (B, C) ---> (C, B)
=== super
class Base:
    def g(self): return 1
class A(Base):
    def g(self): return super().g()
def f(): return A().g()
--- return 1 ---> return 2
=== a metaclass
class Meta(type):
    @property
    def g(cls): return 1
class A(metaclass=Meta): pass
def f(): return A.g
--- 1 ---> 2
=== __init_subclass__
class Base:
    def __init_subclass__(cls, x): cls.x = x
class A(Base, x=1): pass
def f(): return A.x
--- x=1 ---> x=2
=== a class attribute
class A:
    x = 1
def f(): return A.x
--- 1 ---> 2
=== a class attribute made of a constant
X = 1
class A:
    x = X
def f(): return A.x
--- = 1 ---> = 2
=== a nested class
class A:
    class B:
        x = 1
def f(): return A.B.x
--- 1 ---> 2
=== a class inside the body
def f():
    class A:
        x = 1
    return A.x
--- 1 ---> 2
=== a descriptor
class Field:
    def __init__(self, x): self.x = x
    def __get__(self, obj, cls): return self.x
class A:
    g = Field(1)
def f(): return A().g
--- Field(1) ---> Field(2)
=== slots
class A:
    __slots__ = ('x',)
def f(): return A()
--- ('x',) ---> ('x', 'y')
=== a hash set to None
class A:
    def __eq__(self, other): return True
    __hash__ = object.__hash__
def f(): return A()
--- object.__hash__ ---> None
=== a dataclass default
from dataclasses import dataclass
@dataclass
class A:
    x: int = 1
def f(): return A().x
--- = 1 ---> = 2
=== a dataclass default factory
from dataclasses import dataclass, field
def make(): return [1]
@dataclass
class A:
    x: list = field(default_factory=make)
def f(): return A().x
--- [1] ---> [2]
=== a dataclass default factory that is a lambda
from dataclasses import dataclass, field
@dataclass
class A:
    x: list = field(default_factory=lambda: [1])
def f(): return A().x
--- [1] ---> [2]
=== the order of dataclass fields
from dataclasses import dataclass
@dataclass
class A:
    x: int
    y: int
def f(): return A(1, 2).x
--- x: int\n    y: int ---> y: int\n    x: int
=== the arguments of dataclass
from dataclasses import dataclass
@dataclass(order=False)
class A:
    x: int
def f(): return A(1) == A(2)
--- order=False ---> order=True
=== the type of a dataclass field
from dataclasses import dataclass
@dataclass
class A:
    x: int
def f(): return A(1)
--- int ---> float
=== __post_init__
from dataclasses import dataclass
@dataclass
class A:
    x: int
    def __post_init__(self): self.x += 1
def f(): return A(1).x
--- += 1 ---> += 2
=== a class made by a call
from dataclasses import make_dataclass
A = make_dataclass('A', [('x', int, 1)])
def f(): return A().x
--- int, 1 ---> int, 2
=== a class made by type
A = type('A', (), {'x': 1})
def f(): return A.x
--- 1 ---> 2
=== a NamedTuple default
from typing import NamedTuple
class A(NamedTuple):
    x: int = 1
def f(): return A().x
--- = 1 ---> = 2
=== the fields of a namedtuple
from collections import namedtuple
A = namedtuple('A', 'x y')
def f(): return A(1, 2).x
--- x y ---> y x
=== an enum member
from enum import Enum
class A(Enum):
    X = 1
def f(): return A.X.value
--- 1 ---> 2
=== the order of enum members
from enum import Enum
class A(Enum):
    X = 1
    Y = 2
def f(): return list(A)
--- X = 1\n    Y = 2 ---> Y = 2\n    X = 1
=== an enum method
from enum import Enum
class A(Enum):
    X = 1
    def g(self): return 1
def f(): return A.X.g()
--- return 1 ---> return 2
=== an enum member as a constant
from enum import Enum
class A(Enum):
    X = 1
    Y = 2
MODE = A.X
def f(): return MODE
--- MODE = A.X ---> MODE = A.Y
=== a function attribute
def helper(): return helper.scale
helper.scale = 1
def f(): return helper()
--- = 1 ---> = 2
=== a monkeypatched module attribute
from . import a
from . import patch
def f(): return a.helper()
## a.py
def helper(): return 0
## patch.py
from . import a
a.helper = lambda: 1
--- 1 ---> 2
=== a monkeypatched method
class A:
    def g(self): return 0
A.g = lambda self: 1
def f(): return A().g()
--- 1 ---> 2
=== a method added from outside
class A: pass
def g(self): return 1
A.g = g
def f(): return A().g()
--- 1 ---> 2
=== a monkeypatched function of an installed module
import colorsys
def mine(x): return 1

colorsys.rgb_to_hsv = mine
def f(): return colorsys.rgb_to_hsv(0)
--- 1 ---> 2
=== a type that is checked at run time
class A: x = 1
class B: x = 2
EITHER = A | int
def f(x): return isinstance(x, EITHER)
--- A | int ---> B | int
=== another function of an installed module
import numpy as np
def f(x): return np.sin(x)
--- sin ---> cos
=== another function imported from an installed module
from numpy import sin as g
def f(x): return g(x)
--- sin ---> cos
=== another function of torch
from torch import sin as g
def f(x): return g(x)
--- sin ---> cos
=== another logarithm as a constant
import math
LOG = math.log2
def f(x): return LOG(x)
--- log2 ---> log10
=== the current value of a context variable
from contextvars import ContextVar
V = ContextVar('V', default=1)
V.set(3)
def f(): return V.get()
--- set(3) ---> set(4)
=== a constant that an instance holds
class A:
    def __init__(self, x): self.x = x
CONFIG = A([1, {'k': A(2)}])
def f(): return CONFIG.x
--- A(2) ---> A(3)
=== an attribute in a slot
class A:
    __slots__ = 'x'
CONFIG = A()
CONFIG.x = 1
def f(): return CONFIG.x
--- x = 1 ---> x = 2
=== the content of a subclass of str
class Name(str): pass
NAME = Name('a')
def f(): return NAME
--- 'a' ---> 'b'
=== the content of a subclass of int
class Count(int): pass
N = Count(1)
def f(): return N
--- (1) ---> (2)
=== the content of a subclass of dict
class Table(dict): pass
T = Table(a=1)
def f(): return T['a']
--- a=1 ---> a=2
=== the content of a subclass of list
class Steps(list): pass
S = Steps([1])
def f(): return S
--- [1] ---> [2]
=== the content of a subclass of ndarray
import numpy as np
class Array(np.ndarray): pass
A = np.arange(3).view(Array)
def f(): return A
--- (3) ---> (4)
=== a module of torch with parameters of its own
import torch
class Probe(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.w = torch.nn.Parameter(torch.ones(2))
P = Probe()
def f(x): return x @ P.w
--- ones ---> zeros
=== an analysis that is called
from artifact_store import analysis
@analysis
def inner(checkpoint): return 1
@analysis
def outer(checkpoint): return inner(checkpoint)
f = outer
--- return 1 ---> return 2
=== the dimensions of an analysis that is called
from artifact_store import analysis
@analysis(dims={'x': ('a',)})
def inner(checkpoint): return {'x': checkpoint['w']}
def f(checkpoint): return inner(checkpoint)
--- 'a' ---> 'b'
=== the default of an analysis that is called
from artifact_store import analysis
@analysis
def inner(checkpoint, k=1): return k
def f(checkpoint): return inner(checkpoint)
--- k=1 ---> k=2
"""

CONSTANTS = {
    "int": ("1", "2"),
    "bool": ("True", "False"),
    "one and True": ("1", "True"),
    "one and 1.0": ("1", "1.0"),
    "float": ("0.1", "0.2"),
    "signed zero": ("0.0", "-0.0"),
    "complex": ("1j", "2j"),
    "str": ("'a'", "'b'"),
    "bytes": ("b'a'", "b'b'"),
    "bytearray": ("bytearray(b'a')", "bytearray(b'b')"),
    "None": ("None", "0"),
    "ellipsis": ("...", "None"),
    "tuple": ("(1, 2)", "(2, 1)"),
    "tuple and list": ("(1, 2)", "[1, 2]"),
    "nested": ("[(1, {'a': {2}})]", "[(1, {'a': {3}})]"),
    "list": ("[1, 2]", "[1, 2, 3]"),
    "dict value": ("{'a': 1}", "{'a': 2}"),
    "dict key": ("{'a': 1}", "{'b': 1}"),
    "dict order": ("{'a': 1, 'b': 2}", "{'b': 2, 'a': 1}"),
    "set": ("{1, 2}", "{1, 3}"),
    "frozenset": ("frozenset('ab')", "frozenset('ac')"),
    "range": ("range(3)", "range(4)"),
    "slice": ("slice(3)", "slice(4)"),
    "regex": ("re.compile('a')", "re.compile('b')"),
    "regex flags": ("re.compile('a')", "re.compile('a', re.I)"),
    "array": ("np.arange(3)", "np.arange(4)"),
    "array dtype": ("np.zeros(2, 'f4')", "np.zeros(2, 'f8')"),
    "array shape": ("np.zeros((2, 3))", "np.zeros((3, 2))"),
    "scalar": ("np.float32(1)", "np.float32(2)"),
    "dtype": ("np.dtype('f4')", "np.dtype('f8')"),
    "scalar type": ("np.float32", "np.float64"),
    "tensor": ("torch.ones(2)", "torch.zeros(2)"),
    "bfloat16 tensor": (
        "torch.ones(2, dtype=torch.bfloat16)",
        "torch.zeros(2, dtype=torch.bfloat16)",
    ),
    "torch dtype": ("torch.float32", "torch.float64"),
    "torch device": ("torch.device('cpu')", "torch.device('cuda')"),
    "torch size": ("torch.Size([1])", "torch.Size([2])"),
    "installed enum": ("re.I", "re.M"),
    "ordered dict": ("OrderedDict(a=1)", "OrderedDict(a=2)"),
    "default dict": ("defaultdict(list)", "defaultdict(set)"),
    "counter": ("Counter('ab')", "Counter('aa')"),
    "deque": ("deque([1], 3)", "deque([1], 4)"),
    "decimal": ("Decimal('1')", "Decimal('1.0')"),
    "fraction": ("Fraction(1, 2)", "Fraction(1, 3)"),
    "date": ("date(2020, 1, 1)", "date(2020, 1, 2)"),
    "timedelta": ("timedelta(1)", "timedelta(2)"),
    "mapping proxy": ("MappingProxyType({'a': 1})", "MappingProxyType({'a': 2})"),
    "namespace": ("SimpleNamespace(a=1)", "SimpleNamespace(a=2)"),
    "named tuple": ("Pair(1, 2)", "Pair(1, 3)"),
    "plain dataclass": ("Plain(1)", "Plain(2)"),
    "frozen dataclass": ("Frozen(1)", "Frozen(2)"),
    "nested dataclass": ("Frozen(Plain(1))", "Frozen(Plain(2))"),
    "alias": ("list[int]", "list[str]"),
    "builtin": ("max", "min"),
    "method of a builtin": ("str.upper", "str.lower"),
    "ufunc": ("np.add", "np.multiply"),
    "reduction of a ufunc": ("np.add.reduce", "np.multiply.reduce"),
    "function of a functional module": (
        "torch.nn.functional.relu",
        "torch.nn.functional.gelu",
    ),
    "boolean dispatch of torch": (
        "torch.nn.functional.max_pool2d",
        "torch.nn.functional.max_pool1d",
    ),
    "type": ("int", "float"),
}  # fmt: skip

WITH_CONSTANT = """
import re
import numpy as np
import torch
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType, SimpleNamespace
from typing import Any

Pair = namedtuple("Pair", "a b")

@dataclass
class Plain:
    x: Any

@dataclass(frozen=True)
class Frozen:
    x: Any

CONSTANT = VALUE
def f(): return CONSTANT
"""


@pytest.mark.parametrize("edit", edits(MATTERS))
def test_an_edit_that_matters_changes_the_closure(digest: Digest, edit: Edit) -> None:
    assert digest(edit.edited) != digest(edit.project)


@pytest.mark.parametrize("values", CONSTANTS.values(), ids=list(CONSTANTS))
def test_another_constant_changes_the_closure(
    digest: Digest, values: tuple[str, str]
) -> None:
    one, again, other = (digest(WITH_CONSTANT.replace("VALUE", value)) for value in (values[0], *values))  # fmt: skip

    assert one == again
    assert one != other


IRRELEVANT = r"""
=== a comment
def f(): return 1
--- def f ---> # why\ndef f
=== a docstring
def f():
    "What it does."
    return 1
--- What it does. ---> What it really does.
=== a docstring that was not there
def f():
    return 1
--- return 1 ---> "New."\n    return 1
=== the docstring of a helper's class
class A:
    "Old."
    def g(self):
        "Old."
        return 1
def f(): return A().g()
--- Old ---> New
=== quotes
def f(): return 'a'
--- 'a' ---> "a"
=== parentheses and spaces
def f(x): return x + 1
--- x + 1 ---> (x  +\n    1)
=== blank lines before it
def f(): return 1
--- def f ---> \n\n\ndef f
=== an unused import
def f(): return 1
--- def f ---> import os\ndef f
=== an unused import inside the body
def f():
    return 1
--- return 1 ---> import os\n    return 1
=== an unused helper
def unused(): return 1
def f(): return 2
--- 1 ---> 3
=== an unused constant
UNUSED = 1
def f(): return 2
--- 1 ---> 3
=== a local variable named like a constant
data = 1
def f():
    data = 2
    return data
--- data = 1 ---> data = 5
=== an attribute named like a constant
data = 1
def f(x): return x.data
--- data = 1 ---> data = 5
=== a parameter named like a function
def helper(): return 1
def f(helper): return helper
--- return 1 ---> return 2
=== the annotation of a local variable
def f():
    x: int = 1
    return x
--- int ---> float
=== the absence of a local annotation
def f():
    x: int = 1
    return x
--- x: int = 1 ---> x = 1
=== the annotations of a function where they are lazy
from __future__ import annotations
def helper(x: int) -> int: return x
def f(): return helper(1)
--- int ---> float
=== a class that only an annotation names
class A:
    x = 1
def helper(x: A): return x
def f(): return helper(1)
--- x = 1 ---> x = 2
=== what is imported for type checkers
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from nowhere import A
def f(): return 1
--- import A ---> import B
=== what is imported for type checkers inside the body
from typing import TYPE_CHECKING
def f():
    if TYPE_CHECKING:
        from .a import A
    return 1
## a.py
A = 1
--- import A ---> import A as B
=== the default of the analysis, which is a param
def f(x, k=1): return x + k
--- k=1 ---> k=2
=== the arguments of @analysis
from artifact_store import analysis
@analysis(ignore=('k',))
def inner(checkpoint, k=1): return 1
f = inner.__wrapped__
--- (ignore=('k',)) --->
=== the other function of the module
def f(): return 1
def g(): return 2
--- 2 ---> 3
=== a method of a class that is not used
class A:
    def g(self): return 1
class B:
    def g(self): return 2
def f(): return B().g()
--- return 1 ---> return 5
=== a helper moved to another line
def helper(): return 1
def f(): return helper()
--- def helper(): return 1\ndef f(): return helper() ---> def f(): return helper()\n\n\ndef helper(): return 1
=== a helper moved to another module
from .a import helper
def f(): return helper()
## a.py
def helper(): return 1
## b.py
x = 1
--- from .a import helper\ndef f(): return helper()\n## a.py\ndef helper(): return 1\n## b.py\nx = 1 ---> from .b import helper\ndef f(): return helper()\n## a.py\nx = 1\n## b.py\ndef helper(): return 1
=== a helper that moved from what a body imports
def f():
    from .a import helper
    return helper()
## a.py
def helper(): return 1
## b.py
from .a import helper
--- from .a import helper\n    return ---> from .b import helper\n    return
=== a class moved to another module
from .a import A
def f(): return A().g()
## a.py
class A:
    def g(self): return __name__
## b.py
x = 1
--- from .a import A\ndef f(): return A().g()\n## a.py\nclass A:\n    def g(self): return __name__\n## b.py\nx = 1 ---> from .b import A\ndef f(): return A().g()\n## a.py\nx = 1\n## b.py\nclass A:\n    def g(self): return __name__
=== the name of the module
def f(): return __name__
--- def f ---> X = 1\ndef f
=== the logger
import logging
log = logging.getLogger('a')
def f(): log.info('x')
--- 'a' ---> 'b'
=== the order of methods
class A:
    def g(self): return 1
    def h(self): return 2
def f(): return A().g()
--- def g(self): return 1\n    def h(self): return 2 ---> def h(self): return 2\n    def g(self): return 1
=== a branch that is not the one defined
import sys
if sys.maxsize > 0:
    def helper(): return 1
else:
    def helper(): return 10
def f(): return helper()
--- 10 ---> 20
=== a class in a branch that is not taken
import sys
if sys.maxsize > 0:
    class A:
        def g(self): return 1
else:
    class A:
        def g(self): return 10
def f(): return A().g()
--- 10 ---> 20
=== the value of a cached property
from functools import cached_property
class A:
    @cached_property
    def g(self): return 1
CONFIG = A()
def f(): return CONFIG.g
--- CONFIG = A() ---> CONFIG = A()\nCONFIG.g
=== an earlier call of a cached function
from functools import lru_cache
@lru_cache
def helper(x): return x
def f(): return helper(1)
--- def f ---> helper(3)\ndef f
=== pass
def f():
    pass
    return 1
--- pass\n    return ---> return
"""


@pytest.mark.parametrize("edit", edits(IRRELEVANT))
def test_an_edit_that_does_not_matter_keeps_the_closure(
    digest: Digest, edit: Edit
) -> None:
    assert digest(edit.edited) == digest(edit.project)


UNRESOLVED = {
    "getattr on a module": ("from . import a\ndef f(name):\n    x = 1\n    return getattr(a, name)()", 4, "pkg.a"),
    "import_module": ("import importlib\ndef f(name):\n    return importlib.import_module(name)", 3, "importlib.import_module"),
    "import_module by another name": ("from importlib import import_module as im\ndef f(name):\n    return im(name)", 3, "im"),
    "__import__": ("def f(name):\n    return __import__(name)", 2, "__import__"),
    "globals": ("def f(name):\n    return globals()[name]", 2, "globals"),
    "eval": ("def f(text):\n    return eval(text)", 2, "eval"),
    "exec": ("def f(text):\n    exec(text)", 2, "exec"),
    "vars of a module": ("from . import a\ndef f(name):\n    return vars(a)[name]", 3, "pkg.a"),
    "__dict__ of a module": ("from . import a\ndef f(name):\n    return a.__dict__[name]", 3, "a.__dict__"),
    "sys.modules": ("import sys\ndef f(name):\n    return sys.modules[name]", 3, "sys.modules"),
    "sys.modules imported": ("from sys import modules\ndef f(name):\n    return modules[name]", 3, "modules"),
    "__globals__": ("def g(): pass\ndef f(name):\n    return g.__globals__[name]", 3, "g.__globals__"),
    "a module as an argument": ("from . import a\ndef f(g):\n    return g(a)", 3, "pkg.a"),
    "a module as a constant": ("from . import a\nMODULES = [a]\ndef f():\n    return MODULES", 4, "MODULES"),
    "a module as a local alias": ("from . import a\ndef f():\n    m = a\n    return m.helper()", 3, "pkg.a"),
    "attrgetter on a module": ("from . import a\nfrom operator import attrgetter\ndef f(name):\n    return attrgetter(name)(a)", 4, "pkg.a"),
    "in a helper": ("def g(t):\n    return eval(t)\ndef f(t):\n    return g(t)", 2, "eval"),
    "in a method": ("class A:\n    def g(self, t):\n        return eval(t)\ndef f(t):\n    return A().g(t)", 3, "eval"),
    "in a lambda": ("g = lambda t: eval(t)\ndef f(t):\n    return g(t)", 1, "eval"),
    "an open file": ("import os\nFILE = open(os.devnull)\nimport atexit; FILE.close()\ndef f():\n    return FILE", 5, "FILE"),
    "a lock": ("import threading\nLOCK = threading.Lock()\ndef f():\n    with LOCK: return 1", 4, "LOCK"),
    "a random generator": ("import numpy as np\nRNG = np.random.default_rng(0)\ndef f():\n    return RNG.normal()", 4, "RNG"),
    "a method of a random generator": ("import numpy as np\nnormal = np.random.default_rng(0).normal\ndef f():\n    return normal()", 4, "normal"),
    "a module of torch": ("import torch\nNET = torch.nn.Linear(1, 1)\ndef f(x):\n    return NET(x)", 4, "NET"),
    "a path": ("from pathlib import Path\nROOT = Path('data')\ndef f():\n    return ROOT", 4, "ROOT"),
    "something in a list": ("import threading\nALL = [1, {'a': threading.Lock()}]\ndef f():\n    return ALL", 4, "ALL"),
    "something in an instance": ("import threading\nclass A:\n    def __init__(self): self.lock = threading.Lock()\nX = A()\ndef f():\n    return X", 6, "X"),
    "an array of objects": ("import numpy as np\nA = np.array([None])\ndef f():\n    return A", 4, "A"),
    "a list that contains itself": ("A = []\nA.append(A)\ndef f():\n    return A", 4, "A"),
    "a sparse tensor": ("import torch\nT = torch.eye(2).to_sparse()\ndef f():\n    return T", 4, "T"),
}  # fmt: skip


@pytest.mark.parametrize("row", UNRESOLVED.values(), ids=list(UNRESOLVED))
def test_what_cannot_be_known_is_refused_where_it_stands(
    write_project: Any, row: tuple[str, int, str]
) -> None:
    body, line, mentioned = row
    main = write_project({"main.py": body, "a.py": "def helper(): return 1\n"})

    with pytest.raises(UnresolvedDependency) as refused:
        closure_of(main.f)

    assert refused.value.where == f"{main.__file__}:{line}"
    assert mentioned in refused.value.what
    assert "depends_on=(" in str(refused.value)


@pytest.mark.parametrize("row", UNRESOLVED.values(), ids=list(UNRESOLVED))
def test_what_is_declared_is_not_refused(
    write_project: Any, row: tuple[str, int, str]
) -> None:
    main = write_project({"main.py": row[0], "a.py": "def helper(): return 1\n"})

    assert closure_of(main.f, depends_on=(1,)).digest


FINE = {
    "a logger": "import logging\nlog = logging.getLogger(__name__)\ndef f(): log.info('x')",
    "typing": "from typing import *\nT = TypeVar('T')\nX = Dict[str, Optional[T]]\ndef f(x): return cast(X, x), Any, T",
    "a union": "X = int | None\ndef f(x): return isinstance(x, X)",
    "a new type": "from typing import NewType\nId = NewType('Id', int)\ndef f(x): return Id(x)",
    "a literal type": "from typing import Literal, get_args\nX = Literal['a', 'b']\ndef f(x): return x in get_args(X)",
    "numpy typing": "import numpy as np, numpy.typing as npt\nX = npt.NDArray[np.float64]\ndef f(x): return X",
    "tqdm": "from tqdm import tqdm\nfrom tqdm.auto import tqdm as auto\ndef f(x): return list(tqdm(auto(x)))",
    "warnings": "import warnings\nfrom warnings import warn\ndef f(): warn('x'); warnings.warn('x', UserWarning)",
    "an abstract class": "from abc import ABC, abstractmethod\nclass A(ABC):\n    @abstractmethod\n    def g(self): ...\nclass B(A):\n    def g(self): return 1\ndef f(): return B().g()",
    "a protocol": "from typing import Protocol, runtime_checkable\n@runtime_checkable\nclass A(Protocol):\n    x: int\n    def g(self) -> int: ...\ndef f(x): return isinstance(x, A)",
    "a named tuple with a method": "from typing import NamedTuple\nclass A(NamedTuple):\n    x: int\n    def g(self): return self.x\nDEFAULT = A(1)\ndef f(): return DEFAULT.g(), A(2)",
    "a typed dict": "from typing import TypedDict\nclass A(TypedDict):\n    x: int\ndef f(): return A(x=1)",
    "a generic class": "from typing import Generic, TypeVar\nT = TypeVar('T')\nclass A(Generic[T]):\n    def g(self): return 1\ndef f(): return A[int]().g()",
    "enums": "from enum import *\nclass A(Flag):\n    X = auto()\n    Y = auto()\nclass B(str, Enum):\n    P = 'p'\nclass C(IntEnum):\n    Q = 1\nBOTH = A.X | A.Y\ndef f(): return BOTH, B.P, C.Q, list(A)",
    "a functional enum": "from enum import Enum\nA = Enum('A', 'X Y')\ndef f(): return A.X",
    "a dataclass of every kind": "from dataclasses import *\nfrom typing import ClassVar\n@dataclass(frozen=True, slots=True, order=True, kw_only=True)\nclass A:\n    k: ClassVar[int] = 3\n    x: InitVar[int] = 1\n    y: list = field(default_factory=list, repr=False)\n    def __post_init__(self, x): pass\nB = replace(A(), y=[1])\ndef f(): return A(), B, astuple(B)",
    "total_ordering": "from functools import total_ordering\n@total_ordering\nclass A:\n    def __eq__(self, other): return True\n    def __lt__(self, other): return True\ndef f(): return A() >= A()",
    "an exception": "class Bad(ValueError):\n    def __str__(self): return 'x'\nMINE = Bad('x')\ndef f(): raise Bad('y') from MINE",
    "a context variable": "from contextvars import ContextVar\nV = ContextVar('V', default=None)\ndef f(): return V.get()",
    "math": "import math, string, os.path, sys\nfrom math import pi, sin\nfrom sys import version_info\ndef f(): return pi, sin(math.e), string.ascii_letters, os.path.join('a'), sys.version_info, version_info, sys.maxsize",
    "numpy": "import numpy as np\nfrom numpy.linalg import norm\nfrom numpy.random import rand, default_rng\nOPS = {'a': np.add, 'n': norm, 'f': np.fft.fft, 'nan': np.nan, 'new': np.newaxis}\ndef f(x): return OPS, rand(1), default_rng(0).normal(), np.float64(1), np.random.normal()",
    "torch": "import torch\nimport torch.nn.functional as F\nfrom torch import nn, Tensor\nfrom torch.nn.functional import relu, scaled_dot_product_attention as sdpa\nACT = {'r': relu, 's': torch.sigmoid, 'S': F.softmax, 'l': nn.ReLU, 't': Tensor.relu}\n@torch.no_grad()\ndef f(x): return ACT, sdpa, torch.ops.aten.add, torch.strided",
    "inference_mode": "import torch\n@torch.inference_mode()\ndef f(x): return x",
    "random": "import random\nfrom random import random as r\ndef f(): return r(), random.gauss(0, 1)",
    "builtins": "import builtins\ndef f(x): return [len(x), builtins.sum(x), print, type(None), type(f), Ellipsis, __debug__, ValueError]",
    "functools": "import functools, operator, itertools\nfrom functools import reduce\nadd = functools.partial(reduce, operator.add)\ndef f(x): return add(x), itertools.chain(x)",
    "a missing name": "def f(): return undefined",
    "a class in a cell": "def make():\n    class A:\n        x = 1\n    def f(): return A().x\n    return f\nf = make()",
    "an unset cell": "def make():\n    def f(): return later\n    if False: later = 1\n    return f\nf = make()",
    "instances that refer to each other": "class A: pass\nX, Y = A(), A()\nX.y, Y.x = Y, X\ndef f(): return X",
    "getattr on an object": "class A: x = 1\ndef f(name): return getattr(A(), name)",
    "getattr on an installed module": "import torch, numpy as np\ndef f(name): return getattr(torch, name), getattr(np, name)",
    "a class nobody can find": "from dataclasses import make_dataclass\nA = make_dataclass('A', ['x'], frozen=True)\nDEFAULT = A(1)\ndef f(): return A(2), DEFAULT",
    "suppress": "from contextlib import suppress, contextmanager\ndef f():\n    with suppress(KeyError): return 1",
    "an object as a mark": "MISSING = object()\ndef f(x): return x is MISSING",
    "a singleton of an installed package": "from dataclasses import MISSING\nfrom inspect import Parameter\nEMPTY = Parameter.empty\ndef f(x): return x is MISSING or x is EMPTY",
    "a bound method of an installed singleton": "from multiprocessing import cpu_count\ndef f(): return cpu_count()",
}  # fmt: skip


@pytest.mark.parametrize("body", FINE.values(), ids=list(FINE))
def test_ordinary_code_needs_no_ceremony(write_project: Any, body: str) -> None:
    one, two = closure_of(write_project(body).f), closure_of(write_project(body).f)

    assert one.digest == two.digest
    assert two.guard.holds()


def test_code_without_a_module_is_not_known_by_its_name(write_project: Any) -> None:
    main = write_project("made = {}\nexec('def g(): return 1', made)\ng = made['g']\ndef f(): return g()")  # fmt: skip

    with pytest.raises(SourceUnavailable):
        closure_of(main.f)


def test_what_an_analysis_depends_on_is_part_of_its_closure(write_project: Any) -> None:
    body = "def helper(): return 1\ndef f(name): return globals()[name]()"
    one, two = (write_project(text) for text in (body, body.replace("1", "2")))

    with pytest.raises(UnresolvedDependency):
        closure_of(one.f)
    assert closure_of(one.f, (one.helper,)).digest != closure_of(two.f, (two.helper,)).digest  # fmt: skip


NESTED = """
from artifact_store import analysis

def helper(text): return eval(text)

@analysis(depends_on=(1,))
def inner(checkpoint): return helper("1")

def f(checkpoint): return inner(checkpoint)
def g(checkpoint): return inner(checkpoint), eval("2")
"""


def test_a_declaration_covers_what_is_reached_through_it_and_nothing_else(
    write_project: Any,
) -> None:
    main = write_project(NESTED)

    assert closure_of(main.f).digest
    with pytest.raises(UnresolvedDependency, match=r"main.py:10: `eval`"):
        closure_of(main.g)


def test_a_compiled_module_of_the_project_is_refused(
    write_project: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import _bisect
    import _heapq
    import shutil

    projects = (
        (_bisect, "from . import _bisect\ndef f(x):\n    return _bisect.bisect(x, 1)"),
        (_heapq, "from ._heapq import heappop\ndef f(x):\n    return heappop(x)"),
    )
    for number, (extension, body) in enumerate(projects):
        package = tmp_path / f"project{number}" / "pkg"
        package.mkdir(parents=True)
        shutil.copy(str(extension.__file__), package)
        main = write_project(body)

        with pytest.raises(UnresolvedDependency, match=r"main.py:3: .*pkg\._"):
            closure_of(main.f)


def test_installed_packages_are_named_and_not_imported(write_project: Any) -> None:
    main = write_project("import numpy as np\ndef f(x):\n    import torchvision_of_nobody as t\n    return t.x, np.sin(x)")  # fmt: skip

    assert closure_of(main.f).packages == ("numpy",)


def test_members_tell_their_sources(write_project: Any) -> None:
    main = write_project("def helper():\n    return 1\n\nX = 2\ndef f():\n    return helper() + X\n")  # fmt: skip

    f, helper = closure_of(main.f).members

    assert (f.name, f.line, helper.name) == ("pkg.main.f", 5, "pkg.main.helper")
    assert helper.source == "def helper():\n    return 1\n"
    assert [(one.kind, one.spelled, one.shown) for one in f.references] == [
        ("constant", "X", "2"),
        ("code", "helper", "pkg.main.helper"),
    ]
