"""Safetensors headers: where every tensor of a file lies.

Read before anything of the file is used, and believed only as a whole: a header
that passes here describes every byte of its file exactly once.

    8 bytes           length of the header, little endian
    header            JSON, from name to dtype, shape and offsets into the data
    data              the tensors end to end, without holes
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import TypeAlias

import msgspec

from artifact_store.errors import (
    DuplicateName,
    EmptyCheckpoint,
    EscapingShard,
    GapBetweenTensors,
    HeaderTooLarge,
    ImpossibleShape,
    InconsistentSize,
    MalformedCheckpoint,
    MalformedHeader,
    MalformedIndex,
    NotSafetensors,
    OffsetsOutOfRange,
    OverlappingTensors,
    TrailingBytes,
    TruncatedCheckpoint,
    UnknownDtype,
)

DTYPE_BITS: Mapping[str, int] = MappingProxyType(
    {
        dtype: bits
        for bits, dtypes in {
            4: "F4",
            6: "F6_E2M3 F6_E3M2",
            8: "BOOL U8 I8 F8_E4M3 F8_E4M3FNUZ F8_E5M2 F8_E5M2FNUZ F8_E8M0",
            16: "U16 I16 F16 BF16",
            32: "U32 I32 F32",
            64: "U64 I64 F64 C64",
        }.items()
        for dtype in dtypes.split()
    }
)

# The format's own limit, for headers; indexes, which hold less, are held to it too.
MAX_HEADER_BYTES = 100_000_000

# Beyond either, numpy cannot describe the array, even one without elements.
MAX_DIMENSIONS = 64
MAX_BYTES = 2**63 - 1


class Span(msgspec.Struct, frozen=True):
    """What one tensor is and which bytes of its file hold it, from `start` up to `stop`."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int

    @property
    def nbytes(self) -> int:
        return self.stop - self.start


class Header(msgspec.Struct, frozen=True):
    """The tensors of one file, in the order of their bytes, and its free text."""

    tensors: Mapping[str, Span]
    metadata: Mapping[str, str]


# So many bytes of a file, from an offset on, or as many as there are.
Read: TypeAlias = Callable[[int, int], bytes]


def read_header(read: Read, size: int, path: Path) -> Header:
    """The validated header of a file of `size` bytes; `path` is for messages."""
    prefix = read(9, 0)
    length = int.from_bytes(prefix[:8], "little")
    if size == 0:
        raise EmptyCheckpoint(path, "the file is empty")
    if size < 8:
        raise TruncatedCheckpoint(
            path,
            f"the file ends after {size} of the 8 bytes that give the header's length",
        )
    if prefix[8:] not in (b"{", b""):
        raise NotSafetensors(
            path, f"the header begins with {prefix[8:]!r}, where safetensors has b'{{'"
        )
    if length > MAX_HEADER_BYTES:
        raise HeaderTooLarge(
            path,
            f"the header claims {length} bytes, more than the {MAX_HEADER_BYTES} allowed",
        )
    if 8 + length > size:
        raise TruncatedCheckpoint(
            path, f"the header claims {length} bytes, but only {size - 8} follow"
        )

    fields = _json_object(read(length, 8), path, MalformedHeader)
    metadata = _metadata(fields.pop("__metadata__", {}), path)
    spans = {
        name: _span(name, field, 8 + length, path) for name, field in fields.items()
    }
    tensors = dict(
        sorted(spans.items(), key=lambda item: (item[1].start, item[1].stop))
    )
    _check_tiling(tensors, 8 + length, size, path)
    return Header(MappingProxyType(tensors), metadata)


def read_index(read: Read, size: int, path: Path) -> Mapping[str, str]:
    """The validated index in a file of `size` bytes: from each tensor to the relative path of its shard."""
    if size > MAX_HEADER_BYTES:
        raise HeaderTooLarge(
            path,
            f"the index has {size} bytes, more than the {MAX_HEADER_BYTES} allowed",
        )
    shards = _json_object(read(size, 0), path, MalformedIndex).get("weight_map")
    if not isinstance(shards, dict):
        raise MalformedIndex(path, "it has no object 'weight_map' from tensor to shard")
    for name, shard in shards.items():
        if not isinstance(shard, str) or not shard:
            raise MalformedIndex(
                path,
                f"tensor {_brief(name)} is placed in {_brief(shard)}, which names no shard",
            )
        relative = PurePosixPath(shard)
        if relative.is_absolute() or ".." in relative.parts:
            raise EscapingShard(
                path,
                f"tensor {_brief(name)} is placed in {_brief(shard)}, outside {path.parent}",
            )
    return MappingProxyType(shards)


