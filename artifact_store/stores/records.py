"""What a store notes beside its entries; lost without loss.

steps     what computations read next, by what they had read      to find entries by their reads
kin       the newest keys of an analysis and a label              to have something to compare a miss with
digests   of tensors, by the stat of their file                   to read a checkpoint once
others    closures, parts of inputs, blessings, by their digest   to say what changed
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from artifact_store.digests import Digest, digest_of
from artifact_store.files import Signatures
from artifact_store.keys import Key
from artifact_store.layout import Layout
from artifact_store.manifests import as_json
from artifact_store.reads import Ask, Found, Step
from artifact_store.staging import appear

_STEPS = msgspec.json.Decoder(tuple[Step, ...])

# How many of the newest entries a miss is compared with.
_KIN = 20


class Records:
    """The records of the store with a layout. What is kept goes through `stage`, a folder, and appears at once."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def detail(self, kind: str, digest: str) -> Any:
        """What is noted; `None` if nothing is, or nothing that can be read."""
        content = read(self._layout.record(kind, digest))
        try:
            return None if content is None else msgspec.json.decode(content)
        except msgspec.DecodeError:
            return None

    def keep(self, stage: str, kind: str, digest: str, detail: Any) -> None:
        """Note it, in the place of what was there."""
        appear(as_json(detail), stage, self._layout.record(kind, digest))

    def keep_once(self, stage: str, kind: str, digest: str, detail: Any) -> None:
        """Note what is the same whenever it is noted under this digest."""
        if not os.path.exists(self._layout.record(kind, digest)):
            self.keep(stage, kind, digest, detail)

    def steps(self, node: Digest) -> Sequence[Step]:
        """What computations did next that had read what `node` stands for."""
        content = read(self._layout.record("steps", node))
        try:
            return () if content is None else _STEPS.decode(content)
        except msgspec.DecodeError:
            return ()

    def keep_step(self, stage: str, node: str, step: Step, key: Key) -> None:
        """Note one more step of the analysis of `key`; those that lead nowhere any more are dropped."""
        known = self.steps(Digest("blake3", node))
        if step in known:
            return
        kept = [one for one in known if isinstance(one, Ask) or self.leads(one, key)]
        # Of two who come at once one may be lost, and is computed again.
        self.keep(stage, "steps", node, [*kept, step])

    def leads(self, found: Found, key: Key) -> bool:
        """Whether there still is an entry where a step of the analysis of `key` says."""
        there = Key(key.analysis, Digest("blake3", found.key))
        return os.path.exists(self._layout.manifest(there))

    def kin(self, key: Key, kinship: str) -> list[str]:
        """The keys of the newest entries that are akin to that of `key`, newest first."""
        known = self.detail("kin", _kin_name(key, kinship))
        return known if isinstance(known, list) else []

    def keep_kin(self, stage: str, key: Key, kinship: str) -> None:
        """Note `key` as the newest of its kin."""
        known = self.kin(key, kinship)
        if known[:1] != [key.digest.hex]:
            others = [one for one in known if one != key.digest.hex]
            newest = [key.digest.hex, *others[: _KIN - 1]]
            self.keep(stage, "kin", _kin_name(key, kinship), newest)

    def recall(self, signature: Signatures) -> Mapping[str, Digest] | None:
        """The digests of the tensors in files with this signature."""
        known = self.detail("digests", _memo_name(signature))
        if not isinstance(known, dict):
            return None
        digests = known.get("digests")
        if known.get("check") != _memo_check(digests):
            return None
        return {name: Digest("blake3", value) for name, value in digests.items()}  # type: ignore[union-attr]

    def remember(
        self, stage: str, signature: Signatures, digests: Mapping[str, Digest]
    ) -> None:
        """Note them."""
        plain = {name: digest.hex for name, digest in digests.items()}
        known = {"check": _memo_check(plain), "digests": plain}
        path = self._layout.record("digests", _memo_name(signature))
        appear(msgspec.json.encode(known), stage, path)


def _kin_name(key: Key, kinship: str) -> str:
    return digest_of("kin", key.analysis.encode(), as_json(kinship)).hex


def _memo_name(signature: Signatures) -> str:
    return digest_of("signature", *(b"%d %d %d %d" % one for one in signature)).hex


def _memo_check(digests: Any) -> str:
    return digest_of("memo", msgspec.json.encode(digests, order="sorted")).hex


def read(path: str) -> bytes | None:
    """The content of a small file; `None` if it is not there, nothing if it is a folder."""
    found = look(path)
    return None if found is None else found[0]


def look(path: str) -> tuple[bytes, os.stat_result] | None:
    """The same, and the stat of the very file that was read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        status = os.fstat(descriptor)
        return os.read(descriptor, status.st_size + 1), status
    except IsADirectoryError:
        return b"", status
    finally:
        os.close(descriptor)
