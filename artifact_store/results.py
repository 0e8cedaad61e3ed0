"""What a function returned, as arrays that can be stored."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from artifact_store.arraysets import ArraySet, Dims, normalize, refuse_masks
from artifact_store.blocks import Blocks, gathered
from artifact_store.errors import (
    ArtifactStoreError,
    BadResult,
    Unstorable,
    UnstorableArray,
)
from artifact_store.shards import check_name

# The name of the array of an analysis that returns one array and not a mapping.
SINGLE = "value"


class Labelled(dict[str, np.ndarray[Any, Any]]):
    """Arrays by name, whose dimensions are known without a declaration."""

    def __init__(self, arrays: Mapping[str, Any], dims: Dims) -> None:
        super().__init__(arrays)
        self.dims = dims


def arrays_of(analysis: str, result: Any, dims: Dims) -> tuple[ArraySet, bool]:
    """The arrays in `result`, and whether it was a single one.

    Raises
    ------
    Unstorable
        It is not an array, a number, a tensor, or a mapping of these by name, or cannot be stored; it is in the error.
    """
    single = not isinstance(result, Mapping)
    with _kept(result):
        arrays = {
            name: _array(analysis, name, place, value)
            for name, place, value in _named(analysis, result)
        }
        if isinstance(result, Labelled):
            dims = result.dims
        if single and SINGLE not in dims and len(dims) == 1:
            # The one array of a function that returns just one needs no name in the declaration.
            dims = {SINGLE: next(iter(dims.values()))}
        return normalize(arrays, dims), single


def drained(analysis: str, result: Any, store: str | None) -> Any:
    """The result, with arrays in place of what is still to be made block by block.

    Parameters
    ----------
    store
        The directory on whose disk there is to be room for it; if there is none, that for temporary files.
    """

    def whole(name: str, place: str, value: Any) -> Any:
        if not isinstance(value, Blocks):
            return value
        return gathered(name, value, partial(_array, analysis, name, place), store)

    with _kept(result):
        every = {
            name: whole(name, place, value)
            for name, place, value in _named(analysis, result)
        }
    if isinstance(result, Labelled):
        return Labelled(every, result.dims)
    return every if isinstance(result, Mapping) else every[SINGLE]


@contextmanager
def _kept(result: Any) -> Iterator[None]:
    """What was returned and cannot be stored is in the error."""
    try:
        yield
    except Unstorable as error:
        # That of an analysis that a block calls has what was returned there.
        if error.result is None:
            note = "What the function returned is this error's attribute `result`."
            error.add_note(note)
            error.result = result
        raise


def _named(analysis: str, result: Any) -> list[tuple[str, str, Any]]:
    """What was returned: the name that each array will have, how messages go on to say where it was, and the value."""
    if not isinstance(result, Mapping):
        return [(SINGLE, "", result)]
    if not result:
        raise BadResult(analysis, "an empty mapping", "Return at least one array.")
    for name in result:
        if not isinstance(name, str):
            found = f"a mapping with the key {name!r}"
            raise BadResult(analysis, found, "Name every array with a string.")
        check_name(name)
    return [(name, f" as {name!r}", value) for name, value in result.items()]


def returned(arrays: ArraySet, single: bool) -> Any:
    """What the call returns: the arrays as a caller gets them, read-only."""
    views = {}
    for array in arrays.arrays:
        views[array.name] = array.values.view()
        views[array.name].flags.writeable = False
    return views[SINGLE] if single else views


def _array(analysis: str, name: str, place: str, value: Any) -> np.ndarray[Any, Any]:
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        return _from_tensor(name, value)
    found = "None" if value is None else f"a {type(value).__name__}"
    # A tuple would be stacked into one array, which its author hardly meant.
    if value is None or isinstance(value, str | bytes | Mapping | set | tuple):
        advice = "Return arrays, numbers, tensors, or one mapping of them."
        raise BadResult(analysis, f"{found}{place}", advice)
    try:
        array = np.asarray(value)
    except (MemoryError, ArtifactStoreError):
        raise  # There is nothing odd about what was returned.
    except Exception as error:
        # Whatever its own `__array__` raises, or that of what it holds: tensors, for instance.
        problem = f"{found}{place}, which is no array ({error})"
        advice = "Return rectangular arrays; of tensors, what torch.stack makes."
        raise BadResult(analysis, problem, advice) from error
    # `asarray` has dropped them.
    refuse_masks(name, value)
    return array


def _from_tensor(name: str, tensor: Any) -> np.ndarray[Any, Any]:
    if tensor.is_meta:
        advice = "Compute it on a device that has memory."
        raise UnstorableArray(name, "a tensor without numbers, on 'meta'", advice)
    if tensor.is_nested:
        advice = "Pad it, or return each of .unbind() under its own name."
        raise UnstorableArray(name, "a nested tensor", advice)
    if str(tensor.layout) != "torch.strided":
        found = f"a tensor of layout {tensor.layout}"
        raise UnstorableArray(name, found, "Return its .to_dense().")
    host = tensor.detach().cpu().resolve_conj().resolve_neg()
    # Of all floats that numpy does not have, the one that stands in models as such; float32 begins with its bits.
    if str(host.dtype) == "torch.bfloat16":
        host = host.float()
    try:
        return np.asarray(host.numpy())
    except TypeError:
        cast = ".to(torch.complex64)" if tensor.is_complex() else ".float()"
        advice = f"Cast it with {cast}, which is exact."
        raise UnstorableArray(
            name, f"of dtype {tensor.dtype}, which numpy does not have", advice
        ) from None
    except RuntimeError as error:
        advice = "Return a plain tensor of its numbers."
        raise UnstorableArray(
            name, f"a {type(tensor).__name__} without an array ({error})", advice
        ) from error
