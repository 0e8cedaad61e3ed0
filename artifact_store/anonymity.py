"""Checkpoints and runs as an analysis gets them: without labels, and with someone who notes what is read.

    Checkpoint, Run ──► *AnonymousCheckpoint*, *AnonymousRun* ──► Recorder

Labels are refused with `LabelRead`, since equal tensors have many; where the analysis is not strict, they are noted
and flagged.
"""

from __future__ import annotations

from collections.abc import Iterator, KeysView, Mapping
from operator import index
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, SupportsIndex, overload

import numpy.typing as npt

from artifact_store.checkpoints import Checkpoint
from artifact_store.digests import Digest
from artifact_store.errors import FileChanged, LabelRead
from artifact_store.files import DigestMemo
from artifact_store.reads import Kind, Question, Recorder
from artifact_store.runs import Run

if TYPE_CHECKING:
    import torch

# What may be otherwise the next time the same is asked; that there is no such tensor may not.
_FLEETING: Final = (FileChanged, OSError, MemoryError)


class _Anonymous:
    """What both have in common: whoever reads a part or a label of `named` is noted by `recorder`."""

    named: Any
    recorder: Recorder
    place: str
    _noun: ClassVar[str]

    def _note(self, kind: Kind, name: object = "") -> None:
        # Nothing has a name that is no text, and whoever asks for one is told so.
        if isinstance(name, str):
            question = Question(kind, self.place, str.__str__(name))
            self.recorder.note(question, self.named.answer(question))

    def _read_label(self, name: str) -> None:
        if self.recorder.is_strict:
            raise LabelRead(name)
        self.recorder.flag(f"read {self._noun}.{name}")
        self._note("label", name)


class AnonymousCheckpoint(_Anonymous, Checkpoint):
    """A checkpoint as an analysis gets it: what is read of it is noted, and its labels are as the module says.

    Attributes
    ----------
    named
        The checkpoint with its labels, for calls of other analyses.
    recorder, place
        Who notes, and which of the inputs this is.
    """

    named: Checkpoint
    _noun = "checkpoint"

    def __init__(self, named: Checkpoint, recorder: Recorder, place: str) -> None:
        vars(self).update(vars(named))
        self.named, self.recorder, self.place = named, recorder, place
        del self.signature

    def __getattr__(self, name: str) -> Any:
        # What the constructor of a checkpoint sets, and this one does not.
        if name != "signature":
            raise AttributeError(name)
        self._read_place(name)
        return self.named.signature

    @property
    def path(self) -> Path:
        self._read_place("path")
        return self.named.path

    @property
    def files(self) -> tuple[Path, ...]:
        self._read_place("files")
        return self.named.files

    @property
    def label(self) -> str:
        self._read_label("label")
        return self.named.label

    @property
    def epoch(self) -> int | None:
        self._read_label("epoch")
        return self.named.epoch

    @property
    def metadata(self) -> Mapping[str, str]:
        self._note("metadata")
        return self.named.metadata

    @property
    def digests(self) -> Mapping[str, Digest]:
        self._note("content")
        return self.named.digests

    @property
    def root(self) -> Digest:
        self._note("content")
        return self.named.root

    def identify(self, memo: DigestMemo) -> Digest:
        self._note("content")
        return self.named.identify(memo)

    def digest(self, name: str) -> Digest:
        self._note("tensor", name)
        return self.named.digest(name)

    def shape(self, name: str) -> tuple[int, ...]:
        self._note("shape", name)
        return self.named.shape(name)

    def dtype(self, name: str) -> str:
        self._note("dtype", name)
        return self.named.dtype(name)

    def keys(self) -> KeysView[str]:
        self._note("names")
        return self.named.keys()

    def __len__(self) -> int:
        self._note("names")
        return len(self.named)

    def __iter__(self) -> Iterator[str]:
        self._note("names")
        return iter(self.named)

    def __contains__(self, name: object) -> bool:
        self._note("has", name)
        return name in self.named

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        self._note("tensor", name)
        try:
            return self.named[name]
        except _FLEETING as error:
            self._failed(name, error)
            raise

    def tensor(self, name: str) -> torch.Tensor:
        self._note("tensor", name)
        try:
            return self.named.tensor(name)
        except _FLEETING as error:
            self._failed(name, error)
            raise

    def __dask_tokenize__(self) -> Any:
        # Where nobody may read labels, they tell nothing apart.
        if not self.recorder.is_strict:
            return super().__dask_tokenize__()
        return "artifact_store.Checkpoint", self.root.hex, dict(self.metadata)

    def _failed(self, name: str, error: BaseException) -> None:
        # The function may catch it, and then depends on a failure that may not come again.
        self.recorder.fleeting = f"it could not read {name!r}: {error!r}"

    def _read_place(self, name: str) -> None:
        # Who knows where it lies may read all of it.
        self._read_label(name)
        self._note("content")

    def __repr__(self) -> str:
        return f"Checkpoint({len(self)} tensors)"

    def __reduce__(self) -> tuple[Any, ...]:
        # Nobody notes what is read elsewhere, so all of it counts as read.
        self._note("content")
        return _alone, (self.named,)


