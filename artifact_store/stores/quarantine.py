"""What was found corrupt, and why: out of every reader's way, and kept until somebody asks.

damaged file or folder ──► quarantine/<number>-<its name>, and quarantine/<number>.json with a *Quarantined*
"""

from __future__ import annotations

import contextlib
import datetime
import os
import uuid
from collections.abc import Callable, Iterator

import msgspec

from artifact_store.descriptors import read_file, refuse_links
from artifact_store.errors import CorruptArtifact
from artifact_store.keys import Key
from artifact_store.layout import Layout
from artifact_store.manifests import NOT_JSON, as_json
from artifact_store.staging import staged


class Quarantined(msgspec.Struct, frozen=True):
    """One file or folder that was set aside.

    Attributes
    ----------
    path
        Where it was.
    cause
        What was wrong with it; empty if whoever set it aside did not say.
    key
        Of the entry that it was found by, as people write it.
    when
        In UTC.
    aside
        Where it is now.
    """

    path: str
    cause: str
    key: str
    when: str
    aside: str = ""


def set_aside(
    layout: Layout,
    path: str,
    key: Key | None,
    cause: str,
    is_right: Callable[[str], bool] = lambda aside: False,
) -> None:
    """Move what is at `path` away; where we may not write it stays, and every reader finds out for himself.

    Parameters
    ----------
    is_right
        Asked once it lies where nobody else looks; what is right after all is put back.
    """
    with contextlib.suppress(OSError):
        refuse_links(layout.quarantine, layout.root)
        os.makedirs(layout.quarantine, exist_ok=True)
        number = uuid.uuid4().hex
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        note = Quarantined(path, cause, "" if key is None else str(key), now)
        aside = f"{layout.quarantine}/{number}-{os.path.basename(path)}"
        os.rename(path, aside)
        if is_right(aside):
            os.rename(aside, path)
            return
        with staged(layout.staging) as stage:
            stage.appear(as_json(note), f"{layout.quarantine}/{number}.json")


def quarantined(layout: Layout) -> Iterator[Quarantined]:
    """Everything that was set aside, the oldest first."""
    with contextlib.suppress(FileNotFoundError):
        refuse_links(layout.quarantine, layout.root)
        found = [
            _noted(layout, name)
            for name in os.listdir(layout.quarantine)
            if is_aside(name)
        ]
        yield from sorted(found, key=lambda one: one.when)


def is_aside(name: str) -> bool:
    """Whether a name in quarantine is that of what was set aside, and not of the note of why."""
    return "-" in name


def note_of(aside: str) -> str:
    """Where it is noted why something is in quarantine."""
    folder, _, name = aside.rpartition("/")
    return f"{folder}/{name.partition('-')[0]}.json"


def _noted(layout: Layout, name: str) -> Quarantined:
    """What is known of something in quarantine: nothing but its name, if its note is not there."""
    aside = f"{layout.quarantine}/{name}"
    try:
        content = read_file(note_of(aside))
        note = msgspec.json.decode(content, type=Quarantined)
    except (CorruptArtifact, OSError, *NOT_JSON):
        note = Quarantined(name.partition("-")[2], "", "", "")
    return msgspec.structs.replace(note, aside=aside)
