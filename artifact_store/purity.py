"""What a pure function would not do, noticed while an analysis computes.

    names that its closure reaches ──► clock, environment, entropy      before
    what the interpreter reports ────► files, processes, connections    during
    states of global generators ─────► numbers drawn, never seeded      after

Noticed is what happens in the thread that computes. What only a library written in another language opens, and
what threads and processes started by the analysis do, goes unseen.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import random
import sys
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, lru_cache
from types import FrameType
from typing import Any, TypeAlias, TypeVar

import msgspec
import numpy as np

from artifact_store.closures.origins import FirstParty, is_installed
from artifact_store.errors import BadSetting, ImpureRead
from artifact_store.layout import HIDDEN
from artifact_store.recent import cached_property

R = TypeVar("R")

# What a closure reaches of installed code: module, dotted name, file:line. A name ends in () where it is called with
# no argument, or with None alone.
External: TypeAlias = tuple[str, str, str]

STRICT_VARIABLE = "ARTIFACT_STORE_STRICT"
_CHOOSE = "Set 1 to refuse what is impure, 0 to note it in the manifest."


class Impurity(msgspec.Struct, frozen=True):
    """One thing that a pure function would not do."""

    act: str
    place: str
    advice: str

    def __str__(self) -> str:
        return f"{self.act} at {self.place}" if self.place else self.act


def is_strict(declared: bool | None) -> bool:
    """Whether impurities are refused: as declared, else as the environment says, else under pytest.

    Raises
    ------
    BadSetting
        The variable is neither 0 nor 1.
    """
    if declared is not None:
        return declared
    said = os.environ.get(STRICT_VARIABLE, "")
    if said not in ("", "0", "1"):
        raise BadSetting(STRICT_VARIABLE, said, "is neither 0 nor 1", _CHOOSE)
    return said == "1" or (not said and "PYTEST_CURRENT_TEST" in os.environ)


def refuse(impurity: Impurity) -> None:
    """Do not have it: what a strict analysis does about an impurity."""
    raise ImpureRead(impurity.act, impurity.place, impurity.advice)


def observed(
    body: Callable[[], R],
    externals: tuple[External, ...],
    readable: Collection[str],
    note: Callable[[Impurity], None],
) -> R:
    """What `body` returns.

    Parameters
    ----------
    externals
        What its closure reaches of installed code.
    readable
        Files that it may read, and directories all of whose files it may.
    note
        Told of each impurity: once at the act, which it stops by raising, and again at the end, for bodies that
        catch everything.
    """
    _listen()
    for impurity in impurities_among(externals):
        note(impurity)
    with unwatched():
        watch = _Watch(frozenset(readable), externals, note, _generators())
        token = _watching.set(watch)
        try:
            result = body()
        finally:
            _watching.reset(token)
        watch.compare()
    for impurity in watch.found:
        note(impurity)
    return result


@contextmanager
def unwatched() -> Iterator[None]:
    """What happens inside, such as another analysis, is no doing of the one that is computed outside."""
    outer = _watching.get()
    if outer is None:
        yield
        return
    outer.compare()
    token = _watching.set(None)
    try:
        yield
    finally:
        _watching.reset(token)
        outer.generators = _generators()


# Before: what is known by its name.

_TAKE = "Take it as a parameter; how long something lasts is measured outside."
_SEED = "Draw from a generator made of a seed that is a parameter, as in np.random.default_rng(seed)."
_PASS = "Do it before, and pass what came of it."
_FILE = "Take it as an input, as in def analysis(checkpoint, table: File)."

_NAMES = {
    ("reads the clock", _TAKE): (
        "time.time time.time_ns time.perf_counter time.perf_counter_ns time.monotonic time.monotonic_ns "
        "time.process_time time.process_time_ns time.thread_time time.thread_time_ns time.clock_gettime "
        "time.clock_gettime_ns time.localtime() time.gmtime() time.ctime() time.asctime() os.times "
        "datetime.datetime.now datetime.datetime.utcnow datetime.datetime.today datetime.date.today "
        "timeit.default_timer"
    ),
    ("reads the environment", _TAKE): (
        "os.environ os.environb os.getenv os.getenvb os.getcwd os.getcwdb pathlib.Path.cwd pathlib.Path.home "
        "os.path.expanduser os.path.expandvars sys.argv builtins.input sys.stdin"
    ),
    ("asks which machine or process it runs in", _TAKE): (
        "os.getpid os.getppid os.getlogin os.uname os.getloadavg socket.gethostname socket.getfqdn platform.node "
        "getpass.getuser threading.get_ident threading.get_native_id uuid.getnode"
    ),
    ("reads entropy", _SEED): (
        "os.urandom os.getrandom secrets uuid.uuid1 uuid.uuid4 random.SystemRandom random.Random() random.seed() "
        "numpy.random.default_rng() numpy.random.RandomState() numpy.random.SeedSequence() numpy.random.seed() "
        "numpy.random.PCG64() numpy.random.PCG64DXSM() numpy.random.MT19937() numpy.random.Philox() "
        "numpy.random.SFC64() torch.seed torch.random.seed"
    ),
}  # fmt: skip
_IMPURE = {name: kind for kind, names in _NAMES.items() for name in names.split()}

# Where the interpreter keeps what other modules are known for.
_HOMES = {
    "posix": "os",
    "posixpath": "os.path",
    "_socket": "socket",
    "_thread": "threading",
    "numpy.random.mtrand": "numpy.random",
}


# 8 us for 19 names, and 0.3 when asked again: a closure is computed for many checkpoints.
@lru_cache(maxsize=256)
def impurities_among(externals: tuple[External, ...]) -> tuple[Impurity, ...]:
    """Those of the names a closure reaches that no pure function needs."""
    found: dict[Impurity, None] = {}
    for module, name, place in externals:
        for known in _prefixes(f"{_HOMES.get(module, module)}.{name}"):
            if known in _IMPURE:
                what, advice = _IMPURE[known]
                found[Impurity(f"{what} ({known})", place, advice)] = None
    return tuple(found)


def _prefixes(name: str) -> Iterator[str]:
    while name:
        yield name
        name = name.rpartition(".")[0]


# During: what the interpreter reports.

_watching: ContextVar[_Watch | None] = ContextVar("_watching", default=None)

_ACTS = {
    "subprocess.Popen": "ran a process",
    "os.system": "ran a process",
    "socket.connect": "connected to a server",
}
_PATHS = {"open", "sqlite3.connect", "os.mkdir", "os.listdir", "os.scandir"}
_HEARD = frozenset(_PATHS | _ACTS.keys())

# As much part of the machine as its compiled libraries, of which nobody reports what they read.
_SYSTEM = ("/proc/", "/sys/", "/dev/", "/etc/", "/usr/share/", "/usr/lib/")
_SHARED_MEMORY = "/dev/shm/"
_CODE = (".py", ".pyc")
# What an import reads is code, and what looks for installed packages finds those alone.
_IMPORTING = (
    "<frozen importlib",
    "<frozen zipimport",
    os.path.join(os.path.dirname(importlib.__file__), "metadata"),
)


@cache
def _listen() -> None:
    """Hear what the interpreter reports, from the first computation on: nobody can stop listening."""
    sys.addaudithook(_hear)


def _hear(event: str, args: tuple[Any, ...]) -> None:
    # 0.15 us for each of the many reports that nobody waits for.
    if event in _HEARD and (watch := _watching.get()) is not None:
        watch.hear(event, args)


class _Watch(msgspec.Struct, eq=False, dict=True):
    """What one analysis may read, and what it did beyond that."""

    readable: frozenset[str]
    externals: tuple[External, ...]
    note: Callable[[Impurity], None]
    generators: dict[tuple[str, int], object]
    made: set[str] = msgspec.field(default_factory=set)
    found: dict[Impurity, None] = msgspec.field(default_factory=dict)

    def hear(self, event: str, args: tuple[Any, ...]) -> None:
        """What the interpreter reports, just before it happens."""
        if event in _ACTS:
            self._find(_ACTS[event], _PASS)
        elif not isinstance(args[0], int):  # A descriptor was opened before.
            path = os.path.abspath(os.fsdecode(args[0] or "."))
            match event:
                case "open":
                    self._opens(path, args[2])
                case "sqlite3.connect":
                    self._opens(path, os.O_RDWR | os.O_CREAT)
                case "os.mkdir":
                    self._makes(path)
                case _ if os.path.isdir(path) and not self._may_read(path):
                    self._find(f"listed {path}", _PASS)

    def compare(self) -> None:
        """Find the global generators that moved since `generators` was set and that it never seeds."""
        before, self.generators = self.generators, _generators()
        for (library, number), state in before.items():
            moved = self.generators.get((library, number), state) != state
            # Of several threads nobody knows which it was: dask's, say, draw numbers of their own all the time.
            is_ours = threading.active_count() == 1 or _names(library, self.externals)
            if moved and is_ours and not _seeds(library, self.externals):
                act = f"drew unseeded numbers from the global generator of {library}"
                self.found[Impurity(act, "", _SEED)] = None

    def _opens(self, path: str, flags: int) -> None:
        if flags & os.O_TRUNC:
            self.made.add(path)
        elif flags & os.O_CREAT:
            self._makes(path)
        reads = flags & os.O_ACCMODE != os.O_WRONLY
        if reads and not self._may_read(path) and os.path.isfile(path):
            self._find(f"opened {path}", _FILE)

    def _makes(self, path: str) -> None:
        if not os.path.lexists(path):
            self.made.add(path)

    def _may_read(self, path: str) -> bool:
        return (
            path in self.readable  # Nearly always, and many may be declared.
            or _is_within(path, self.readable | self.made)
            or f"/{HIDDEN}/" in f"{path}/"
            or path.endswith(_CODE)
            or (path.startswith(_SYSTEM) and not path.startswith(_SHARED_MEMORY))
            or is_installed(path)
            or _is_within(os.path.realpath(path), self._really_readable)
        )

    @cached_property
    def _really_readable(self) -> frozenset[str]:
        return frozenset(map(os.path.realpath, self.readable))

    def _find(self, act: str, advice: str) -> None:
        frames = list(_frames())
        if not any(one.f_code.co_filename.startswith(_IMPORTING) for one in frames):
            impurity = Impurity(act, _place_of(frames), advice)
            self.found[impurity] = None
            self.note(impurity)


def _is_within(path: str, places: Collection[str]) -> bool:
    return path in places or path.startswith(tuple(f"{one}/" for one in places))


def _frames() -> Iterator[FrameType]:
    """The frames of the analysis that is watched, innermost first."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code is not observed.__code__:
        yield frame
        frame = frame.f_back