class AnonymousRun(_Anonymous, Run):
    """A run as an analysis gets it: what is read of it is noted, and its labels are as the module says.

    Attributes
    ----------
    named
        The run with its labels, for calls of other analyses.
    recorder, place
        Who notes, and which of the inputs this is.
    """

    named: Run
    _noun = "run"

    def __init__(self, named: Run, recorder: Recorder, place: str) -> None:
        self.named, self.recorder, self.place = named, recorder, place
        # The epochs that it was told of one by one.
        self._met: set[int] = set()
        self._checkpoints = {
            epoch: AnonymousCheckpoint(one, recorder, f"{place}/{epoch}")
            for epoch, one in named.digested.items()
        }

    def __getattr__(self, name: str) -> Any:
        # What the constructor of a run sets, and this one does not.
        if name not in ("path", "pattern"):
            raise AttributeError(name)
        self._read_label(name)
        self.recorder.untold = "it was told where the run lies, and may read all of it"
        return getattr(self.named, name)

    @property
    def name(self) -> str:
        self._read_label("name")
        return self.named.name

    @property
    def label(self) -> str:
        self._read_label("label")
        return self.named.label

    @property
    def epochs(self) -> tuple[int, ...]:
        self._note("epochs")
        return tuple(self._checkpoints)

    @property
    def config(self) -> dict[str, Any]:
        self._note("metadata", "config")
        return self.named.config

    @property
    def metadata(self) -> dict[str, Any]:
        self._note("metadata", "metadata")
        return self.named.metadata

    def __getitem__(self, epoch: int) -> Checkpoint:
        self._has(epoch)
        return (
            self._checkpoints[epoch]
            if epoch in self._checkpoints
            else self.named[epoch]
        )

    def __iter__(self) -> Iterator[int]:
        self._note("epochs")
        return iter(self._checkpoints)

    def __len__(self) -> int:
        self._note("epochs")
        return len(self._checkpoints)

    def __contains__(self, epoch: object) -> bool:
        self._has(epoch)
        return epoch in self._checkpoints

    def until(self, epoch: int) -> Run:
        self._note("epochs")
        return _AnonymousPart(self, epoch)

    def following(self, epoch: int | None) -> int | None:
        self._note("next", "" if epoch is None else str(epoch))
        following = self.named.following(epoch)
        if following is not None:
            self._met.add(following)
        return following

    def beginnings(self) -> dict[Digest, int]:
        self.recorder.untold = "digests of the run were asked for"
        return self.named.beginnings()

    def identify(self, memo: DigestMemo) -> Digest:
        self.recorder.untold = "the digest of the run was asked for"
        return self.named.identify(memo)

    def __dask_tokenize__(self) -> Any:
        if not self.recorder.is_strict:
            return super().__dask_tokenize__()
        told = [(epoch, one.__dask_tokenize__()) for epoch, one in self.items()]
        return "artifact_store.Run", told, self.config, self.metadata

    def _has(self, epoch: object) -> None:
        # Whoever was told all epochs learns nothing new. What is no integer may equal one all the same.
        if not isinstance(epoch, SupportsIndex):
            self._note("epochs")
        elif index(epoch) in self._met:
            return
        elif not self.recorder.knows(Question("epochs", self.place)):
            self._note("has", str(index(epoch)))

    def __repr__(self) -> str:
        return f"Run({len(self)} epochs)"

    def __reduce__(self) -> tuple[Any, ...]:
        self.recorder.untold = "the run was sent to another process"
        return _alone, (self.named,)


class _AnonymousPart(AnonymousRun):
    """A run up to an epoch, as an analysis that was given more of it gets it: what is read of it is read of that.

    It is none of the inputs, and so has no place among them.
    """

    def __init__(self, whole: AnonymousRun, epoch: int) -> None:
        super().__init__(whole.named.until(epoch), whole.recorder, "")
        self._whole = whole
        self._checkpoints = {
            one: checkpoint
            for one, checkpoint in whole._checkpoints.items()
            if one <= epoch
        }

    @property
    def config(self) -> dict[str, Any]:
        return self._whole.config

    @property
    def metadata(self) -> dict[str, Any]:
        return self._whole.metadata

    def _note(self, kind: Kind, name: object = "") -> None:
        self._whole._note(kind, name)

    def _has(self, epoch: object) -> None:
        pass  # Whoever made it was told all epochs.


@overload
def without_labels(
    named: Checkpoint, recorder: Recorder, place: str = "0"
) -> AnonymousCheckpoint: ...
@overload
def without_labels(
    named: Run, recorder: Recorder, place: str = "0"
) -> AnonymousRun: ...
def without_labels(
    named: Checkpoint | Run, recorder: Recorder, place: str = "0"
) -> AnonymousCheckpoint | AnonymousRun:
    """The same tensors without the labels; what is read of them goes to `recorder`."""
    if isinstance(named, Run):
        return AnonymousRun(named, recorder, place)
    return AnonymousCheckpoint(named, recorder, place)


def _alone(named: Checkpoint | Run) -> AnonymousCheckpoint | AnonymousRun:
    """Where nobody notes what is read."""
    return without_labels(named, Recorder(is_strict=True))
