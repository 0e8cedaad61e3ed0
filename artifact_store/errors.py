"""Every exception raised on purpose.

Each keeps its facts as attributes and makes its sentence in `__str__`: what
happened, with which values, what to do. Facts go to `super().__init__` by
position, so an error survives the trip back from a worker process.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


class ArtifactStoreError(Exception):
    """Base of every deliberate error."""


class Unencodable(ArtifactStoreError, TypeError):
    """A value has no canonical encoding; the border that knows its name says which one."""

    def __init__(self, found: str, advice: str) -> None:
        super().__init__(found, advice)
        self.found, self.advice = found, advice

    def __str__(self) -> str:
        return f"A {self.found} has no canonical encoding. {self.advice}"


class UnencodableParam(ArtifactStoreError, TypeError):
    """A parameter has no canonical encoding, so the call has no key."""

    def __init__(self, analysis: str, name: str, found: str, advice: str) -> None:
        super().__init__(analysis, name, found, advice)
        self.analysis, self.name, self.found, self.advice = (
            analysis,
            name,
            found,
            advice,
        )

    def __str__(self) -> str:
        return (
            f"{self.analysis}: parameter {self.name!r} holds a {self.found}, which has no canonical "
            f"encoding. {self.advice} If it changes how and not what is computed, name it in "
            f"@analysis(ignore=({self.name!r},))."
        )


class UnresolvedDependency(ArtifactStoreError):
    """The closure of an analysis cannot be known, so the analysis has no key."""

    def __init__(self, where: str, what: str, advice: str) -> None:
        super().__init__(where, what, advice)
        self.where, self.what, self.advice = where, what, advice

    def __str__(self) -> str:
        return f"{self.where}: {self.what}. {self.advice}"


class SourceChanged(ArtifactStoreError):
    """The file of a function is no longer the one it was imported from."""

    def __init__(self, function: str, file: str) -> None:
        super().__init__(function, file)
        self.function, self.file = function, file

    def __str__(self) -> str:
        return (
            f"{self.function} runs code that {self.file} no longer contains: the file was edited after it "
            "was imported. Reload the module (or restart), so that what runs is what the key names."
        )


class SourceUnavailable(ArtifactStoreError, OSError):
    """A first-party function has no source to digest."""

    def __init__(self, function: str, file: str) -> None:
        super().__init__(function, file)
        self.function, self.file = function, file

    def __str__(self) -> str:
        return (
            f"The source of {self.function} cannot be read from {self.file!r}, so no key can be made. "
            "Define it in a file, or in a notebook cell without %%time or %%timeit, which hide what they run."
        )


class Unstorable(ArtifactStoreError):
    """What a function returned cannot be stored; it is the attribute `result`, so that no work is lost."""

    result: object = None

    def __init__(self, *facts: object) -> None:
        super().__init__(*facts)

    def __str__(self) -> str:
        return "What was returned cannot be stored. Return arrays of plain numbers."


class BadArrayName(Unstorable, ValueError):
    """A name that cannot be the folder of an array inside a zarr group."""

    def __init__(self, name: object, problem: str) -> None:
        super().__init__(name, problem)
        self.name, self.problem = name, problem

    def __str__(self) -> str:
        return f"An array cannot be named {self.name!r}: {self.problem}. Return it under another name."


class UnstorableArray(Unstorable, TypeError):
    """A value that has no exact form as a plain array of numbers."""

    def __init__(self, array: str, found: str, advice: str) -> None:
        super().__init__(array, found, advice)
        self.array, self.found, self.advice = array, found, advice

    def __str__(self) -> str:
        return (
            f"Array {self.array!r} is {self.found}, which cannot be stored. {self.advice} "
            "Stored are bool, (u)int8-64, float16-64 and complex64/128."
        )


class DimsMismatch(Unstorable, ValueError):
    """An array has more or fewer axes than dimensions were declared for it."""

    def __init__(
        self, array: str, shape: tuple[int, ...], dims: tuple[str, ...]
    ) -> None:
        super().__init__(array, shape, dims)
        self.array, self.shape, self.dims = array, shape, dims

    def __str__(self) -> str:
        return (
            f"Array {self.array!r} has shape {self.shape}, hence {len(self.shape)} axes, but its declared "
            f"dimensions are {self.dims}, which are {len(self.dims)}. Name every axis once, in order."
        )


class BadDims(Unstorable, ValueError):
    """Dimensions that no array can have, or that were declared for no array."""

    def __init__(self, array: str, dims: object, problem: str) -> None:
        super().__init__(array, dims, problem)
        self.array, self.dims, self.problem = array, dims, problem

    def __str__(self) -> str:
        return (
            f"Dimensions {self.dims!r} of array {self.array!r}: {self.problem}. "
            f"Declare a name for each axis of an array that is returned: dims={{{self.array!r}: ('row', ...)}}."
        )


class DimLengthsDiffer(Unstorable, ValueError):
    """One dimension has different lengths in arrays that are stored together."""

    def __init__(self, dim: str, lengths: dict[str, int]) -> None:
        super().__init__(dim, lengths)
        self.dim, self.lengths = dim, lengths

    def __str__(self) -> str:
        found = ", ".join(
            f"{length} in {array!r}" for array, length in self.lengths.items()
        )
        return (
            f"Dimension {self.dim!r} has different lengths: {found}. Arrays stored together "
            "share their dimensions; give one of these another dimension name."
        )


class BlocksDiffer(Unstorable, ValueError):
    """The blocks of an array are not what was said of the whole."""

    def __init__(self, array: str, shape: object, problem: str) -> None:
        super().__init__(array, shape, problem)
        self.array, self.shape, self.problem = array, shape, problem

    def __str__(self) -> str:
        return (
            f"Array {self.array!r} was to be made of blocks of its rows, to shape {self.shape}. {self.problem} Give "
            "`Blocks` the shape and dtype of the whole, and blocks that follow each other along the first axis."
        )


class NoRoomForBlocks(ArtifactStoreError, OSError):
    """An array that is made block by block does not fit on the disk."""

    def __init__(self, array: str, nbytes: int, cause: str) -> None:
        super().__init__(array, nbytes, cause)
        self.array, self.nbytes, self.cause = array, nbytes, cause

    def __str__(self) -> str:
        return (
            f"Array {self.array!r} is made block by block, for which {self.nbytes:,} bytes are needed, and as many "
            f"once more to store it: {self.cause}. Make room there, or set ARTIFACT_STORE to a directory on "
            "another disk."
        )


class BadRecord(ArtifactStoreError, ValueError):
    """The record of a stored array contradicts itself, so it was not written by this package."""

    def __init__(self, array: str, problem: str) -> None:
        super().__init__(array, problem)
        self.array, self.problem = array, problem

    def __str__(self) -> str:
        return f"The record of array {self.array!r} is not one of ours: {self.problem}. Compute the artifact again."


class CorruptArtifact(ArtifactStoreError):
    """A file of an artifact is missing, or is not what was written."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(path, problem)
        self.path, self.problem = path, problem

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}. What it belongs to must not be used; compute it again."