def _place_of(frames: list[FrameType]) -> str:
    """Where the user's own code stands in `frames`."""
    ours = FirstParty(frozenset())
    for frame in frames:
        if ours.has_module(str(frame.f_globals.get("__name__"))):
            return f"{frame.f_code.co_filename}:{frame.f_lineno}"
    return ""


# After: the generators that all modules share.

_SEEDERS = {"seed", "setstate", "set_state", "manual_seed", "set_rng_state"}
_TWISTER = 625 * 4  # 624 words and a position.


def _generators() -> dict[tuple[str, int], object]:
    """The state of each; torch has one more for each GPU in use."""
    states: dict[tuple[str, int], object] = {
        ("random", 0): random.getstate(),
        ("numpy", 0): _state_of_numpy(),
    }
    torch: Any = sys.modules.get("torch")
    if hasattr(torch, "default_generator"):
        gpus = getattr(torch.cuda, "default_generators", ())
        for number, one in enumerate((torch.default_generator, *gpus)):
            states["torch", number] = one.get_state().numpy().tobytes()
    return states


def _state_of_numpy() -> object:
    generator = np.random.mtrand.get_bit_generator()
    if type(generator) is not np.random.MT19937:
        return generator.state
    # 0.6 us instead of 33; what it leaves out is the second of a pair of normal numbers, if one is kept for later.
    return ctypes.string_at(generator.ctypes.state_address, _TWISTER)


def _names(library: str, externals: tuple[External, ...]) -> bool:
    """Whether code makes use of a library by itself."""
    return any(module.partition(".")[0] == library for module, _, _ in externals)


def _seeds(library: str, externals: tuple[External, ...]) -> bool:
    return any(
        name.rpartition(".")[2] in _SEEDERS and module.partition(".")[0] == library
        for module, name, _ in externals
    )
