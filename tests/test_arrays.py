from __future__ import annotations

import json
import os
import pickle
import resource
import shutil
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import google_crc32c
import hypothesis.extra.numpy as hnp
import ml_dtypes
import msgspec
import numpy as np
import pytest
import tensorstore
import xarray
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from artifact_store import shards
from artifact_store.arrays import (
    Codec,
    FileStat,
    StoredArray,
    describe_group,
    digest_arrays,
    digest_group,
    file_stats,
    normalize,
    open_array,
    sync_group,
    write_group,
)
from artifact_store.compressed import CompressedArray
from artifact_store.errors import (
    BadArrayName,
    BadDims,
    BadRecord,
    CorruptArtifact,
    DimLengthsDiffer,
    DimsMismatch,
    UnstorableArray,
)
from artifact_store.groups import FolderGroup, LazyArray

CODECS: tuple[Codec, ...] = ("raw", "zstd")
ORDERS = ("<", ">")


def lazy_array(group: str | Path, stored: StoredArray) -> LazyArray:
    return LazyArray(FolderGroup(str(group), {}), stored)


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a few bytes fill an inner chunk, so that small arrays have many."""
    monkeypatch.setattr(shards, "INNER_BYTES", 16)


@pytest.fixture(params=CODECS)
def codec(request: pytest.FixtureRequest) -> Codec:
    chosen: Codec = request.param
    return chosen


@st.composite
def any_array(draw: st.DrawFn) -> np.ndarray[Any, Any]:
    """Any storable dtype, shape and memory layout, with any bits."""
    name = draw(st.sampled_from(sorted(shards.DTYPES.values())))
    dtype = np.dtype(name).newbyteorder(draw(st.sampled_from(ORDERS)))
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=11))
    size = int(np.prod(shape)) * dtype.itemsize
    content = draw(st.binary(min_size=size, max_size=size))
    if name == "bool":
        content = bytes(byte & 1 for byte in content)
    array = np.frombuffer(content, dtype).reshape(shape)
    layout = draw(st.sampled_from(("C", "F", "reversed")))
    if layout == "F":
        return np.asfortranarray(array) if shape else array
    return array[::-1] if layout == "reversed" and shape else array


def bits(array: Any) -> tuple[str, tuple[int, ...], bytes]:
    """What an array is, exactly: NaN payloads and signs of zero included."""
    array = np.asarray(array)
    little = array.astype(array.dtype.newbyteorder("<"))
    return little.dtype.str, little.shape, little.tobytes()


def with_tensorstore(folder: Path) -> Any:
    kvstore = {"driver": "file", "path": str(folder)}
    spec = {"driver": "zarr3", "kvstore": kvstore}
    return tensorstore.open(spec, read=True).result().read().result()


@settings(max_examples=80, deadline=None)
@given(
    array=any_array(),
    codec=st.sampled_from(CODECS),
    inner_bytes=st.sampled_from((1, 24, 1 << 20)),
)
def test_every_reader_sees_the_same_bits(
    array: np.ndarray[Any, Any], codec: Codec, inner_bytes: int
) -> None:
    with (
        pytest.MonkeyPatch.context() as patch,
        tempfile.TemporaryDirectory() as folder,
    ):
        patch.setattr(shards, "INNER_BYTES", inner_bytes)
        group = Path(folder, "group")
        arrays = normalize({"x": array})
        (stored,) = write_group(group, arrays, codec=codec)

        assert bits(open_array(group, stored)) == bits(array)
        assert bits(lazy_array(group, stored)) == bits(array)
        assert bits(with_tensorstore(group / "x")) == bits(array)
        opened = zarr.open_group(group, mode="r")["x"]
        assert isinstance(opened, zarr.Array)
        assert bits(opened[...]) == bits(array)
        with xarray.open_zarr(group, chunks=None) as dataset:
            assert bits(dataset["x"].values) == bits(array)
        assert describe_group(group) == (stored,)
        assert digest_group(group, [stored]) == digest_arrays(arrays)


def test_dimensions_and_coordinates_reach_xarray(tmp_path: Path) -> None:
    norm = np.arange(6, dtype="f4").reshape(3, 2)
    frequency = np.array([1, 2, 3])
    write_group(
        tmp_path / "group",
        normalize(
            {"norm": norm, "frequency": frequency, "total": np.float64(15)},
            {"norm": ("frequency", "neuron")},
        ),
    )

    with xarray.open_zarr(tmp_path / "group", consolidated=True) as dataset:
        assert dataset["norm"].dims == ("frequency", "neuron")
        assert list(dataset.coords) == ["frequency"]
        assert dataset["norm"].sel(frequency=2).values.tolist() == [2, 3]
        assert dataset["total"].item() == 15


def test_arrays_without_declared_dimensions_get_names_of_their_own() -> None:
    arrays = normalize({"x": np.zeros((2, 3)), "y": np.zeros(2), "x_0": np.zeros(4)})

    dims = {array.name: array.dims for array in arrays.arrays}

    assert dims == {"x": ("x_0_", "x_1"), "x_0": ("x_0_0",), "y": ("y_0",)}


def test_a_name_may_be_unicode(tmp_path: Path) -> None:
    (stored,) = write_group(tmp_path / "group", normalize({"μ σ": np.ones(3)}))

    assert describe_group(tmp_path / "group") == (stored,)
    assert zarr.open_array(tmp_path / "group/μ σ", mode="r").shape == (3,)


def test_the_bytes_of_a_group_are_frozen(tmp_path: Path) -> None:
    group = tmp_path / "group"
    arrays = normalize({"x": np.array([1, 2, 3], "u1")}, {"x": ("row",)})
    (stored,) = write_group(group, arrays)
    array_json = (
        b'{"attributes":{},"chunk_grid":{"configuration":{"chunk_shape":[3]},"name":"regular"},'
        b'"chunk_key_encoding":{"configuration":{"separator":"."},"name":"default"},'
        b'"codecs":[{"configuration":{"chunk_shape":[3],"codecs":[{"name":"bytes"}],'
        b'"index_codecs":[{"configuration":{"endian":"little"},"name":"bytes"},{"name":"crc32c"}],'
        b'"index_location":"end"},"name":"sharding_indexed"}],"data_type":"uint8",'
        b'"dimension_names":["row"],"fill_value":0,"node_type":"array","shape":[3],'
        b'"storage_transformers":[],"zarr_format":3}'
    )
    index = struct.pack("<QQ", 0, 3)

    assert (group / "x/zarr.json").read_bytes() == array_json
    assert (group / "zarr.json").read_bytes() == (
        b'{"attributes":{},"consolidated_metadata":{"kind":"inline","metadata":{"x":'
        + array_json
        + b'},"must_understand":false},"node_type":"group","zarr_format":3}'
    )
    assert (group / "x/c.0").read_bytes() == bytes([1, 2, 3]) + index + struct.pack(
        "<I", google_crc32c.value(index)
    )
    assert len(list(tmp_path.rglob("*"))) == 5
    assert msgspec.json.encode(stored) == (
        b'{"name":"x","dtype":"|u1","shape":[3],"dims":["row"],"rows":3,"codec":"raw","size":23}'
    )
    assert digest_arrays(arrays).hex == (
        "ce6159b2277af5b90b38d021914be4bd7593198385741a9248f155989e281255"
    )


def test_metadata_are_those_zarr_itself_would_write(tmp_path: Path) -> None:
    write_group(tmp_path / "ours", normalize({"x": np.ones((5, 3), "c8")}))
    zarr.open_group(tmp_path / "theirs", mode="w").create_array(
        "x",
        shape=(5, 3),
        dtype="c8",
        shards=(5, 3),
        chunks=(5, 3),
        compressors=None,
        chunk_key_encoding={"name": "default", "separator": "."},
        dimension_names=("x_0", "x_1"),
    )

    ours = json.loads((tmp_path / "ours/x/zarr.json").read_bytes())
    theirs = json.loads((tmp_path / "theirs/x/zarr.json").read_bytes())

    assert ours == theirs


def test_a_ragged_last_chunk_is_padded_with_zeros(
    tmp_path: Path, small_chunks: None
) -> None:
    values = np.arange(1, 12, dtype="<u4")  # 11 rows, in chunks of at least 4
    (stored,) = write_group(tmp_path / "group", normalize({"x": values}))

    content = (tmp_path / "group/x/c.0").read_bytes()
    chunks = -(-11 // stored.rows)
    padded = chunks * stored.rows * 4
    offsets = np.frombuffer(content, "<u8", 2 * chunks, padded).reshape(chunks, 2)

    assert 11 % stored.rows
    assert content[:44] == values.tobytes()
    assert not any(content[44:padded])
    assert offsets.tolist() == [
        [chunk * stored.rows * 4, stored.rows * 4] for chunk in range(chunks)
    ]


@pytest.mark.parametrize(
    ("shape", "rows"),
    [
        ((512, 113, 113), 32),  # 1.6 MB each, 16 of them
        ((113, 1 << 14), 17),  # prime: 7 of 1.1 MB, six rows of padding
        ((1 << 26,), 1 << 20),  # 64 of 1/64 each
        ((100,), 100),
        ((0, 3), 0),
        ((), 0),
    ],
)
def test_inner_chunks_are_large_and_divide_the_axis_where_they_can(
    shape: tuple[int, ...], rows: int
) -> None:
    assert shards.inner_rows(shape, 4) == rows


@given(st.integers(1, 1 << 40), st.sampled_from([1, 4, 52, 1 << 22]))
def test_there_are_never_more_inner_chunks_than_promised(axis: int, row: int) -> None:
    rows = shards.inner_rows((axis, row), 1)

    assert 1 <= rows <= axis
    assert -(-axis // rows) <= shards.INNER_CHUNKS
    assert rows == axis or rows * row >= shards.INNER_BYTES


def test_zeros_are_written_and_not_left_out(tmp_path: Path, codec: Codec) -> None:
    group = tmp_path / "group"
    arrays = normalize({"x": np.zeros((7, 3))})
    (stored,) = write_group(group, arrays, codec=codec)
    (group / "x/c.0.0").unlink()

    assert stored.size > 0
    with pytest.raises(CorruptArtifact, match="missing"):
        open_array(group, stored)


def test_an_array_without_elements_has_no_file(tmp_path: Path, codec: Codec) -> None:
    group = tmp_path / "group"
    (stored,) = write_group(group, normalize({"x": np.ones((0, 3))}), codec=codec)

    assert stored.file is None
    assert os.listdir(group / "x") == ["zarr.json"]
    assert open_array(group, stored).shape == (0, 3)


def test_an_empty_set_is_a_group_too(tmp_path: Path) -> None:
    arrays = normalize({})

    assert write_group(tmp_path / "group", arrays) == ()
    assert describe_group(tmp_path / "group") == ()
    assert digest_group(tmp_path / "group", ()) == digest_arrays(arrays)
    assert len(zarr.open_group(tmp_path / "group", mode="r")) == 0


def groups(codec: Codec) -> dict[str, Any]:
    return {
        "arrays": normalize(
            {"x": np.arange(10, dtype="<i2"), "empty": np.ones(0), "one": np.float32(2)}
        ),
        "codec": codec,
    }


def test_every_flipped_byte_is_found(
    tmp_path: Path, codec: Codec, small_chunks: None
) -> None:
    group = tmp_path / "group"
    arguments = groups(codec)
    stored = write_group(group, **arguments)
    expected = digest_arrays(arguments["arrays"])

    for path in files_in(group):
        for place, byte in enumerate(path.read_bytes()):
            for mask in (0x01, 0x80):
                overwrite(path, place, byte ^ mask)
                assert verdict(group, stored) != expected, (path, place)
            overwrite(path, place, byte)
    assert verdict(group, stored) == expected


def overwrite(path: Path, place: int, byte: int) -> None:
    with path.open("r+b") as file:
        file.seek(place)
        file.write(bytes([byte]))


def files_in(group: Path) -> Iterator[Path]:
    return (path for path in sorted(group.rglob("*")) if path.is_file())


def verdict(group: Path, stored: tuple[StoredArray, ...]) -> object:
    try:
        return digest_group(group, stored)
    except CorruptArtifact:
        return "corrupt"


def test_a_file_of_another_length_or_none_is_corrupt(
    tmp_path: Path, codec: Codec
) -> None:
    group = tmp_path / "group"
    stored = write_group(group, **groups(codec))
    for path in files_in(group):
        content = path.read_bytes()
        for other in (content[:-1], content + b"\0", b""):
            path.write_bytes(other)
            assert verdict(group, stored) == "corrupt", path
        path.unlink()
        assert verdict(group, stored) == "corrupt", path
        path.write_bytes(content)
    shutil.rmtree(group)
    assert verdict(group, stored) == "corrupt"


@pytest.mark.parametrize("name", ["x", "one"])
def test_opening_a_file_of_another_length_or_none_is_refused(
    tmp_path: Path, codec: Codec, name: str
) -> None:
    group = tmp_path / "group"
    record = {array.name: array for array in write_group(group, **groups(codec))}[name]
    path = group / str(record.file)
    os.truncate(path, record.size - 1)
    with pytest.raises(CorruptArtifact, match=f"{record.size - 1} bytes instead"):
        open_array(group, record)
    path.unlink()
    with pytest.raises(CorruptArtifact, match="missing"):
        open_array(group, record)


def test_damaged_compressed_rows_are_refused_when_they_are_read(tmp_path: Path) -> None:
    group = tmp_path / "group"
    (stored,) = write_group(group, normalize({"x": np.arange(99)}), codec="zstd")
    content = bytearray((group / "x/c.0").read_bytes())
    content[20] ^= 1
    (group / "x/c.0").write_bytes(content)

    with pytest.raises(CorruptArtifact, match="cannot be decoded"):
        open_array(group, stored)


def test_memory_that_does_not_suffice_for_digesting_is_a_file_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhausted(*_: Any) -> Any:
        raise MemoryError

    group = tmp_path / "group"
    (stored,) = write_group(group, normalize({"x": np.arange(99)}), codec="zstd")
    monkeypatch.setattr(CompressedArray, "__getitem__", exhausted)

    with pytest.raises(OSError, match="Cannot allocate memory: .*c.0"):
        digest_group(group, (stored,))
    # Whoever asks for the array itself has it too large, and hears that.
    with pytest.raises(MemoryError):
        open_array(group, stored)


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"{}", b'{"consolidated_metadata":{"metadata":{"../x":{}}}}', b"\xff"],
)
def test_metadata_that_are_not_ours_are_not_described(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "zarr.json").write_bytes(content)

    with pytest.raises(CorruptArtifact, match="not metadata of ours"):
        describe_group(tmp_path)


def test_a_group_that_zarr_wrote_is_not_described(tmp_path: Path) -> None:
    theirs = zarr.open_group(tmp_path, mode="w")
    theirs.create_array("x", data=np.ones((4, 4)), dimension_names=("a", "b"))

    with pytest.raises(CorruptArtifact):
        describe_group(tmp_path)


@pytest.mark.parametrize("rows", [100, 1 << 19])
def test_an_opened_array_can_never_be_written(
    tmp_path: Path, codec: Codec, rows: int
) -> None:
    values = np.arange(rows, dtype="f4")
    (stored,) = write_group(tmp_path / "group", normalize({"x": values}), codec=codec)

    array = open_array(tmp_path / "group", stored)

    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1
    if codec == "raw":
        with pytest.raises(ValueError, match="WRITEABLE"):
            array.flags.writeable = True


def test_a_view_outlives_its_array_and_its_files(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((512, 512))
    (stored,) = write_group(tmp_path / "group", normalize({"x": values}))

    row = open_array(tmp_path / "group", stored)[7]
    shutil.rmtree(tmp_path / "group")

    assert row.tolist() == values[7].tolist()


def test_maps_hold_no_descriptors(tmp_path: Path) -> None:
    (stored,) = write_group(tmp_path / "group", normalize({"x": np.ones(1 << 17)}))
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    before = len(os.listdir("/proc/self/fd"))

    maps = [open_array(tmp_path / "group", stored) for _ in range(min(soft, 2000) + 1)]

    assert len(os.listdir("/proc/self/fd")) == before
    assert maps[-1][-1] == 1


def test_a_file_of_another_stat_than_expected_is_refused(
    tmp_path: Path, codec: Codec
) -> None:
    group = tmp_path / "group"
    records = write_group(group, normalize({"x": np.ones(9)}), codec=codec)
    remembered = file_stats(group, records)["x"]
    encoded = msgspec.json.encode(remembered)
    expected = msgspec.json.decode(encoded, type=FileStat)

    assert bits(open_array(group, records[0], expected)) == bits(np.ones(9))
    for changed in ({"ctime_ns": 1}, {"mtime_ns": 1}, {"inode": 1}):
        other = msgspec.structs.replace(expected, **changed)
        with pytest.raises(CorruptArtifact, match="written to after it was verified"):
            LazyArray(FolderGroup(str(group), {"x": other}), records[0])[0]


def test_what_was_read_of_a_file_of_known_content_is_not_read_again(
    tmp_path: Path,
) -> None:
    group = tmp_path / "group"
    records = write_group(group, normalize({"x": np.ones(9)}))
    expected = file_stats(group, records)["x"]
    first = open_array(group, records[0], expected)
    first.shape = (3, 3)
    shutil.rmtree(group)

    again = open_array(group, records[0], expected)

    assert again.shape == (9,)
    with pytest.raises(ValueError, match="WRITEABLE"):
        again.flags.writeable = True
    with pytest.raises(CorruptArtifact, match="missing"):
        open_array(group, records[0])


INDICES: tuple[Any, ...] = (
    *(0, -1, np.int64(3), True, ..., None, (), [0, 2], [True] * 10, (1, 2), (-1, ...)),
    *(slice(None), slice(2, 9, 3), slice(None, None, -2), slice(5, 5), slice(8, 2, -1)),
    *((slice(1, 4), 2), ([1, 2], [0, 1]), (0, None), (slice(None, None, -1), [0, 1])),
)


@pytest.mark.parametrize("index", INDICES, ids=str)
def test_a_lazy_array_is_indexed_as_numpy_indexes(
    tmp_path: Path, codec: Codec, index: Any, small_chunks: None
) -> None:
    values = np.arange(30, dtype="i4").reshape(10, 3)
    (stored,) = write_group(tmp_path / "group", normalize({"x": values}), codec=codec)
    lazy = lazy_array(tmp_path / "group", stored)

    assert bits(lazy[index]) == bits(values[index])
    assert type(lazy[index]) is type(values[index])


def test_a_lazy_array_says_what_it_is_without_reading(codec: Codec) -> None:
    stored = StoredArray("x", "<f4", (5, 2), ("a", "b"), 5, "raw", 60)
    lazy = lazy_array("/nowhere", stored)

    assert (lazy.shape, lazy.ndim, lazy.dims) == ((5, 2), 2, ("a", "b"))
    assert (lazy.dtype, lazy.nbytes, len(lazy)) == (np.dtype("f4"), 40, 5)
    with pytest.raises(CorruptArtifact, match="missing"):
        lazy[0]


@pytest.mark.parametrize("index", [10, -11, (10, 0)])
def test_a_lazy_array_ends_where_numpy_ends(
    tmp_path: Path, codec: Codec, index: Any
) -> None:
    (stored,) = write_group(
        tmp_path / "group", normalize({"x": np.zeros((10, 3))}), codec=codec
    )

    with pytest.raises(IndexError):
        lazy_array(tmp_path / "group", stored)[index]


def test_zstd_takes_less_space_and_plain_zarr_reads_it(
    tmp_path: Path, small_chunks: None
) -> None:
    values = np.zeros((100, 50))
    (stored,) = write_group(tmp_path / "group", normalize({"x": values}), codec="zstd")
    opened = zarr.open_array(tmp_path / "group/x", mode="r")

    assert stored.codec == "zstd"
    assert stored.size < stored.nbytes / 4
    assert opened.chunks == (stored.rows, 50)
    assert not np.asarray(opened[...]).any()


def test_the_codec_does_not_change_the_digest(tmp_path: Path) -> None:
    arrays = normalize({"x": np.arange(5.0)})
    raw = write_group(tmp_path / "raw", arrays)
    zstd = write_group(tmp_path / "zstd", arrays, codec="zstd")

    assert digest_group(tmp_path / "raw", raw) == digest_group(tmp_path / "zstd", zstd)


def test_everything_that_tells_arrays_apart_is_in_their_digest() -> None:
    one = np.arange(6, dtype="<i4")
    grid = one.reshape(2, 3)
    sets = [
        normalize({"x": one}),
        normalize({"y": one}, {"y": ("x_0",)}),
        normalize({"x": one.view("<f4")}),
        normalize({"x": grid}),
        normalize({"x": grid}, {"x": ("a", "b")}),
        normalize({"x": grid}, {"x": ("ab", "")[:1] + ("c",)}),
        normalize({"x": one, "y": one}),
        normalize({"x": one[:0]}),
        normalize({}),
    ]

    assert len({digest_arrays(each) for each in sets}) == len(sets)


def test_neither_byte_order_nor_memory_layout_is_in_the_digest() -> None:
    array = np.arange(6.0).reshape(2, 3)
    same = [
        array,
        array.astype(">f8"),
        np.asfortranarray(array),
        array[:, ::-1][:, ::-1],
    ]

    assert len({digest_arrays(normalize({"x": each})) for each in same}) == 1


def test_canonical_arrays_are_not_copied() -> None:
    array = np.arange(6.0)

    (kept,) = normalize({"x": array}).arrays

    assert kept.values is array


def test_records_travel_in_json(tmp_path: Path, codec: Codec) -> None:
    stored = write_group(tmp_path / "group", **groups(codec))

    again = msgspec.json.decode(
        msgspec.json.encode(stored), type=tuple[StoredArray, ...]
    )

    assert again == stored


@pytest.mark.parametrize(
    "change",
    [
        {"name": "../../secrets"},
        {"dtype": "|O"},
        {"shape": (1 << 60,)},
        {"shape": (-5,)},
        {"shape": ()},
        {"dims": ()},
        {"rows": 0},
        {"rows": 1 << 50},
        {"size": 1},
        {"rows": 0, "codec": "zstd"},
        {"codec": "pickle"},
    ],
    ids=str,
)
def test_a_record_that_contradicts_itself_is_not_decoded(
    change: dict[str, Any],
) -> None:
    record: dict[str, Any] = {
        "name": "x",
        "dtype": "<f4",
        "shape": (5,),
        "dims": ("a",),
    }
    record |= {"rows": 5, "codec": "raw", "size": 40}

    assert msgspec.convert(record, StoredArray).nbytes == 20
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(record | change, StoredArray)


def test_a_record_made_here_names_what_is_wrong() -> None:
    with pytest.raises(BadRecord, match="does not take 7 bytes"):
        StoredArray("x", "<f4", (5,), ("a",), 5, "raw", 7)


def test_syncing_changes_nothing(tmp_path: Path, codec: Codec) -> None:
    stored = write_group(tmp_path / "group", **groups(codec))

    sync_group(tmp_path / "group")

    assert describe_group(tmp_path / "group") == stored


def test_a_group_is_never_written_over_another(tmp_path: Path) -> None:
    arrays = normalize({"x": np.ones(3)})
    write_group(tmp_path / "group", arrays)

    with pytest.raises(FileExistsError):
        write_group(tmp_path / "group", arrays)


BAD_NAMES = (
    "",
    ".",
    "..",
    "a/b",
    "a\\b",
    "a\0",
    "__x",
    "zarr.json",
    "é" * 101,
    "\ud800",
)


@pytest.mark.parametrize("name", [*BAD_NAMES, 3], ids=ascii)
def test_a_name_that_is_no_folder_is_refused(name: Any) -> None:
    with pytest.raises(BadArrayName) as caught:
        normalize({name: np.ones(3)})

    assert "another name" in str(caught.value)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


UNSTORABLE: tuple[Any, ...] = (
    np.array([None]),
    np.array(["word"]),
    np.array([b"word"]),
    np.array(["word"], np.dtypes.StringDType()),
    np.array(["2024-01-01"], "datetime64[D]"),
    np.array([1], "timedelta64[s]"),
    np.zeros(2, [("a", "f4"), ("b", "i4")]),
    np.zeros(2, np.longdouble),
    np.zeros(2, np.clongdouble),
    np.zeros(2, ml_dtypes.bfloat16),
    np.zeros(2, ml_dtypes.int4),
    np.ma.masked_array([1.0, 2.0], [True, False]),
)


@pytest.mark.parametrize("array", UNSTORABLE, ids=lambda array: str(array.dtype))
def test_what_is_not_plain_numbers_is_refused_with_advice(array: Any) -> None:
    with pytest.raises(UnstorableArray) as caught:
        normalize({"x": array})

    assert caught.value.advice in str(caught.value)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


@pytest.mark.parametrize(
    ("arrays", "dims", "error", "words"),
    [
        ({"x": (2, 3)}, {"x": ("a",)}, DimsMismatch, "shape (2, 3)"),
        ({"x": (2, 2)}, {"x": ("a", "a")}, BadDims, "cannot have one name"),
        ({"x": (2,)}, {"x": "a"}, BadDims, "('a',)"),
        ({"x": (2,)}, {"x": ("",)}, BadDims, "not empty"),
        ({"x": (2,)}, {"y": ("a",)}, BadDims, "no such array"),
        (
            {"x": (2,), "y": (3,)},
            dict(x=("a",), y=("a",)),
            DimLengthsDiffer,
            "3 in 'y'",
        ),
        ({"x": (2,), "a": (3,)}, {"x": ("a",)}, DimLengthsDiffer, "3 in 'a'"),
        ({"x": (2,), "a": ()}, {"x": ("a",)}, BadDims, "coordinate"),
        ({"x": (2,), "a": (2, 2)}, {"x": ("a",)}, BadDims, "coordinate"),
        ({"x": (2,), "a": (2,)}, {"x": ("a",), "a": ("b",)}, BadDims, "coordinate"),
    ],
)
def test_dimensions_that_xarray_could_not_open_are_refused(
    arrays: dict[str, tuple[int, ...]],
    dims: Any,
    error: type[Exception],
    words: str,
) -> None:
    with pytest.raises(error) as caught:
        normalize({name: np.zeros(shape) for name, shape in arrays.items()}, dims)

    assert words in str(caught.value)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_a_masked_number_among_others_is_refused() -> None:
    numbers: Any = [1.0, np.ma.masked]
    with pytest.raises(UnstorableArray, match="masked"):
        normalize({"x": numbers})
    assert normalize({"x": [1.0, 2]}).arrays[0].values.tolist() == [1, 2]
