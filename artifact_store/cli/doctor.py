"""`doctor`: what this file system can do, and what is set where."""

from __future__ import annotations

import argparse
import os
import stat
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from artifact_store.capabilities import Finding, mount_of, stamps_of, tried
from artifact_store.cli.arguments import add_place, begin
from artifact_store.cli.printing import count, near, out, print_json, size, table, text
from artifact_store.closures.audit import AUDIT_VARIABLE
from artifact_store.errors import MissingStore
from artifact_store.layout import Layout
from artifact_store.modes import MODE_VARIABLE
from artifact_store.purity import STRICT_VARIABLE
from artifact_store.settings import settings_of
from artifact_store.signing import KEY_FILE_VARIABLE, KEY_VARIABLE, signing_key
from artifact_store.stores.locate import STORE_VARIABLE, store_at
from artifact_store.stores.quarantine import quarantined
from artifact_store.versions import version_of

_LIBRARIES: Final = ("artifact_store", "numpy", "zarr", "msgspec", "blake3", "torch")
# Further than this, times of files and of this host do not go together.
_AHEAD: Final = 5.0


@dataclass(frozen=True, slots=True)
class _Set:
    """A setting as it is."""

    name: str
    value: str
    source: str


def add_to(parser: argparse.ArgumentParser) -> None:
    """How to ask for it."""
    more = "Tries it out in a folder that is gone afterwards. Exit status 1 if something does not work."
    begin(parser, doctor, more)
    add_place(parser)


def doctor(arguments: argparse.Namespace) -> int:
    """Carry it out."""
    location = _store_at(arguments.run)
    folder = _folder_of(location or str(arguments.run.absolute()))
    findings = [*_tried(folder), _clock(folder)]
    settings = list(_settings(location))
    if arguments.json:
        _print_json(location, folder, findings, settings)
    else:
        _print(location, folder, findings, settings)
    return 0 if all(one.works for one in findings) else 1


def _store_at(path: Path) -> str | None:
    try:
        return store_at(path).location
    except MissingStore:
        if not path.exists():
            raise
        return None


def _folder_of(path: str) -> str:
    """Where to try: in the staging of a store, or in the nearest folder that is there."""
    staging = Layout(path).staging
    while not os.path.isdir(staging):
        staging = os.path.dirname(staging)
    return staging


def _tried(folder: str) -> list[Finding]:
    try:
        return tried(folder)
    except OSError as error:
        means = "Results are computed and returned, and cannot be kept. Allow writing, or set ARTIFACT_STORE."
        return [Finding("writing", False, str(error), means)]


def _clock(folder: str) -> Finding:
    try:
        ahead = stamps_of(folder).ahead
    except OSError:
        return Finding("clock", True, "nothing can be written, so it is not known")
    means = "Files that were just written may be read again more often than needed. Set the clock of this host."
    found = "files are stamped by the time of this host"
    if abs(ahead) > _AHEAD:
        found = f"files are stamped {ahead:+.0f} s off the time of this host"
    return Finding("clock", abs(ahead) <= _AHEAD, found, means)


def _settings(location: str | None) -> Iterator[_Set]:
    """Every setting; of the key, only where it is."""
    for variable, default in (
        (STORE_VARIABLE, "beside each run"),
        (MODE_VARIABLE, "rw"),
        (STRICT_VARIABLE, "0, in tests 1"),
        (AUDIT_VARIABLE, "0"),
    ):
        said = os.environ.get(variable)
        yield _Set(variable, said or default, "environment" if said else "default")
    key = next((v for v in (KEY_FILE_VARIABLE, KEY_VARIABLE) if os.environ.get(v)), "")
    signing_key()  # which says what is wrong with it
    is_set = "set" if key else "none: nothing is signed"
    yield _Set("key", is_set, key or "default")
    for one in settings_of(location, {}) if location else ():
        value = "no limit" if one.value is None else f"{one.value:,}"
        yield _Set(one.name, value, "default" if one.value is None else one.source)


def _facts(location: str | None, folder: str) -> dict[str, str]:
    mount, room = mount_of(folder), os.statvfs(folder)
    facts = {
        "store": location or "none here yet",
        "file system": f"{mount.kind} at {mount.at}, {mount.options}",
        "room": f"{size(room.f_bavail * room.f_frsize)}, {room.f_favail:,} files",
        "access times": mount.access_times,
        "python": sys.version.split()[0],
        "libraries": ", ".join(f"{name} {version_of(name)}" for name in _LIBRARIES),
    }
    if mount.is_remote:
        facts["shared"] = (
            "other hosts may write here. Locks need the server's help: without it, callers of one cold key on two "
            "hosts both compute, and results are right all the same"
        )
    if location:
        status = os.stat(location)
        mode = stat.filemode(status.st_mode)
        facts["access"] = f"{mode}, user {status.st_uid}, group {status.st_gid}"
        aside = len(list(quarantined(Layout(location))))
        facts["set aside"] = f"{count(aside, 'thing')} found corrupt"
    return facts


def _print_json(
    location: str | None, folder: str, findings: list[Finding], settings: list[_Set]
) -> None:
    print_json(
        {
            "facts": _facts(location, folder),
            "findings": [asdict(one) for one in findings],
            "settings": [asdict(one) for one in settings],
        }
    )


def _print(
    location: str | None, folder: str, findings: list[Finding], settings: list[_Set]
) -> None:
    rows = table("", "")
    for name, fact in _facts(location, folder).items():
        rows.add_row(text((name, "dim")), near(fact))
    trials = table("", "", "", indent=2)
    for one in findings:
        works = text(("works", "green")) if one.works else text(("fails", "red"))
        found = one.found if one.works else f"{one.found}. {one.means}"
        trials.add_row(f"  {one.name}", works, near(found))
    chosen = table("", "", "", indent=2)
    for setting in settings:
        source = text((near(setting.source), "dim"))
        chosen.add_row(f"  {setting.name}", setting.value, source)
    out(rows, "", f"Tried in {near(folder)}:", trials, "", "Set:", chosen)
