"""Writers publish, name again and remove while garbage is collected without pause: what was published is there.

The grace period is set to nothing, so that what protects it in all of practice does not protect it here.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from conftest import Injected, times
from safetensors.numpy import save_file

from artifact_store import Checkpoint, analysis, garbage
from artifact_store.arrays import normalize
from artifact_store.artifacts import Artifact
from artifact_store.cli import main
from artifact_store.digests import digest_of
from artifact_store.errors import CorruptArtifact
from artifact_store.events import Event, Published, SetAside, listening
from artifact_store.garbage import removed, unneeded
from artifact_store.keys import Key
from artifact_store.layout import Layout
from artifact_store.manifests import InputRecord, Provenance
from artifact_store.stores.base import Publication
from artifact_store.stores.local import LocalStore

WRITERS: Final = 4
# Few, so that all writers want the same data.
CONTENTS: Final = 8
ANALYSES: Final = ("mean", "spread")
TRIES: Final = 5
SECONDS: Final = times(2, 120)


def until(deadline: float) -> Iterator[int]:
    """Numbers, until it is so late."""
    return itertools.takewhile(
        lambda number: time.monotonic() < deadline, itertools.count()
    )


def in_children(work: Callable[[int], int], number: int) -> list[int]:
    """What `work` returns in as many forked processes, at the same time."""
    children, answers = [], []
    for one in range(number):
        answer, told = os.pipe()
        child = os.fork()
        if not child:
            try:
                os.write(told, str(work(one)).encode())
                os._exit(0)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
        os.close(told)
        children.append(child)
        answers.append(answer)
    assert [os.waitpid(one, 0)[1] for one in children] == [0] * number
    found = [os.read(answer, 99) for answer in answers]
    for answer in answers:
        os.close(answer)
    return [int(one) for one in found]


class Writer:
    """Publishes entries that nobody else touches, of data that all others publish too."""

    def __init__(self, root: Path, number: int) -> None:
        self._store, self._layout = LocalStore(root), Layout(str(root))
        self._chosen, self._number = random.Random(number), number
        self._held: dict[Key, int] = {}
        self.published = 0

    def act(self) -> None:
        """Publish, remove, or lose an entry; and see that one of those held is there."""
        key = self._key()
        match self._chosen.randrange(4):
            case 0 | 1:
                content = self._chosen.randrange(CONTENTS)
                self._store.replace(key, _publication(content))
                self._held[key] = content
                self.published += 1
            case 2 if key in self._held:
                self._store.remove([key])
                del self._held[key]
            case 3 if key in self._held:
                # As if it had been set aside: its data are garbage now, unless another entry names them.
                os.unlink(self._layout.manifest(key))
                del self._held[key]
        if self._held:
            self.see(self._chosen.choice(list(self._held)))

    def see(self, key: Key) -> None:
        """Make sure that an entry is there, and is what was published."""
        for _ in range(TRIES):
            entry = self._store.find(key)
            assert entry is not None, f"{key} is lost"
            # As a call does: who has taken them for superfluous may just be putting them back.
            with contextlib.suppress(CorruptArtifact):
                values = Artifact(entry).numpy()["x"]
                assert (values == self._held[key]).all(), f"{key} holds other data"
                return
        raise AssertionError(f"{key} has no data")

    def see_all(self) -> None:
        """The same of everything that was published and not removed."""
        for key in self._held:
            self.see(key)

    def _key(self) -> Key:
        name = f"{self._number} {self._chosen.randrange(2)}".encode()
        return Key(self._chosen.choice(ANALYSES), digest_of("key", name))


def _publication(content: int) -> Publication:
    made_of = InputRecord("checkpoint", "epoch_1", "e" * 64)
    made = Provenance(
        *("module:mean", "c" * 64, {}, (made_of,), {}, "", {}, "", "", ""),
        created="2026-01-01T00:00:00+00:00",
        seconds=0.5,
    )
    arrays = normalize({"x": np.full(500, float(content))})
    return Publication(arrays, False, "raw", False, "door", made, {})


def collected(root: Path, deadline: float) -> int:
    """Collect garbage all the time; how much there was."""
    store, found = LocalStore(root), 0
    for _ in until(deadline):
        found += len(removed(store, unneeded(store)))
    return found


def written(root: Path, number: int, deadline: float) -> int:
    """Publish and remove all the time; how many entries were published."""
    writer = Writer(root, number)
    for _ in until(deadline):
        writer.act()
    writer.see_all()
    return writer.published


def test_nothing_that_was_published_is_lost_without_any_grace_period(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    injected: Injected,
) -> None:
    monkeypatch.setattr(garbage, "GRACE_SECONDS", 0.0)
    root, deadline = tmp_path / "artifacts", time.monotonic() + SECONDS
    LocalStore(root).publish(Key("mean", digest_of("key", b"first")), _publication(0))

    def work(number: int) -> int:
        if number == WRITERS:
            return collected(root, deadline)
        return written(root, number, deadline)

    *published, found = in_children(work, WRITERS + 1)

    assert min(published) > 0 and found > 0, (published, found)
    assert not (root / ".store/quarantine").exists()
    injected("entry published beside a running gc", sum(published))


@analysis
def scaled(checkpoint: Checkpoint, *, factor: int) -> Any:
    return {"w": checkpoint["w"] * (factor % 3), "factor": np.full(3, factor)}


@contextlib.contextmanager
def nothing_printed() -> Iterator[None]:
    """Standard output is not of this test."""
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        yield


def evicted(run: Path, deadline: float) -> int:
    """Keep a budget that is far too small all the time; how often entries were there."""
    with nothing_printed():
        statuses = [main(["gc", str(run), "--max-bytes=1"]) for _ in until(deadline)]
    # What is protected exceeds the budget.
    assert set(statuses) == {1}
    return len(statuses)


def called(run: Path, number: int, deadline: float) -> int:
    """Call all the time; how often the function ran, or nothing at all if a result was wrong."""
    chosen, told = random.Random(number), list[Event]()
    with listening(told.append):
        for _ in until(deadline):
            epoch, factor = chosen.randrange(3), chosen.randrange(6)
            path = run / f"checkpoints/checkpoint_epoch_{epoch}.safetensors"
            found = scaled(Checkpoint(path), factor=factor)
            assert (found["w"] == epoch * (factor % 3)).all()
            assert (found["factor"] == factor).all()
    assert [one for one in told if isinstance(one, SetAside)] == []
    return sum(isinstance(one, Published) for one in told)


def test_every_call_returns_the_right_result_while_entries_are_evicted(
    tmp_path: Path,
    settled: None,
    injected: Injected,
) -> None:
    run, deadline = tmp_path / "run", time.monotonic() + SECONDS
    (run / "checkpoints").mkdir(parents=True)
    for epoch in range(3):
        path = run / f"checkpoints/checkpoint_epoch_{epoch}.safetensors"
        save_file({"w": np.full(500, float(epoch))}, path)
        scaled(Checkpoint(path), factor=0)

    def work(number: int) -> int:
        if number == WRITERS:
            return evicted(run, deadline)
        return called(run, number, deadline)

    *published, collections = in_children(work, WRITERS + 1)

    assert min(published) > 0 and collections > 0, (published, collections)
    assert not (run / "artifacts/.store/quarantine").exists()
    assert main(["verify", str(run)]) == 0
    injected("entry published beside a running eviction", sum(published))
