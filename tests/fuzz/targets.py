"""What is fuzzed: readers of bytes that strangers may have written, each with valid inputs to begin with.

bytes ──► *Target* ──► a named refusal, or what is as good as the bytes say

Every other exception goes up, and is a finding.
"""

from __future__ import annotations

import os
import struct
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import safetensors
from numcodecs import zstd
from safetensors.numpy import save

from artifact_store import Checkpoint, analysis, encoding, settings
from artifact_store.arrays import describe_group, digest_group
from artifact_store.artifacts import Artifact
from artifact_store.checked import with_check
from artifact_store.compressed import CompressedArray, _with_checksum
from artifact_store.equivalence import as_good, blessings
from artifact_store.errors import ArtifactStoreError
from artifact_store.layout import Layout
from artifact_store.listing import briefs
from artifact_store.lookup import read_manifest
from artifact_store.manifests import InputRecord, ParamRecord
from artifact_store.pictures import record_in, with_record
from artifact_store.pins import pin, pins
from artifact_store.safetensors_headers import read_header, read_index
from artifact_store.shards import ZSTD_LEVEL, StoredArray
from artifact_store.stamps import (
    Stamp,
    StampedArtifact,
    StampedMember,
    read_stamp,
    stamped,
)
from artifact_store.stores.local import LocalStore
from artifact_store.stores.quarantine import quarantined, set_aside
from artifact_store.traces import follow

Run = Callable[[bytes], None]


class Target(msgspec.Struct, frozen=True):
    """A reader, and valid inputs for it."""

    run: Run
    seeds: tuple[bytes, ...]


@analysis
def below(checkpoint: Checkpoint, k: int = 1) -> Any:
    return checkpoint["w"] * k


@analysis
def above(checkpoint: Checkpoint, k: int = 2) -> Any:
    return {"x": below(checkpoint, k=k) + checkpoint["v"], "n": np.float32(k)}


W: Final = np.arange(6, dtype=np.float32).reshape(2, 3)
TENSORS: Final[Mapping[str, Any]] = {"w": W, "v": W[0], "none": W[:0], "one": W[0, 0]}
# Which safetensors leaves without types.
DESERIALIZE: Final[Callable[[bytes], list[tuple[str, Any]]]] = safetensors.deserialize
RIGHT: Final = {"x": (W * 2 + W[0]).tolist(), "n": 2.0}


