"""Arrays that are made block by block, as they may be larger than memory.

    blocks ──► file without a name ──► *array*, mapped

The file is on the disk of the store, and goes with the array, whoever dies. What comes after deals with an array
like any other: it is digested, written and returned.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from artifact_store.arraysets import bytes_of
from artifact_store.descriptors import map_array, write_all
from artifact_store.errors import BlocksDiffer, NoRoomForBlocks
from artifact_store.purity import unwatched
from artifact_store.shards import AnyArray


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
        The blocks are not what was said of the whole.
    NoRoomForBlocks
        It does not fit on the disk.
    """
    shape, dtype = tuple(made.shape), np.dtype(made.dtype).newbyteorder("<")
    if not shape:
        raise BlocksDiffer(name, shape, "An array without axes has no rows.")
    nbytes = math.prod(shape) * dtype.itemsize
    import tempfile  # for those who need it

    with unwatched():
        folder = _folder_for(store) or tempfile.gettempdir()
        file = tempfile.TemporaryFile(dir=folder)
    with file:
        with _told(name, nbytes, folder):
            # Asked for before the first block, for all of them may take hours.
            os.posix_fallocate(file.fileno(), 0, max(1, nbytes))
        for piece in _pieces(name, made, shape, dtype, as_array):
            with _told(name, nbytes, folder):
                write_all(file.fileno(), piece)
        if not nbytes:
            return np.empty(shape, dtype)
        return map_array(file.fileno(), shape, dtype.str)


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
def _told(name: str, nbytes: int, folder: str) -> Iterator[None]:
    """Say of what the system refuses what it was for."""
    try:
        yield
    except OSError as error:
        cause = f"{error.strerror} in {folder}"
        raise NoRoomForBlocks(name, nbytes, cause) from error
