"""What no pure function does is seen, and what every analysis does is not."""

from __future__ import annotations

import os
import pickle
import random
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import WriteModule

from artifact_store.closures.reach import closure_of
from artifact_store.errors import ArtifactStoreError, BadSetting, ImpureRead
from artifact_store.purity import (
    External,
    Impurity,
    impurities_among,
    is_strict,
    observed,
    refuse,
    unwatched,
)

Body = Callable[[], object]


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a program of one thread, whatever threads other tests have left."""
    monkeypatch.setattr(threading, "active_count", lambda: 1)


def noted(
    body: Body, *readable: object, externals: tuple[External, ...] = ()
) -> list[str]:
    """What is noted of a body, each thing once, without the place."""
    found: dict[str, None] = {}

    def note(impurity: Impurity) -> None:
        found[impurity.act] = None

    observed(body, externals, list(map(str, readable)), note)
    return list(found)


def refused(body: Body, *readable: object) -> ImpureRead:
    with pytest.raises(ImpureRead) as caught:
        observed(body, (), list(map(str, readable)), refuse)
    return caught.value


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "table.csv"
    path.write_text("1,2\n")
    return path


# By name


REACHED = {
    "import time\ndef f(): return time.time()": "time.time",
    "from time import perf_counter as now\ndef f(): return now()": "time.perf_counter",
    "def f():\n    import time\n    return time.time_ns()": "time.time_ns",
    "def f():\n    from time import monotonic\n    return monotonic()": "time.monotonic",
    "import time\ndef f(): return getattr(time, 'time')()": "time.time",
    "import time\ndef f(): return time.localtime()": "time.localtime()",
    "import datetime as dt\ndef f(): return dt.datetime.now()": "datetime.datetime.now",
    "from datetime import datetime\ndef f(): return datetime.now(None)": "datetime.datetime.now",
    "from datetime import date\ndef f(): return date.today()": "datetime.date.today",
    "import os\ndef f(): return os.environ['X']": "os.environ",
    "import os\ndef f(): return os.environ.get('X')": "os.environ",
    "from os import environ\ndef f(): return environ.get('X')": "os.environ",
    "from os import getcwd\ndef f(): return getcwd()": "os.getcwd",
    "import os.path as p\ndef f(): return p.expanduser('~')": "os.path.expanduser",
    "from pathlib import Path\ndef f(): return Path.cwd()": "pathlib.Path.cwd",
    "import sys\ndef f(): return sys.argv[1]": "sys.argv",
    "import platform\ndef f(): return platform.node()": "platform.node",
    "from socket import gethostname\ndef f(): return gethostname()": "socket.gethostname",
    "import secrets\ndef f(): return secrets.token_hex()": "secrets",
    "from uuid import uuid4\ndef f(): return uuid4().hex": "uuid.uuid4",
    "from os import urandom\ndef f(): return urandom(3)": "os.urandom",
    "import random\ndef f(): return random.Random().random()": "random.Random()",
    "import random\ndef f(): random.seed()": "random.seed()",
    "import numpy as np\ndef f(): return np.random.default_rng()": "numpy.random.default_rng()",
    "import numpy as np\ndef f(): return np.random.default_rng(seed=None)": "numpy.random.default_rng()",
    "from numpy.random import default_rng\ndef f(): return default_rng()": "numpy.random.default_rng()",
    "from numpy.random import RandomState\ndef f(): return RandomState()": "numpy.random.RandomState()",
    "import time\ndef helper(): return time.time()\ndef f(): return helper()": "time.time",
    "import time\nclass C:\n    def m(self): return time.time()\ndef f(): return C().m()": "time.time",
    "import functools, time\nnow = functools.partial(time.time)\ndef f(): return now()": "time.time",
}  # fmt: skip

PURE = [
    "import numpy as np\ndef f(seed): return np.random.default_rng(seed).random()",
    "import numpy as np\ndef f(): return np.random.default_rng(seed=3).random()",
    "from numpy.random import RandomState\ndef f(): return RandomState(0).rand()",
    "from functools import partial\nimport numpy as np\nrng = partial(np.random.default_rng, 3)\ndef f(): return rng()",
    "import random\ndef f(): return random.Random(3).random()",
    "import time\ndef f(): time.sleep(0)",
    "import time\ndef f(x): return time.localtime(x), time.gmtime(x)",
    "from datetime import datetime, timedelta\ndef f(x): return datetime.fromisoformat(x) + timedelta(1)",
    "import os\ndef f(x): return os.path.join(x, 'y'), os.fspath(x)",
    "from pathlib import Path\ndef f(x): return Path(x).name",
    "import sys\ndef f(): return sys.float_info.eps, sys.maxsize",
    "import uuid\ndef f(x): return uuid.uuid5(uuid.NAMESPACE_URL, x)",
    "import torch\ndef f(x): return torch.Generator().manual_seed(3)",
]


@pytest.mark.parametrize("code", REACHED)
def test_what_no_key_tells_is_known_by_any_spelling_of_its_name(
    code: str, write_module: WriteModule
) -> None:
    found = impurities_among(closure_of(write_module("reaches", code).f).externals)

    assert [one.act.partition(" (")[2] for one in found] == [f"{REACHED[code]})"]
    assert found[0].place.partition(":")[0].endswith("reaches.py")


@pytest.mark.parametrize("code", PURE)
def test_what_is_given_all_that_it_needs_is_pure(
    code: str, write_module: WriteModule
) -> None:
    assert not impurities_among(closure_of(write_module("pure", code).f).externals)


def test_the_line_of_an_unseeded_call_is_named_and_not_that_of_a_seeded_one(
    write_module: WriteModule,
) -> None:
    code = "from numpy.random import default_rng\ndef f(x):\n    default_rng(x)\n    return default_rng()"
    (found,) = impurities_among(closure_of(write_module("both", code).f).externals)

    assert found.place.endswith("both.py:4")


def test_a_strict_analysis_is_refused_before_it_runs() -> None:
    with pytest.raises(ImpureRead) as caught:
        observed(pytest.fail, (("time", "time", "x.py:12"),), (), refuse)

    assert isinstance(caught.value, ArtifactStoreError)
    assert isinstance(caught.value, RuntimeError)
    assert str(caught.value) == (
        "A strict analysis reads the clock (time.time) at x.py:12, which its key does not tell: the same call could "
        "give another result. Take it as a parameter; how long something lasts is measured outside. If it decides "
        "nothing, @analysis(strict=False) only notes it in the manifest."
    )
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value) and again.place == "x.py:12"


def test_an_impurity_says_what_and_where() -> None:
    (found,) = impurities_among((("posix", "getcwd", "x.py:3"),))

    assert str(found) == "reads the environment (os.getcwd) at x.py:3"
    assert str(Impurity("drew", "", "")) == "drew"


# Files


READERS: dict[str, Callable[[Path], object]] = {
    "open": lambda path: open(path).close(),
    "text": lambda path: path.read_text(),
    "numpy": lambda path: np.loadtxt(path, delimiter=","),
    "os": lambda path: os.close(os.open(path, os.O_RDONLY)),
    "bytes": lambda path: open(os.fsencode(path)).close(),
    "relative": lambda path: open(os.path.relpath(path)).close(),
    "appended": lambda path: open(path, "a+").close(),
}


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_reading_a_file_that_no_key_names_is_refused_at_the_act_and_else_noted(
    table: Path, read: Callable[[Path], object]
) -> None:
    ran = []

    def body() -> None:
        ran.append("before")
        read(table)
        ran.append("after")

    error = refused(body)

    assert ran == ["before"]
    assert error.act == f"opened {table}" and error.place.startswith(f"{__file__}:")
    assert noted(body) == [f"opened {table}"]


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_a_declared_file_may_be_read_under_any_name(
    table: Path, tmp_path: Path, read: Callable[[Path], object]
) -> None:
    (tmp_path / "link.csv").symlink_to(table)

    for readable in (table, tmp_path / "link.csv", tmp_path):
        assert not noted(lambda: read(table), readable)
        assert not noted(lambda: read(tmp_path / "link.csv"), readable)


def test_a_neighbour_of_what_is_declared_may_not_be_read(table: Path) -> None:
    other = table.with_name("table.csv2")
    other.write_text("")

    assert noted(other.read_text, table) == [f"opened {other}"]


def test_refusal_cannot_be_caught_and_forgotten(table: Path) -> None:
    def body() -> None:
        try:
            table.read_text()
        except Exception:
            pass

    assert refused(body).act == f"opened {table}"


def test_what_the_body_wrote_itself_it_may_read(tmp_path: Path) -> None:
    def body() -> None:
        with tempfile.TemporaryDirectory(dir=tmp_path) as folder:
            (inner := Path(folder) / "inner").mkdir()
            (inner / "x.txt").write_text("x")
            (inner / "x.txt").read_text()
            list(inner.iterdir())
        with tempfile.NamedTemporaryFile("w+", dir=tmp_path) as file:
            file.write("x")
            file.flush()
            Path(file.name).read_text()

    assert not noted(body)


def test_writing_is_not_reading(table: Path) -> None:
    def body() -> None:
        with open(table, "a") as file:
            file.write("3,4\n")

    assert not noted(body)


@pytest.mark.parametrize(
    "list_",
    [
        os.listdir,
        lambda path: list(os.scandir(path)),
        lambda path: list(path.glob("*")),
    ],
)
def test_listing_a_directory_is_reading_it(
    tmp_path: Path, list_: Callable[[Path], object]
) -> None:
    assert noted(lambda: list_(tmp_path)) == [f"listed {tmp_path}"]
    assert not noted(lambda: list_(tmp_path), tmp_path)


def test_files_of_stores_packages_and_the_system_may_be_read(tmp_path: Path) -> None:
    stored = tmp_path / "artifacts/.store/data/3f/c.0"
    stored.parent.mkdir(parents=True)
    stored.write_text("x")

    for path in (
        stored,
        Path(np.__file__).with_name("version.pyi"),
        Path(os.__file__),
        Path("/proc/cpuinfo"),
    ):
        if path.exists():
            assert not noted(path.read_bytes)
    assert not noted(lambda: os.listdir(stored.parent))


def test_importing_reads_code_and_whatever_that_reads(
    tmp_path: Path, table: Path, write_module: WriteModule
) -> None:
    write_module(
        "lazy", f"import pathlib\nROWS = pathlib.Path({str(table)!r}).read_text()"
    )
    sys.modules.pop("lazy")

    def body() -> object:
        import lazy  # type: ignore[import-not-found]

        return lazy.ROWS

    assert not noted(body)


def test_databases_processes_and_connections_are_seen(tmp_path: Path) -> None:
    base = tmp_path / "base.sqlite"
    sqlite3.connect(base).close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()

        assert noted(lambda: sqlite3.connect(base).close()) == [f"opened {base}"]
        assert noted(lambda: sqlite3.connect(":memory:").close()) == []
        assert "ran a process" in noted(lambda: subprocess.run(["true"]))
        assert noted(lambda: os.system("true")) == ["ran a process"]
        assert noted(lambda: socket.create_connection(address).close()) == [
            "connected to a server"
        ]


def test_nothing_is_noted_outside_of_a_computation(table: Path) -> None:
    found: list[Impurity] = []
    observed(lambda: None, (), (), found.append)
    with pytest.raises(ZeroDivisionError):
        observed(lambda: 1 / 0, (), (), found.append)
    table.read_text()
    random.random()

    assert not found


def test_what_the_store_does_meanwhile_is_no_doing_of_the_analysis(table: Path) -> None:
    def body() -> None:
        with unwatched():
            table.read_text()
            random.random()
        np.random.rand()

    assert noted(body) == [RANDOM.format("numpy")]


def test_an_analysis_inside_another_answers_for_itself(table: Path) -> None:
    inside: list[str] = []

    def inner() -> None:
        table.read_text()
        random.random()

    def outer() -> None:
        inside.extend(noted(inner))

    assert not noted(outer)
    assert inside == [f"opened {table}", RANDOM.format("random")]


def test_an_analysis_outside_of_another_answers_for_what_it_did_before_and_after() -> (
    None
):
    def before() -> None:
        random.random()
        noted(lambda: None)

    def after() -> None:
        noted(lambda: None)
        np.random.rand()

    assert noted(before) == [RANDOM.format("random")]
    assert noted(after) == [RANDOM.format("numpy")]


# Random numbers


RANDOM = "drew unseeded numbers from the global generator of {}"
DRAWS: dict[str, tuple[Body, tuple[External, ...]]] = {
    "random": (random.random, (("random", "seed", "x.py:1"),)),
    "numpy": (np.random.rand, (("numpy", "random.seed", "x.py:1"),)),
    "torch": (lambda: torch.rand(1), (("torch", "manual_seed", "x.py:1"),)),
}


@pytest.mark.parametrize("library", DRAWS)
def test_drawing_from_a_global_generator_that_was_never_seeded(library: str) -> None:
    draw, seeded = DRAWS[library]
    others = tuple(name for one in DRAWS if one != library for name in DRAWS[one][1])

    assert noted(draw) == noted(draw, externals=others) == [RANDOM.format(library)]
    assert refused(draw).act == RANDOM.format(library)
    assert not noted(draw, externals=seeded)


def test_normal_numbers_and_other_generators_of_numpy_count_too() -> None:
    assert noted(np.random.randn) == [RANDOM.format("numpy")]
    before = np.random.mtrand.get_bit_generator()
    np.random.set_bit_generator(np.random.PCG64(3))  # type: ignore[attr-defined]
    try:
        assert noted(np.random.rand) == [RANDOM.format("numpy")]
        assert not noted(lambda: None)
    finally:
        np.random.set_bit_generator(before)  # type: ignore[attr-defined]


def test_generators_of_its_own_are_for_the_analysis_to_draw_from() -> None:
    def body() -> None:
        random.Random(3).random()
        np.random.default_rng(3).random()
        np.random.RandomState(3).rand()
        torch.rand(1, generator=torch.Generator().manual_seed(3))

    assert not noted(body)


# Strictness


@pytest.mark.parametrize(
    ("declared", "variable", "under_pytest", "strict"),
    [
        (True, "0", False, True),
        (False, "1", True, False),
        (None, "1", False, True),
        (None, "0", True, False),
        (None, "", True, True),
        (None, None, True, True),
        (None, None, False, False),
    ],
)
def test_strict_is_what_was_declared_else_the_environment_else_a_test(
    declared: bool | None,
    variable: str | None,
    under_pytest: bool,
    strict: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in {
        "ARTIFACT_STORE_STRICT": variable,
        "PYTEST_CURRENT_TEST": "x" if under_pytest else None,
    }.items():
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)

    assert is_strict(declared) is strict


def test_a_strictness_that_is_no_choice_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ARTIFACT_STORE_STRICT", "yes")

    assert is_strict(True)
    with pytest.raises(BadSetting, match="ARTIFACT_STORE_STRICT='yes': is neither"):
        is_strict(None)


# False alarms

ANALYSES = """
import sys
from artifact_store import Checkpoint
from artifact_store.purity import observed, refuse