@contextmanager
def targets() -> Iterator[Mapping[str, Target]]:
    """Every target, with a store in memory to read from."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield {
            **_of_checkpoints(),
            **_of_a_store(Path(folder)),
            **_of_compressed(Path(folder)),
            **_of_words(),
            **_of_pictures(),
        }


def _of_checkpoints() -> dict[str, Target]:
    described = save({name: np.asarray(one) for name, one in TENSORS.items()}, {"a": "b"})  # fmt: skip
    header = described[8 : 8 + int.from_bytes(described[:8], "little")]
    file = os.memfd_create("checkpoint")

    def filled(content: bytes) -> int:
        os.ftruncate(file, 0)
        os.pwrite(file, content, 0)
        return len(content)

    def read_file(content: bytes) -> None:
        try:
            found = read_header(partial(os.pread, file), filled(content), Path("a"))
        except ArtifactStoreError:
            return
        # What is accepted is what safetensors makes of it.
        theirs = dict(DESERIALIZE(content))
        assert theirs.keys() == found.tensors.keys()
        for name, span in found.tensors.items():
            other = theirs[name]
            assert (other["dtype"], tuple(other["shape"])) == (span.dtype, span.shape)
            assert bytes(other["data"]) == content[span.start : span.stop]

    def read_framed(content: bytes) -> None:
        """The bytes as a header, whose length is right, and before as much data as there may be."""
        read_file(len(content).to_bytes(8, "little") + content + bytes(52))

    def read_shards(content: bytes) -> None:
        with suppress(ArtifactStoreError):
            for shard in read_index(
                partial(os.pread, file), filled(content), Path("a/b")
            ).values():
                assert not shard.startswith("/") and ".." not in Path(shard).parts

    index = (
        b'{"metadata":{"total_size":9},"weight_map":{"w":"a-1.safetensors","v":"b/c"}}'
    )
    return {
        "file": Target(read_file, (described,)),
        "header": Target(read_framed, (header,)),
        "index": Target(read_shards, (index,)),
    }


def _of_a_store(folder: Path) -> dict[str, Target]:
    path = folder / "checkpoints" / "checkpoint_epoch_00001.safetensors"
    path.parent.mkdir()
    path.write_bytes(save({name: np.asarray(one) for name, one in TENSORS.items()}))
    checkpoint = Checkpoint(path)
    above(checkpoint)
    store = LocalStore(folder / "artifacts")
    call = above.call_with({"checkpoint": checkpoint})
    entry = store.find(call.key)
    assert entry is not None
    layout, manifest = Layout(store.location), entry.manifest
    pin(store.location, call.key, "label", "note")
    aside = folder / "aside"
    aside.touch()
    set_aside(layout, str(aside), call.key, "cause")
    store.keep("blessings", _blessed(), [])
    digests = {name: digest for name, digest in checkpoint.digests.items()}
    store.remember(checkpoint.signature, digests)

    def at(place: str | Path, kind: str, read: Callable[[], object]) -> Target:
        """The file at a place: checked, if it is of a kind that is."""
        file = Path(place)
        content = file.read_bytes()
        # What stands before the rest of a record is made anew for whatever becomes of the rest.
        seed = b"{" + content.split(b",", 1)[1] if kind else content

        def run(given: bytes) -> None:
            file.write_bytes(with_check(kind, given or b"{") if kind else given)
            try:
                read()
            except ArtifactStoreError:
                pass
            finally:
                file.write_bytes(content)

        return Target(run, (seed,))

    def record(kind: str, digest: str, read: Callable[[], object]) -> Target:
        return at(layout.record(kind, digest), f"{kind}/{digest}", read)

    def found() -> None:
        fresh = LocalStore(store.location)
        list(briefs(layout))
        read_manifest(fresh, call.key)
        served = fresh.look(call.key)
        assert served is not None
        repr(Artifact(served)), Artifact(served)._repr_html_()
        Artifact(served).numpy()

    def followed() -> None:
        again = msgspec.structs.replace(call, store=LocalStore(store.location))
        led = follow(again, lambda analysis, nested: None)
        assert led is None or _is_right(led)

    def described() -> None:
        stored = describe_group(entry.directory)
        # A group of some of the arrays is one, too; it is not what these data are named for.
        is_right = digest_group(entry.directory, stored).hex == manifest.output
        assert is_right == (stored == manifest.arrays)

    def kin() -> None:
        store.kin(call.key, call.kinship)

    def blessed() -> None:
        assert blessings(store, "above") is not None
        as_good(store, "above", call.closure.digest.hex)

    def explained() -> None:
        str(above.explain(checkpoint))
        store.detail("closures", manifest.provenance.closure)

    group = Path(entry.directory)
    (noted,) = Path(layout.quarantine).glob("*.json")
    return {
        "manifest": at(layout.manifest(call.key), "manifest", found),
        "group": at(group / "zarr.json", "", described),
        "array": at(group / "x" / "zarr.json", "", described),
        "steps": record("steps", call.start.hex, followed),
        "blessings": record("blessings", _blessed(), blessed),
        "closures": record("closures", manifest.provenance.closure, explained),
        "journal": at(layout.journal("above"), "", kin),
        "memo": record(
            "digests",
            _memo(layout, digests),
            lambda: store.recall(checkpoint.signature),
        ),
        "pin": at(layout.pin(call.key), "", lambda: pins(store.location)),
        "note": at(noted, "", lambda: list(quarantined(layout))),
        "config": _config(layout, store.location),
    }


def _is_right(led: Any) -> bool:
    found = Artifact(led).numpy()
    return {name: one.tolist() for name, one in found.items()} == RIGHT


def _blessed() -> str:
    from artifact_store.equivalence import _record_of

    return _record_of("above")


def _memo(layout: Layout, digests: Mapping[str, Any]) -> str:
    """The name of the record that has the digests of the checkpoint."""
    (found,) = Path(layout.records("digests")).glob("*.json")
    return found.stem


def _config(layout: Layout, location: str) -> Target:
    def run(content: bytes) -> None:
        Path(layout.config).write_bytes(content)
        try:
            settings.settings_of(location, {})
        except ArtifactStoreError:
            pass
        finally:
            os.unlink(layout.config)

    return Target(run, (b'max_bytes = "10 GB"\nmax_files = 1000\n',))


def _of_compressed(folder: Path) -> dict[str, Target]:
    """What a compressed array is read from: of one chunk the frame, of several all but the checksum of their index."""
    path = folder / "compressed"
    # Of two blocks, which come to 200 bytes.
    values = np.repeat(np.arange(64, dtype=np.uint32), 1024)
    frame, other = (zstd.compress(one, ZSTD_LEVEL) for one in (values, values + 1))

    def read(content: bytes, chunks: int) -> Any:
        path.write_bytes(content)
        shape, rows = (chunks * len(values),), len(values)
        size = len(content)
        stored = StoredArray("x", "<u4", shape, ("a",), rows, "zstd", size)
        return CompressedArray(str(path), stored, None)[:]

    def read_chunk(content: bytes) -> None:
        chunk = _with_checksum(content)
        index = _with_checksum(struct.pack("<QQ", 0, len(chunk)))
        with suppress(ArtifactStoreError):
            found = read(chunk + index, 1)
            # What is accepted is what zstd makes of it.
            assert found.tobytes() == zstd.decompress(content)

    def read_shard(content: bytes) -> None:
        with suppress(ArtifactStoreError):
            found = read(content[:-32] + _with_checksum(content[-32:]), 2)
            assert found.tobytes() == values.tobytes() + (values + 1).tobytes()

    chunks = [_with_checksum(one) for one in (frame, other)]
    lengths = [len(one) for one in chunks]
    index = struct.pack("<QQQQ", 0, lengths[0], *lengths)
    return {
        "chunk": Target(read_chunk, (frame,)),
        "shard": Target(read_shard, (b"".join(chunks) + index,)),
    }


def _of_words() -> dict[str, Target]:
    plain = [("k", [1, 2.5, None, True, "ü", b"\0", {"a": (1j, -(10**30))}])]

    def decode(content: bytes) -> None:
        # Refused with a `ValueError`, which whoever reads records expects.
        with suppress(ValueError):
            value = encoding.decode(content, lambda place: place.decode())
            if encoding.is_plain(value, lambda one: False):
                with suppress(ArtifactStoreError):
                    encoding.encode(value)

    def amount(content: bytes) -> None:
        with suppress(ArtifactStoreError):
            assert settings.amount(content.decode(errors="replace"), "max") >= 0

    return {
        "canonical": Target(decode, (encoding.encode(plain),)),
        "amount": Target(amount, (b"10 GB", b"1.5GiB")),
    }


def _of_pictures() -> dict[str, Target]:
    """A stamp: its record alone, a picture that has it, and the parts of a PNG, with the right checksums."""
    digest, param = "0" * 64, ParamRecord("1", "0" * 64, True)
    given, made = InputRecord("checkpoint", "a", digest), "2026-11-30T20:00:00"
    one = StampedArtifact(
        *("f", "m:f", digest, digest, {"k": param}, (given,)),
        *(digest, made, 0.5, {"numpy": "2"}),
    )
    code: dict[str, tuple[StampedMember, ...]] = {}
    code[digest] = (StampedMember("m.f", "m.py", 3, digest),)
    stamp = Stamp("view", {"of": "x"}, "run", 500, (one,), (one,), code)
    svg, png = b"<svg><rect/></svg>", _png((b"IDAT", b"x"), (b"IEND", b""))

    def read(content: bytes) -> None:
        try:
            found = read_stamp(content, "a.svg")
        except ArtifactStoreError:
            return
        # What is accepted is what would be written.
        assert read_stamp(stamped(svg, "svg", found), "a.svg") == found
        str(found.artifacts), found.title, found.description

    def read_record(record: bytes) -> None:
        read(with_record(svg, "svg", record, "title", "description"))

    def read_png(content: bytes) -> None:
        """The bytes as parts of a PNG: of each a length, a kind and data."""
        parts, at = list[tuple[bytes, bytes]](), 0
        while at + 5 <= len(content):
            kind, end = content[at + 1 : at + 5], at + 5 + content[at]
            parts.append((kind, content[at + 5 : end]))
            at = end
        read(_png(*parts))

    record = record_in(stamped(svg, "svg", stamp), "a.svg")
    text = b"artifact-store\0\1\0\0\0" + zlib.compress(b"{}")
    return {
        "stamp": Target(read_record, (record,)),
        "svg": Target(read, (stamped(svg, "svg", stamp), stamped(png, "png", stamp))),
        "png": Target(read_png, (bytes([len(text)]) + b"iTXt" + text + b"\0IEND",)),
    }


def _png(*parts: tuple[bytes, bytes]) -> bytes:
    written = [b"\x89PNG\r\n\x1a\n"]
    for kind, data in parts:
        written.append(struct.pack(">I", len(data)) + kind + data)
        written.append(struct.pack(">I", zlib.crc32(kind + data)))
    return b"".join(written)
