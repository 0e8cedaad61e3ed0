"""What a store notes beside its entries; lost without loss.

steps     what computations read next, by what they had read      to find entries by their reads
kin       the keys of an analysis, and a mark of their label      to have something to compare a miss with
digests   of tensors, by the stat of their file                   to read a checkpoint once in each boot
others    closures, parts of inputs, blessings, by their digest   to say what changed
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import Annotated, Any, Final, Generic, TypedDict, TypeVar

import msgspec

from artifact_store.checked import is_whole, with_check
from artifact_store.descriptors import (
    GUARDED,
    MOST_BYTES,
    once_more,
    open_made,
    refuse_links,
)
from artifact_store.digests import Digest, Hex, digest_of
from artifact_store.events import log
from artifact_store.files import Signatures
from artifact_store.keys import Key
from artifact_store.layout import Layout
from artifact_store.manifests import (
    NOT_JSON,
    as_json,
    boot_id,
    is_of_this_boot,
    others_than,
)
from artifact_store.reads import Ask, Found, Step
from artifact_store.staging import Stage, touched

T = TypeVar("T")
R = TypeVar("R")


class _Of(msgspec.Struct, Generic[T], frozen=True):
    """A record in its file, where the digest of the rest comes first."""

    record: T


class _Digests(_Of[dict[str, Hex]], frozen=True, omit_defaults=True):
    """Those of a file, and the boot in which they were made: after a power cut, its stat may stand for zeros.

    Other boots in which they were made too, as those of other hosts, are named beside it.
    """

    boot: str = ""
    boots: tuple[str, ...] = ()


class _Member(TypedDict):
    """A function or class of a closure, as `calls.closure_in_words` makes it."""

    name: str
    file: str
    line: int
    source: str
    digest: str
    references: list[Annotated[list[str], msgspec.Meta(min_length=4, max_length=4)]]


# The boot of a memo that outlives any: a server gives another tag to what was written.
BY_TAG: Final = "tag"

# What is none of these is as good as nothing, for who shows or compares it need not expect it.
_DETAILS: Final[Mapping[str, msgspec.json.Decoder[_Of[Any]]]] = {
    "closures": msgspec.json.Decoder(_Of[list[_Member]]),
    "inputs": msgspec.json.Decoder(_Of[dict[str, str]]),
}
_DETAIL: Final = msgspec.json.Decoder(_Of[Any])
_DIGESTS: Final = msgspec.json.Decoder(_Digests)
_STEPS: Final = msgspec.json.Decoder(_Of[tuple[Step, ...]])

# How many of the newest lines of a journal are looked at.
_KIN = 1000

# How much of a journal is looked at: what 100,000 entries leave there takes some milliseconds.
_JOURNAL_BYTES = 8 << 20
_DIGEST = re.compile(rb"([0-9a-f]{64})\n")
_HEX = re.compile(r"[0-9a-f]{1,64}")


class Records:
    """The records of the store with a layout. What is kept goes through a stage, and appears at once."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def detail(self, kind: str, digest: str) -> Any:
        """What is noted; `None` if nothing is, or nothing that can be read."""
        known = self._known(kind, digest, _DETAILS.get(kind, _DETAIL))
        return None if known is None else known.record

    def keep(self, stage: Stage, kind: str, digest: str, detail: Any) -> None:
        """Note it, in the place of what was there."""
        self._keep(stage, kind, digest, _Of(detail))

    def _keep(self, stage: Stage, kind: str, digest: str, record: _Of[Any]) -> None:
        stage.appear(_rendered(kind, digest, record), self._layout.record(kind, digest))

    def _known(
        self, kind: str, digest: str, decoder: msgspec.json.Decoder[R]
    ) -> R | None:
        """What `keep` noted; nothing, if that is damaged."""
        if not is_name(digest):
            return None
        refuse_links(self._layout.records(kind), self._layout.root)
        try:
            content = read(self._layout.record(kind, digest))
        except OSError as error:
            # What it would save is computed again.
            log.info("%s", error)
            return None
        return None if content is None else _parsed(kind, digest, content, decoder)

    def keep_once(
        self, stage: Stage, kind: str, digest: str, make: Callable[[], Any]
    ) -> None:
        """Note what is the same whenever it is made under this digest."""
        if not touched(self._layout.record(kind, digest)):
            self.keep(stage, kind, digest, make())

    def steps(self, node: Digest) -> Sequence[Step]:
        """What computations did next that had read what `node` stands for."""
        known = self._known("steps", node.hex, _STEPS)
        return () if known is None else known.record

    def noted_steps(self) -> Iterator[tuple[str, Sequence[Step]]]:
        """What computations did next after all that any has read, by node."""
        folder = self._layout.records("steps")
        refuse_links(folder, self._layout.root)
        with suppress(FileNotFoundError):
            for name in sorted(os.listdir(folder)):
                node = name.removesuffix(".json")
                if is_name(node) and (steps := self.steps(Digest("blake3", node))):
                    yield node, steps

    def keep_steps(self, stage: Stage, node: str, steps: Sequence[Step]) -> None:
        """Note some more steps."""
        known = self.steps(Digest("blake3", node))
        new = [one for one in steps if one not in known]
        if new:
            self.keep(stage, "steps", node, [*known, *new])

    def keep_step(self, stage: Stage, node: str, step: Step, key: Key) -> None:
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
        """The keys of the newest entries that are or were akin to that of `key`, newest first."""
        lines = self._kin_lines(key.analysis, kinship)
        return list(dict.fromkeys(islice(lines, _KIN)))

    def _kin_lines(self, analysis: str, kinship: str) -> Iterator[str]:
        refuse_links(self._layout.records("kin"), self._layout.root)
        try:
            end_of_file = _end(self._layout.journal(analysis), _JOURNAL_BYTES)
        except OSError as error:
            log.info("%s", error)
            return
        lines = b"" if end_of_file is None else end_of_file[0]
        mark, end = b"\n" + _kin_mark(kinship), len(lines)
        while (start := lines.rfind(mark, 0, end)) >= 0:
            found = _DIGEST.match(lines, start + len(mark))
            if found is not None:
                yield found[1].decode()
            end = start + 1

    def keep_kin(self, key: Key, kinship: str) -> None:
        """Note `key` as the newest of its kin."""
        line = _kin_mark(kinship) + key.digest.hex.encode() + b"\n"
        # Each line begins with the end of the one before, so that one that was cut off spoils no other. Where another
        # user keeps the journal, ours are not in it: a miss is then compared with less.
        with suppress(OSError):
            refuse_links(self._layout.records("kin"), self._layout.root)
            append(b"\n" + line, self._layout.journal(key.analysis))

    def recall(self, signature: Signatures) -> Mapping[str, Digest] | None:
        """The digests of the tensors in files with this signature."""
        memo = self._memo(memo_name(signature))
        return None if memo is None else _as_digests(memo)

    def is_memo(self, name: str) -> bool:
        """Whether what was noted of files under a name can still be recalled; after another boot it never is."""
        return self._memo(name) is not None

    def _memo(self, name: str) -> _Digests | None:
        memo = self._known("digests", name, _DIGESTS)
        return memo if memo is not None and _still_holds(memo) else None

    def remember(
        self, stage: Stage, signature: Signatures, digests: Mapping[str, Digest]
    ) -> None:
        """Note them."""
        name = memo_name(signature)
        path = self._layout.record("digests", name)
        memo, earlier = _memo_of(signature, digests), self._known(
            "digests", name, _DIGESTS
        )
        if earlier is not None and earlier.record == memo.record:
            boots = others_than(memo.boot, earlier.boot, earlier.boots)
            memo = msgspec.structs.replace(memo, boots=boots)
        stage.appear(_rendered("digests", name, memo), path)