class NotSigned(CorruptArtifact):
    """A record is not signed with the key that is set here, whoever may have signed it."""


class LinkInStore(ArtifactStoreError, OSError):
    """A folder of a store is a link: what is read or written there may be anywhere."""

    def __init__(self, path: str, target: str) -> None:
        super().__init__(path, target)
        self.path, self.target = path, target

    def __str__(self) -> str:
        return (
            f"{self.path} is a link to {self.target}, and a store neither reads nor writes outside itself. If it is "
            "yours, put a folder in its place; to keep a store on another disk, link the whole of it, or set "
            "ARTIFACT_STORE."
        )


class MissingCheckpoint(ArtifactStoreError, FileNotFoundError):
    """There is no checkpoint at this path."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(path, reason)
        self.path, self.reason = path, reason

    def __str__(self) -> str:
        return (
            f"{self.path} {self.reason}. Name a safetensors file, a *.safetensors.index.json, "
            "or a directory that holds exactly one of them."
        )


class MissingFile(ArtifactStoreError, FileNotFoundError):
    """There is no file at this path."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(path, reason)
        self.path, self.reason = path, reason

    def __str__(self) -> str:
        return f"{self.path} {self.reason}. Name an existing file; a relative path starts at the working directory."


class FileChanged(ArtifactStoreError, RuntimeError):
    """A file is no longer the one that was opened."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(path, reason)
        self.path, self.reason = path, reason

    def __str__(self) -> str:
        return f"{self.path} {self.reason} since it was opened. Open it again to use what it holds now."


class CheckpointChanged(FileChanged):
    """A file of a checkpoint is no longer the one that was opened."""


class MissingTensor(ArtifactStoreError, KeyError):
    """A checkpoint has no tensor of this name."""

    def __init__(self, path: Path, name: str, similar: tuple[str, ...]) -> None:
        super().__init__(path, name, similar)
        self.path, self.name, self.similar = path, name, similar

    def __str__(self) -> str:
        advice = (
            f"Did you mean {_either(self.similar)}?"
            if self.similar
            else "`checkpoint.keys()` lists what it holds."
        )
        return f"{self.path} has no tensor {self.name!r}. {advice}"


class NotANumpyDtype(ArtifactStoreError, TypeError):
    """A tensor has a dtype that numpy does not know."""

    def __init__(self, path: Path, name: str, dtype: str) -> None:
        super().__init__(path, name, dtype)
        self.path, self.name, self.dtype = path, name, dtype

    def __str__(self) -> str:
        return (
            f"{self.path}: tensor {self.name!r} is {self.dtype}, which numpy does not know. "
            f"Use `checkpoint.tensor({self.name!r})` and convert it, for instance with `.float()`."
        )


class NotATorchDtype(ArtifactStoreError, TypeError):
    """A tensor has a dtype or a packed shape that this torch cannot represent."""

    def __init__(
        self, path: Path, name: str, dtype: str, shape: tuple[int, ...]
    ) -> None:
        super().__init__(path, name, dtype, shape)
        self.path, self.name, self.dtype, self.shape = path, name, dtype, shape

    def __str__(self) -> str:
        return (
            f"{self.path}: tensor {self.name!r} is {self.dtype} of shape {list(self.shape)}, which this torch cannot "
            "represent. Install a newer torch, or save the tensor as another dtype."
        )


class MalformedCheckpoint(ArtifactStoreError, ValueError):
    """A checkpoint breaks the safetensors format; nothing of it was used.

    There is one subclass for each way to break it. `fault` says what is wrong
    with which values; `advice`, the same for all of a class, says what to do.
    """

    advice = "Save it again with safetensors."

    def __init__(self, path: Path, fault: str) -> None:
        super().__init__(path, fault)
        self.path, self.fault = path, fault

    def __str__(self) -> str:
        return f"{self.path}: {self.fault}. {self.advice}"


class EmptyCheckpoint(MalformedCheckpoint):
    """The file has no bytes at all."""

    advice = "Its writer was probably interrupted; save or copy it again."


class NotSafetensors(MalformedCheckpoint):
    """The file is of another format."""

    advice = "Convert it with `safetensors.torch.save_file` or name another file."


class TruncatedCheckpoint(MalformedCheckpoint):
    """The file ends before its header or its tensors do."""

    advice = "Its writer or a copy was probably interrupted; save or copy it again."


class TrailingBytes(MalformedCheckpoint):
    """The file goes on after its last tensor."""


class HeaderTooLarge(MalformedCheckpoint):
    """The header is longer than any reader of safetensors accepts."""

    advice = "Check that it is a safetensors file; if so, split it into shards."


class MalformedHeader(MalformedCheckpoint):
    """The header is not JSON of the prescribed form."""


class DuplicateName(MalformedCheckpoint):
    """A header or index bears one name twice, so which is meant cannot be known."""


class UnknownDtype(MalformedCheckpoint):
    """A tensor has a dtype that the format does not define."""

    advice = "Save it as a dtype that safetensors 0.8 defines."


class ImpossibleShape(MalformedCheckpoint):
    """A tensor has a shape that no array can have."""


class InconsistentSize(MalformedCheckpoint):
    """A tensor does not occupy as many bytes as its dtype and shape demand."""


class OffsetsOutOfRange(MalformedCheckpoint):
    """A tensor begins before the data, or ends before it begins or where no file reaches."""


class OverlappingTensors(MalformedCheckpoint):
    """Two tensors claim the same bytes."""


class GapBetweenTensors(MalformedCheckpoint):
    """Some bytes belong to no tensor."""


class MalformedIndex(MalformedCheckpoint):
    """The index of a sharded checkpoint is not JSON of the prescribed form."""

    advice = "Save the checkpoint again, index and shards together."


class EscapingShard(MalformedIndex):
    """An index names a shard outside its own directory."""

    advice = (
        "Put every shard beside the index and name it by a relative path without '..'."
    )


class MissingShard(MalformedIndex):
    """An index names a shard that is not there."""

    advice = "The index beside it names it as a shard: copy it there, or save the checkpoint again."


class TensorNotInShard(MalformedIndex):
    """An index places a tensor in a shard that does not hold it."""


class TensorNotInIndex(MalformedIndex):
    """A shard holds a tensor that the index does not name."""


class TensorInTwoShards(MalformedIndex):
    """Two shards hold a tensor of one name, so which is meant cannot be known."""


class MissingRun(ArtifactStoreError, FileNotFoundError):
    """There is no run at this path."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(path, reason)
        self.path, self.reason = path, reason

    def __str__(self) -> str:
        return f"{self.path} {self.reason}. Name the directory that holds a run and its checkpoints."


