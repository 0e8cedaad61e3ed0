from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import SafetensorError, deserialize
from safetensors.numpy import load_file, save_file
from safetensors.torch import save_file as save_torch_file

from artifact_store import errors, files
from artifact_store.checkpoints import Checkpoint, open_checkpoint
from artifact_store.digests import Digest
from artifact_store.files import DigestMemo, File, Signatures, is_racy

RUNS = Path(__file__).parents[2] / "shared" / "runs"
REAL = sorted(RUNS.glob("*/checkpoints/*.safetensors"))

Arrays = dict[str, npt.NDArray[Any]]

ARRAYS: Arrays = {
    "b": np.arange(3, dtype=np.int64),
    "embed.W_E": np.arange(12, dtype=np.float32).reshape(3, 4),
    "mask": np.zeros((0, 0), dtype=np.bool_),
    "scale": np.array(0.5),
}


class Memo:
    """Remembers in a dict; `asked` counts the recalls."""

    def __init__(self) -> None:
        self.known: dict[Signatures, Mapping[str, Digest]] = {}
        self.asked = 0

    def recall(self, signature: Signatures) -> Mapping[str, Digest] | None:
        self.asked += 1
        return self.known.get(signature)

    def remember(self, signature: Signatures, digests: Mapping[str, Digest]) -> None:
        self.known[signature] = digests


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "checkpoint_epoch_00500.safetensors"
    save_file(ARRAYS, path, {"note": "hello"})
    return path


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files count as long unwritten, as tests do not sleep."""
    monkeypatch.setattr(files, "RACY_NS", 0)


@pytest.fixture
def unread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever digests a file fails."""

    def fail(*_: object) -> None:
        raise AssertionError("a file was read to be digested")

    monkeypatch.setattr("artifact_store.checkpoints.feed", fail)
    monkeypatch.setattr(files, "feed", fail)