def render_detail(kind: str, digest: str, detail: Any) -> bytes:
    """The content of a record of this kind."""
    return _rendered(kind, digest, _Of(detail))


def parse_detail(kind: str, digest: str, content: bytes) -> Any:
    """The inverse; `None` of what is damaged, or no such record."""
    known = _parsed(kind, digest, content, _DETAILS.get(kind, _DETAIL))
    return None if known is None else known.record


def parse_steps(node: str, content: bytes) -> tuple[Step, ...]:
    """The steps in a record; none of what is damaged."""
    known = _parsed("steps", node, content, _STEPS)
    return () if known is None else known.record


def _rendered(kind: str, digest: str, record: _Of[Any]) -> bytes:
    # Its place is part of what is checked: one that took the place of another is damaged too.
    return with_check(f"{kind}/{digest}", as_json(record))


def _parsed(
    kind: str, digest: str, content: bytes, decoder: msgspec.json.Decoder[R]
) -> R | None:
    if not is_whole(f"{kind}/{digest}", content):
        return None
    try:
        return decoder.decode(content)
    except NOT_JSON:
        return None


def is_name(digest: str) -> bool:
    """Whether a record may be called so: it becomes a path, and strangers write manifests that name records."""
    return _HEX.fullmatch(digest) is not None


