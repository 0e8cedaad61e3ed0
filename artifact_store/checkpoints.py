"""Checkpoints: tensors known by what they hold.

Where the first road to a key begins: a path becomes a `Checkpoint`, each of its
tensors has a digest, and its root stands for all of them.

    path ──► headers ──► tensors, each read when asked for
         └─► digests ──► root

Path, epoch and metadata are labels; none decides a digest.
"""

from __future__ import annotations

import heapq
import os
import re
import stat
import time
from collections.abc import Iterable, Iterator, KeysView, Mapping, Set
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from artifact_store.digests import Digest, Hasher, digest_of
from artifact_store.errors import (
    CheckpointChanged,
    MissingCheckpoint,
    MissingShard,
    MissingTensor,
    NotANumpyDtype,
    NotATorchDtype,
    TensorInTwoShards,
    TensorNotInIndex,
    TensorNotInShard,
)
from artifact_store.files import (
    Content,
    Signature,
    Signatures,
    Source,
    feed,
    fill,
    is_racy,
    new_block,
    reader,
    reading,
    reopen,
)
from artifact_store.markup import dim, folded, table, title_of, whole
from artifact_store.quantities import size
from artifact_store.reads import ABSENT, Question, answer_of
from artifact_store.recent import Recent, cached_property
from artifact_store.registry import Seen, view_named
from artifact_store.remote_files import remote_file, remote_names
from artifact_store.safetensors_headers import Header, Span, read_header, read_index
from artifact_store.urls import UrlPath, as_path, is_url, located
from artifact_store.workers import cores, worker

if TYPE_CHECKING:
    import torch

INDEX_SUFFIX = ".safetensors.index.json"

# From here on, several threads digest a file: it takes longer than starting them.
PARALLEL_BYTES: Final = 8 << 20

# What every checkpoint of a run is called where each has a directory of its own.
UNTELLING = frozenset({"model.safetensors", "checkpoint.safetensors"})

NUMPY_DTYPES: Mapping[str, np.dtype[Any]] = MappingProxyType(
    {
        "BOOL": np.dtype("?"),
        **{
            f"{kind}{8 * size}": np.dtype(f"<{kind.lower()}{size}")
            for kind in "IU"
            for size in (1, 2, 4, 8)
        },
        **{f"F{8 * size}": np.dtype(f"<f{size}") for size in (2, 4, 8)},
        "C64": np.dtype("<c8"),
    }
)

TORCH_DTYPES: Mapping[str, str] = MappingProxyType(
    {
        **{name: dtype.name for name, dtype in NUMPY_DTYPES.items()},
        "BF16": "bfloat16",
        "F8_E4M3": "float8_e4m3fn",
        "F8_E4M3FNUZ": "float8_e4m3fnuz",
        "F8_E5M2": "float8_e5m2",
        "F8_E5M2FNUZ": "float8_e5m2fnuz",
        "F8_E8M0": "float8_e8m0fnu",
        "F4": "float4_e2m1fn_x2",
    }
)


