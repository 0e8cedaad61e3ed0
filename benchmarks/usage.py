"""What the system says that was used: bytes that were read, pages of a file that it fetched, memory at its peak.

Pages are 4 KB, and the system reads ahead of whoever seems to read on; so it fetches more than it is asked for.
"""

from __future__ import annotations

import ctypes
import mmap
import os
from pathlib import Path

import numpy as np

_mincore = ctypes.CDLL(None, use_errno=True).mincore
_mincore.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p)


def drop(path: Path) -> None:
    """Have the system forget a file, so that whoever reads it next waits for the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def held(path: Path) -> int:
    """Bytes of the pages of a file that are in memory."""
    with path.open("rb") as file:
        # Writable and private, as ctypes takes the address of no other; nothing is written, nor read.
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY) as mapped:
            pages = -(-len(mapped) // mmap.PAGESIZE)
            found = ctypes.create_string_buffer(pages)
            start = ctypes.c_char.from_buffer(mapped)
            failed = _mincore(ctypes.addressof(start), len(mapped), found)
            del start
    if failed:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    # The other bits of each byte are reserved.
    resident = np.frombuffer(found.raw, np.uint8, pages) & 1
    return int(resident.sum()) * mmap.PAGESIZE


def asked() -> int:
    """Bytes that this process has asked the system for so far; what it looked at in a map is not among them."""
    return _told("io", "rchar")


def peak() -> int:
    """Bytes of memory of this process at its peak so far, with the pages of files that it has mapped."""
    # Not getrusage, which begins with what the process had that this one was started by.
    return _told("status", "VmHWM") * 1024


def _told(of: str, wanted: str) -> int:
    for line in Path(f"/proc/self/{of}").read_text().splitlines():
        name, _, told = line.partition(":")
        if name == wanted:
            return int(told.split()[0])
    raise OSError(f"/proc/self/{of} does not tell {wanted}")