class MalformedPattern(ArtifactStoreError, ValueError):
    """The pattern of a run does not say where the epoch stands in a path."""

    def __init__(self, pattern: str, reason: str) -> None:
        super().__init__(pattern, reason)
        self.pattern, self.reason = pattern, reason

    def __str__(self) -> str:
        return (
            f"{self.pattern!r} {self.reason}. Write a path relative to the run with one field, "
            "as in 'checkpoints/checkpoint_epoch_{epoch:05d}.safetensors'."
        )


class NoCheckpoints(ArtifactStoreError, LookupError):
    """A run holds no checkpoint that matches its pattern."""

    def __init__(self, path: Path, pattern: str, found: tuple[str, ...]) -> None:
        super().__init__(path, pattern, found)
        self.path, self.pattern, self.found = path, pattern, found

    def __str__(self) -> str:
        found = ", ".join(map(repr, self.found)) or "nothing"
        return (
            f"{self.path} holds no checkpoint that matches {self.pattern!r}; there is {found}. "
            "Give the pattern of its names: `Run(path, pattern)`."
        )


class DuplicateEpoch(ArtifactStoreError, ValueError):
    """Two checkpoints of a run bear the same epoch."""

    def __init__(self, epoch: int, first: Path, second: Path) -> None:
        super().__init__(epoch, first, second)
        self.epoch, self.first, self.second = epoch, first, second

    def __str__(self) -> str:
        return f"Epoch {self.epoch} is both {self.first} and {self.second}. Move one of them away."


class MissingEpoch(ArtifactStoreError, KeyError):
    """A run has no checkpoint of this epoch."""

    def __init__(self, path: Path, epoch: int, nearest: tuple[int, ...]) -> None:
        super().__init__(path, epoch, nearest)
        self.path, self.epoch, self.nearest = path, epoch, nearest

    def __str__(self) -> str:
        return (
            f"{self.path} has no checkpoint of epoch {self.epoch}; the nearest is {_either(self.nearest)}. "
            "`run.epochs` lists them all; a new `Run` also sees those saved since."
        )


class MalformedRecord(ArtifactStoreError, ValueError):
    """The config or metadata of a run is not a JSON object."""

    def __init__(self, path: Path, fault: str) -> None:
        super().__init__(path, fault)
        self.path, self.fault = path, fault

    def __str__(self) -> str:
        return f"{self.path}: {self.fault}. Repair the file, or remove it: a run may lack it."


def _either(choices: Iterable[object]) -> str:
    return " or ".join(map(repr, choices))


class UnknownFormat(ArtifactStoreError):
    """An entry was written by a release that this one does not know."""

    def __init__(self, path: str, found: object) -> None:
        super().__init__(path, found)
        self.path, self.found = path, found

    def __str__(self) -> str:
        return (
            f"{self.path} has format {self.found!r}, which this release does not know. "
            "Install a newer artifact-store, or use another store."
        )


class BadResult(Unstorable, TypeError):
    """A function returned what is no array."""

    def __init__(self, analysis: str, found: str, advice: str) -> None:
        super().__init__(analysis, found, advice)
        self.analysis, self.found, self.advice = analysis, found, advice

    def __str__(self) -> str:
        return f"{self.analysis} returned {self.found}. {self.advice}"


