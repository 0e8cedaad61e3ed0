"""Array sets: what an analysis returned, in the one form that is digested and stored.

    arrays, dims ──► *normalize* ──► *ArraySet* ─┬─► *digest_arrays* ──► output digest
                                                 └─► arrays.py ──► files

Whatever cannot be kept exactly, or could not be opened by xarray, is refused here
and trusted from here on.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from artifact_store.digests import Digest, Hasher
from artifact_store.errors import (
    BadDims,
    DimLengthsDiffer,
    DimsMismatch,
    UnstorableArray,
)
from artifact_store.shards import DTYPES, AnyArray, check_name

Dims: TypeAlias = Mapping[str, tuple[str, ...]]

UNDECLARED: Final[Dims] = MappingProxyType({})


class LabelledArray(msgspec.Struct, frozen=True):
    """An array as it will be stored: little-endian, in C order, every axis named."""

    name: str
    values: AnyArray
    dims: tuple[str, ...]


class ArraySet(msgspec.Struct, frozen=True):
    """What `normalize` made sure can be stored together, sorted by name."""

    arrays: tuple[LabelledArray, ...]


def normalize(arrays: Mapping[str, npt.ArrayLike], dims: Dims = UNDECLARED) -> ArraySet:
    """Bring `arrays` into the one form that is digested and written, or refuse.

    Parameters
    ----------
    dims
        The dimensions of some of the arrays, one name per axis. An array without
        any gets them: a 1-D array named like a declared dimension is its
        coordinate; of any other, axis 0 is `<name>_0`, and so on.
    """
    for name in arrays:
        check_name(name)
    values = {name: _canonical(name, arrays[name]) for name in sorted(arrays)}
    for name in dims:
        _check_declared(name, dims[name], values)
    complete = _complete(dims, values)
    _check_lengths(complete, values)
    labelled = (LabelledArray(name, values[name], complete[name]) for name in values)
    return ArraySet(tuple(labelled))


def _canonical(name: str, value: npt.ArrayLike) -> AnyArray:
    refuse_masks(name, value)
    array = np.asarray(value)
    check_dtype(name, array.dtype)
    # Swapping bytes and copying never touch bits: NaN payloads and -0.0 survive.
    return np.asarray(array, dtype=array.dtype.newbyteorder("<").str, order="C")


def refuse_masks(name: str, value: object) -> None:
    """Raise `UnstorableArray` of a masked array, and of a list that holds one: numpy would drop the mask."""
    if isinstance(value, np.ma.MaskedArray):
        advice = "Fill it, and return its mask as an array of its own."
        raise UnstorableArray(name, "a masked array", advice)
    if isinstance(value, list | tuple):
        # Of numbers there may be millions.
        if not all(issubclass(kind, _NUMBERS) for kind in set(map(type, value))):
            for one in value:
                refuse_masks(name, one)


_NUMBERS: Final = (bool, int, float, complex, np.generic)


def check_dtype(name: str, dtype: np.dtype[Any]) -> None:
    """Raise `UnstorableArray` unless arrays of this dtype are stored, in whatever order their bytes are."""
    if dtype.name not in DTYPES.values():
        advice = _ADVICE.get(dtype.kind, "Cast it.")
        raise UnstorableArray(name, f"of dtype {dtype}", advice)


_ADVICE: Final[Mapping[str, str]] = {
    "O": "Return each number, or array of one dtype, under its own name.",
    "S": "Return its bytes with .view('uint8'), or numbers that stand for the words.",
    "T": "Return numbers that stand for the words.",
    "U": "Return numbers that stand for the words.",
    "M": "Return .view('int64'), with its unit in the array's name.",
    "m": "Return .view('int64'), with its unit in the array's name.",
    "V": "Return each field as an array; cast small floats such as bfloat16 to float32, which is exact.",
    "f": "Cast it to float64.",
    "c": "Cast it to complex128.",
}


def _check_declared(
    name: str, dims: tuple[str, ...], values: Mapping[str, AnyArray]
) -> None:
    if name not in values:
        known = ", ".join(map(repr, values)) or "none"
        raise BadDims(name, dims, f"there is no such array, only {known}")
    if isinstance(dims, str):
        raise BadDims(name, dims, f"one dimension is declared as ({dims!r},)")
    if len(dims) != values[name].ndim:
        raise DimsMismatch(name, values[name].shape, tuple(dims))
    if not all(isinstance(dim, str) and dim for dim in dims):
        raise BadDims(name, dims, "a dimension's name is a string, and not empty")
    if len(set(dims)) < len(dims):
        raise BadDims(name, dims, "two axes of one array cannot have one name")


def _complete(dims: Dims, values: Mapping[str, AnyArray]) -> dict[str, tuple[str, ...]]:
    """The dimensions of every array, declared or not."""
    declared = {dim for names in dims.values() for dim in names}
    taken = declared | values.keys()

    def invent(dim: str) -> str:
        while dim in taken:
            dim += "_"
        taken.add(dim)
        return dim

    complete = {}
    for name, array in values.items():
        if name in dims:
            complete[name] = tuple(dims[name])
        elif name in declared and array.ndim == 1:
            complete[name] = (name,)
        else:
            complete[name] = tuple(
                invent(f"{name}_{axis}") for axis in range(array.ndim)
            )
        if name in declared and complete[name] != (name,):
            problem = "an array named like a dimension is its coordinate, 1-D along it"
            raise BadDims(name, complete[name], problem)
    return complete


def _check_lengths(dims: Dims, values: Mapping[str, AnyArray]) -> None:
    lengths: dict[str, dict[str, int]] = {}
    for name, array in values.items():
        for dim, length in zip(dims[name], array.shape, strict=True):
            lengths.setdefault(dim, {})[name] = length
    for dim, found in lengths.items():
        if len(set(found.values())) > 1:
            raise DimLengthsDiffer(dim, found)


def digest_arrays(arrays: ArraySet) -> Digest:
    """The output digest: of names, dtypes, shapes, dimensions and bytes."""
    hasher = Hasher("arrays")
    for array in arrays.arrays:
        name, values, dims = array.name, array.values, array.dims
        dtype, shape = values.dtype.str, values.shape
        announce(hasher, name, dtype, shape, dims, values.nbytes)
        hasher.feed(bytes_of(values))
    return hasher.digest()


def announce(
    hasher: Hasher,
    name: str,
    dtype: str,
    shape: tuple[int, ...],
    dims: tuple[str, ...],
    nbytes: int,
) -> None:
    """Begin an array whose bytes follow; `shape` tells how many dimensions to expect."""
    hasher.part(name.encode())
    hasher.part(dtype.encode())
    hasher.part(struct.pack(f"<{len(shape)}Q", *shape))
    for dim in dims:
        hasher.part(dim.encode())
    hasher.announce(nbytes)


def bytes_of(values: AnyArray) -> memoryview:
    """The memory of a C-ordered array, not copied; of any shape, even () and (0, 3)."""
    return values.reshape(-1).view(np.uint8).data
