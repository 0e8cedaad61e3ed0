"""Arrays made block by block: as any other, but never whole in memory."""

from __future__ import annotations

import errno
import os
import resource
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import times

from artifact_store import Blocks, Checkpoint, analysis
from artifact_store import blocks as blocks_module
from artifact_store.errors import (
    BadArrayName,
    BadResult,
    BlocksDiffer,
    ImpureRead,
    NoRoomForBlocks,
    Unstorable,
    UnstorableArray,
)
from artifact_store.results import arrays_of, drained

MEGABYTE = 1 << 20


@analysis(dims={"grid": ("neuron", "a", "b")})
def gridded(checkpoint: Checkpoint) -> Any:
    def blocks() -> Iterator[Any]:
        for row in checkpoint["w"]:
            yield np.multiply.outer(row, row)[None]

    return {
        "grid": Blocks((2, 3, 3), "float32", blocks()),
        "sum": checkpoint["w"].sum(),
    }


@analysis(ignore=("megabytes",))
def streamed(checkpoint: Checkpoint, megabytes: int) -> Any:
    rows = (np.full((1, MEGABYTE), n % 251, np.uint8) for n in range(megabytes))
    return Blocks((megabytes, MEGABYTE), np.uint8, rows)


@analysis(codec="zstd", name="streamed_small")
def compressed(checkpoint: Checkpoint, megabytes: int) -> Any:
    return streamed.__wrapped__(checkpoint, megabytes)


@analysis(strict=True)
def impure(checkpoint: Checkpoint, path: str) -> Any:
    def blocks() -> Iterator[Any]:
        with open(path, "rb") as file:
            yield np.frombuffer(file.read(4), np.uint8)

    return Blocks((4,), np.uint8, blocks())


def test_an_array_of_blocks_is_that_array(checkpoint: Path, settled: None) -> None:
    w = np.arange(6, dtype=np.float32).reshape(2, 3)
    expected = np.stack([np.multiply.outer(row, row) for row in w])

    for _ in ("computed", "stored"):
        found = gridded(Checkpoint(checkpoint))
        assert (found["grid"] == expected).all() and found["grid"].dtype == np.float32
        assert found["sum"] == 15 and not found["grid"].flags.writeable
    made = gridded.artifact(Checkpoint(checkpoint))
    assert made.to_xarray()["grid"].dims == ("neuron", "a", "b")


def test_what_the_blocks_read_counts(
    write_checkpoint: Callable[..., Path], settled: None
) -> None:
    one = write_checkpoint("run/checkpoints/epoch_1.safetensors")
    gridded(Checkpoint(one))
    other = write_checkpoint(
        "run/checkpoints/epoch_2.safetensors",
        w=np.ones((2, 3), np.float32),
    )

    assert gridded.find(Checkpoint(other)) is None
    assert gridded(Checkpoint(other))["grid"].sum() == 18


def test_what_the_blocks_do_is_watched(checkpoint: Path, tmp_path: Path) -> None:
    undeclared = tmp_path / "undeclared"
    undeclared.write_bytes(b"1234")

    with pytest.raises(ImpureRead, match="undeclared"):
        impure(Checkpoint(checkpoint), str(undeclared))


@pytest.mark.parametrize("function", [streamed, compressed], ids=["raw", "zstd"])
def test_an_array_larger_than_memory_is_computed_stored_and_read(
    checkpoint: Path, function: Any, settled: None
) -> None:
    megabytes = times(256, 4096)
    child = os.fork()
    if not child:
        try:
            # What a process may allocate, beside what it has; maps of files do not count.
            used = int(Path("/proc/self/statm").read_text().split()[5]) * 4096
            limit = used + megabytes * MEGABYTE // 2
            resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
            with pytest.raises(MemoryError):
                np.ones(megabytes * MEGABYTE, np.uint8)
            artifact = function.artifact(Checkpoint(checkpoint), megabytes)
            lazy = artifact["value"]
            assert lazy.shape == (megabytes, MEGABYTE)
            assert all(lazy[n, n] == n % 251 for n in range(0, megabytes, 37))
            os._exit(0)
        except BaseException:
            import traceback

            traceback.print_exc()
            os._exit(1)

    assert os.waitpid(child, 0)[1] == 0
    hidden = checkpoint.parents[1] / "artifacts/.store"
    assert len(list(hidden.glob("entries/*/*/*.json"))) == 1


@pytest.mark.parametrize(
    "shape, blocks, problem",
    [
        ((3, 2), [np.ones((2, 2))], "end after 2 rows"),
        ((3, 2), [np.ones((2, 2)), np.ones((2, 2))], "block 1 there are 4 rows"),
        ((3, 2), [np.ones((3, 3))], "Block 0 is float64 of shape"),
        ((3, 2), [np.ones((3, 2), np.float32)], "Block 0 is float32"),
        ((3,), [np.float64(1)], "there are 1 rows"),
        ((), [np.float64(1)], "no rows"),
        ((1,), [], "end after 0 rows"),
    ],
    ids=str,
)
def test_blocks_that_do_not_make_up_the_whole_are_refused(
    tmp_path: Path, shape: Any, blocks: Any, problem: str
) -> None:
    with pytest.raises(BlocksDiffer, match=problem):
        drained("f", {"x": Blocks(shape, "float64", blocks)}, str(tmp_path))


