"""What a file system can do of what a store relies on, tried out in a folder that is gone afterwards."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from artifact_store.descriptors import map_array, opened
from artifact_store.leases import is_leased, leased

# Where locks, times and renames may be another host's: what comes over a network or out of a process.
_REMOTE: Final = ("nfs", "cifs", "smb", "fuse", "9p", "ceph", "lustre", "gpfs", "afs")


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of one trial.

    Attributes
    ----------
    name
        What was tried.
    works
        Whether it did what a store relies on.
    found
        What was seen.
    means
        What follows where it does not work.
    """

    name: str
    works: bool
    found: str
    means: str = ""


Trial = Callable[[str], str]


def tried(folder: str) -> list[Finding]:
    """Every trial in a folder, of which nothing is left; `OSError` if nothing can be written there."""
    with tempfile.TemporaryDirectory(prefix="doctor-", dir=folder) as scratch:
        return [_finding(scratch, number, *one) for number, one in enumerate(_TRIALS)]


def _finding(scratch: str, number: int, name: str, trial: Trial, means: str) -> Finding:
    folder = f"{scratch}/{number}"
    os.mkdir(folder)
    try:
        return Finding(name, True, trial(folder))
    except (OSError, AssertionError) as error:
        return Finding(name, False, str(error) or "it did something else", means)


def _write(path: str, content: bytes) -> None:
    with open(path, "wb") as file:
        file.write(content)


def _replacing(folder: str) -> str:
    _write(f"{folder}/new", b"new")
    _write(f"{folder}/old", b"old")
    with opened(f"{folder}/old") as descriptor:
        os.rename(f"{folder}/new", f"{folder}/old")
        assert os.pread(descriptor, 9, 0) == b"old", "a file changed under its reader"
    with opened(f"{folder}/old") as descriptor:
        assert os.pread(descriptor, 9, 0) == b"new", "the new file is not seen"
    return "a file takes the place of another, whose readers go on"


def _folders(folder: str) -> str:
    for name in ("one", "two"):
        os.mkdir(f"{folder}/{name}")
        _write(f"{folder}/{name}/file", b"")
    try:
        os.rename(f"{folder}/one", f"{folder}/two")
    except OSError:
        return "a folder never takes the place of one that holds something"
    raise AssertionError("a folder took the place of another")


def _exclusive(folder: str) -> str:
    _write(f"{folder}/file", b"")
    try:
        os.close(os.open(f"{folder}/file", os.O_WRONLY | os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return "of two who make a file, one does"
    raise AssertionError("a file was made twice")


def _links(folder: str) -> str:
    os.symlink("../target", f"{folder}/link")
    assert os.readlink(f"{folder}/link") == "../target"
    return "symbolic links"


def _leases(folder: str) -> str:
    with leased(f"{folder}/lock", 7):
        assert is_leased(f"{folder}/lock", 7), "a lock that is held is not seen"
        assert not is_leased(f"{folder}/lock", 8), "one byte locks another"
    assert not is_leased(f"{folder}/lock", 7), "a lock outlives its holder"
    return "one byte of a file can be locked"


def _stages(folder: str) -> str:
    with contextlib.ExitStack() as open_ones:
        first, second = (_descriptor(folder, open_ones) for _ in range(2))
        fcntl.flock(first, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return "a folder can be locked"
    raise AssertionError("two hold one lock")


def _descriptor(folder: str, open_ones: contextlib.ExitStack) -> int:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    open_ones.callback(os.close, descriptor)
    return descriptor


def _maps(folder: str) -> str:
    _write(f"{folder}/file", bytes(range(8)))
    with opened(f"{folder}/file") as descriptor:
        found = map_array(descriptor, (8,), "|u1")
    assert found.sum() == np.arange(8).sum(), "a map shows other bytes"
    return "files can be mapped into memory"


def _appends(folder: str) -> str:
    for _ in range(2):
        descriptor = os.open(f"{folder}/file", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(descriptor, b"line\n")
        os.close(descriptor)
    assert os.stat(f"{folder}/file").st_size == 10, "a line overwrote another"
    return "lines are added at the end"


_SLOWER: Final = "Results are right all the same; some work may be done twice."
_TRIALS: Final[tuple[tuple[str, Trial, str], ...]] = (
    (
        "rename",
        _replacing,
        "Readers may see half of a result. Do not keep a store here.",
    ),
    (
        "rename folders",
        _folders,
        "Writers may damage each other's data. Do not keep a store here.",
    ),
    (
        "exclusive files",
        _exclusive,
        "Writers may damage each other's data. Do not keep a store here.",
    ),
    ("links", _links, "There are no doors; entries are found all the same."),
    (
        "locks of bytes",
        _leases,
        f"Callers of one cold key do not wait for each other. {_SLOWER}",
    ),
    (
        "locks of folders",
        _stages,
        "What dead writers leave is swept after a minute by anybody's clock.",
    ),
    (
        "maps",
        _maps,
        "Results of 1 MiB and more cannot be opened. Do not keep a store here.",
    ),
    ("appending", _appends, f"Misses may be explained with less. {_SLOWER}"),
)


@dataclass(frozen=True, slots=True)
class Mount:
    """The file system that a folder is on."""

    kind: str
    at: str
    options: str

    @property
    def is_remote(self) -> bool:
        """Whether others may write to it who are not on this host."""
        return self.kind.startswith(_REMOTE)

    @property
    def access_times(self) -> str:
        """Whether it notes when a file was read, as evictions by a budget go by."""
        options = self.options.split(",")
        if "noatime" in options or "ro" in options:
            return "not kept: what was longest unused is what was made first"
        return "kept, about once a day" if "relatime" in options else "kept"


def mount_of(folder: str) -> Mount:
    """The file system that a folder is on, as the kernel lists it."""
    where, found = os.path.realpath(folder), Mount("unknown", "/", "")
    with contextlib.suppress(OSError):
        for mount in _mounts():
            inside = where == mount.at or where.startswith(mount.at.rstrip("/") + "/")
            if inside and len(mount.at) >= len(found.at):
                found = mount
    return found


def _mounts() -> Iterator[Mount]:
    with open("/proc/self/mountinfo", errors="surrogateescape") as lines:
        for line in lines:
            before, _, after = line.partition(" - ")
            fields = before.split()
            # Spaces in names are written in octal.
            at = fields[4].encode().decode("unicode_escape")
            yield Mount(after.split()[0], at, fields[5])


@dataclass(frozen=True, slots=True)
class Stamps:
    """How the clock that stamps files goes.

    Attributes
    ----------
    ahead
        Seconds by which it is ahead of that of this host.
    """

    ahead: float


def stamps_of(folder: str) -> Stamps:
    """How the clock that stamps files in a folder goes; `OSError` if nothing can be written there."""
    with tempfile.TemporaryFile(dir=folder) as file:
        before = time.time()
        file.write(b"x")
        file.flush()
        return Stamps(os.fstat(file.fileno()).st_mtime - before)
