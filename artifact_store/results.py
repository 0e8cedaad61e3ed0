"""What a function returned, as arrays that can be stored."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from artifact_store.arraysets import ArraySet, Dims, normalize
from artifact_store.blocks import Blocks, gathered
from artifact_store.errors import BadResult, UnstorableArray

# The name of the array of an analysis that returns one array and not a mapping.
SINGLE = "value"


def arrays_of(analysis: str, result: Any, dims: Dims) -> tuple[ArraySet, bool]:
    """The arrays in `result`, and whether it was a single one.

    Raises
    ------
    BadResult
        It is not an array, a number, a tensor, or a mapping of these by name.
    """
    single = not isinstance(result, Mapping)
    named = {SINGLE: result} if single else result
    if not named:
        raise BadResult(analysis, "an empty mapping", "Return at least one array.")
    arrays = {name: _array(analysis, name, value) for name, value in named.items()}
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

    def whole(name: str, value: Any) -> Any:
        if not isinstance(value, Blocks):
            return value
        return gathered(name, value, partial(_array, analysis, name), store)

    if isinstance(result, Mapping):
        return {name: whole(name, value) for name, value in result.items()}
    return whole(SINGLE, result)


def returned(arrays: ArraySet, single: bool) -> Any:
    """What the call returns: the arrays as a caller gets them, read-only."""
    views = {}
    for array in arrays.arrays:
        views[array.name] = array.values.view()
        views[array.name].flags.writeable = False
    return views[SINGLE] if single else views


def _array(analysis: str, name: object, value: Any) -> np.ndarray[Any, Any]:
    if not isinstance(name, str):
        raise BadResult(
            analysis,
            f"a mapping with the key {name!r}",
            "Name every array with a string.",
        )
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        return _from_tensor(name, value)
    # A tuple would be stacked into one array, which its author hardly meant.
    if value is None or isinstance(value, str | bytes | Mapping | set | tuple):
        found = "None" if value is None else f"a {type(value).__name__}"
        raise BadResult(
            analysis,
            f"{found} as {name!r}",
            "Return arrays, numbers, tensors, or one mapping of them.",
        )
    if isinstance(value, np.ndarray):
        return value  # As it is: `normalize` refuses masked arrays, which `asarray` would unmask.
    try:
        return np.asarray(value)
    except ValueError as error:
        raise BadResult(
            analysis,
            f"{name!r}, which is no array ({error})",
            "Return rectangular arrays.",
        ) from None


def _from_tensor(name: str, tensor: Any) -> np.ndarray[Any, Any]:
    host = tensor.detach().cpu().resolve_conj().resolve_neg()
    # Of all floats that numpy does not have, the one that stands in models as such; float32 begins with its bits.
    if str(host.dtype) == "torch.bfloat16":
        host = host.float()
    try:
        return np.asarray(host.numpy())
    except TypeError:
        advice = "Cast it with .float(), which is exact."
        raise UnstorableArray(
            name, f"of dtype {tensor.dtype}, which numpy does not have", advice
        ) from None
