"""What a file system can do of what a store relies on, tried out in a folder that is gone afterwards."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, TypeAlias

import numpy as np

from artifact_store.descriptors import map_array, open_unnoted, opened
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
    is_needed
        Whether a store should not be kept where it does not work; otherwise something is slower, or left out.
    """

    name: str
    works: bool
    found: str
    means: str = ""
    is_needed: bool = True


Trial: TypeAlias = Callable[[str], str]


def tried(folder: str) -> list[Finding]:
    """Every trial in a folder, of which nothing is left; `OSError` if nothing can be written there."""
    with tempfile.TemporaryDirectory(prefix="doctor-", dir=folder) as scratch:
        return [_finding(scratch, *one) for one in (*_NEEDED, *_HELPFUL)]


def _finding(scratch: str, name: str, trial: Trial, means: str) -> Finding:
    folder, is_needed = f"{scratch}/{name}", name in [one for one, *_ in _NEEDED]
    os.mkdir(folder)
    try:
        return Finding(name, True, trial(folder), "", is_needed)
    except (OSError, AssertionError) as error:
        found = str(error) or "it did something else"
        return Finding(name, False, found, means, is_needed)


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
    return "a file replaces another, whose readers go on"


def _folders(folder: str) -> str:
    for name in ("one", "two"):
        os.mkdir(f"{folder}/{name}")
        _write(f"{folder}/{name}/file", b"")
    try:
        os.rename(f"{folder}/one", f"{folder}/two")
    except OSError:
        return "no folder replaces one that holds something"
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
    lock = f"{folder}/lock"
    with leased(lock, 7):
        assert _in_another_process(
            is_leased, lock, 7
        ), "a lock that is held is not seen"
        assert not _in_another_process(is_leased, lock, 8), "one byte locks another"
    assert not _in_another_process(is_leased, lock, 7), "a lock outlives its holder"
    return "a byte is locked, as other processes see"


def _in_another_process(ask: Callable[..., bool], *given: Any) -> bool:
    child = os.fork()
    if not child:
        # Whatever happens, nothing of the parent is carried on here.
        try:
            os._exit(int(ask(*given)))
        finally:
            os._exit(2)
    answer = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert answer in (0, 1), "another process could not ask"
    return bool(answer)


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


def _room(folder: str) -> str:
    with open(f"{folder}/file", "wb") as file:
        os.posix_fallocate(file.fileno(), 0, 1 << 20)
        assert os.fstat(file.fileno()).st_size == 1 << 20, "the room was not made"
    return "room can be asked for before writing"


def _times(folder: str) -> str:
    """The steps in which files are stamped: of two that are written one after the other, the second is no older."""
    stamps = list[int]()
    until = time.monotonic() + _LONGEST_STEP
    while len(set(stamps)) < 3 and time.monotonic() < until:
        _write(f"{folder}/file", b"x")
        stamps.append(os.stat(f"{folder}/file").st_mtime_ns)
    assert stamps == sorted(stamps), "a file is older than one written before it"
    different = sorted(set(stamps))
    assert len(different) > 1, f"all files of {_LONGEST_STEP:g} s bear one time"
    step = min(later - one for one, later in pairwise(different))
    return f"files written {step / 1e6:.2g} ms apart bear different times"


def _used(folder: str) -> str:
    path = f"{folder}/file"
    _write(path, b"x")
    os.utime(path, (1e9, 1e9))
    os.close(open_unnoted(path))
    with open(path, "rb") as file:
        file.read()
    assert (
        os.stat(path).st_atime > 1e9
    ), "a file that was read is not known to have been"
    return "when a file was read is noted"


# No file system stamps in longer steps than two seconds.
_LONGEST_STEP: Final = 2.5

_AWAY: Final = "Do not keep a store here."
_RIGHT: Final = "Results are right all the same."
_Trials: TypeAlias = tuple[tuple[str, Trial, str], ...]
_NEEDED: Final[_Trials] = (
    ("rename", _replacing, f"Readers may see half of a result. {_AWAY}"),
    ("rename folders", _folders, f"Writers may damage each other's data. {_AWAY}"),
    ("exclusive files", _exclusive, f"Writers may damage each other's data. {_AWAY}"),
    ("maps", _maps, f"Results of 1 MiB and more cannot be opened. {_AWAY}"),
    ("times", _times, f"What was changed may pass for unchanged. {_AWAY}"),
    (
        "locks of bytes",
        _leases,
        f"Callers of one cold key do not wait for each other: some work may be done twice. {_RIGHT}",
    ),
    (
        "locks of folders",
        _stages,
        "What a process leaves that dies is swept after a day, not after a minute.",
    ),
)
_HELPFUL: Final[_Trials] = (
    ("links", _links, f"There are no doors for people. {_RIGHT}"),
    ("appending", _appends, f"Misses are explained with less. {_RIGHT}"),
    ("room", _room, f"Writing large results takes longer. {_RIGHT}"),
    (
        "uses",
        _used,
        "With a budget, `gc` takes what was made longest ago for what was longest unused.",
    ),
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
    with open("/proc/self/mountinfo", "rb") as lines:
        for line in lines:
            before, _, after = line.partition(b" - ")
            fields = before.split(b" ")
            kind, options = after.split(b" ")[0], fields[5]
            yield Mount(os.fsdecode(kind), _name(fields[4]), os.fsdecode(options))


def _name(written: bytes) -> str:
    """A name in a list of the kernel, which writes what would part it from others in octal, and all else as it is."""
    name = re.sub(rb"\\([0-7]{3})", lambda octal: bytes([int(octal[1], 8)]), written)
    return os.fsdecode(name)


def ahead_in(folder: str) -> float:
    """Seconds by which the clock that stamps files in a folder is ahead of that of this host.

    Raises
    ------
    OSError
        Nothing can be written there.
    """
    with tempfile.TemporaryFile(dir=folder) as file:
        before = time.time()
        file.write(b"x")
        file.flush()
        return os.fstat(file.fileno()).st_mtime - before
