"""Runs: the checkpoints of one training, by epoch.

Between a directory and the analyses along it: a pattern says where in a path
the epoch stands, and each checkpoint is opened when it is asked for.
"""

from __future__ import annotations

import itertools
import os
import re
from bisect import bisect
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from string import Formatter
from typing import TYPE_CHECKING, Any, Final, Protocol

from artifact_store.checkpoints import Checkpoint, open_checkpoint
from artifact_store.digests import Digest, Hasher
from artifact_store.errors import (
    ArtifactStoreError,
    DuplicateEpoch,
    MalformedPattern,
    MalformedRecord,
    MissingEpoch,
    MissingRun,
    NoCheckpoints,
)
from artifact_store.files import DigestMemo
from artifact_store.markup import dim, facts, mono, title_of, whole
from artifact_store.reads import ABSENT, Question, answer_of
from artifact_store.recent import cached_property
from artifact_store.registry import Seen, view_named
from artifact_store.remote_files import remote_file, remote_names
from artifact_store.terminals import visible
from artifact_store.urls import UrlPath, located

if TYPE_CHECKING:
    import xarray

# What the axis along a run is called.
EPOCH: Final = "epoch"

DEFAULT_PATTERN = "checkpoints/checkpoint_epoch_{epoch:05d}.safetensors"


class Stackable(Protocol):
    """An analysis, seen from below."""

    def series(
        self, run: Run, array: str | None = None, **params: Any
    ) -> xarray.DataArray: ...


class Run(Mapping[int, Checkpoint]):
    """The checkpoints of one training, in ascending order of their epochs.

    The directory is listed once, on first use; a new `Run` also sees what was
    saved since. Runs are equal when they are the same object: comparing what
    two runs hold is a matter of `identify`.

    Parameters
    ----------
    path
        The directory of the run.
    pattern
        Where its checkpoints are, relative to `path`. `{epoch}` stands for any
        digits, a width such as `{epoch:05d}` for how they are usually padded.
        What it matches may be a file, an index or a directory of shards.
    """

    def __init__(
        self, path: str | os.PathLike[str], pattern: str = DEFAULT_PATTERN
    ) -> None:
        self.path, self.pattern = located(path), pattern
        # Whether it has all that its directory holds; the last epoch, if it is a part of a run.
        self.is_whole = True
        self._end: int | None = None
        self._places = _parse(pattern)
        self._digested: dict[int, Checkpoint] = {}
        # Of what is in a bucket, to list it tells.
        if not isinstance(self.path, UrlPath) and not self.path.is_dir():
            found = "is not a directory" if self.path.exists() else "does not exist"
            raise MissingRun(self.path, found)

    @property
    def name(self) -> str:
        """The name of the directory."""
        return self.path.name

    @property
    def epochs(self) -> tuple[int, ...]:
        """All epochs, ascending."""
        return tuple(self._paths)

    @cached_property
    def config(self) -> dict[str, Any]:
        """What `config.json` says of the training; empty without one."""
        return _record(self.path / "config.json")

    @cached_property
    def metadata(self) -> dict[str, Any]:
        """What `metadata.json` says of the training; empty without one."""
        return _record(self.path / "metadata.json")

    @property
    def label(self) -> str:
        """A readable name; it decides nothing. A part has its own: both may have results."""
        return self.name if self._end is None else f"{self.name}_until_{self._end:05d}"

    def series(
        self, analysis: Stackable, array: str | None = None, **params: Any
    ) -> xarray.DataArray:
        """One array of an analysis along the epochs, lazy: only what is indexed is read, and nothing is computed.

        `.chunk(epoch=1)` hands it to dask, an epoch at a time; its workers, threads or processes, are told where the
        data are, and read what they need.

        Parameters
        ----------
        array
            Which of its arrays; may be left out where only one is not a coordinate.
        params
            Of the analysis.
        """
        return analysis.series(self, array, **params)

    def view(self, name: str, /, *, epoch: int | None = None, **visuals: Any) -> Seen:
        """A figure of this run that an installed package offers; drawn when it is asked for, and nothing is computed.

        Parameters
        ----------
        epoch
            The epoch it shows or marks; the last one if not given.
        visuals
            How it is to look.
        """
        return view_named(name).of(self, epoch, visuals)

    def at(self, epoch: int) -> Checkpoint:
        """The checkpoint of this epoch, as `run[epoch]`."""
        return self[epoch]

    def until(self, epoch: int) -> Run:
        """The run as it was when this was its last epoch: what was saved since is left out."""
        if epoch not in self:
            self[epoch]  # It knows how to say what is amiss.
        shorter = Run(self.path, self.pattern)
        shorter.is_whole = False
        kept = {one: path for one, path in self._paths.items() if one <= epoch}
        vars(shorter)["_paths"] = kept
        shorter._end = self._end if len(kept) == len(self) else max(kept)
        # What was digested is what the part is of, too.
        shorter._digested = {
            one: digested for one, digested in self._digested.items() if one <= epoch
        }
        return shorter

    def following(self, epoch: int | None) -> int | None:
        """The epoch after this one, or the first; `None` after the last."""
        epochs = tuple(self._digested or self._paths)
        number = 0 if epoch is None else bisect(epochs, epoch)
        return epochs[number] if number < len(epochs) else None

    @property
    def digested(self) -> Mapping[int, Checkpoint]:
        """The checkpoints by epoch, as they were when they were last digested."""
        return self._digested or dict(self)

    def answer(self, question: Question) -> str:
        """What a computation is told that asks this."""
        match question.kind:
            case "has":
                return str(int(question.name) in self.digested)
            case "next":
                after = int(question.name) if question.name else None
                following = self.following(after)
                return ABSENT if following is None else str(following)
            case "label":
                return answer_of(str(getattr(self, question.name)))
            case "metadata":
                return answer_of(getattr(self, question.name))
            case _:
                return answer_of(list(self.digested))

    def identify(self, memo: DigestMemo) -> Digest:
        """Digest of all epochs and their checkpoints, reading only what `memo` does not recall."""
        self._digested = {epoch: self[epoch] for epoch in self}
        for one in self._digested.values():
            one.identify(memo)
        for _, hasher in self._hashed():
            pass
        return hasher.digest()

    def beginnings(self) -> dict[Digest, int]:
        """What each part of the run up to an epoch is identified by, of the checkpoints that were digested."""
        return {hasher.digest(): epoch for epoch, hasher in self._hashed()}

    def _hashed(self) -> Iterator[tuple[int, Hasher]]:
        """Each epoch, and a hasher of the run up to it."""
        hasher = Hasher("run")
        for epoch, one in self.digested.items():
            hasher.part(b"%d" % epoch)
            hasher.part(bytes(one.root))
            yield epoch, hasher

    def __getitem__(self, epoch: int) -> Checkpoint:
        if epoch not in self._paths:
            near = bisect(self.epochs, epoch)
            raise MissingEpoch(
                self.path, epoch, self.epochs[max(near - 1, 0) : near + 1]
            )
        return open_checkpoint(self._paths[epoch])

    def __iter__(self) -> Iterator[int]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)

    def __contains__(self, epoch: object) -> bool:
        return epoch in self._paths

    def __dask_tokenize__(self) -> Any:
        # All that a function may be told of it, but for where it lies.
        told = [(epoch, one.__dask_tokenize__()) for epoch, one in self.items()]
        return "artifact_store.Run", self.label, told, self.config, self.metadata

    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return visible(f"Run({self.name})")

    def _repr_html_(self) -> str:
        try:
            first, last = self.epochs[0], self.epochs[-1]
            found = {"epochs": f"{len(self)}, from {first} to {last}"}
            for title, said in (("config", self.config), ("metadata", self.metadata)):
                found |= {title: _few(said)} if said else {}
        except ArtifactStoreError as error:
            found = {"": str(error)}
        at = facts({**found, "path": mono(self.path)})
        return whole(title_of(self.name, dim("run")), at)

    @cached_property
    def _paths(self) -> dict[int, Path]:
        """Where each checkpoint is, in ascending order of epochs."""
        before, name, after = self._places
        parent = self.path / before
        found: dict[int, Path] = {}
        for entry in _names(parent):
            match, path = name.fullmatch(entry), parent / entry / after
            if match is None or not _is_there(path, after):
                continue
            epoch = int(match["epoch"])
            if epoch in found:
                raise DuplicateEpoch(epoch, found[epoch], path)
            found[epoch] = path
        if not found:
            raise NoCheckpoints(
                self.path, self.pattern, _names(parent)[:5] or _names(self.path)[:5]
            )
        return dict(sorted(found.items()))