@pytest.mark.parametrize(
    "shape, blocks, dtype",
    [
        ((0, 3), [], "int64"),
        ((2, 0), [np.ones((1, 0)), np.ones((1, 0))], "float64"),
        ((2,), [np.ones(0), np.ones(2)], ">f8"),
        ((2,), [torch.ones(2, dtype=torch.bfloat16)], "float32"),
        ((4, 2), [np.asfortranarray(np.arange(8.0).reshape(4, 2))], "float64"),
    ],
    ids=str,
)
def test_odd_blocks_are_arrays_too(
    tmp_path: Path, shape: Any, blocks: Any, dtype: str
) -> None:
    found = drained("f", Blocks(shape, dtype, blocks), str(tmp_path))

    assert found.shape == shape
    every = [
        np.asarray(one.float() if hasattr(one, "float") else one) for one in blocks
    ]
    whole = np.concatenate(every) if every else np.empty(shape)
    assert (found == whole).all()


def never() -> Iterator[Any]:
    raise AssertionError
    yield


@pytest.mark.parametrize(
    "shape, dtype, error, problem",
    [
        (5, "float64", BlocksDiffer, "shape 5.*not iterable"),
        ((2.0,), "float64", BlocksDiffer, "cannot be interpreted as an integer"),
        ((-2,), "float64", BlocksDiffer, r"No array of float64 has that shape"),
        ((2, -2), "float64", BlocksDiffer, r"No array of float64 has that shape"),
        ((1 << 62,), "float64", BlocksDiffer, r"No array of float64 has that shape"),
        ((1 << 62, 0), "int64", BlocksDiffer, r"No array of int64 has that shape"),
        ((0,) + (1,) * 64, "int8", BlocksDiffer, "No array of int8 has that shape"),
        ((2,), "nope", BlocksDiffer, "'nope' not understood"),
        ((2,), "f4,,", BlocksDiffer, "'f4,,', is none to numpy"),
        ((2,), torch.float32, BlocksDiffer, "torch.float32"),
        ((2,), object, UnstorableArray, "of dtype object"),
        ((2,), np.longdouble, UnstorableArray, "Cast it to float64"),
        ((2,), "U3", UnstorableArray, "numbers that stand for the words"),
    ],
    ids=str,
)
def test_what_no_array_can_be_is_refused_before_the_first_block(
    tmp_path: Path, shape: Any, dtype: Any, error: type[Unstorable], problem: str
) -> None:
    result = {"x": Blocks(shape, dtype, never()), "dear": np.ones(2)}

    with pytest.raises(error, match=problem) as caught:
        drained("f", result, str(tmp_path))

    assert caught.value.result is result


def test_what_another_analysis_returned_in_a_block_is_in_its_error(
    tmp_path: Path,
) -> None:
    def calling() -> Iterator[Any]:
        yield arrays_of("other", "its own", {})

    with pytest.raises(BadResult, match="^other returned a str") as caught:
        drained("f", Blocks((2,), "float64", calling()), str(tmp_path))

    assert caught.value.result == "its own"


@pytest.mark.parametrize(
    "name, error", [(5, BadResult), ("a/b", BadArrayName)], ids=str
)
def test_a_name_that_no_array_can_have_is_refused_before_the_first_block(
    tmp_path: Path, name: Any, error: type[Unstorable]
) -> None:
    with pytest.raises(error):
        drained("f", {name: Blocks((2,), "float64", never())}, str(tmp_path))


@pytest.mark.parametrize(
    "block",
    [
        np.ma.masked_array([1.0, 2.0], [True, False]),
        [np.ma.masked_array([1.0, 2.0], [True, False])],
    ],
    ids=["masked", "list of masked"],
)
def test_the_mask_of_a_block_is_never_dropped(tmp_path: Path, block: Any) -> None:
    with pytest.raises(UnstorableArray, match="a masked array.*Fill it"):
        drained("f", Blocks((2,), "float64", [block]), str(tmp_path))


@pytest.mark.parametrize("code", [errno.EMFILE, errno.EROFS, errno.ENOMEM])
@pytest.mark.parametrize(
    "module, name",
    [
        (tempfile, "TemporaryFile"),
        (tempfile, "gettempdir"),
        (blocks_module, "write_all"),
        (blocks_module, "map_array"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_whatever_the_system_refuses_is_named(
    monkeypatch: pytest.MonkeyPatch, module: Any, name: str, code: int
) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(module, name, refuse)

    with pytest.raises(NoRoomForBlocks, match=os.strerror(code)):
        drained("f", Blocks((2,), "float64", [np.ones(2)]), None)


def test_an_array_for_which_there_is_no_room_is_refused_before_it_is_made(
    tmp_path: Path,
) -> None:
    with pytest.raises(NoRoomForBlocks, match=f" in {tmp_path}. Make room"):
        drained("f", Blocks((1 << 60,), "uint8", never()), str(tmp_path / "store"))


def test_what_fails_in_a_block_fails_as_it_is(tmp_path: Path) -> None:
    def failing() -> Iterator[Any]:
        yield np.ones(1)
        raise FileNotFoundError("mine")

    with pytest.raises(FileNotFoundError, match="mine"):
        drained("f", Blocks((2,), "float64", failing()), str(tmp_path))
    assert list(tmp_path.iterdir()) == []
