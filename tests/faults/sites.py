"""A run with analyses of every kind, what can be done there, and what is right."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numcodecs.zstd  # noqa: F401  # with the next two, so that not every child has to load it
import numpy as np
import numpy.ma
import numpy.random
import pytest
from harness import dying_at
from safetensors.numpy import save_file

from artifact_store import Blocks, Checkpoint, analysis
from artifact_store.artifacts import Artifact
from artifact_store.equivalence import bless
from artifact_store.garbage import quarantined, removed, unneeded
from artifact_store.pins import pin
from artifact_store.stores.local import LocalStore
from artifact_store.verify import verify

LARGE: Final = 5 << 20
LOG: Final = "fault_log"
BOOT: Final = "fault_boot"


def noted(name: str) -> None:
    """Note that a body ran, whichever process it ran in; in a process that can open no more files, it cannot."""
    if os.environ[LOG] == os.devnull:
        return
    descriptor = os.open(os.environ[LOG], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    os.write(descriptor, f"{name}\n".encode())
    os.close(descriptor)


@analysis(ignore=("note",))
def small(checkpoint: Checkpoint, note: Any = noted) -> Any:
    note("small")
    return checkpoint["w"] * 2


@analysis(ignore=("note",))
def large(checkpoint: Checkpoint, note: Any = noted) -> Any:
    note("large")
    return np.full(LARGE, checkpoint["w"][0, 1] * 7, np.uint8)


@analysis(ignore=("note",), dims={"grid": ("row", "column")})
def several(checkpoint: Checkpoint, note: Any = noted) -> Any:
    note("several")
    w = checkpoint["w"]
    return {"grid": w, "row": w.mean(axis=1), "none": w[:0], "one": w.sum()}


@analysis(ignore=("note",), codec="zstd")
def packed(checkpoint: Checkpoint, note: Any = noted) -> Any:
    note("packed")
    return {"w": np.tile(checkpoint["w"], (1000, 1)), "v": checkpoint["w"][0]}


@analysis(ignore=("note",), durable=True)
def synced(checkpoint: Checkpoint, note: Any = noted) -> Any:
    note("synced")
    return {"w": checkpoint["w"]}


@analysis(ignore=("note",))
def streamed(checkpoint: Checkpoint, note: Any = noted) -> Any:
    note("streamed")
    return Blocks((4, 3), np.float32, (checkpoint["w"] for _ in range(2)))


@analysis(ignore=("note",))
def nested(checkpoint: Checkpoint, note: Any = noted) -> Any:
    note("nested")
    return several(checkpoint)["row"] + small(checkpoint).sum()


W: Final = np.arange(6, dtype=np.float32).reshape(2, 3)
RIGHT: Final[Mapping[str, Mapping[str, Any]]] = {
    "small": {"value": W * 2},
    "large": {"value": np.full(LARGE, 7, np.uint8)},
    "several": {"grid": W, "row": W.mean(axis=1), "none": W[:0], "one": W.sum()},
    "packed": {"w": np.tile(W, (1000, 1)), "v": W[0]},
    "synced": {"w": W},
    "streamed": {"value": np.tile(W, (2, 1))},
    "nested": {"value": W.mean(axis=1) + 30},
}
ANALYSES: Final[Mapping[str, Any]] = {
    one.__name__: one
    for one in (small, large, several, packed, synced, streamed, nested)
}


def is_same(found: Any, right: Mapping[str, Any]) -> bool:
    """Whether arrays by name are the same bit by bit."""
    return set(found) == set(right) and all(
        np.shape(found[name]) == values.shape
        and np.asarray(found[name]).tobytes() == values.tobytes()
        for name, values in right.items()
    )


def is_right(name: str, found: Any) -> bool:
    """Whether this is what an analysis returns."""
    return is_same(found if isinstance(found, dict) else {"value": found}, RIGHT[name])


@dataclass(frozen=True)
class Site:
    """A run, and what is done there."""

    root: Path

    @property
    def store(self) -> Path:
        return self.root / "artifacts"

    @property
    def path(self) -> Path:
        return self.root / "checkpoints/epoch_1.safetensors"

    def checkpoint(self) -> Checkpoint:
        return Checkpoint(self.path)

    def twin(self) -> Checkpoint:
        """Another checkpoint, which has the same tensor."""
        return Checkpoint(self.path.with_name("epoch_2.safetensors"))

    def call(self, *names: str) -> None:
        for name in names:
            assert is_right(name, ANALYSES[name](self.checkpoint()))

    def data_files(self) -> list[Path]:
        return sorted(self.store.glob(".store/data/*/*/*/c*"))

    def manifests(self, analysis: str = "*") -> list[Path]:
        return sorted(self.store.glob(f".store/entries/{analysis}/*/*.json"))

    def damage(self) -> None:
        for path in self.data_files():
            path.write_bytes(bytes(path.stat().st_size))

    def age(self) -> None:
        """Have everything that nobody names count as old."""
        for path in [
            *self.store.glob(".store/data/*/*"),
            *self.store.glob(".store/records/*/*"),
        ]:
            os.utime(path, (0, 0))

    def collect(self) -> None:
        store = LocalStore(self.store)
        removed(store, unneeded(store))

    def forget(self) -> None:
        """Remove what was set aside."""
        store = LocalStore(self.store)
        removed(store, quarantined(store))

    def remove(self) -> None:
        store = LocalStore(self.store)
        store.remove(list(store.keys("several")))

    def unname(self) -> None:
        """Lose the manifest of one of two entries, long ago."""
        self.call("several", "small")
        for manifest in self.manifests("several"):
            manifest.unlink()
        self.age()

    def lose_writer(self) -> None:
        """Have a writer die while it writes."""
        assert dying_at(20, lambda: self.call("several"), self.store)
        self.call("small")

    def label(self) -> None:
        """Have the door of an entry made."""
        found = small.find(self.checkpoint())
        assert found is not None
        LocalStore(self.store).label(found.entry, "door", "")

    def identify(self) -> None:
        """Have the digests of a checkpoint noted."""
        self.checkpoint().identify(LocalStore(self.store))

    def state(self) -> None:
        """Say what is to stay, and which code is as good as another."""
        pin(str(self.store), small.key(self.checkpoint()), "epoch_1")
        bless(LocalStore(self.store), "small", "0" * 64, "1" * 64)

    def restart(self) -> None:
        """As after a restart of the machine, in this process."""
        os.environ[BOOT] = "another"


def new_site(root: Path) -> Site:
    """A run of two checkpoints and no artifacts."""
    (root / "checkpoints").mkdir(parents=True)
    save_file({"w": W}, root / "checkpoints/epoch_1.safetensors")
    save_file({"w": W, "other": np.zeros(1)}, root / "checkpoints/epoch_2.safetensors")
    return Site(root)


def watched(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where bodies note that they ran; the machine can be restarted, by `Site.restart`."""
    log = root / "log"
    monkeypatch.setenv(LOG, str(log))
    monkeypatch.setenv(BOOT, "this")
    for module in ("manifests", "stores.local", "stores.records"):
        name = f"artifact_store.{module}.boot_id"
        monkeypatch.setattr(name, lambda: os.environ[BOOT])
    for one in ANALYSES.values():
        assert one.whole  # which every child would have to make anew
    yield log


def ran(log: Path) -> list[str]:
    """The bodies that ran since this was asked last."""
    names = log.read_text().split() if log.exists() else []
    log.unlink(missing_ok=True)
    return names


def all_is_whole(site: Site) -> None:
    """Every entry is right, verification finds nothing, and nothing is left in the making."""
    store = LocalStore(site.store)
    for key in store.keys():
        entry = store.find(key)
        assert entry is not None and is_right(key.analysis, Artifact(entry).numpy())
    assert [one.problem for one in verify(store, store.keys()) if one.problem] == []
    assert list(site.store.glob(".store/staging/*/*")) == []
    assert not (site.store / ".store/quarantine").exists()