class BadDeclaration(ArtifactStoreError, TypeError):
    """What was decorated cannot be an analysis, or not with these arguments."""

    def __init__(self, analysis: str, problem: str, advice: str) -> None:
        super().__init__(analysis, problem, advice)
        self.analysis, self.problem, self.advice = analysis, problem, advice

    def __str__(self) -> str:
        return f"@analysis on {self.analysis}: {self.problem}. {self.advice}"


class MethodRefused(ArtifactStoreError, TypeError):
    """An analysis stands in a class body."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return (
            f"{self.name} is a method: what its instance holds cannot be part of a key. Decorate a function of "
            "the module that takes what it needs, and call that from the method."
        )


class NoStore(ArtifactStoreError, LookupError):
    """A call has no input, so nothing says where its result is kept."""

    def __init__(self, analysis: str, variable: str) -> None:
        super().__init__(analysis, variable)
        self.analysis, self.variable = analysis, variable

    def __str__(self) -> str:
        return (
            f"{self.analysis} was called without a checkpoint, run or file, so there is no directory to keep its "
            f"result beside. Declare one with @analysis(store='directory'), or set {self.variable}. "
            "If an argument is the path of a checkpoint, annotate its parameter: checkpoint: Checkpoint."
        )


class StoreFailed(ArtifactStoreError, OSError):
    """A result was computed but could not be kept; it is the attribute `result`."""

    def __init__(
        self,
        call: str,
        location: str,
        cause: str,
        result: object = None,
        key: object = None,
    ) -> None:
        super().__init__(call, location, cause)
        self.key = key
        self.call, self.location, self.cause, self.result = (
            call,
            location,
            cause,
            result,
        )

    def __str__(self) -> str:
        return (
            f"{self.call} was computed but not stored in {self.location}: {self.cause}. It will be computed again "
            "next time. Make room or allow writing there, or set ARTIFACT_STORE to another directory."
        )


class NotReadable(StoreFailed):
    """A result is stored, and cannot be read at this moment; it was computed once more, and is in `result`."""

    def __str__(self) -> str:
        return (
            f"{self.call} is stored in {self.location} and cannot be read there: {self.cause}. It was computed for "
            "this once; what is stored stays."
        )


class NotKept(StoreFailed):
    """A result depends on what may be otherwise at any time, so it is the answer to no call; it is in `result`."""

    def __init__(
        self, call: str, cause: str, result: object = None, key: object = None
    ) -> None:
        super().__init__(call, "", cause, result, key)
        self.args = (call, cause)

    def __str__(self) -> str:
        return (
            f"{self.call} was computed but not stored: {self.cause}, so the same call may give something else the "
            "next time. Have it depend on what it is given alone; what it is to remember, leave to functools.cache."
        )


class KeepRefused(ArtifactStoreError, LookupError):
    """A call has no entry, and its store is not to be written to, so there can be no artifact of it."""

    def __init__(self, call: str, location: str, key: object = None) -> None:
        super().__init__(call, location)
        self.call, self.location, self.key = call, location, key

    def __str__(self) -> str:
        return (
            f"{self.call} is not stored, and {self.location} is not written to in this mode, so there is no artifact "
            "of it, and nothing was computed. Call the function, which gives arrays; or choose the mode rw."
        )


class OnlyComputed(StoreFailed):
    """A result was not kept, because its store is not to be written to; it is in `result`."""

    def __init__(
        self, call: str, location: str, result: object = None, key: object = None
    ) -> None:
        super().__init__(call, location, "", result, key)
        self.args = (call, location)

    def __str__(self) -> str:
        return (
            f"{self.call} was computed but not stored, as {self.location} is not written to in this mode. Call the "
            "function to get the arrays; for an artifact, which lies on disk, choose the mode rw."
        )


class ReadOnly(ArtifactStoreError, OSError):
    """A store is not to be written to."""

    def __init__(self, location: str) -> None:
        super().__init__(location)
        self.location = location

    def __str__(self) -> str:
        return (
            f"{self.location} is open for reading alone, because of the mode or as the shared part of an overlay. "
            "Open it in the mode rw to change it."
        )


class ComputationRefused(ArtifactStoreError, LookupError):
    """There is no entry, and the mode forbids to compute one."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key

    def __str__(self) -> str:
        return f"Nothing is stored under {self.key}, and the mode is require. Compute it in the mode rw."


class MissRefused(ArtifactStoreError, LookupError):
    """A call has no entry, and the mode forbids to compute one."""

    def __init__(self, call: str, causes: tuple[str, ...]) -> None:
        super().__init__(call, causes)
        self.call, self.causes = call, causes

    def __str__(self) -> str:
        return (
            f"{self.call} is not stored: {'; '.join(self.causes)}. The mode is require, so it is not computed: run "
            "it in the mode rw first, for instance by AnalysisPipeline or `artifact-store run`."
        )


class StoreOff(ArtifactStoreError, LookupError):
    """A store was asked for where the mode is off."""

    def __init__(self) -> None:
        super().__init__()

    def __str__(self) -> str:
        return (
            "The mode is off, so there is no store to look into or to keep anything in. Call the function, which then "
            "just runs, or choose another mode: by `mode(...)`, @analysis(mode=...) or ARTIFACT_STORE_MODE."
        )


class NotStored(UserWarning):
    """A result was returned but could not be kept."""


