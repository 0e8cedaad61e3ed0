"""Arrays that are made block by block, as they may be larger than memory.

    blocks ──► file without a name ──► *array*, mapped

The file is on the disk of the store, and goes with the array, whoever dies. What comes after deals with an array
like any other: it is digested, written and returned.
"""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from artifact_store.arraysets import bytes_of, check_dtype
from artifact_store.descriptors import map_array, write_all
from artifact_store.errors import BlocksDiffer, NoRoomForBlocks
from artifact_store.purity import unwatched
from artifact_store.shards import AnyArray, is_countable


class Blocks(msgspec.Struct, frozen=True):
    """An array that an analysis returns without ever having the whole of it.

    Parameters
    ----------
    shape
        Of the whole array, which has one axis at least.
    dtype
        Of every block.
    blocks
        Consecutive rows, as many in each block as it likes: a generator, for instance, that reads the checkpoint as
        it goes along. They are asked for once, as part of the computation.
    """

    shape: tuple[int, ...]
    dtype: npt.DTypeLike
    blocks: Iterable[Any]


def gathered(
    name: str, made: Blocks, as_array: Callable[[Any], AnyArray], store: str | None
) -> AnyArray:
    """The whole array, read-only, mapped from a file that nobody else sees.

    Parameters
    ----------
    as_array
        Makes an array of one block.
    store
        The directory on whose disk there is to be room for it; if there is none, that for temporary files.

    Raises
    ------
    BlocksDiffer
        The blocks are not what was said of the whole, or no array is.
    UnstorableArray
        It is of a dtype that is not stored, or one of the blocks is.
    NoRoomForBlocks
        It does not fit on the disk.
    """
    # All that can be known is asked before the first block, for all of them may take hours.
    shape, dtype = _declared(name, made)
    nbytes = math.prod(shape) * dtype.itemsize
    import tempfile  # for those who need it

    with unwatched(), _told(name, nbytes):
        folder = _folder_for(store) or tempfile.gettempdir()
    told = partial(_told, name, nbytes, f" in {folder}")
    with unwatched(), told():
        file = tempfile.TemporaryFile(dir=folder)
    with file:
        with told():
            os.posix_fallocate(file.fileno(), 0, max(1, nbytes))
        for piece in _pieces(name, made, shape, dtype, as_array):
            with told():
                write_all(file.fileno(), piece)
        if not nbytes:
            return np.empty(shape, dtype)
        with told():
            return map_array(file.fileno(), shape, dtype.str)


def _declared(name: str, made: Blocks) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """The shape and dtype of the whole, if an array can have them and be stored."""
    try:
        shape = tuple(operator.index(length) for length in made.shape)
        dtype = np.dtype(made.dtype).newbyteorder("<")
    except (TypeError, ValueError, SyntaxError) as error:
        problem = f"Its shape, or dtype {made.dtype!r}, is none to numpy: {error}."
        raise BlocksDiffer(name, made.shape, problem) from error
    check_dtype(name, dtype)
    if not shape:
        raise BlocksDiffer(name, shape, "An array without axes has no rows.")
    if min(shape) < 0 or not is_countable(shape, dtype.itemsize):
        raise BlocksDiffer(name, shape, f"No array of {dtype} has that shape.")
    return shape, dtype


def _pieces(
    name: str,
    made: Blocks,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    as_array: Callable[[Any], AnyArray],
) -> Iterator[memoryview]:
    """The bytes of each block, provided that together they are an array of this shape."""
    rows = 0
    for number, block in enumerate(made.blocks):
        array = as_array(block)
        if array.dtype.newbyteorder("<") != dtype or array.shape[1:] != shape[1:]:
            found = f"{array.dtype} of shape {array.shape}"
            raise BlocksDiffer(name, shape, f"Block {number} is {found}, not {dtype}.")
        rows += len(array) if array.ndim else 1
        if rows > shape[0] or not array.ndim:
            raise BlocksDiffer(
                name, shape, f"With block {number} there are {rows} rows."
            )
        yield bytes_of(np.asarray(array, dtype, order="C"))
    if rows < shape[0]:
        raise BlocksDiffer(name, shape, f"The blocks end after {rows} rows.")


def _folder_for(store: str | None) -> str | None:
    """A folder on the disk of a store where files can be made."""
    while store and not os.path.isdir(store):
        store = os.path.dirname(store)
    return store if store and os.access(store, os.W_OK) else None


@contextmanager
def _told(name: str, nbytes: int, place: str = "") -> Iterator[None]:
    """Say of what the system refuses what it was for."""
    try:
        yield
    except OSError as error:
        cause = f"{error.strerror}{place}"
        raise NoRoomForBlocks(name, nbytes, cause) from error