class Checkpoint(Content):
    """The tensors of one safetensors file or of its shards, read when asked for.

    Opening reads and checks the headers only. `checkpoint[name]` gives a
    read-only array, `checkpoint.tensor(name)` a torch tensor; both are copies,
    and both raise `CheckpointChanged` once the file is another than was opened.

    Parameters
    ----------
    path
        A safetensors file, a `*.safetensors.index.json` beside its shards, or a
        directory that holds exactly one of these.
    """

    _changed = CheckpointChanged

    def __init__(self, path: str | os.PathLike[str]) -> None:
        given = located(path)
        main = _main_file(given)
        if main.name.endswith(INDEX_SUFFIX):
            files, headers = _open_shards(main)
            label = main.parent.name
        else:
            signature, header = _open_file(main, MissingCheckpoint)
            files, headers = {main: signature}, {main: header}
            is_telling = main == given and main.name not in UNTELLING
            label = main.stem if is_telling else main.parent.name
        super().__init__(given, label, files)
        self._headers = headers
        held = {
            name: (file, span)
            for file, header in headers.items()
            for name, span in header.tensors.items()
        }
        self._spans = {name: held[name] for name in sorted(held)}

    def view(self, name: str, /, **visuals: Any) -> Seen:
        """A figure of its run at its epoch, as `Run.view`."""
        return view_named(name).of_checkpoint(self, visuals)

    @property
    def epoch(self) -> int | None:
        """The epoch in the name of the file, or of the directory of shards, if it has one."""
        found = re.search(r"epoch_([0-9]+)", self._label)
        return int(found[1]) if found else None

    @property
    def metadata(self) -> Mapping[str, str]:
        """Free text that the writer left in the header; it decides nothing."""
        return MappingProxyType(
            {
                key: value
                for header in self._headers.values()
                for key, value in header.metadata.items()
            }
        )

    @cached_property
    def root(self) -> Digest:
        """Digest of all tensors: equal for equal tensors, however they are ordered, sharded or called on disk."""
        return digest_of("checkpoint", *map(bytes, self.digests.values()))

    def digest(self, name: str) -> Digest:
        """Digest of one tensor: its name, dtype, shape and bytes."""
        self._span(name)
        return self.digests[name]

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor, as the header has it."""
        return self._span(name)[1].shape

    def dtype(self, name: str) -> str:
        """Dtype of a tensor as safetensors spells it, such as `F32`."""
        return self._span(name)[1].dtype

    def keys(self) -> KeysView[str]:
        """The names of the tensors, sorted."""
        return self._spans.keys()

    def __len__(self) -> int:
        return len(self._spans)

    def __iter__(self) -> Iterator[str]:
        return iter(self._spans)

    def __contains__(self, name: object) -> bool:
        return name in self._spans

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        dtype = NUMPY_DTYPES.get(self.dtype(name))
        if dtype is None:
            raise NotANumpyDtype(self._path, name, self.dtype(name))
        content = self._read_bytes(name)
        content.flags.writeable = False
        return content.view(dtype).reshape(self.shape(name))

    def tensor(self, name: str) -> torch.Tensor:
        """One tensor as torch has it, on the CPU; the caller may write to it."""
        # Here and not above for its weight: importing artifact_store must not take seconds.
        import torch

        dtype, shape = self.dtype(name), self.shape(name)
        known = getattr(torch, TORCH_DTYPES.get(dtype, ""), None)
        if dtype == "F4":
            # Torch counts pairs of 4-bit numbers, the header single ones.
            *rows, row = shape
            known, shape = (None if row % 2 else known), (*rows, row // 2)
        if known is None:
            raise NotATorchDtype(self._path, name, dtype, self.shape(name))
        return torch.from_numpy(self._read_bytes(name)).view(known).reshape(shape)

    def answer(self, question: Question) -> str:
        """What a computation is told that asks this."""
        name = question.name
        match question.kind:
            case "tensor" | "shape" | "dtype" if name not in self:
                return ABSENT
            case "tensor":
                return self.digests[name].hex
            case "shape":
                return str(self.shape(name))
            case "dtype":
                return self.dtype(name)
            case "has":
                return str(name in self)
            case "names":
                return answer_of(list(self))
            case "metadata":
                return answer_of(dict(self.metadata))
            case "label":
                return answer_of(str(getattr(self, name)))
            case _:
                return self.root.hex

    def __dask_tokenize__(self) -> Any:
        # All that a function may be told of it, but for where it lies.
        told = self.label, dict(self.metadata)
        return "artifact_store.Checkpoint", self.root.hex, *told

    def __repr__(self) -> str:
        return f"Checkpoint({self._label}, {len(self)} tensors)"

    def _repr_html_(self) -> str:
        rows = [
            (name, span.dtype, " × ".join(map(str, span.shape)) or "scalar")
            for name, (_, span) in self._spans.items()
        ]
        weight = size(sum(span.nbytes for _, span in self._spans.values()))
        tensors = table(["tensor", "dtype", "shape"], rows)
        return whole(title_of(repr(self), dim(weight)), folded("tensors", tensors))

    def __reduce__(self) -> tuple[Any, ...]:
        return reopen, (open_checkpoint, str(self._path), self.signature)

    def is_one_file_at(self, path: str) -> bool:
        """Whether it is in the file at `path`, which has not changed; `OSError` if there is none."""
        found = os.stat(path)
        then = self.signature[0]
        return (
            found.st_mtime_ns == then.mtime_ns
            and found.st_ctime_ns == then.ctime_ns
            and found.st_size == then.size
            and found.st_ino == then.inode
            and len(self.signature) == 1
        )

    def is_as_listed(self) -> bool:
        """Whether its files, which are in a bucket, are what they were."""
        found = [remote_file(file) for file in self._files if isinstance(file, UrlPath)]
        tags = [None if one is None else one.tag for one in found]
        return tags == [one.tag for one in self.signature]

    def _parts(self) -> Set[str]:
        return self.keys()

    def _span(self, name: str) -> tuple[Path, Span]:
        if name not in self._spans:
            from difflib import get_close_matches

            raise MissingTensor(
                self._path, name, tuple(get_close_matches(str(name), self))
            )
        return self._spans[name]

    def _read_bytes(self, name: str) -> npt.NDArray[np.uint8]:
        file, span = self._span(name)
        # Read, not mapped: cutting a mapped file short would kill the process.
        content = np.empty(span.nbytes, np.uint8)
        with self._open(file) as descriptor:
            fill(content.data, descriptor, span.start)
        if self._is_racy and self._digests is not None:
            # The signature may be that of another content, and its digest is in keys by now.
            hasher = _hasher(name, span)
            hasher.announce(span.nbytes)
            hasher.feed(content.data)
            if hasher.digest() != self._digests[name]:
                raise CheckpointChanged(file, "was written")
        return content

    def _read_digests(self) -> Iterator[tuple[str, Digest]]:
        for file, header in self._headers.items():
            with self._open(file) as descriptor:
                tensors = header.tensors.items()
                read = partial(_digests_of, descriptor)
                if self._files[file].size < PARALLEL_BYTES:
                    yield from read(tensors)
                    continue
                # Reading and digesting both let other threads run.
                with worker() as work:
                    shares = _shared_out(tensors, cores())
                    for digests in [work(partial(read, share)) for share in shares]:
                        yield from digests()


def _digests_of(
    descriptor: Source, tensors: Iterable[tuple[str, Span]]
) -> list[tuple[str, Digest]]:
    block, digests = new_block(descriptor), []
    for name, span in tensors:
        hasher = _hasher(name, span)
        feed(hasher, block, descriptor, span.start, span.stop)
        digests.append((name, hasher.digest()))
    return digests


def _hasher(name: str, span: Span) -> Hasher:
    """What makes the digest of a tensor, and still has to be fed its bytes."""
    shape = ",".join(map(str, span.shape))
    return Hasher("tensor", name.encode(), span.dtype.encode(), shape.encode())


def _shared_out(
    tensors: Iterable[tuple[str, Span]], workers: int
) -> list[list[tuple[str, Span]]]:
    """Tensors in as many groups as there are workers, of about the same number of bytes."""
    shares = [(0, number, list[tuple[str, Span]]()) for number in range(workers)]
    for name, span in sorted(tensors, key=lambda one: one[1].nbytes, reverse=True):
        nbytes, number, share = heapq.heappop(shares)
        share.append((name, span))
        heapq.heappush(shares, (nbytes + span.nbytes, number, share))
    return [share for _, _, share in shares]


def open_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """The checkpoint at `path`: the same object, hence the same digests, while its files are unchanged."""
    where = os.fspath(path)
    if not where.startswith("/"):
        if is_url(where):
            return _open_remote(where)
        where = os.path.join(os.getcwd(), as_path(where))
    known = _opened.get(where)
    try:
        if known is not None and known.is_one_file_at(where):
            return known
        signature = _signature_of(where)
    except (OSError, ValueError):
        return Checkpoint(where)  # It knows how to say what is amiss.
    if known is not None and known.signature == signature:
        return known
    # What cannot be told from its successor is opened anew each time, so that no racy digest is ever shared.
    if is_racy(signature, time.time_ns()):
        return Checkpoint(where)
    checkpoint = reopen(Checkpoint, where, signature)
    _opened.put(where, checkpoint)
    return checkpoint


def _open_remote(url: str) -> Checkpoint:
    """The checkpoint at a URL, likewise: whether it is unchanged takes a request for each of its files."""
    known = _opened.get(url)
    if known is None or not known.is_as_listed():
        known = Checkpoint(url)
        _opened.put(url, known)
    return known


# As many as a long run has checkpoints; each holds a header and its digests, about 10 kB.
_opened: Recent[str, Checkpoint] = Recent(1024)


def _signature_of(path: str) -> Signatures:
    """The signature that a checkpoint opened at `path` would have."""
    status = os.stat(path)
    if stat.S_ISREG(status.st_mode) and not path.endswith(INDEX_SUFFIX):
        return (Signature.of(status),)
    main = _main_file(Path(path))
    files = {main}
    if main.name.endswith(INDEX_SUFFIX):
        files |= {main.parent / shard for shard in _open_index(main)[1].values()}
    return tuple(Signature.of(os.stat(file)) for file in sorted(files))


def _main_file(path: Path) -> Path:
    """The file to begin with: `path` itself, or the one checkpoint in a directory."""
    if isinstance(path, UrlPath):
        if path.name.endswith((".safetensors", INDEX_SUFFIX)):
            return path
        names = remote_names(path)
    elif not os.path.isdir(path):
        return path
    else:
        names = sorted(os.listdir(path))
    for suffix in (INDEX_SUFFIX, ".safetensors"):
        found = [name for name in names if name.endswith(suffix)]
        if len(found) == 1:
            return path / found[0]
        if found:
            raise MissingCheckpoint(
                path,
                f"holds {len(found)} files *{suffix}, such as {found[0]} and {found[1]}",
            )
    raise MissingCheckpoint(path, "is a directory without a safetensors file")


def _open_file(
    file: Path, absent: type[MissingCheckpoint | MissingShard]
) -> tuple[Signature, Header]:
    with reading(file, absent, CheckpointChanged) as (descriptor, signature):
        return signature, read_header(reader(descriptor), signature.size, file)


def _open_index(index: Path) -> tuple[Signature, Mapping[str, str]]:
    with reading(index, MissingCheckpoint, CheckpointChanged) as (
        descriptor,
        signature,
    ):
        return signature, read_index(reader(descriptor), signature.size, index)


def _open_shards(index: Path) -> tuple[dict[Path, Signature], dict[Path, Header]]:
    """The files and headers of a sharded checkpoint, which agree with its index."""
    files, headers = dict[Path, Signature](), dict[Path, Header]()
    files[index], placed = _open_index(index)
    for shard in sorted({index.parent / shard for shard in placed.values()}):
        files[shard], headers[shard] = _open_file(shard, MissingShard)

    holder: dict[str, Path] = {}
    for shard, header in headers.items():
        for name in header.tensors:
            if name in holder:
                raise TensorInTwoShards(
                    index, f"tensor {name!r} is both in {holder[name]} and in {shard}"
                )
            if name not in placed:
                raise TensorNotInIndex(
                    index, f"tensor {name!r} is in {shard}, but not in the index"
                )
            holder[name] = shard
    for name, relative in placed.items():
        if holder.get(name) != index.parent / relative:
            raise TensorNotInShard(
                index,
                f"tensor {name!r} is said to be in {relative}, which does not hold it",
            )
    return files, headers
