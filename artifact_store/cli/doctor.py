"""`doctor`: what this file system can do, and what is set where."""

from __future__ import annotations

import argparse
import os
import stat
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, get_args

from artifact_store.bucket_capabilities import tried_in
from artifact_store.buckets import open_bucket
from artifact_store.capabilities import Finding, ahead_in, mount_of, tried
from artifact_store.cli.arguments import add_place, begin
from artifact_store.cli.printing import near, out, print_json, table, text
from artifact_store.closures.audit import AUDIT_VARIABLE
from artifact_store.errors import BadSetting, MissingStore
from artifact_store.garbage import stages_left
from artifact_store.layout import Layout
from artifact_store.modes import MODE_VARIABLE, ModeName
from artifact_store.purity import STRICT_VARIABLE
from artifact_store.quantities import count, size
from artifact_store.settings import settings_of
from artifact_store.signing import KEY_FILE_VARIABLE, KEY_VARIABLE, signing_key
from artifact_store.stores.base import Store
from artifact_store.stores.locate import chosen_store, store_at
from artifact_store.stores.overlay import OverlayStore
from artifact_store.stores.places import SHARED_VARIABLE, STORE_VARIABLE
from artifact_store.stores.quarantine import quarantined
from artifact_store.urls import UrlPath
from artifact_store.versions import version_of

_LIBRARIES: Final = ("artifact_store", "numpy", "zarr", "msgspec", "blake3", "torch")
_STATES: Final = {
    (True, True): ("works", "green"),
    (True, False): ("works", "green"),
    (False, True): ("fails", "red"),
    (False, False): ("lacks", "yellow"),
}
_DEFAULTS: Final = {
    STORE_VARIABLE: "beside each run",
    SHARED_VARIABLE: "none",
    MODE_VARIABLE: "rw",
    STRICT_VARIABLE: "0, in tests 1",
    AUDIT_VARIABLE: "0",
}
# Further than this, times of files and of this host do not go together.
_AHEAD: Final = 5.0


@dataclass(frozen=True, slots=True)
class _Set:
    """A setting as it is, and what is wrong with it."""

    name: str
    value: str
    source: str
    problem: str = ""


def add_to(parser: argparse.ArgumentParser) -> None:
    """How to ask for it."""
    more = "Tries it out in a folder that is gone afterwards. Exit status 1 if something fails that a store relies on."
    begin(parser, doctor, more)
    add_place(parser)


def doctor(arguments: argparse.Namespace) -> int:
    """Carry it out."""
    if isinstance(arguments.run, UrlPath):
        return _doctor_of_bucket(arguments)
    store = _store_at(arguments.run)
    location = None if store is None else store.location
    folder = _folder_of(location or str(arguments.run.absolute()))
    findings = [*_tried(folder), _clock(folder)]
    settings = list(_settings(location))
    if arguments.json:
        _print_json(_facts(store, folder), findings, settings)
    else:
        _print(_facts(store, folder), folder, findings, settings)
    fails = any(one.is_needed and not one.works for one in findings)
    return int(fails or any(one.problem for one in settings))


def _doctor_of_bucket(arguments: argparse.Namespace) -> int:
    url = str(arguments.run)
    findings, settings = tried_in(open_bucket(url)), list(_settings(None))
    facts = {"store": url, "obstore": version_of("obstore")}
    if arguments.json:
        _print_json(facts, findings, settings)
    else:
        _print(facts, url, findings, settings)
    fails = any(one.is_needed and not one.works for one in findings)
    return int(fails or any(one.problem for one in settings))


def _store_at(path: Path) -> Store | None:
    try:
        return store_at(path)
    except BadSetting:
        return None  # It is said among the settings.
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
        ahead = ahead_in(folder)
    except OSError:
        unknown = "nothing can be written, so it is not known"
        return Finding("clock", True, unknown, "", False)
    means = "Files that were just written may be read again more often than needed. Set the clock of this host."
    found = "files are stamped by the time of this host"
    if abs(ahead) > _AHEAD:
        found = f"files are stamped {ahead:+.0f} s off the time of this host"
    return Finding("clock", abs(ahead) <= _AHEAD, found, means, False)


