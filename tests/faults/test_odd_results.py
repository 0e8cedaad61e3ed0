"""What functions return on odd days: kept bit for bit, or refused with advice and not lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import zarr
from conftest import Injected

from artifact_store import Blocks, Checkpoint, analysis
from artifact_store.errors import (
    BadArrayName,
    BadResult,
    BlocksDiffer,
    DimsMismatch,
    UnstorableArray,
)

GRADIENT = torch.ones(2, requires_grad=True)
NAN_WITH_PAYLOAD = np.array([0x7FF0DEADBEEF0001, 0xFFF8000000000007], np.uint64)

# By name, as functions find nothing that is defined in a test.
ODD: dict[str, Callable[[], Any]] = {
    "empty": lambda: np.empty(0),
    "size-0 axes": lambda: np.empty((3, 0, 2), np.int8),
    "0-d": lambda: np.float32(1.5),
    "0-d bool": lambda: np.array(True),
    "number": lambda: 7,
    "NaN payloads": lambda: NAN_WITH_PAYLOAD.view(np.float64),
    "negative zero": lambda: np.array([-0.0, 0.0, -np.inf]),
    "subnormal": lambda: np.array([5e-324, -5e-324]),
    "every float16": lambda: np.arange(1 << 16, dtype=np.uint16).view(np.float16),
    "complex": lambda: np.array([complex(-0.0, np.nan), 1j], np.complex64),
    "complex128": lambda: np.array([[1e-320 - 0.0j]]),
    "transposed": lambda: np.arange(12.0).reshape(3, 4).T,
    "reversed": lambda: np.arange(12)[::-2],
    "broadcast": lambda: np.broadcast_to(np.arange(3), (4, 3)),
    "big-endian": lambda: np.arange(6, dtype=">i4").reshape(2, 3),
    "bool": lambda: np.array([[True, False], [False, True]]),
    "read-only": lambda: np.frombuffer(b"12345678", np.int32),
    "large integers": lambda: np.array([2**64 - 1, 0], np.uint64),
    "float16 tensor": lambda: torch.tensor([1.0, -0.0], dtype=torch.float16),
    "bfloat16 tensor": lambda: torch.tensor([1.0, -0.0, 3e38], dtype=torch.bfloat16),
    "tensor with a gradient": lambda: torch.ones(2, requires_grad=True) * 2,
    "expanded tensor": lambda: torch.ones(3, 1).expand(3, 4),
    "a large axis of nothing": lambda: np.empty((1 << 40, 0)),
    "odd names": lambda: {
        "μ σ": np.ones(1),
        "a b": np.ones(2),
        "…": 3,
        "C:": 4,
        "-": 5,
    },
}

REFUSED: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "strings": (lambda: np.array(["a"]), UnstorableArray, "numbers that stand for"),
    "bytes": (lambda: np.array([b"a"]), UnstorableArray, "uint8"),
    "objects": (lambda: np.array([{}], object), UnstorableArray, "of one dtype"),
    "dates": (lambda: np.array(["2026"], "M8[D]"), UnstorableArray, "int64"),
    "float128": (lambda: np.ones(1, np.longdouble), UnstorableArray, "float64"),
    "records": (lambda: np.zeros(1, "i4,f4"), UnstorableArray, "each field"),
    "ragged": (lambda: [[1], [2, 3]], BadResult, "rectangular"),
    "slash": (lambda: {"a/b": 1}, BadArrayName, "slash"),
    "dots": (lambda: {"..": 1}, BadArrayName, "dots"),
    "no name": (lambda: {"": 1}, BadArrayName, "empty"),
    "zarr's own": (lambda: {"zarr.json": 1}, BadArrayName, "zarr keeps"),
    "long": (lambda: {"x" * 201: 1}, BadArrayName, "200 bytes"),
    "NUL": (lambda: {"a\0": 1}, BadArrayName, "NUL"),
    "number": (lambda: {1: 1}, BadResult, "with a string"),
    "list with gradients": (lambda: [GRADIENT, GRADIENT], BadResult, "torch.stack"),
    "sparse": (lambda: torch.eye(2).to_sparse(), UnstorableArray, "to_dense"),
    "meta": (lambda: torch.ones(2, device="meta"), UnstorableArray, "a device"),
    "dtype of blocks": (
        lambda: {"x": Blocks((2,), "U3", []), "y": 1},
        UnstorableArray,
        "numbers that stand",
    ),
    "blocks that end": (
        lambda: {"x": Blocks((2,), "f4", []), "y": 1},
        BlocksDiffer,
        "Give `Blocks` the shape",
    ),
}


@analysis(depends_on=(NAN_WITH_PAYLOAD,))
def odd(checkpoint: Checkpoint, what: str) -> Any:
    return ODD[what]()


@analysis(depends_on=(NAN_WITH_PAYLOAD,), codec="zstd")
def odd_in_zstd(checkpoint: Checkpoint, what: str) -> Any:
    return ODD[what]()


@analysis
def refused(checkpoint: Checkpoint, what: str) -> Any:
    return REFUSED[what][0]()


@analysis(dims={"w": ("row", "column", "depth")})
def misnamed(checkpoint: Checkpoint) -> Any:
    return {"w": checkpoint["w"]}


@analysis
def many(checkpoint: Checkpoint, count: int) -> Any:
    return {f"neuron {n}": checkpoint["w"][0] + n for n in range(count)}


def bits_of(value: Any) -> Any:
    """What an array is, exactly; of a tensor, as float32 if numpy does not have its dtype."""
    if isinstance(value, dict):
        return {name: bits_of(one) for name, one in value.items()}
    if isinstance(value, torch.Tensor):
        value = value.detach()
        value = value.float() if value.dtype == torch.bfloat16 else value
    array = np.asarray(value)
    array = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).reshape(
        array.shape
    )
    return array.dtype.str, array.shape, array.tobytes()


@pytest.mark.parametrize("function", [odd, odd_in_zstd], ids=["raw", "zstd"])
@pytest.mark.parametrize("what", ODD)
def test_odd_results_are_the_same_bits_when_computed_and_when_stored(
    checkpoint: Path,
    settled: None,
    function: Any,
    what: str,
    injected: Injected,
) -> None:
    expected = bits_of(ODD[what]())

    assert bits_of(function(checkpoint, what)) == expected
    artifact = function.find(checkpoint, what)
    assert bits_of(artifact.numpy()) == expected
    single = expected if isinstance(expected, dict) else {"value": expected}
    by_zarr: Any = zarr.open_group(artifact.path, mode="r")
    if what != "a large axis of nothing":
        assert {name: bits_of(by_zarr[name][...]) for name in single} == single
        assert {name: bits_of(artifact[name][...]) for name in single} == single
    injected("odd result kept bit by bit", 1)


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_stored_is_refused_with_advice_and_is_in_the_error(
    checkpoint: Path,
    what: str,
    injected: Injected,
) -> None:
    returned, error, advice = REFUSED[what]

    with pytest.raises(error, match=advice) as caught:
        refused(Checkpoint(checkpoint), what)

    made: Any = caught.value
    assert repr(made.result) == repr(returned())
    assert "`result`" in made.__notes__[0]
    assert refused.find(Checkpoint(checkpoint), what) is None
    injected("result that cannot be stored refused", 1)


def test_an_array_whose_dimensions_were_declared_wrong_is_not_lost(
    checkpoint: Path,
) -> None:
    with pytest.raises(DimsMismatch, match="3") as caught:
        misnamed(Checkpoint(checkpoint))

    made: Any = caught.value
    assert made.result["w"].shape == (2, 3)


def test_five_thousand_arrays_are_one_result(checkpoint: Path, settled: None) -> None:
    count = 5000
    many(Checkpoint(checkpoint), count)

    found = many.find(Checkpoint(checkpoint), count)
    assert found is not None and len(found) == count
    arrays = found.numpy()
    assert all((arrays[f"neuron {n}"] == [n, n + 1, n + 2]).all() for n in range(count))
    assert found["neuron 4999"][2] == 5001
