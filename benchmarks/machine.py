"""On what it was measured, and with which versions."""

from __future__ import annotations

import os
import platform
import re
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = (
    "artifact-store",
    "numpy",
    "torch",
    "zarr",
    "joblib",
    "diskcache",
    "safetensors",
    "msgspec",
    "blake3",
    "xarray",
)


def versions() -> dict[str, str]:
    """Of Python and of what is compared, by name."""
    return {"Python": platform.python_version()} | {
        name: _version_or_none(name) for name in PACKAGES
    }


def _version_or_none(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def machine() -> dict[str, str]:
    """Processor, memory, kernel and the file system that everything is written to, by name."""
    folder = Path(tempfile.gettempdir()).resolve()
    return {
        "processor": found_in("/proc/cpuinfo", r"model name\s*: (.*)"),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{int(found_in('/proc/meminfo', r'MemTotal: *([0-9]+)')) / 2**20:.0f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "temporary files": f"{folder} on {file_system(folder, Path('/proc/mounts').read_text())}",
    }


def found_in(file: str, pattern: str) -> str:
    """The first group of the first match; nought if there is none."""
    found = re.search(pattern, Path(file).read_text())
    return found[1] if found else "0"


def file_system(folder: Path, mounts: str) -> str:
    """The kind of file system that a folder is on: that of the last mount which is above it and nearest to it."""
    found = "an unknown file system"
    nearest = -1
    for line in mounts.splitlines():
        _, where, kind, *_ = line.split()
        if folder.is_relative_to(where) and len(Path(where).parts) >= nearest:
            found, nearest = kind, len(Path(where).parts)
    return found