class NotShared(UserWarning):
    """A result was kept near and returned, but could not be shared."""

    def __init__(self, key: str, shared: str, near: str, cause: str) -> None:
        super().__init__(key, shared, near, cause)
        self.key, self.shared, self.near, self.cause = key, shared, near, cause

    def __str__(self) -> str:
        return (
            f"{self.key} is kept in {self.near} and not in {self.shared}: {self.cause} Share it later with "
            f"`artifact-store push {self.near} {self.shared}`."
        )


class NotReplaced(NotShared):
    """A result was computed again and kept near, while the shared store still has the one before."""

    def __str__(self) -> str:
        return (
            f"{self.key} was replaced in {self.near} and not in {self.shared}: {self.cause} What that holds is the "
            "result of before, which a push leaves alone: compute it again when it can be written to."
        )


class LabelRead(ArtifactStoreError, RuntimeError):
    """An analysis looked at what is no part of its key."""

    def __init__(self, label: str) -> None:
        super().__init__(label)
        self.label = label

    def __str__(self) -> str:
        return (
            f"An analysis read checkpoint.{self.label}, which is a label and not content: equal tensors under another "
            f"label would get this result. Take it as a parameter instead, as in f(checkpoint, {self.label}=...)."
        )


class MissingArray(ArtifactStoreError, KeyError):
    """An artifact has no array of this name."""

    def __init__(self, artifact: str, name: str, names: tuple[str, ...]) -> None:
        super().__init__(artifact, name, names)
        self.artifact, self.name, self.names = artifact, name, names

    def __str__(self) -> str:
        return f"{self.artifact} has no array {self.name!r}. It has {', '.join(map(repr, self.names))}."


class NotOnDisk(ArtifactStoreError, AttributeError):
    """An artifact that lies in a bucket has no path."""

    def __init__(self, artifact: str, url: str) -> None:
        super().__init__(artifact, url)
        self.artifact, self.url = artifact, url

    def __str__(self) -> str:
        return (
            f"{self.artifact} lies at {self.url}, and not on a disk of this machine. Read it as an array, by its "
            "`.zarr` or `.to_xarray()`; or bring it here with `artifact-store pull`."
        )


class MissingArtifacts(ArtifactStoreError, LookupError):
    """Some epochs of a run have no artifact."""

    def __init__(
        self, analysis: str, run: str, epochs: tuple[int | None, ...], of: int
    ) -> None:
        super().__init__(analysis, run, epochs, of)
        self.analysis, self.run, self.epochs, self.of = analysis, run, epochs, of

    def __str__(self) -> str:
        named = ", ".join(map(str, self.epochs[:5])) + (
            ", ..." if len(self.epochs) > 5 else ""
        )
        missing = f"{len(self.epochs)} of {self.of} epochs of {self.run} ({named})"
        if self.epochs == (None,):
            missing = f"the whole of {self.run}"
        return (
            f"{self.analysis} has no artifact for {missing}. Compute what is missing with "
            f"AnalysisPipeline(run).run([{self.analysis}]); if it was asked for with params, call {self.analysis} "
            "with these."
        )


class AmbiguousArray(ArtifactStoreError, ValueError):
    """An analysis has several arrays, and which was not said."""

    def __init__(self, analysis: str, names: tuple[str, ...]) -> None:
        super().__init__(analysis, names)
        self.analysis, self.names = analysis, names

    def __str__(self) -> str:
        if not self.names:
            return (
                f"{self.analysis} has only coordinates, so none of its arrays goes without saying. Name one: "
                "array='...'."
            )
        return f"{self.analysis} has the arrays {', '.join(self.names)}. Name one: array={self.names[0]!r}."


class ShapesDiffer(ArtifactStoreError, ValueError):
    """The arrays of two epochs cannot be stacked."""

    def __init__(
        self,
        analysis: str,
        name: str,
        epoch: int,
        found: tuple[int, ...],
        first: tuple[int, ...],
    ) -> None:
        super().__init__(analysis, name, epoch, found, first)
        self.analysis, self.name, self.epoch, self.found, self.first = (
            analysis,
            name,
            epoch,
            found,
            first,
        )

    def __str__(self) -> str:
        return (
            f"{self.analysis}: {self.name!r} of epoch {self.epoch} has shape {self.found}, that of the first epoch "
            f"{self.first}, so they are no series. Open them one by one."
        )


class CoordinatesDiffer(ArtifactStoreError, ValueError):
    """An axis has other coordinates at one epoch than at the first, so the epochs cannot be stacked."""

    def __init__(self, analysis: str, dim: str, epoch: int) -> None:
        super().__init__(analysis, dim, epoch)
        self.analysis, self.dim, self.epoch = analysis, dim, epoch

    def __str__(self) -> str:
        return (
            f"{self.analysis}: the coordinate {self.dim!r} of epoch {self.epoch} is not that of the first epoch, so "
            "one axis cannot stand for both. Return it under a name that is no dimension, or open them one by one."
        )


class RowsDiffer(ArtifactStoreError, ValueError):
    """A fold made a row of another form at one epoch than at the first, so they cannot be stacked."""

    def __init__(self, analysis: str, epoch: int, found: str, first: str) -> None:
        super().__init__(analysis, epoch, found, first)
        self.analysis, self.epoch, self.found, self.first = (
            analysis,
            epoch,
            found,
            first,
        )

    def __str__(self) -> str:
        return (
            f"{self.analysis}: the row of epoch {self.epoch} is {self.found}; that of the first epoch is {self.first}. "
            "Return arrays of the same names, shapes and dtypes for every checkpoint."
        )


