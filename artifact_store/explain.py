"""Why a call hit or missed, in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from html import escape
from typing import Any, Literal, TypeAlias

from artifact_store.calls import Call, versions_of
from artifact_store.causes import Cause, causes_of_miss, describe, indented, reads_of
from artifact_store.errors import ArtifactStoreError
from artifact_store.manifests import Manifest
from artifact_store.stores.base import Entry
from artifact_store.traces import peek

State: TypeAlias = Literal["hit", "miss", "pending"]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a call would hit or miss; `str()` for people.

    Attributes
    ----------
    state
        `pending`: whether it hits depends on another analysis, which has to be computed first.
    causes
        Of a miss; none for a hit.
    depends_on
        Everything that decides the result, one line each.
    drift
        What is recorded but not part of the key, and has changed since: versions of installed packages.
    flags
        What the function did that a pure one would not.
    """

    call: str
    key: str
    state: State
    causes: tuple[Cause, ...]
    depends_on: tuple[str, ...]
    drift: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()

    @property
    def hit(self) -> bool:
        """Whether the stored result is the answer."""
        return self.state == "hit"

    def __str__(self) -> str:
        lines = [f"{self.call}: {self.state} (key {self.key[:12]})"]
        lines += [str(cause) for cause in self.causes]
        if self.hit:
            lines += [
                "It is the answer because none of this has changed:",
                *map(indented, self.depends_on),
            ]
        lines += [f"drift, not part of the key: {one}" for one in self.drift]
        lines += [f"not pure: {one}" for one in self.flags]
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """The same, for JSON."""
        return asdict(self) | {"hit": self.hit}

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"


def explain(call: Call) -> Explanation:
    """Why `call` would hit or miss now."""
    name, key = describe(call), call.key.digest.hex
    try:
        found = peek(call)
    except ArtifactStoreError as error:
        corrupt = Cause("corrupt", f"the entry is corrupt: {error}")
        return Explanation(name, key, "miss", (corrupt,), tuple(_depends_on(call)))
    if isinstance(found, Entry):
        manifest = found.manifest
        return Explanation(
            name,
            key,
            "hit",
            (),
            tuple(_depends_on(call, manifest)),
            tuple(drift_of(manifest, call)),
            manifest.flags,
        )
    state: State = "miss" if found is None else "pending"
    causes = causes_of_miss(call) if found is None else (waits_for(found.upstream),)
    return Explanation(name, key, state, causes, tuple(_depends_on(call)))


def waits_for(upstream: Call) -> Cause:
    """The cause of a call that cannot be told before another one is computed."""
    why = "\n".join(map(str, causes_of_miss(upstream)))
    return Cause("upstream", f"{describe(upstream)} has to be computed first", why)


def drift_of(manifest: Manifest, call: Call) -> Iterator[str]:
    """Installed packages that are not of the version an entry was made with."""
    now = versions_of(call.closure.packages)
    for name, version in manifest.provenance.versions.items():
        if now.get(name, version) != version:
            yield f"{name} {version} then, {now[name]} now"


def _depends_on(call: Call, manifest: Manifest | None = None) -> Iterator[str]:
    reads = None if manifest is None else reads_of(manifest, call.store)
    for one in call.inputs:
        counts = "" if reads is None else ", of which only what was read counts"
        yield f"input {one.name}: {one.label} {one.digest[:12]}{counts}"
    for read in reads or ():
        yield f"  read {read.question} = {read.answer[:12]}"
    for name, record in call.params.items():
        yield f"param {name} = {record.shown}"
    yield f"declared {call.declaration.environment}"
    for member in call.closure.members:
        yield f"code {member.name} {member.digest.short} ({member.file}:{member.line})"
        for reference in member.references:
            if reference.kind == "constant":
                yield f"  constant {reference.spelled} = {reference.shown}"