path = sys.argv[1]
from analyses import clusters, embedding, neurons
for one in (embedding.fourier_coefficients, neurons.neuron_activations, clusters.neuron_freq_norm):
    body = lambda: one.__wrapped__(Checkpoint(path))
    observed(body, one.closure.externals, [path], refuse)
    observed(lambda: one(Checkpoint(path)), (), [path], refuse)
"""


def test_the_analyses_are_pure_from_the_first_use_of_every_library_on(
    write_checkpoint: Callable[..., Path],
) -> None:
    p, d, h, m = 5, 4, 2, 3
    shapes = {
        "embed.W_E": (p + 1, d), "pos_embed.W_pos": (3, d), "unembed.W_U": (d, p),
        "blocks.0.attn.W_Q": (h, d, 2), "blocks.0.attn.W_K": (h, d, 2), "blocks.0.attn.W_V": (h, d, 2),
        "blocks.0.attn.W_O": (h, 2, d), "blocks.0.attn.b_Q": (h, 2), "blocks.0.attn.b_K": (h, 2),
        "blocks.0.attn.b_V": (h, 2), "blocks.0.attn.b_O": (d,), "blocks.0.mlp.W_in": (d, m),
        "blocks.0.mlp.b_in": (m,), "blocks.0.mlp.W_out": (m, d), "blocks.0.mlp.b_out": (d,),
    }  # fmt: skip
    rng = np.random.default_rng(0)
    path = write_checkpoint(
        **{name: rng.random(shape, np.float32) for name, shape in shapes.items()}
    )

    subprocess.run([sys.executable, "-W", "error", "-c", ANALYSES, path], check=True)


def test_what_another_thread_draws_meanwhile_is_not_of_the_analysis(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.undo()
    done = threading.Event()

    def draw_and_wait(begun: threading.Event) -> None:
        random.random()
        begun.set()
        done.wait(10)

    def body() -> None:
        begun = threading.Event()
        threading.Thread(target=draw_and_wait, args=(begun,)).start()
        begun.wait(10)

    try:
        assert noted(body) == []
    finally:
        done.set()
    # Where the code itself names the library, it is.
    named = (("random", "random", "x.py:1"),)
    assert noted(random.random, externals=named) == [RANDOM.format("random")]
