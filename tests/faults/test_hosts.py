"""Two hosts, and one directory that both of them mount: neither sees a lock of the other, nor boots when that does.

Each mounts it by a file system of its own (bindfs, in a process), and mounts that at the same path, in a mount
namespace with another boot id. A kernel keeps the locks on such a file system with the mount, so that of two mounts
neither sees those of the other; what it knows of names and stats it keeps with the mount too, for a second where a test
says so. The data are one directory.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import itertools
import os
import random
import shutil
import subprocess
import time
import traceback
import uuid
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from conftest import Injected, times
from safetensors.numpy import save_file
from test_gc_beside_writers import Writer, _publication, collected, until

from artifact_store import Checkpoint, Run, analysis, garbage
from artifact_store.arrays import digest_group
from artifact_store.digests import digest_of
from artifact_store.events import Event, Published, SetAside, listening
from artifact_store.keys import Key
from artifact_store.layout import Layout
from artifact_store.leases import is_leased, leased
from artifact_store.manifests import boot_id
from artifact_store.staging import staged, sweep
from artifact_store.stores import local
from artifact_store.stores.local import LocalStore
from artifact_store.stores.quarantine import quarantined
from artifact_store.verify import verify

EPOCHS: Final = range(6)
PROCESSES: Final = 3
SECONDS: Final = times(2, 60)

# Of <sched.h> and <sys/mount.h>.
_CLONE_NEWNS, _MS_BIND, _MS_REC, _MS_PRIVATE = 0x00020000, 0x1000, 0x4000, 0x40000
_BOOT_ID: Final = "/proc/sys/kernel/random/boot_id"
_libc: Final = ctypes.CDLL(None, use_errno=True)

# For how many seconds a host believes what it was told of names, absent names and stats; over NFS it is 3 to 60.
CACHES: Final = {"fresh": 0, "cached": 1}
_KNOWN: Final = ("attr", "entry", "negative")


def missing() -> str:
    """What there is not of what two hosts are made of; nothing, if all of it is there."""
    if os.geteuid() != 0:
        return "only root may mount"
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "this kernel has no /dev/fuse, or does not let us"
    if shutil.which("bindfs") is None:
        return "there is no bindfs (Debian: apt-get install bindfs)"
    return ""


pytestmark = pytest.mark.skipif(bool(missing()), reason=f"no two hosts: {missing()}")


@dataclass(frozen=True)
class Host:
    """Where a host mounts the directory itself, what its boot is called, and where its processes find it."""

    mounted: Path
    boot: Path
    shared: Path

    def restart(self) -> None:
        """Boot once more, as far as its next processes can tell."""
        self.boot.write_text(f"{uuid.uuid4()}\n")

    def enter(self) -> None:
        """Have this process be one of this host."""
        _done(_libc.unshare(_CLONE_NEWNS))
        _mount(None, "/", _MS_REC | _MS_PRIVATE)
        _mount(self.mounted, self.shared, _MS_BIND)
        _mount(self.boot, _BOOT_ID, _MS_BIND)
        boot_id.cache_clear()
        assert boot_id() == self.boot.read_text().strip()


def _mount(source: Path | None, at: str | Path, flags: int) -> None:
    given = None if source is None else os.fsencode(source)
    _done(_libc.mount(given, os.fsencode(at), None, flags, None))


def _done(answer: int) -> None:
    if answer:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


class Hosts:
    """Two of them, which share the directory `data`."""

    def __init__(self, home: Path, seconds: int) -> None:
        self.data, shared = home / "data", home / "shared"
        self.seconds = seconds
        self.all = tuple(
            Host(home / f"mounted_{name}", home / f"boot_{name}", shared)
            for name in ("a", "b")
        )
        for folder in (self.data, shared, *(one.mounted for one in self.all)):
            folder.mkdir()
        self._servers = [self._served(one) for one in self.all]
        for one in self.all:
            one.restart()

    def _served(self, host: Host) -> subprocess.Popen[bytes]:
        known = ",".join(f"{of}_timeout={self.seconds}" for of in _KNOWN)
        command = ["bindfs", "-f", "--multithreaded", "-o", known]
        server = subprocess.Popen([*command, self.data, host.mounted])
        while not os.path.ismount(host.mounted):
            assert server.poll() is None, "bindfs did not start"
            time.sleep(0.01)
        return server

    def settle(self) -> None:
        """Wait until none knows anything any more that was so before."""
        time.sleep(1.1 * self.seconds)

    def close(self) -> None:
        for one in self.all:
            subprocess.run(["umount", "--lazy", one.mounted], check=True)
        for server in self._servers:
            server.wait(30)

    def do(self, work: Callable[[int, int], int], each: int = 1) -> list[list[int]]:
        """What `work` gives in some processes of each host, at the same time, by host; told which host and which."""
        numbers = list(itertools.product(range(len(self.all)), range(each)))
        begun = [self._begun(host, lambda p=(host, n): work(*p)) for host, n in numbers]  # type: ignore[misc]
        ended = [os.waitpid(child, 0)[1] for child, _ in begun]
        answers = []
        for _, answer in begun:
            answers.append(os.read(answer, 99))
            os.close(answer)
        assert ended == [0] * len(begun)
        whole = [int(one) for one in answers]
        return [whole[host * each : (host + 1) * each] for host in range(len(self.all))]

    def at(self, host: int, work: Callable[[], int]) -> int:
        """The same of one process of one host."""
        child, answer = self._begun(host, work)
        try:
            assert os.waitpid(child, 0)[1] == 0
            return int(os.read(answer, 99))
        finally:
            os.close(answer)

    def _begun(self, host: int, work: Callable[[], int]) -> tuple[int, int]:
        answer, told = os.pipe()
        child = os.fork()
        if child:
            os.close(told)
            return child, answer
        try:
            self.all[host].enter()
            warnings.simplefilter("error")
            os.write(told, str(work()).encode())
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)


@pytest.fixture(params=CACHES)
def hosts(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Hosts]:
    """Two hosts, of which each sees at once what the other does, or after a second."""
    made = Hosts(tmp_path, CACHES[request.param])
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def run(hosts: Hosts) -> Path:
    """A run in the shared directory, at the path that every host finds it at."""
    checkpoints = hosts.data / "run/checkpoints"
    checkpoints.mkdir(parents=True)
    for epoch in EPOCHS:
        path = checkpoints / f"checkpoint_epoch_{epoch:05d}.safetensors"
        save_file({"w": np.full(1 << 18, epoch, np.float64)}, path)
    old = time.time() - 60
    for path in checkpoints.iterdir():
        os.utime(path, (old, old))
    return hosts.all[0].shared / "run"


@analysis
def doubled(checkpoint: Checkpoint) -> Any:
    """Large enough to be mapped."""
    return {"w": checkpoint["w"] * 2, "first": checkpoint["w"][:1]}


@analysis
def above(checkpoint: Checkpoint) -> Any:
    return doubled(checkpoint)["w"].max()


def use(run: Path, *epochs: int) -> int:
    """Ask for results, each of which is right; how many this process published, setting nothing aside."""
    told, opened = list[Event](), Run(run)
    with listening(told.append):
        for epoch in epochs:
            found = doubled(opened[epoch])
            assert (found["w"] == 2 * epoch).all() and found["first"][0] == epoch
            assert above(opened[epoch]) == 2 * epoch
    assert [one for one in told if isinstance(one, SetAside)] == []
    return sum(isinstance(one, Published) for one in told)


def set_aside(store: str) -> set[str]:
    """Why something was."""
    found = quarantined(Layout(store))
    return {one.cause.rpartition("/")[2] for one in found}


def all_is_sound(run: Path, entries: int) -> int:
    """So many entries, of which each is whole, and nothing else."""
    store = LocalStore(run / "artifacts")
    keys = list(store.keys())
    assert len(keys) == entries
    assert [one.problem for one in verify(store, keys) if one.problem] == []
    assert set_aside(store.location) == set()
    assert list((run / "artifacts/.store/staging").glob("*/*")) == []
    return entries


def test_a_lock_of_one_host_is_not_seen_by_the_other(hosts: Hosts) -> None:
    folder = hosts.all[0].shared

    def holds(host: int, number: int) -> int:
        with leased(f"{folder}/lock", 7):
            mine = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(mine, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The others hold theirs too: nobody goes on before that.
            Path(f"{folder}/here_{host}").touch()
            while len(list(folder.glob("here_*"))) < len(hosts.all):
                time.sleep(0.01)
            child = os.fork()
            if not child:
                os._exit(not is_leased(f"{folder}/lock", 7))
            return os.waitpid(child, 0)[1]

    assert hosts.do(holds) == [[0], [0]]


def test_a_cold_key_that_all_ask_for_at_once_is_computed_once_by_each_host_at_most(
    hosts: Hosts, run: Path
) -> None:
    published = hosts.do(lambda host, number: use(run, EPOCHS[-1]), PROCESSES)

    for by_host in published:
        assert sum(by_host) <= 2
    assert sum(map(sum, published)) >= 2
    assert hosts.at(0, lambda: all_is_sound(run, 2)) == 2
    assert hosts.at(1, lambda: all_is_sound(run, 2)) == 2


def test_many_keys_in_any_order_are_right_and_none_is_lost(
    hosts: Hosts, run: Path, injected: Injected
) -> None:
    def work(host: int, number: int) -> int:
        chosen = random.Random(10 * host + number)
        return sum(
            use(run, *chosen.sample(EPOCHS, len(EPOCHS))) for _ in range(times(2, 20))
        )

    published = hosts.do(work, PROCESSES)

    assert hosts.at(0, lambda: all_is_sound(run, 2 * len(EPOCHS)))
    assert hosts.at(1, lambda: use(run, *EPOCHS)) == 0
    injected("entry published beside another host", sum(map(sum, published)))


def test_what_one_host_publishes_is_not_lost_while_the_other_collects_garbage(
    hosts: Hosts, injected: Injected, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(garbage, "GRACE_SECONDS", 0.0)
    root, deadline = hosts.all[0].shared / "artifacts", time.monotonic() + SECONDS
    first = Key("mean", digest_of("key", b"first"))
    hosts.at(0, lambda: len(LocalStore(root).publish(first, _publication(0)).directory))

    def work(host: int, number: int) -> int:
        if (host, number) == (1, 0):
            return collected(root, deadline)
        writer = Writer(root, 10 * host + number)
        for _ in until(deadline):
            writer.act()
        writer.see_all()
        return writer.published

    published, (found, beside) = hosts.do(work, 2)

    assert min(*published, beside) > 0 and found > 0, (published, found, beside)
    # No hour of grace here: who is told of a second ago may set aside what is there again, which is computed once more.
    if not hosts.seconds:
        assert set_aside(str(hosts.data / "artifacts")) == set()
    injected("entry published beside a gc of another host", sum(published) + beside)


def test_calls_on_one_host_are_right_while_the_other_removes_what_they_find(
    hosts: Hosts, run: Path, injected: Injected
) -> None:
    deadline = time.monotonic() + SECONDS

    def work(host: int, number: int) -> int:
        chosen, count = random.Random(number), 0
        store = LocalStore(run / "artifacts")
        for _ in until(deadline):
            if host:
                keys = list(store.keys())
                count += bool(store.remove(chosen.sample(keys, min(1, len(keys)))))
            else:
                count += use(run, chosen.choice(EPOCHS))
        return count

    published, removed = hosts.do(work, 2)
    hosts.settle()

    assert min(published) > 0 and sum(removed) > 0
    assert hosts.at(0, lambda: use(run, *EPOCHS)) >= 0
    assert hosts.at(1, lambda: all_is_sound(run, 2 * len(EPOCHS)))
    injected("entry removed beside calls of another host", sum(removed))


def swept(staging: str) -> int:
    sweep(staging)
    return 0


def test_what_one_host_writes_is_not_swept_by_the_other_for_a_day(
    hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = hosts.all[0].shared / "artifacts/.store/staging"

    def leave(host: int) -> int:
        # As a writer that lives, of whose lock the other host knows nothing.
        with staged(str(folder)) as stage:
            Path(stage.name()).write_bytes(b"half")
            os._exit(0)

    hosts.data.joinpath("artifacts/.store/staging").mkdir(parents=True)
    with contextlib.suppress(AssertionError, ValueError):
        hosts.at(0, lambda: leave(0))
    (left,) = hosts.data.joinpath("artifacts/.store/staging").iterdir()
    for age, is_there in ((3600, True), (90_000, False)):
        then = time.time() - age
        os.utime(left, (then, then))
        hosts.settle()
        hosts.at(1, lambda: swept(str(folder)))
        assert left.exists() is is_there


def test_each_host_verifies_once_and_breaks_no_seal_of_the_other(
    hosts: Hosts, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digested = hosts.data / "digested"
    digested.mkdir()

    def noted(*given: Any, real: Any = digest_group) -> Any:
        (digested / uuid.uuid4().hex).touch()
        return real(*given)

    monkeypatch.setattr(local, "digest_group", noted)
    hosts.at(0, lambda: use(run, 3))
    counts = []
    for host in (1, 0, 1, 0, 1):
        for one in digested.iterdir():
            one.unlink()
        hosts.settle()
        hosts.at(host, lambda: use(run, 3))
        counts.append(len(list(digested.iterdir())))

    assert counts[0] > 0 and counts[1:] == [0, 0, 0, 0]
    # After another boot, which may have been a power cut, it is verified again.
    hosts.all[1].restart()
    hosts.at(1, lambda: use(run, 3))
    assert len(list(digested.iterdir())) > 0