def _settings(location: str | None) -> Iterator[_Set]:
    """Every setting; of the key, only where it is."""
    for variable, default in _DEFAULTS.items():
        said = os.environ.get(variable)
        source = "environment" if said else "default"
        yield _Set(variable, said or default, source, _problem(variable, said))
    yield _key()
    try:
        limits = settings_of(location, {}) if location else []
    except BadSetting as error:
        yield _Set(
            near(error.variable), error.value, "", f"{error.problem}. {error.advice}"
        )
        return
    for one in limits:
        value = "no limit" if one.value is None else f"{one.value:,}"
        yield _Set(one.name, value, "default" if one.value is None else one.source)


def _problem(variable: str, said: str | None) -> str:
    if variable == STORE_VARIABLE:
        try:
            chosen_store(None, None, "rw")
        except BadSetting as error:
            return f"{error.problem}. {error.advice}"
    modes = get_args(ModeName)
    is_mode = variable == MODE_VARIABLE and said and said not in modes
    return f"there is no such mode. Choose one of {', '.join(modes)}" if is_mode else ""


def _key() -> _Set:
    source = next(
        (v for v in (KEY_FILE_VARIABLE, KEY_VARIABLE) if os.environ.get(v)), ""
    )
    try:
        signing_key()
    except BadSetting as error:
        return _Set("key", "cannot be used", source, f"{error.problem}. {error.advice}")
    return _Set(
        "key", "set" if source else "none: nothing is signed", source or "default"
    )


def _facts(store: Store | None, folder: str) -> dict[str, str]:
    mount, room = mount_of(folder), os.statvfs(folder)
    facts = {"store": "none here yet" if store is None else store.location}
    if isinstance(store, OverlayStore):
        facts["shared stores"] = ", ".join(store.shared)
    facts |= {
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
    if store is not None:
        facts["access"] = _access(store.location)
        facts |= _leftovers(Layout(store.location))
    return facts


def _access(location: str) -> str:
    """Who may write to a store, and who to what we write there."""
    status, umask = os.stat(location), _umask()
    mode = stat.filemode(status.st_mode)
    access = f"{mode}, user {status.st_uid}, group {status.st_gid}, umask {umask:03o}"
    if status.st_mode & stat.S_IWGRP and umask & stat.S_IWGRP:
        access += ". The group may write here, but not to what you write: set umask 002"
    return access


def _umask() -> int:
    with open("/proc/self/status") as lines:
        found = [line.split()[1] for line in lines if line.startswith("Umask:")]
    return int(found[0], 8) if found else 0


def _leftovers(layout: Layout) -> dict[str, str]:
    dead, aside = list(stages_left(layout)), list(quarantined(layout))
    left = count(len(dead), "folder")
    weight = size(sum(one.nbytes for one in dead))
    found = {"left behind": f"{left} of writers that died, {weight}"} if dead else {}
    if aside:
        found["set aside"] = f"{count(len(aside), 'thing')} found corrupt"
    return found


def _print_json(
    facts: dict[str, str], findings: list[Finding], settings: list[_Set]
) -> None:
    print_json(
        {
            "facts": facts,
            "findings": [asdict(one) for one in findings],
            "settings": [asdict(one) for one in settings],
        }
    )


def _print(
    facts: dict[str, str], folder: str, findings: list[Finding], settings: list[_Set]
) -> None:
    rows = table("", "")
    for name, fact in facts.items():
        rows.add_row(text((name, "dim")), near(fact))
    trials = table("", "", "", indent=2)
    for one in findings:
        works = text(_STATES[one.works, one.is_needed])
        found = one.found if one.works else f"{one.found}. {one.means}"
        trials.add_row(f"  {one.name}", works, near(found))
    chosen = table("", "", "", indent=2)
    for setting in settings:
        said = text((near(setting.source), "dim"))
        if setting.problem:
            said.append(f" {near(setting.problem)}", "red")
        chosen.add_row(f"  {setting.name}", setting.value, said)
    out(rows, "", f"Tried in {near(folder)}:", trials, "", "Set:", chosen)