class NotAnAnalysis(ArtifactStoreError, TypeError):
    """What was named or passed is no decorated function."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(name, problem)
        self.name, self.problem = name, problem

    def __str__(self) -> str:
        return f"{self.name} is not an analysis: {self.problem}. Name one as module:function, decorated with @analysis."


class ResultsDiffer(UserWarning):
    """Two computations of one call gave different results, so its function is not pure."""

    def __init__(
        self, key: str, location: str, kept: str, other: str, host: str, created: str
    ) -> None:
        super().__init__(key, location, kept, other, host, created)
        self.key, self.location, self.kept, self.other = key, location, kept, other
        self.host, self.created = host, created

    def __str__(self) -> str:
        return (
            f"{self.key} was computed twice, with different results: {self.location} holds {self.kept}, computed on "
            f"{self.host} at {self.created}, which is returned; the one computed here, {self.other}, is not kept. Its "
            "function depends on something that is in no key, such as a seed or the number of threads."
        )


class StoreInBucket(ArtifactStoreError, ValueError):
    """What looks into the files of a store was to look into one that is in a bucket."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.url = url

    def __str__(self) -> str:
        return (
            f"The store at {self.url} is in a bucket, and this looks into directories. Bring it into one with "
            f"`artifact-store pull DIRECTORY {self.url}`; `push`, `export`, `gc` and `doctor` take it as it is, and "
            "`run`, `status`, `plan` and `why` take a run that lies in a bucket."
        )


class InThisProcess(ArtifactStoreError, TypeError):
    """A store in the memory of one process was to be used by another."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.url = url

    def __str__(self) -> str:
        return (
            f"{self.url} is in the memory of this process, and no worker has it. Use threads or n_jobs=1, or a "
            "directory or bucket."
        )


class NotTwoStores(ArtifactStoreError, ValueError):
    """Entries were to be brought from one store to another, and there are not two plain ones."""

    def __init__(self, location: str, problem: str) -> None:
        super().__init__(location, problem)
        self.location, self.problem = location, problem

    def __str__(self) -> str:
        return f"{self.location} {self.problem}. Name two directories or URLs, each of one store."


class NoBundle(ArtifactStoreError, ValueError):
    """A file is no store in one file."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(path, problem)
        self.path, self.problem = path, problem

    def __str__(self) -> str:
        return f"{self.path} {self.problem}. Import a file that `artifact-store export` wrote."


class UnknownUrl(ArtifactStoreError, ValueError):
    """A URL of a kind that nothing here opens, or that says what it cannot mean."""

    def __init__(self, url: str, cause: str) -> None:
        super().__init__(url, cause)
        self.url, self.cause = url, cause

    def __str__(self) -> str:
        return (
            f"{self.url} cannot be opened ({self.cause}). Write s3://bucket/prefix, gs://bucket/prefix, "
            "az://account/container/prefix, memory://name, or the path of a directory."
        )


class BucketFailed(ArtifactStoreError, OSError):
    """What lies below a URL could not be read or written, although it was tried again."""

    def __init__(self, url: str, done: str, cause: str) -> None:
        super().__init__(url, done, cause)
        self.url, self.done, self.cause = url, done, cause

    def __str__(self) -> str:
        return (
            f"{self.url} could not be {self.done} ({self.cause}). Look whether the bucket is there and can be reached, "
            "and whether the credentials that the environment or the machine has are good for it; "
            "`artifact-store doctor`, with the URL of the store, tries all of it."
        )


class BucketForked(ArtifactStoreError, RuntimeError):
    """A forked process was to use the connections of its parent."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.url = url

    def __str__(self) -> str:
        return (
            f"{self.url} was opened before this process was forked, and its connections belong to the parent. Start "
            "workers with the method spawn or forkserver, as joblib and dask do."
        )


class MissingPackage(ArtifactStoreError, ImportError):
    """What a package offers needs another that is not installed."""

    def __init__(self, analysis: str, module: str, install: str) -> None:
        super().__init__(analysis, module, install)
        self.analysis, self.module, self.install = analysis, module, install

    def __str__(self) -> str:
        return f"{self.analysis} needs {self.module}, which is not installed: pip install {self.install!r}."


class NoSuchView(ArtifactStoreError, LookupError):
    """No installed package offers a view of this name."""

    def __init__(self, name: str, offered: tuple[str, ...]) -> None:
        super().__init__(name, offered)
        self.name, self.offered = name, offered

    def __str__(self) -> str:
        offered = ", ".join(self.offered) or "none; install artifact-store[analyses]"
        return f"There is no view {self.name!r}. Those that are offered: {offered}."


class NotAView(ArtifactStoreError, TypeError):
    """What a package offers as a view is none."""

    def __init__(self, name: str, place: str, found: str) -> None:
        super().__init__(name, place, found)
        self.name, self.place, self.found = name, place, found

    def __str__(self) -> str:
        return (
            f"{self.name} is offered as a view, but {self.place} is a {self.found}. Declare it with "
            "@view(argument=analysis), of artifact_store.views."
        )


class UnknownVisual(ArtifactStoreError, TypeError):
    """A view was given a visual parameter that it does not have."""

    def __init__(self, view: str, name: str, known: tuple[str, ...]) -> None:
        super().__init__(view, name, known)
        self.view, self.name, self.known = view, name, known

    def __str__(self) -> str:
        known = ", ".join(self.known) or "none"
        return f"{self.view} has no visual parameter {self.name!r}. It has: {known}."


class BadVisual(ArtifactStoreError, ValueError):
    """A visual parameter of a view has other values than the one given."""

    def __init__(self, view: str, name: str, given: str, expected: str) -> None:
        super().__init__(view, name, given, expected)
        self.view, self.name, self.given, self.expected = view, name, given, expected

    def __str__(self) -> str:
        return f"{self.view}: {self.name} is {self.given}. Give {self.expected}."


class NotOfARun(ArtifactStoreError, LookupError):
    """A checkpoint does not lie where a run keeps those of its epochs, so it is unknown what else to draw."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.path = path

    def __str__(self) -> str:
        return (
            f"{self.path} is not where a run keeps its checkpoints. Open the run with its pattern, and ask that: "
            "Run(directory, pattern).view(name, epoch=...)."
        )