def kin_mark(kinship: str) -> str:
    """What stands for a kinship in the name of a file or in a line."""
    return digest_of("kin", as_json(kinship)).short


def _kin_mark(kinship: str) -> bytes:
    return kin_mark(kinship).encode() + b" "


def render_memo(signature: Signatures, digests: Mapping[str, Digest]) -> bytes:
    """The content of the record of the digests of the tensors in files with this signature."""
    return _rendered("digests", memo_name(signature), _memo_of(signature, digests))


def _memo_of(signature: Signatures, digests: Mapping[str, Digest]) -> _Digests:
    hexes = {name: digest.hex for name, digest in digests.items()}
    boot = BY_TAG if all(one.is_tag for one in signature) else boot_id()
    return _Digests(hexes, boot)


def parse_memo(name: str, content: bytes) -> Mapping[str, Digest] | None:
    """The inverse; `None` of what is damaged, or of another boot."""
    memo = _parsed("digests", name, content, _DIGESTS)
    return _as_digests(memo) if memo is not None and _still_holds(memo) else None


def _as_digests(memo: _Digests) -> Mapping[str, Digest]:
    return {name: Digest("blake3", digest) for name, digest in memo.record.items()}


def _still_holds(memo: _Digests) -> bool:
    return memo.boot == BY_TAG or is_of_this_boot(memo.boot, memo.boots)


def memo_name(signature: Signatures) -> str:
    """The name of the record of the digests of files with this signature."""
    return digest_of("signature", *(b"%d %d %d %d" % one[:4] for one in signature)).hex


def read(path: str) -> bytes | None:
    """The content of a small file; `None` if it is not there, nothing if there is something else."""
    found = look(path)
    return None if found is None else found[0]


def look(path: str) -> tuple[bytes, os.stat_result] | None:
    """The content of a small file, as `read` gives it, and the stat of the very file that was read."""
    return _end(path, None)


def append(line: bytes, path: str) -> None:
    """Add a line at the end of a file, at once, whoever else does the same."""
    descriptor = open_made(path, os.O_WRONLY | os.O_APPEND)
    try:
        status = os.fstat(descriptor)
        # A file of another name too may be anybody's, and a pipe or device is no journal.
        if stat.S_ISREG(status.st_mode) and status.st_nlink == 1:
            os.write(descriptor, line)
    finally:
        os.close(descriptor)


def _end(path: str, limit: int | None) -> tuple[bytes, os.stat_result] | None:
    """The last `limit` bytes of a file, or all, and its stat; `None` if it is not there."""
    try:
        try:
            return _end_of(path, limit)
        except OSError as error:
            return once_more(lambda: _end_of(path, limit), error)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _end_of(path: str, limit: int | None) -> tuple[bytes, os.stat_result]:
    try:
        descriptor = os.open(path, os.O_RDONLY | GUARDED)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):
            return b"", os.lstat(path)
        raise
    try:
        status = os.fstat(descriptor)
        size = status.st_size
        if not stat.S_ISREG(status.st_mode) or (limit is None and size > MOST_BYTES):
            return b"", status
        start = 0 if limit is None else max(0, size - limit)
        return os.pread(descriptor, size - start + 1, start), status
    finally:
        os.close(descriptor)
