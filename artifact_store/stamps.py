"""Stamps: what a picture was drawn from, so that it can be asked for its code, checkpoints and params.

    artifacts, view ──► *Stamp* ──► in a picture ──► `artifact-store why PICTURE`

Equal artifacts give equal bytes: a stamp has no time of its own, no machine and no place on a disk.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from artifact_store.artifacts import Artifact
from artifact_store.closures.origins import top
from artifact_store.digests import Hex
from artifact_store.errors import BadStamp, UnknownFormat
from artifact_store.layout import home_of_group
from artifact_store.manifests import (
    NOT_JSON,
    InputRecord,
    Manifest,
    ParamRecord,
    as_json,
    format_of,
)
from artifact_store.pictures import Format, record_in, with_record
from artifact_store.stores.base import Store
from artifact_store.stores.opening import store_opened
from artifact_store.traces import reads_of
from artifact_store.urls import located

STAMP_FORMAT: Final = 1


class StampedMember(msgspec.Struct, frozen=True):
    """A function or class whose code decided a result; the file as seen from where its package lies."""

    name: str
    file: str
    line: int
    digest: Hex


class StampedArtifact(msgspec.Struct, frozen=True):
    """An artifact as its manifest told: how it was made, and what it is.

    Attributes
    ----------
    closure
        The digest of its own code, without that of the analyses it called.
    """

    analysis: str
    function: str
    key: Hex
    output: Hex
    params: dict[str, ParamRecord]
    inputs: tuple[InputRecord, ...]
    closure: Hex
    created: str
    seconds: float
    versions: dict[str, str]

    def __str__(self) -> str:
        """The call that made it, as its author would write it."""
        labels = [one.label for one in self.inputs]
        params = [f"{name}={one.shown}" for name, one in self.params.items()]
        return f"{self.analysis}({', '.join(labels + params)})"


class Stamp(msgspec.Struct, frozen=True):
    """What a picture was drawn from.

    Attributes
    ----------
    params
        The visual parameters of the view, as people read them.
    epoch
        Of the checkpoint that is shown; `None` of a picture of a whole run.
    artifacts
        What was drawn.
    below
        The artifacts of other analyses that those were computed from, as far as the store still knows them.
    code
        The members of each closure, by its digest; none where they are no longer recorded.
    """

    view: str
    params: dict[str, str]
    run: str
    epoch: int | None
    artifacts: tuple[StampedArtifact, ...]
    below: tuple[StampedArtifact, ...]
    code: dict[Hex, tuple[StampedMember, ...]]
    format: int = STAMP_FORMAT

    @property
    def title(self) -> str:
        """What it is a picture of, in a few words."""
        when = "" if self.epoch is None else f", epoch {self.epoch}"
        return f"{self.view} of {self.run}{when}"

    @property
    def description(self) -> str:
        """From what it was drawn, in a sentence."""
        params = ", ".join(f"{name} = {shown}" for name, shown in self.params.items())
        drawn = sorted({one.analysis for one in self.artifacts})
        said = f"Drawn from {', '.join(drawn)}" if drawn else "Drawn from no artifact"
        more = "`artifact-store why` on this file says of which code, checkpoints and params."
        return f"{said}{f' with {params}' if params else ''}. {more}"


def stamp_of(
    view: str,
    shown_params: Mapping[str, str],
    run: str,
    epoch: int | None,
    artifacts: Iterable[Artifact],
) -> Stamp:
    """The stamp of a picture that `view` draws from `artifacts`.

    Parameters
    ----------
    shown_params
        The visual parameters, as people read them.
    run
        Its name.
    epoch
        Of the checkpoint that is shown, if it is one.
    """
    drawn = {one.key: one for one in artifacts}
    made = [(one.entry.manifest, _store_of(one)) for one in drawn.values()]
    below = list(_below(made))
    # What is drawn as it is need not be told twice.
    known = {manifest.key for manifest, _ in made}
    below = [one for one in below if one[0].key not in known]
    return Stamp(
        view,
        dict(shown_params),
        run,
        epoch,
        tuple(_stamped(manifest) for manifest, _ in made),
        tuple(_stamped(manifest) for manifest, _ in below),
        {
            manifest.provenance.closure: _members(manifest, store)
            for manifest, store in (*made, *below)
        },
    )


def stamped(content: bytes, format: Format, stamp: Stamp) -> bytes:
    """A picture with its stamp; it takes the place of one that is there."""
    record = json.dumps(json.loads(as_json(stamp)), separators=(",", ":")).encode()
    return with_record(content, format, record, stamp.title, stamp.description)


def read_stamp(content: bytes, path: str) -> Stamp:
    """The stamp of a picture, whoever wrote it.

    Parameters
    ----------
    path
        Of the picture; for messages alone.

    Raises
    ------
    NoStamp
        It has none.
    BadStamp
        It is not as it was written.
    UnknownFormat
        A newer release wrote it.
    """
    record = record_in(content, path)
    # First of all: what a newer release writes may have another form.
    if (found := format_of(record)) not in (None, STAMP_FORMAT):
        raise UnknownFormat(path, found)
    try:
        return msgspec.json.decode(record, type=Stamp)
    except NOT_JSON as error:
        raise BadStamp(path, f"has a stamp that cannot be read: {error}") from None


def _store_of(artifact: Artifact) -> Store:
    return store_opened(str(home_of_group(located(artifact.place))))


def _stamped(manifest: Manifest) -> StampedArtifact:
    made = manifest.provenance
    return StampedArtifact(
        analysis=manifest.analysis,
        function=made.function,
        key=manifest.key,
        output=manifest.output,
        params=made.params,
        inputs=made.inputs,
        closure=made.closure,
        created=made.created,
        seconds=made.seconds,
        versions=made.versions,
    )


def _members(manifest: Manifest, store: Store) -> tuple[StampedMember, ...]:
    """The code of an entry, as it was recorded."""
    recorded = store.detail("closures", manifest.provenance.closure)
    if not isinstance(recorded, list):
        return ()
    return tuple(
        StampedMember(one["name"], _from_package(one), one["line"], one["digest"])
        for one in recorded
    )


def _from_package(member: Mapping[str, Any]) -> str:
    """The file of a member without the folders above its package, which are nobody's business."""
    file, package = str(member["file"]), top(member["name"])
    _, inside, path = file.rpartition(f"/{package}/")
    return f"{package}/{path}" if inside else file.rpartition("/")[2]


