"""Every file name of a store, spelled once.

artifacts/
  neuron_freq_norm/checkpoint_epoch_00500      a door: relative link to the data it stands for
  .store/entries/<analysis>/3f/9a….json        manifests, by key
  .store/data/3f/3f9a…/                        zarr groups, by output digest
  .store/records/<kind>/<digest>.json          what it notes beside, see stores/records.py
  .store/lock         of which each key that is computed has a byte locked
  .store/pins/<digest>.json                    entries that are to stay
  .store/config.toml                           what its users set for it
  .store/staging  quarantine
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from keyword import iskeyword
from pathlib import Path, PurePath
from typing import Any

import msgspec

from artifact_store.checkpoints import INDEX_SUFFIX
from artifact_store.digests import Digest, digest_of
from artifact_store.encoding import shown
from artifact_store.keys import Key

ARTIFACTS = "artifacts"
CHECKPOINTS = "checkpoints"
HIDDEN = ".store"

# A door is named for people and shells; 120 bytes leave room below the 255 of every file system.
_DOOR_LENGTH = 120
_UNSAFE = re.compile(r"[^\w.=,+-]+")


# A hit asks, and walking up a path takes longer than all else that it needs of one.
@lru_cache(maxsize=4096)
def home_of(path: Path) -> Path:
    """Where artifacts of a checkpoint or file lie, by its path alone: beside `checkpoints/`, or beside the file."""
    for ancestor in path.parents:
        if ancestor.name == CHECKPOINTS:
            return ancestor.parent / ARTIFACTS
    return (
        path.parent.parent if path.name.endswith(INDEX_SUFFIX) else path.parent
    ) / ARTIFACTS


def home_of_run(path: Path) -> Path:
    """Where artifacts of a whole run lie: with those of its checkpoints."""
    return path / ARTIFACTS


def home_of_group(path: Path) -> Path:
    """The store that a zarr group lies in: the inverse of `Layout.group`."""
    return path.parents[3]


class Layout(msgspec.Struct, frozen=True):
    """The names below one store's root. Strings, because a hit should not pay for building `Path`s."""

    root: str

    @property
    def entries(self) -> str:
        return f"{self.root}/{HIDDEN}/entries"

    @property
    def data(self) -> str:
        return f"{self.root}/{HIDDEN}/data"

    @property
    def staging(self) -> str:
        return f"{self.root}/{HIDDEN}/staging"

    @property
    def quarantine(self) -> str:
        return f"{self.root}/{HIDDEN}/quarantine"

    def manifest(self, key: Key) -> str:
        """The manifest of the entry under `key`."""
        return f"{self.root}/{HIDDEN}/entries/{key.analysis}/{key.digest.hex[:2]}/{key.digest.hex[2:]}.json"

    def group(self, output: str) -> str:
        """The zarr group with this output digest."""
        return f"{self.root}/{HIDDEN}/data/{output[:2]}/{output}"

    @property
    def config(self) -> str:
        """What its users set for the store."""
        return f"{self.root}/{HIDDEN}/config.toml"

    @property
    def pins(self) -> str:
        return f"{self.root}/{HIDDEN}/pins"

    def pin(self, key: Key) -> str:
        """The statement that an entry is to stay."""
        return f"{self.pins}/{key.digest.hex}.json"

    @property
    def lock(self) -> str:
        """The file whose bytes are locked, each for a key."""
        return f"{self.root}/{HIDDEN}/lock"

    def records(self, kind: str) -> str:
        """The folder of all that is noted of a kind."""
        return f"{self.root}/{HIDDEN}/records/{kind}"

    def record(self, kind: str, digest: Digest | str) -> str:
        """What is noted of a kind under a digest; `stores/records.py` says what."""
        return f"{self.records(kind)}/{digest}.json"

    def journal(self, analysis: str) -> str:
        """The file that names every entry of an analysis as it was published."""
        return f"{self.records('kin')}/{analysis}"

    def door(self, analysis: str, label: str) -> str:
        """The readable name of today's data."""
        return f"{self.root}/{analysis}/{label}"

    def behind_door(self, output: str) -> str:
        """The zarr group with this output digest, as seen from any door."""
        return f"../{HIDDEN}/data/{output[:2]}/{output}"


def door_label(label: str, params: Mapping[str, Any], exactly: bytes) -> str:
    """The name of a door: the input's label, then every param that is not at its default.

    Parameters
    ----------
    exactly
        The params in canonical bytes. A name that cannot tell everything ends in a digest of it, so that two calls
        never fight for one door.
    """
    named = [f"{name}={_in_a_name(value)}" for name, value in params.items()]
    name = ",".join([label, *named])
    safe = _UNSAFE.sub("-", name).lstrip(".")
    if safe and safe == name and len(name.encode()) <= _DOOR_LENGTH:
        return name
    short = safe.encode()[: _DOOR_LENGTH - 13].decode(errors="ignore")
    exact = name.encode("utf-8", "surrogatepass")
    return f"{short}-{digest_of('door', exact, exactly).short}"


def _in_a_name(value: object) -> str:
    # A word stands for itself; what is spelled like another value does not.
    plain = isinstance(value, str) and value.isidentifier() and not iskeyword(value)
    return str(value) if plain else shown(value)


def key_of_manifest(path: PurePath) -> Key:
    """The key whose manifest lies at `path`: the inverse of `Layout.manifest`."""
    return Key(path.parent.parent.name, Digest("blake3", path.parent.name + path.stem))