class NothingToDraw(ArtifactStoreError, LookupError):
    """Artifacts that a view draws are not stored, or no longer up to date; nothing is drawn in their place."""

    def __init__(
        self, scene: str, run: str, states: tuple[tuple[str, str, tuple[str, ...]], ...]
    ) -> None:
        super().__init__(scene, run, states)
        self.scene, self.run, self.states = scene, run, states

    def __str__(self) -> str:
        why = [
            f"{analysis} is {state}" + (f" ({'; '.join(causes)})" if causes else "")
            for analysis, state, causes in self.states
        ]
        names = ",".join(analysis for analysis, _, _ in self.states)
        return (
            f"{self.scene} cannot be drawn: {', '.join(why)}. Compute it with .compute(), or for every epoch with "
            f"`artifact-store run {self.run} --analysis {names}`."
        )


class PipelineFailed(ArtifactStoreError):
    """Some artifacts of a run could not be made; `outcome` has those that could."""

    def __init__(
        self,
        run: str,
        failures: tuple[tuple[str, int | None, str], ...],
        outcome: object = None,
    ) -> None:
        super().__init__(run, failures, outcome)
        self.run, self.failures, self.outcome = run, failures, outcome

    def __str__(self) -> str:
        lines = [
            f"  {analysis}, {'whole run' if epoch is None else f'epoch {epoch}'}: {error}"
            for analysis, epoch, error in self.failures[:10]
        ]
        more = len(self.failures) - len(lines)
        lines += [f"  and {more} more"] if more else []
        return (
            f"{len(self.failures)} artifacts of {self.run} could not be made; all others are stored, and running it "
            "again computes only these:\n" + "\n".join(lines)
        )


class PipelineInterrupted(KeyboardInterrupt):
    """Somebody stopped a pipeline; `outcome` has what it had done, all of which is kept.

    No `ArtifactStoreError`: whoever goes on after errors must not go on after this.
    """

    def __init__(self, outcome: object, done: int, total: int) -> None:
        super().__init__(outcome, done, total)
        self.outcome, self.done, self.total = outcome, done, total

    def __str__(self) -> str:
        return (
            f"{self.outcome} of {self.total}. What is done is kept: the same again resumes, with the "
            f"{self.total - self.done} that are left."
        )


