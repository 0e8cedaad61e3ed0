from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from artifact_store.errors import (
    BadDims,
    BadResult,
    CorruptArtifact,
    UnstorableArray,
)
from artifact_store.results import SINGLE, arrays_of, returned


def values_of(result: Any) -> Any:
    return returned(*arrays_of("f", result, {}))


def test_a_mapping_is_returned_sorted_by_name_and_one_array_as_it_is() -> None:
    assert list(values_of({"b": np.ones(1), "a": np.ones(1)})) == ["a", "b"]
    assert isinstance(values_of(np.ones(2)), np.ndarray)
    assert list(values_of({SINGLE: np.ones(2)})) == [SINGLE]


@pytest.mark.parametrize(
    "value, dtype",
    [
        (True, "bool"),
        (3, "int64"),
        (0.5, "float64"),
        (1j, "complex128"),
        (np.float32(1), "float32"),
        ([1, 2], "int64"),
        (torch.tensor([1.5]), "float32"),
        (torch.nn.Parameter(torch.ones(2, dtype=torch.float64)), "float64"),
        (torch.ones(2, 3).T, "float32"),
        (torch.tensor(True), "bool"),
    ],
    ids=str,
)
def test_numbers_lists_and_tensors_become_arrays_of_their_dtype(
    value: Any, dtype: str
) -> None:
    found = values_of(value)

    assert found.dtype == dtype
    plain = value.detach().numpy() if isinstance(value, torch.Tensor) else value
    np.testing.assert_array_equal(found, plain)


def test_a_lazily_conjugated_or_negated_tensor_is_what_it_stands_for() -> None:
    number = torch.tensor([1 + 2j])

    assert values_of(number.conj()).tolist() == [1 - 2j]
    assert values_of(number.conj().imag).tolist() == [-2.0]


def test_every_bfloat16_is_the_float32_that_begins_with_its_bits() -> None:
    bits = torch.arange(1 << 16, dtype=torch.int32).to(torch.int16)

    found = values_of({"w": bits.view(torch.bfloat16)})["w"]

    assert found.dtype == np.float32
    assert (found.view(np.uint32) == np.arange(1 << 16, dtype=np.uint32) << 16).all()


def test_a_dtype_that_numpy_lacks_is_refused_with_advice() -> None:
    with pytest.raises(UnstorableArray, match=r"float8.*\.float\(\)"):
        values_of({"w": torch.ones(2).to(torch.float8_e4m3fn)})


@pytest.mark.parametrize(
    "result",
    [None, "a", b"a", {}, {"a": None}, {"a": {"b": 1}}, {1: 2}, {1, 2}, (1, 2), [[1], []]],  # fmt: skip
    ids=str,
)
def test_what_is_no_array_is_refused(result: Any) -> None:
    with pytest.raises(BadResult, match="^f returned"):
        arrays_of("f", result, {})


class Raises:
    """What raises where numpy asks it for an array."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __repr__(self) -> str:
        return f"Raises({self.error!r})"

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise self.error


@pytest.mark.parametrize(
    "result",
    [
        [torch.ones(2, requires_grad=True)] * 2,
        [torch.ones(2, dtype=torch.bfloat16)] * 2,
        [torch.ones(2, device="meta")],
        Raises(RuntimeError("mine")),
        Raises(OSError("mine")),
        [Raises(AttributeError("mine"))],
    ],
    ids=str,
)
def test_what_numpy_makes_no_array_of_is_refused_and_kept(result: Any) -> None:
    with pytest.raises(BadResult, match="which is no array.*torch.stack") as caught:
        arrays_of("f", result, {})

    assert caught.value.result is result and caught.value.__cause__ is not None


@pytest.mark.parametrize("error", [MemoryError(), CorruptArtifact("x", "is damaged")])
def test_what_goes_wrong_elsewhere_is_no_fault_of_the_result(error: Exception) -> None:
    with pytest.raises(type(error)):
        arrays_of("f", Raises(error), {})


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.filterwarnings("ignore:ComplexHalf support is experimental")
@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta")
@pytest.mark.parametrize(
    "make, advice",
    [
        (lambda: torch.ones(2, device="meta"), "without numbers.*a device"),
        (lambda: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]), "nested.*unbind"),
        (lambda: torch.nested.nested_tensor([torch.ones(2)], layout=torch.jagged), "nested.*unbind"),
        (lambda: torch.eye(2).to_sparse(), r"layout torch.sparse_coo.*\.to_dense\(\)"),
        (lambda: torch.eye(2).to_sparse_csr(), r"layout torch.sparse_csr.*\.to_dense\(\)"),
        (lambda: torch.eye(2).bfloat16().to_sparse(), r"\.to_dense\(\)"),
        (lambda: torch.ones(2, dtype=torch.complex32), r"complex32.*\.to\(torch.complex64\)"),
        (lambda: Subclass(torch.ones(2)), "Subclass.*a plain tensor"),
    ],
)  # fmt: skip
def test_a_tensor_that_numpy_cannot_look_into_is_refused_with_advice(
    make: Any, advice: str
) -> None:
    result = {"w": make()}

    with pytest.raises(UnstorableArray, match=f"'w' is .*{advice}") as caught:
        arrays_of("f", result, {})

    assert caught.value.result is result


class Subclass(torch.Tensor):
    """Of which numpy gets no array, as of those that stand for others."""

    def numpy(self, *, force: bool = False) -> Any:
        raise RuntimeError("not supported for tensor subclasses")


@pytest.mark.parametrize(
    "value, found",
    [(None, "None"), ((1, 2), "a tuple"), ([[1], []], "a list, which is no array")],
    ids=str,
)
def test_only_names_that_the_author_wrote_are_in_messages(
    value: Any, found: str
) -> None:
    with pytest.raises(BadResult) as single:
        arrays_of("f", value, {})
    with pytest.raises(BadResult) as named:
        arrays_of("f", {"x": value}, {})

    assert str(single.value).startswith(f"f returned {found}")
    assert "'value'" not in str(single.value) and "as 'x'" in str(named.value)


@pytest.mark.parametrize("wrap", [lambda one: one, lambda one: [one], lambda one: [(one,)]])  # fmt: skip
def test_a_mask_is_never_dropped(wrap: Any) -> None:
    with pytest.raises(UnstorableArray, match="masked"):
        values_of({"w": wrap(np.ma.masked_array([1.0], mask=[True]))})


def test_the_dims_of_one_array_need_no_special_name() -> None:
    arrays, single = arrays_of("f", np.ones((2, 3)), {"power": ("a", "b")})

    assert single and arrays.arrays[0].dims == ("a", "b")
    with pytest.raises(BadDims):
        arrays_of("f", {"other": np.ones(2)}, {"power": ("a",)})


def test_what_is_returned_cannot_be_written_to() -> None:
    source = np.ones(2)
    found = values_of(source)

    assert not found.flags.writeable and source.flags.writeable