def blob(header: object, data: bytes = b"") -> bytes:
    """A file of the safetensors format, or nearly so."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def field(
    begin: int, end: int, shape: list[Any] | None = None, dtype: str = "U8"
) -> Any:
    return {
        "dtype": dtype,
        "shape": [end - begin] if shape is None else shape,
        "data_offsets": [begin, end],
    }


def shard(directory: Path, *shards: Arrays, name: str = "model") -> Path:
    """Save `shards` with their index, which is returned."""
    directory.mkdir()
    placed: dict[str, str] = {}
    for number, arrays in enumerate(shards, 1):
        file = f"{name}-{number:05d}-of-{len(shards):05d}.safetensors"
        save_file(arrays, directory / file)
        placed |= dict.fromkeys(arrays, file)
    index = directory / f"{name}.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": placed}))
    return index


# Reading


@pytest.mark.skipif(not REAL, reason="the runs of the workshop are not here")
@pytest.mark.parametrize("path", REAL[:1] + REAL[-2:], ids=lambda path: str(path.stem))
def test_a_real_checkpoint_reads_as_safetensors_reads_it(path: Path) -> None:
    checkpoint, expected = Checkpoint(path), load_file(path)

    assert list(checkpoint) == sorted(expected)
    for name, array in expected.items():
        assert checkpoint[name].dtype == array.dtype
        np.testing.assert_array_equal(checkpoint[name], array, strict=True)
        np.testing.assert_array_equal(
            checkpoint.tensor(name).numpy(), array, strict=True
        )


def test_a_checkpoint_reads_like_a_mapping_sorted_by_name(saved: Path) -> None:
    checkpoint = Checkpoint(saved)

    assert list(checkpoint) == list(checkpoint.keys()) == sorted(ARRAYS)
    assert len(checkpoint) == 4 and "scale" in checkpoint and "other" not in checkpoint
    assert (
        checkpoint.shape("embed.W_E") == (3, 4)
        and checkpoint.dtype("embed.W_E") == "F32"
    )
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(checkpoint[name], array, strict=True)


def test_an_array_is_contiguous_aligned_native_and_refuses_writes(saved: Path) -> None:
    for name in ARRAYS:
        array = Checkpoint(saved)[name]

        assert array.flags.c_contiguous and array.flags.aligned and array.dtype.isnative
        with pytest.raises(ValueError):
            array.flags.writeable = True


def test_writing_to_a_tensor_changes_neither_the_next_nor_the_file(saved: Path) -> None:
    checkpoint = Checkpoint(saved)
    checkpoint.tensor("b").zero_()

    assert checkpoint.tensor("b").tolist() == checkpoint["b"].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "dtype",
    [
        torch.bool,
        torch.uint16,
        torch.uint64,
        torch.float16,
        torch.complex64,
        torch.bfloat16,
        torch.float8_e4m3fn,
        torch.float8_e4m3fnuz,
        torch.float8_e5m2,
        torch.float8_e5m2fnuz,
        torch.float8_e8m0fnu,
        torch.float4_e2m1fn_x2,
    ],
    ids=str,
)
def test_every_torch_dtype_comes_back_as_it_was_saved(
    tmp_path: Path, dtype: torch.dtype
) -> None:
    original = torch.arange(2, dtype=torch.uint8).repeat(16).view(dtype).reshape(2, -1)
    save_torch_file({"w": original}, tmp_path / "w.safetensors")
    checkpoint = Checkpoint(tmp_path / "w.safetensors")

    read = checkpoint.tensor("w")

    assert (read.dtype, read.shape) == (dtype, original.shape)
    assert torch.equal(read.view(torch.uint8), original.view(torch.uint8))
    assert set(checkpoint.digests) == {"w"}


def test_a_dtype_unknown_to_numpy_is_refused_with_the_way_to_read_it(
    tmp_path: Path,
) -> None:
    save_torch_file(
        {"w": torch.ones(2, dtype=torch.bfloat16)}, tmp_path / "w.safetensors"
    )

    with pytest.raises(errors.NotANumpyDtype, match=r"BF16.*checkpoint\.tensor\('w'\)"):
        Checkpoint(tmp_path / "w.safetensors")["w"]


@pytest.mark.parametrize(
    "header",
    [field(0, 3, [4], "F6_E2M3"), field(0, 3, [2, 3], "F4")],
    ids=["F6", "odd F4"],
)
def test_what_torch_cannot_represent_is_refused_but_has_a_digest(
    tmp_path: Path, header: Any
) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(blob({"w": header}, b"abc"))

    with pytest.raises(errors.NotATorchDtype, match=header["dtype"]):
        Checkpoint(path).tensor("w")
    assert set(Checkpoint(path).digests) == {"w"}


def test_a_missing_tensor_is_a_key_error_that_suggests_names(saved: Path) -> None:
    with pytest.raises(KeyError) as caught:
        Checkpoint(saved)["embed.W_e"]

    assert str(caught.value).endswith(
        "has no tensor 'embed.W_e'. Did you mean 'embed.W_E'?"
    )


def test_labels_come_from_the_name_and_the_header(saved: Path, tmp_path: Path) -> None:
    checkpoint = Checkpoint(saved)

    assert (checkpoint.label, checkpoint.epoch) == ("checkpoint_epoch_00500", 500)
    assert checkpoint.metadata == {"note": "hello"}
    assert Checkpoint(shard(tmp_path / "epoch_7", ARRAYS)).label == "epoch_7"
    assert Checkpoint(tmp_path / "epoch_7").epoch == 7
    assert Checkpoint(saved.rename(tmp_path / "final.safetensors")).epoch is None


def test_a_path_is_made_absolute_without_following_links(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "link.safetensors").symlink_to(saved)
    monkeypatch.chdir(tmp_path)

    assert Checkpoint("link.safetensors").path == tmp_path / "link.safetensors"


def test_importing_checkpoints_does_not_import_torch() -> None:
    code = "import sys, artifact_store.checkpoints, artifact_store.runs; sys.exit('torch' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


# Identity


def test_the_root_ignores_metadata_order_padding_name_and_sharding(
    tmp_path: Path,
) -> None:
    def write(name: str, order: list[str], padding: bytes) -> Checkpoint:
        header, data = {}, b""
        for key in order:
            raw = ARRAYS[key].tobytes()
            dtype = {"b": "I64", "embed.W_E": "F32", "mask": "BOOL", "scale": "F64"}[
                key
            ]
            header[key] = field(
                len(data), len(data) + len(raw), list(ARRAYS[key].shape), dtype
            )
            data += raw
        path = tmp_path / name
        path.write_bytes(blob(json.dumps(header).encode() + padding, data))
        return Checkpoint(path)

    save_file(ARRAYS, tmp_path / "plain.safetensors", {"run": "1"})
    half = {name: ARRAYS[name] for name in ("scale", "b")}
    rest = {name: ARRAYS[name] for name in ("mask", "embed.W_E")}
    roots = {
        Checkpoint(tmp_path / "plain.safetensors").root,
        write("ordered.safetensors", sorted(ARRAYS), b"").root,
        write("reversed.safetensors", sorted(ARRAYS, reverse=True), b" " * 29).root,
        Checkpoint(shard(tmp_path / "two", half, rest)).root,
        Checkpoint(shard(tmp_path / "three", rest, {}, half)).root,
    }

    assert len(roots) == 1


def test_one_flipped_bit_changes_one_digest_and_the_root(saved: Path) -> None:
    before = Checkpoint(saved)
    known, root = before.digests, before.root
    content = bytearray(saved.read_bytes())
    content[-1] ^= 1
    saved.write_bytes(content)

    after = Checkpoint(saved)

    assert sum(after.digests[name] != known[name] for name in known) == 1
    assert after.root != root


@pytest.mark.parametrize(
    "other",
    [
        {"v": np.zeros(4, np.float32)},
        {"w": np.zeros((2, 2), np.float32)},
        {"w": np.zeros(4, np.int32)},
        {"w": np.zeros((4, 1), np.float32)},
        {"w": np.zeros(4, np.float32), "x": np.zeros(0, np.float32)},
    ],
    ids=["name", "shape", "dtype", "axis", "an empty tensor"],
)
def test_each_property_of_a_tensor_decides_the_root(
    tmp_path: Path, other: Arrays
) -> None:
    save_file({"w": np.zeros(4, np.float32)}, tmp_path / "one.safetensors")
    save_file(other, tmp_path / "other.safetensors")

    assert (
        Checkpoint(tmp_path / "one.safetensors").root
        != Checkpoint(tmp_path / "other.safetensors").root
    )


def test_a_digest_does_not_depend_on_the_block_it_is_read_by(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Checkpoint(saved).digests
    monkeypatch.setattr(files, "BLOCK_BYTES", 5)

    assert Checkpoint(saved).digests == whole
    assert Checkpoint(saved).digest("b") == whole["b"]


def test_empty_and_scalar_tensors_have_digests_of_their_own(saved: Path) -> None:
    assert len(set(Checkpoint(saved).digests.values())) == 4
    with pytest.raises(errors.MissingTensor):
        Checkpoint(saved).digest("other")


# What is remembered


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("kind", [Checkpoint, File])
def test_a_remembered_digest_is_not_computed_again(
    saved: Path, kind: Callable[[Path], files.Content], request: pytest.FixtureRequest
) -> None:
    memo: DigestMemo = Memo()
    root = kind(saved).identify(memo)
    request.getfixturevalue("unread")

    assert kind(saved).identify(memo) == root


@pytest.mark.parametrize("kind", [Checkpoint, File])
def test_a_digest_of_a_file_just_written_is_not_remembered(
    saved: Path, kind: Callable[[Path], files.Content]
) -> None:
    memo, content = Memo(), kind(saved)
    root = content.identify(memo)

    assert not memo.known
    assert content.identify(memo) == root and memo.asked == 1


@pytest.mark.usefixtures("settled")
def test_a_memo_that_names_other_tensors_is_not_believed(saved: Path) -> None:
    memo, root = Memo(), Checkpoint(saved).root
    File(saved).identify(memo)

    assert Checkpoint(saved).identify(memo) == root
    assert memo.known[Checkpoint(saved).signature] == Checkpoint(saved).digests


def test_a_signature_is_racy_while_either_time_is_near_or_to_come() -> None:
    old, now = 1_000_000_000_000, 2_000_000_000_000
    signature = files.Signature(1, old, old, 7)

    assert not is_racy((signature,), now)
    for stamp in (now - files.RACY_NS + 1, now, now + 10 * files.RACY_NS):
        assert is_racy((signature, signature._replace(mtime_ns=stamp)), now)
        assert is_racy((signature._replace(ctime_ns=stamp),), now)


@pytest.mark.usefixtures("settled")
def test_an_unchanged_path_opens_as_the_same_object(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = open_checkpoint(saved)

    assert open_checkpoint(str(saved)) is first
    monkeypatch.chdir(saved.parent)
    assert open_checkpoint(saved.name) is first


@pytest.mark.usefixtures("settled")
def test_an_unchanged_sharded_checkpoint_opens_as_the_same_object(
    tmp_path: Path,
) -> None:
    index = shard(tmp_path / "whole", {"a": ARRAYS["b"]}, {"b": ARRAYS["b"]})
    first = open_checkpoint(index)

    assert open_checkpoint(index) is first
    os.utime(index.parent / "model-00002-of-00002.safetensors", (1, 1))
    assert open_checkpoint(index) is not first


@pytest.mark.usefixtures("settled")
def test_a_rewritten_path_opens_as_what_it_holds_now(saved: Path) -> None:
    first = open_checkpoint(saved)
    save_file({"other": np.zeros(2)}, saved)

    assert list(open_checkpoint(saved)) == ["other"] != list(first)


def test_a_file_just_written_opens_anew_each_time(saved: Path) -> None:
    assert open_checkpoint(saved) is not open_checkpoint(saved)


def test_one_relative_path_in_two_directories_is_two_checkpoints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settled: None
) -> None:
    save_file({"here": np.zeros(1)}, tmp_path / "w.safetensors")
    (tmp_path / "there").mkdir()
    os.link(tmp_path / "w.safetensors", tmp_path / "there" / "w.safetensors")
    monkeypatch.chdir(tmp_path)
    here = open_checkpoint("w.safetensors")
    monkeypatch.chdir(tmp_path / "there")

    assert open_checkpoint("w.safetensors").path != here.path


# Change


def rewrite(path: Path) -> None:
    path.write_bytes(path.read_bytes())
    os.utime(path, (1, 1))


def replace(path: Path) -> None:
    copy = path.with_suffix(".new")
    copy.write_bytes(path.read_bytes())
    copy.rename(path)


def cut_short(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 60)


@pytest.mark.parametrize(
    "change",
    [rewrite, replace, cut_short, os.remove],
    ids=lambda change: str(change.__name__),
)
@pytest.mark.parametrize(
    "use",
    [
        lambda checkpoint: checkpoint["b"],
        lambda checkpoint: checkpoint.tensor("b"),
        lambda checkpoint: checkpoint.digests,
        lambda checkpoint: checkpoint.identify(Memo()),
    ],
    ids=["array", "tensor", "digests", "identify"],
)
def test_a_file_that_changed_after_opening_is_never_read(
    saved: Path, change: Callable[[Path], None], use: Callable[[Checkpoint], object]
) -> None:
    checkpoint = Checkpoint(saved)
    change(saved)

    with pytest.raises(
        errors.CheckpointChanged, match=r"checkpoint_epoch_00500.*Open it again"
    ):
        use(checkpoint)


def test_a_file_cut_short_while_it_is_read_is_noticed(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint, preadv = Checkpoint(saved), os.preadv

    def cut_then_read(descriptor: int, buffers: list[memoryview], offset: int) -> int:
        os.truncate(saved, offset)
        return preadv(descriptor, buffers, offset)

    monkeypatch.setattr(os, "preadv", cut_then_read)

    with pytest.raises(errors.CheckpointChanged, match="cut short"):
        checkpoint["b"]


def test_a_write_in_the_midst_of_a_read_is_noticed(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint, preadv = Checkpoint(saved), os.preadv

    def read_then_touch(descriptor: int, buffers: list[memoryview], offset: int) -> int:
        os.utime(saved, (1, 1))
        return preadv(descriptor, buffers, offset)

    monkeypatch.setattr(os, "preadv", read_then_touch)

    with pytest.raises(errors.CheckpointChanged, match="was written"):
        checkpoint.digests


@pytest.mark.parametrize("kind", [Checkpoint, File])
def test_content_travels_to_a_worker_by_its_path(
    saved: Path, kind: Callable[[Path], files.Content]
) -> None:
    content = kind(saved)
    arrived = pickle.loads(pickle.dumps(content))

    assert (arrived.path, arrived.signature, arrived.root) == (
        content.path,
        content.signature,
        content.root,
    )


def test_a_checkpoint_that_changed_on_its_way_to_a_worker_is_refused(
    saved: Path,
) -> None:
    packed = pickle.dumps(Checkpoint(saved))
    rewrite(saved)

    with pytest.raises(errors.CheckpointChanged):
        pickle.loads(packed)


# Files


def test_a_file_is_known_by_its_bytes_alone(tmp_path: Path) -> None:
    for name, content in (
        ("a.txt", b"same"),
        ("b.txt", b"same"),
        ("c.txt", b"else"),
        ("d.txt", b""),
    ):
        (tmp_path / name).write_bytes(content)
    a, b, c, d = (File(tmp_path / f"{name}.txt") for name in "abcd")

    assert a.root == b.root and len({a.root, c.root, d.root}) == 3
    assert a.read_bytes() == b"same" and d.read_bytes() == b""


def test_a_file_that_changed_after_opening_is_never_read_as_such(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"old")
    file = File(path)
    path.write_bytes(b"newer")

    with pytest.raises(errors.FileChanged, match="Open it again"):
        file.read_bytes()


@pytest.mark.parametrize(
    "name", ["none", "", "\0", "x" * 300], ids=["none", "directory", "null", "long"]
)
def test_a_file_that_is_not_there_is_missing(tmp_path: Path, name: str) -> None:
    with pytest.raises(FileNotFoundError, match="Name an existing file"):
        File(tmp_path / name)


# Malformed files

U8 = field(0, 2)
BROKEN: dict[str, tuple[type[errors.MalformedCheckpoint], bytes]] = {
    "empty": (errors.EmptyCheckpoint, b""),
    "few bytes": (errors.TruncatedCheckpoint, b"\x02\0\0"),
    "header cut": (errors.TruncatedCheckpoint, blob({"a": U8}, b"ab")[:30]),
    "data cut": (errors.TruncatedCheckpoint, blob({"a": U8}, b"a")),
    "trailing": (errors.TrailingBytes, blob({"a": U8}, b"abc")),
    "trailing without tensors": (errors.TrailingBytes, blob({}, b"abc")),
    "zip": (errors.NotSafetensors, b"PK\x03\x04" + b"\0" * 60),
    "text": (errors.NotSafetensors, b"version https://git-lfs.github.com/spec/v1\n"),
    "huge header": (errors.HeaderTooLarge, (10**8 + 1).to_bytes(8, "little") + b"{"),
    "no header": (errors.MalformedHeader, bytes(8)),
    "not json": (errors.MalformedHeader, blob(b"{nonsense}")),
    "not utf-8": (errors.MalformedHeader, blob(b'{"\xff":1}')),
    "half a surrogate": (
        errors.MalformedHeader,
        blob(b'{"__metadata__":{"a":"\\ud800"}}'),
    ),
    "deep": (errors.MalformedHeader, blob(b'{"a":' + b"[" * 200_000)),
    "long integer": (errors.MalformedHeader, blob(b'{"a":' + b"1" * 5000 + b"}")),
    "metadata of numbers": (errors.MalformedHeader, blob({"__metadata__": {"a": 1}})),
    "metadata null": (errors.MalformedHeader, blob({"__metadata__": None})),
    "tensor a list": (errors.MalformedHeader, blob({"a": [1]})),
    "tensor without shape": (
        errors.MalformedHeader,
        blob({"a": {"dtype": "U8", "data_offsets": [0, 0]}}),
    ),
    "tensor with strides": (
        errors.MalformedHeader,
        blob({"a": {**U8, "strides": [1]}}, b"ab"),
    ),
    "three offsets": (
        errors.MalformedHeader,
        blob({"a": {**U8, "data_offsets": [0, 1, 2]}}, b"ab"),
    ),
    "shape of floats": (errors.MalformedHeader, blob({"a": field(0, 2, [2.0])}, b"ab")),
    "shape of booleans": (
        errors.MalformedHeader,
        blob({"a": field(0, 1, [True])}, b"a"),
    ),
    "same tensor twice": (
        errors.DuplicateName,
        blob(b'{"a":%b,"a":%b}' % ((json.dumps(U8).encode(),) * 2), b"ab"),
    ),
    "unknown dtype": (errors.UnknownDtype, blob({"a": field(0, 2, dtype="U7")}, b"ab")),
    "negative shape": (
        errors.ImpossibleShape,
        blob({"a": field(0, 2, [-1, -2])}, b"ab"),
    ),
    "overflow": (errors.ImpossibleShape, blob({"a": field(0, 2, [2**62, 4])}, b"ab")),
    "empty overflow": (errors.ImpossibleShape, blob({"a": field(0, 0, [0, 2**62, 4])})),
    "too many axes": (errors.ImpossibleShape, blob({"a": field(0, 1, [1] * 65)}, b"a")),
    "too few bytes": (errors.InconsistentSize, blob({"a": field(0, 2, [3])}, b"ab")),
    "half a byte": (
        errors.InconsistentSize,
        blob({"a": field(0, 2, [3], "F4")}, b"ab"),
    ),
    "negative offset": (errors.OffsetsOutOfRange, blob({"a": field(-1, 1)}, b"ab")),
    "backward": (errors.OffsetsOutOfRange, blob({"a": field(2, 0, [0])}, b"ab")),
    "overlap": (errors.OverlappingTensors, blob({"a": U8, "b": field(1, 3)}, b"abc")),
    "empty inside": (
        errors.OverlappingTensors,
        blob({"a": U8, "b": field(1, 1)}, b"ab"),
    ),
    "gap": (errors.GapBetweenTensors, blob({"a": U8, "b": field(3, 4)}, b"abcd")),
    "gap at the start": (errors.GapBetweenTensors, blob({"a": field(1, 2)}, b"ab")),
    "far away": (errors.GapBetweenTensors, blob({"a": field(2**62, 2**62 + 1)}, b"ab")),
}


@pytest.mark.parametrize(("kind", "content"), BROKEN.values(), ids=BROKEN.keys())
def test_each_way_to_break_a_file_has_an_error_of_its_own(
    tmp_path: Path, kind: type[errors.MalformedCheckpoint], content: bytes
) -> None:
    path = tmp_path / "broken.safetensors"
    path.write_bytes(content)

    with pytest.raises(errors.MalformedCheckpoint) as caught:
        Checkpoint(path)

    assert type(caught.value) is kind
    assert str(caught.value).startswith(f"{path}: ") and str(caught.value).endswith(
        f". {kind.advice}"
    )
    assert len(str(caught.value)) < 500
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_a_huge_claim_is_refused_without_reading_it(tmp_path: Path) -> None:
    path = tmp_path / "sparse.safetensors"
    path.write_bytes((90_000_000).to_bytes(8, "little") + b"{")

    with pytest.raises(errors.TruncatedCheckpoint, match="90000000"):
        Checkpoint(path)


def read_by_safetensors(content: bytes) -> dict[str, bytes]:
    tensors = deserialize(content)  # type: ignore[no-untyped-call]
    return {name: bytes(found["data"]) for name, found in tensors}


NUMBERS = st.integers(-2, 9) | st.sampled_from(
    [2**31, 2**63, 2**64, 10**30, True, 1.5, None]
)
FIELDS = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["U8", "F32", "F4", "BF16", "F6_E2M3", "U7", ""])
        | NUMBERS,
        "shape": st.lists(NUMBERS, max_size=3) | NUMBERS,
        "data_offsets": st.lists(NUMBERS, min_size=2, max_size=2) | NUMBERS,
    },
    optional={"more": st.none()},
)
JSON = st.recursive(
    NUMBERS | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2)
    | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
# Tensors end to end: all there is to go wrong is the end of the file.
TILED = st.lists(st.integers(0, 4), max_size=3).map(
    lambda rows: {
        f"w{i}": field(4 * sum(rows[:i]), 4 * sum(rows[: i + 1]), [length, 4])
        for i, length in enumerate(rows)
    }
)
HEADERS = (
    TILED
    | st.dictionaries(
        st.text(max_size=3) | st.just("__metadata__"), FIELDS | JSON, max_size=3
    )
    | JSON
)
BLOBS = (
    st.builds(blob, HEADERS, st.binary(max_size=20))
    | st.binary(max_size=60)
    | st.builds(blob, st.binary())
)


@given(
    content=BLOBS, flip=st.none() | st.tuples(st.integers(0, 200), st.integers(1, 255))
)
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_a_checkpoint_or_a_deliberate_error(
    content: bytes,
    flip: tuple[int, int] | None,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    if flip is not None and flip[0] < len(content):
        content = (
            content[: flip[0]]
            + bytes([content[flip[0]] ^ flip[1]])
            + content[flip[0] + 1 :]
        )
    path = tmp_path_factory.getbasetemp() / "fuzzed.safetensors"
    path.write_bytes(content)

    try:
        checkpoint = Checkpoint(path)
    except errors.MalformedCheckpoint as error:
        assert str(error)
    else:
        assert set(checkpoint.digests) == set(read_by_safetensors(content))


@given(header=TILED, data=st.binary(max_size=20))
@settings(max_examples=100, deadline=None)
def test_well_formed_headers_are_accepted_exactly_when_safetensors_accepts_them(
    header: dict[str, Any], data: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "tiled.safetensors"
    path.write_bytes(blob(header, data))
    try:
        expected = read_by_safetensors(path.read_bytes())
    except SafetensorError:
        with pytest.raises(errors.MalformedCheckpoint):
            Checkpoint(path)
    else:
        checkpoint = Checkpoint(path)
        assert {name: checkpoint[name].tobytes() for name in checkpoint} == expected


# Paths and shards


def test_a_sharded_checkpoint_opens_by_its_index_or_its_directory(
    tmp_path: Path,
) -> None:
    index = shard(tmp_path / "whole", {"a": ARRAYS["b"]}, {"b": ARRAYS["embed.W_E"]})

    for path in (index, index.parent):
        checkpoint = Checkpoint(path)
        np.testing.assert_array_equal(checkpoint["b"], ARRAYS["embed.W_E"], strict=True)
        assert len(checkpoint.signature) == 3


def test_a_directory_with_one_file_is_that_checkpoint(saved: Path) -> None:
    assert Checkpoint(saved.parent).root == Checkpoint(saved).root
    assert Checkpoint(saved.parent).path == saved.parent


def test_a_directory_without_exactly_one_checkpoint_is_refused(
    saved: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        errors.MissingCheckpoint, match="directory without a safetensors file"
    ):
        Checkpoint(tmp_path / "empty")

    save_file(ARRAYS, tmp_path / "second.safetensors")
    with pytest.raises(
        errors.MissingCheckpoint,
        match="2 files.*00500.safetensors and second.safetensors",
    ):
        Checkpoint(tmp_path)


@pytest.mark.parametrize("open_it", [Checkpoint, open_checkpoint])
@pytest.mark.parametrize(
    "name", ["none.safetensors", "none.safetensors.index.json", "\0", "x" * 300, "a/b"]
)
def test_a_checkpoint_that_is_not_there_is_missing(
    tmp_path: Path, open_it: Callable[[Path], Checkpoint], name: str
) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        open_it(tmp_path / name)

    assert isinstance(caught.value, errors.MissingCheckpoint)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_a_named_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.safetensors")

    with pytest.raises(errors.MissingCheckpoint, match="not a regular file"):
        Checkpoint(tmp_path / "pipe.safetensors")


@pytest.mark.parametrize(
    ("kind", "placed"),
    [
        (
            errors.TensorNotInShard,
            {"a": "one.safetensors", "c": "one.safetensors", "b": "two.safetensors"},
        ),
        (errors.TensorNotInShard, {"a": "two.safetensors", "b": "two.safetensors"}),
        (errors.TensorNotInIndex, {"a": "one.safetensors", "d": "two.safetensors"}),
        (
            errors.TensorInTwoShards,
            {"a": "one.safetensors", "b": "again.safetensors", "d": "two.safetensors"},
        ),
        (errors.MissingShard, {"a": "one.safetensors", "b": "none.safetensors"}),
        (errors.MissingShard, {"a": "x" * 300}),
        (errors.MissingShard, {"a": "one.safetensors\0"}),
        (errors.MissingShard, {"a": "."}),
        (errors.EscapingShard, {"a": "../one.safetensors"}),
        (errors.EscapingShard, {"a": "/etc/passwd"}),
        (errors.MalformedIndex, {"a": 1}),
        (errors.MalformedIndex, {"a": ""}),
        (errors.MalformedIndex, ["a"]),
    ],
)
def test_an_index_at_odds_with_its_shards_is_refused(
    tmp_path: Path, kind: type[errors.MalformedCheckpoint], placed: object
) -> None:
    zeros = np.zeros(2)
    save_file({"a": zeros}, tmp_path / "one.safetensors")
    save_file({"b": zeros}, tmp_path / "two.safetensors")
    save_file({"a": zeros, "b": zeros}, tmp_path / "again.safetensors")
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": placed}))

    with pytest.raises(errors.MalformedCheckpoint) as caught:
        Checkpoint(index)

    assert type(caught.value) is kind
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


@given(
    content=st.binary(max_size=30)
    | JSON.map(lambda found: json.dumps({"weight_map": found}).encode())
)
@settings(max_examples=100, deadline=None)
def test_any_index_is_a_checkpoint_or_a_deliberate_error(
    content: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    index = tmp_path_factory.getbasetemp() / "fuzzed.safetensors.index.json"
    index.write_bytes(content)

    try:
        assert len(Checkpoint(index)) == 0
    except errors.MalformedCheckpoint as error:
        assert str(error)


def test_a_notebook_shows_names_as_text(tmp_path: Path) -> None:
    save_file({"<script>": np.zeros((2, 3), np.float32)}, tmp_path / "w.safetensors")
    shown = Checkpoint(tmp_path / "w.safetensors")._repr_html_()

    assert "<script>" not in shown and "&lt;script&gt;" in shown and "2 × 3" in shown
    assert repr(Checkpoint(tmp_path / "w.safetensors")) == "Checkpoint(w, 1 tensors)"