def _parse(pattern: str) -> tuple[Path, re.Pattern[str], Path]:
    """What a pattern names before, in and after the one name that has the epoch."""
    try:
        fields = [
            tuple(field)
            for _, *field in Formatter().parse(pattern)
            if field[0] is not None
        ]
    except ValueError as error:
        raise MalformedPattern(pattern, f"is no format ({error})") from error
    match fields:
        case [("epoch", str(width), None)] if re.fullmatch(r"(0[1-9][0-9]*)?d?", width):
            pass
        case _:
            raise MalformedPattern(
                pattern, "does not hold {epoch}, or a padded {epoch:05d}, exactly once"
            )
    path = PurePosixPath(pattern)
    if path.is_absolute() or ".." in path.parts:
        raise MalformedPattern(pattern, "leads out of the run")

    names = [_expression(part) for part in path.parts]
    place = next(i for i, name in enumerate(names) if name.groups)
    before, after = path.parts[:place], path.parts[place + 1 :]
    # `format` only undoes doubled braces here.
    return (
        Path(*(part.format() for part in before)),
        names[place],
        Path(*(part.format() for part in after)),
    )


def _expression(part: str) -> re.Pattern[str]:
    """What the names look like that one part of a pattern stands for."""
    pieces = Formatter().parse(part)
    return re.compile(
        "".join(
            re.escape(text) + ("" if field is None else "(?P<epoch>[0-9]+)")
            for text, field, _, _ in pieces
        )
    )


def _few(said: Mapping[str, Any]) -> str:
    """The first of some facts, of which there may be whole curves."""
    short = {k: v for k, v in said.items() if not isinstance(v, list | dict)}
    shown = [f"{name} = {value}" for name, value in itertools.islice(short.items(), 12)]
    return ", ".join(shown) + (", …" if len(said) > len(shown) else "")


def _is_there(path: Path, after: Path) -> bool:
    if not isinstance(path, UrlPath):
        return path.exists()
    return not after.parts or path.name in remote_names(path.parent)


def _names(directory: Path) -> tuple[str, ...]:
    if isinstance(directory, UrlPath):
        return tuple(remote_names(directory))
    return tuple(sorted(os.listdir(directory))) if directory.is_dir() else ()


def _content(path: Path) -> bytes | None:
    """The content of a small file; `None` if it is not there."""
    if isinstance(path, UrlPath):
        found = remote_file(path)
        return None if found is None else found.read(found.size, 0)
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _record(path: Path) -> dict[str, Any]:
    import json  # of its weight, see `versions`

    try:
        content = _content(path)
        if content is None:
            return {}
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise MalformedRecord(path, f"its JSON cannot be read ({error})") from error
    if not isinstance(found, dict):
        raise MalformedRecord(
            path, f"its JSON is a {type(found).__name__}, not an object"
        )
    return found