class MissingStore(ArtifactStoreError, FileNotFoundError):
    """There is no store where one was looked for."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(path, reason)
        self.path, self.reason = path, reason

    def __str__(self) -> str:
        return (
            f"{self.path} {self.reason}. Name a run that was analysed, one of its checkpoints, "
            "or the directory of a store."
        )


class NoSuchEntry(ArtifactStoreError, LookupError):
    """A store has no entry that goes by what was asked for."""

    def __init__(self, wanted: str, store: str) -> None:
        super().__init__(wanted, store)
        self.wanted, self.store = wanted, store

    def __str__(self) -> str:
        return (
            f"{self.store} has no entry {self.wanted!r}. Name one by the beginning of its key, by its door, "
            "or as ANALYSIS@LABEL; `artifact-store ls` lists them."
        )


class NotPinned(ArtifactStoreError, LookupError):
    """What is to be let go is not pinned."""

    def __init__(self, wanted: str, location: str) -> None:
        super().__init__(wanted, location)
        self.wanted, self.location = wanted, location

    def __str__(self) -> str:
        return (
            f"Nothing that is pinned in {self.location} goes by {self.wanted!r}. `artifact-store pin` lists what is: "
            "name it as ANALYSIS@LABEL, or by the beginning of its key."
        )


class NoSuchAnalysis(ArtifactStoreError, LookupError):
    """A store has no entry of an analysis of this name."""

    def __init__(self, name: str, location: str, known: tuple[str, ...]) -> None:
        super().__init__(name, location, known)
        self.name, self.location, self.known = name, location, known

    def __str__(self) -> str:
        there = ", ".join(self.known) or "none"
        return (
            f"{self.location} has no entry of {self.name!r}. Its analyses are: {there}."
        )


class AmbiguousEntry(ArtifactStoreError, LookupError):
    """Several entries go by what was asked for."""

    def __init__(self, wanted: str, found: tuple[str, ...]) -> None:
        super().__init__(wanted, found)
        self.wanted, self.found = wanted, found

    def __str__(self) -> str:
        more = f" and {len(self.found) - 5} more" if len(self.found) > 5 else ""
        return (
            f"{self.wanted!r} could be any of {len(self.found)} entries: {', '.join(self.found[:5])}{more}. "
            "Name one by more of its key."
        )


class WorkerDiffers(ArtifactStoreError):
    """A worker would run other code than the process that sent it the work."""

    def __init__(self, analysis: str, what: str) -> None:
        super().__init__(analysis, what)
        self.analysis, self.what = analysis, what

    def __str__(self) -> str:
        return (
            f"{self.analysis} reaches other code or constants in a worker than where the run was started: {self.what}. "
            "Something was edited, reloaded or set after the import, or the worker's host has another copy. Start "
            "the workers anew, with the same code, or run it with n_jobs=1."
        )


class WorkerLost(ArtifactStoreError):
    """A worker ended before it was done."""

    def __init__(self, what: str, how: str) -> None:
        super().__init__(what, how)
        self.what, self.how = what, how

    def __str__(self) -> str:
        return (
            f"The worker for {self.what} {self.how}. What it had kept is kept, and the rest of the run went on. If it "
            "was killed for its memory, use fewer workers, or a smaller batch; then run it again: what is done hits."
        )


class BadShard(ArtifactStoreError, ValueError):
    """There is no such part of the work."""

    def __init__(self, said: str) -> None:
        super().__init__(said)
        self.said = said

    def __str__(self) -> str:
        return f"{self.said} is no part of a run. Write i/n, with i from 1 to n: of eight jobs, the second does 2/8."


class ImpureRead(ArtifactStoreError, RuntimeError):
    """A strict analysis did, or reaches, what a pure function would not."""

    def __init__(self, act: str, place: str, advice: str) -> None:
        super().__init__(act, place, advice)
        self.act, self.place, self.advice = act, place, advice

    def __str__(self) -> str:
        where = f" at {self.place}" if self.place else ""
        return (
            f"A strict analysis {self.act}{where}, which its key does not tell: the same call could give another "
            f"result. {self.advice} If it decides nothing, @analysis(strict=False) only notes it in the manifest."
        )


class UndeclaredCall(ArtifactStoreError, RuntimeError):
    """An analysis called another one that its code does not show."""

    def __init__(self, analysis: str) -> None:
        super().__init__(analysis)
        self.analysis = analysis

    def __str__(self) -> str:
        return (
            f"An analysis called {self.analysis}, which cannot be seen from its code, so a change of {self.analysis} "
            "would go unnoticed. Name it in the decorator of the one that calls: "
            f"@analysis(depends_on=({self.analysis},))."
        )


class BadSetting(ArtifactStoreError, ValueError):
    """An environment variable says what it cannot mean."""

    def __init__(self, variable: str, value: str, problem: str, advice: str) -> None:
        super().__init__(variable, value, problem, advice)
        self.variable, self.value, self.problem, self.advice = (
            variable,
            value,
            problem,
            advice,
        )

    def __str__(self) -> str:
        return f"{self.variable}={self.value!r}: {self.problem}. {self.advice}"


class OutsideClosure(ArtifactStoreError, RuntimeError):
    """An audited analysis entered a first-party function that its closure does not have."""

    def __init__(self, analysis: str, function: str, where: str) -> None:
        super().__init__(analysis, function, where)
        self.analysis, self.function, self.where = analysis, function, where

    def __str__(self) -> str:
        helper = self.function.partition(".<locals>")[0]
        return (
            f"{self.analysis} ran {self.function} ({self.where}), which is not in its closure: an edit there would go "
            f"unnoticed. Declare it: @analysis(depends_on=({helper},))."
        )


class NothingToBless(ArtifactStoreError, LookupError):
    """No entry of an analysis was made by other code than it has now."""

    def __init__(self, analysis: str, entries: int) -> None:
        super().__init__(analysis, entries)
        self.analysis, self.entries = analysis, entries

    def __str__(self) -> str:
        of_now = (
            f"all {self.entries} entries in this store are of the code that it has now"
        )
        found = of_now if self.entries else "this store has no entry of it"
        return (
            f"{self.analysis}: {found}, so there is nothing to bless. To bless an edit, compute before it and bless "
            "after."
        )


class NoStamp(ArtifactStoreError, LookupError):
    """A file does not say what it was drawn from."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path

    def __str__(self) -> str:
        return (
            f"{self.path} does not say what it was drawn from: no view exported it as SVG, PNG or HTML, or a program "
            "that saved it again left that out."
        )


class BadStamp(ArtifactStoreError, ValueError):
    """What a picture says of itself cannot be believed, or no picture can be made to say it."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(path, problem)
        self.path, self.problem = path, problem

    def __str__(self) -> str:
        return f"{self.path} {self.problem}. Export the picture again."


class StampTooLarge(ArtifactStoreError, ValueError):
    """What a picture would say of itself is more than anybody reads."""

    def __init__(self, nbytes: int, most: int) -> None:
        super().__init__(nbytes, most)
        self.nbytes, self.most = nbytes, most

    def __str__(self) -> str:
        return (
            f"The picture would have a stamp of {self.nbytes} bytes, and none of more than {self.most} is read. "
            "Draw it from fewer artifacts: of a whole training, keep one analysis of the run, with @fold."
        )


class UnknownPicture(ArtifactStoreError, ValueError):
    """A picture was to be written in a format that there is not."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.path = path

    def __str__(self) -> str:
        return f"{self.path} names no format of a picture. Let it end in .svg, .png or .html."


class NoBrowser(ArtifactStoreError, RuntimeError):
    """A picture needs a browser to draw it, and there is none."""

    def __init__(self, named: str | None, missing: str) -> None:
        super().__init__(named, missing)
        self.named, self.missing = named, missing

    def __str__(self) -> str:
        where = f" BROWSER_PATH names {self.named}, which is no file." if self.named else ""  # fmt: skip
        return f"SVG and PNG are drawn by a browser.{where} {self.missing}, or export .html."


class BrowserFailed(ArtifactStoreError, RuntimeError):
    """The browser did not draw a picture."""

    def __init__(self, browser: str, problem: str) -> None:
        super().__init__(browser, problem)
        self.browser, self.problem = browser, problem

    def __str__(self) -> str:
        return (
            f"{self.browser} did not draw the picture: {self.problem}. Try it again; BROWSER_PATH names another "
            "Chrome or Chromium; .html is exported without one."
        )