def _json_object(
    text: bytes, path: Path, malformed: type[MalformedCheckpoint]
) -> dict[str, object]:
    import json  # of its weight, see `versions`

    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        for words in pairs:
            for word in words:
                if isinstance(word, str):
                    word.encode()  # JSON can spell half a surrogate pair, which is no text.
        fields = dict(pairs)
        if len(fields) < len(pairs):
            [(name, times)] = Counter(name for name, _ in pairs).most_common(1)
            raise DuplicateName(
                path,
                f"the name {_brief(name)} stands {times} times in one object of the JSON",
            )
        return fields

    try:
        found = json.loads(text.decode(), object_pairs_hook=unique)
    except MalformedCheckpoint:
        raise
    except RecursionError:
        raise malformed(path, "its JSON is nested too deeply") from None
    # That is no UTF-8, no JSON, or an integer of thousands of digits.
    except ValueError as error:
        raise malformed(path, f"its JSON cannot be read ({error})") from error
    if not isinstance(found, dict):
        raise malformed(path, f"its JSON is {_brief(found)}, not an object")
    return found


def _metadata(field: object, path: Path) -> Mapping[str, str]:
    if not isinstance(field, dict) or not all(
        isinstance(value, str) for value in field.values()
    ):
        raise MalformedHeader(
            path, f"'__metadata__' is {_brief(field)}, not an object from text to text"
        )
    return MappingProxyType(field)


def _span(name: str, field: object, data: int, path: Path) -> Span:
    match field:
        case {
            "dtype": str(dtype),
            "shape": list(shape),
            "data_offsets": [begin, end],
            **rest,
        } if not rest:
            pass
        case _:
            raise MalformedHeader(
                path,
                f"tensor {_brief(name)} is {_brief(field)}, not its dtype, shape and data_offsets",
            )
    # Not isinstance: to JSON, unlike Python, true is no integer.
    if not all(type(number) is int for number in (*shape, begin, end)):
        raise MalformedHeader(
            path,
            f"tensor {_brief(name)} has shape or offsets that are not integers: {_brief(field)}",
        )

    if dtype not in DTYPE_BITS:
        raise UnknownDtype(path, f"tensor {_brief(name)} has dtype {_brief(dtype)}")
    # Bounded one by one before they are multiplied, so that no product grows huge.
    if len(shape) > MAX_DIMENSIONS or not all(
        0 <= length <= MAX_BYTES for length in shape
    ):
        raise ImpossibleShape(path, f"tensor {_brief(name)} has shape {_brief(shape)}")
    # Numpy, too, takes an empty axis for one element when it asks whether an array is too large.
    if math.prod(length or 1 for length in shape) * DTYPE_BITS[dtype] > 8 * MAX_BYTES:
        raise ImpossibleShape(
            path,
            f"tensor {_brief(name)} of shape {_brief(shape)} has more bytes than can be counted",
        )
    if not 0 <= begin <= end <= MAX_BYTES:
        raise OffsetsOutOfRange(
            path,
            f"tensor {_brief(name)} lies from byte {_brief(begin)} to {_brief(end)} of the data",
        )
    bits = math.prod(shape) * DTYPE_BITS[dtype]
    if bits != 8 * (end - begin):
        needed = (
            f"{bits // 8} bytes"
            if bits % 8 == 0
            else f"{bits} bits, which is no whole number of bytes"
        )
        raise InconsistentSize(
            path,
            f"tensor {_brief(name)}, {dtype} of shape {shape}, needs {needed}, but has {end - begin}",
        )
    return Span(dtype, tuple(shape), data + begin, data + end)


def _check_tiling(
    tensors: Mapping[str, Span], data: int, size: int, path: Path
) -> None:
    """Raise unless `tensors`, in order, cover the file from `data` to `size` once and wholly."""
    covered, last = data, ""
    for name, span in tensors.items():
        if span.start < covered:
            raise OverlappingTensors(
                path,
                f"tensor {_brief(name)} begins {covered - span.start} bytes inside {_named(last)}",
            )
        if span.start > covered:
            raise GapBetweenTensors(
                path,
                f"{span.start - covered} bytes between {_named(last)} and {_brief(name)} have no tensor",
            )
        covered, last = span.stop, name
    if covered > size:
        raise TruncatedCheckpoint(
            path, f"the tensors end at byte {covered}, but the file at {size}"
        )
    if covered < size:
        raise TrailingBytes(
            path, f"the {size - covered} bytes after {_named(last)} belong to no tensor"
        )


def _named(name: str) -> str:
    return _brief(name) if name else "the header"


def _brief(found: object) -> str:
    """`found` in a message: as written, unless that would drown the message or is refused by Python."""
    try:
        text = repr(found)
    except (RecursionError, ValueError):
        return f"a huge {type(found).__name__}"
    return text if len(text) <= 80 else f"{text[:77]}..."