def _below(made: Iterable[tuple[Manifest, Store]]) -> Iterator[tuple[Manifest, Store]]:
    """The entries of other analyses that some entries were computed from, and those that these were, each once."""
    answers: dict[tuple[str, str], dict[str, list[Manifest]]] = {}
    ahead, told = list(reversed(list(made))), set[str]()
    while ahead:
        manifest, store = ahead.pop()
        for read in reads_of(manifest, store) or ():
            if read.question.kind != "call":
                continue
            name = read.question.name
            by_answer = answers.get((store.location, name))
            if by_answer is None:
                by_answer = answers[store.location, name] = _by_answer(store, name)
            found = _nearest(by_answer.get(read.answer, ()), manifest)
            if found is not None and found.key not in told:
                told.add(found.key)
                ahead.append((found, store))
                yield found, store


def _by_answer(store: Store, analysis: str) -> dict[str, list[Manifest]]:
    """Every entry of an analysis, by what it tells those who call it."""
    found: dict[str, list[Manifest]] = {}
    for manifest in store.manifests(analysis):
        found.setdefault(manifest.told.hex, []).append(manifest)
    return found


def _nearest(equal: Iterable[Manifest], caller: Manifest) -> Manifest | None:
    """Of entries that told the same, one of the inputs of their caller; the oldest, as later ones come and go."""
    inputs = {one.digest for one in caller.provenance.inputs}

    def order(one: Manifest) -> tuple[bool, str, str]:
        is_of_these = {given.digest for given in one.provenance.inputs} <= inputs
        return not is_of_these, one.provenance.created, one.key

    return min(equal, key=order, default=None)
