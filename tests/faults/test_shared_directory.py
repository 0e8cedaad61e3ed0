"""A directory that a group shares: several users, each with a umask of his own, and one store.

As root these are really two users with one group in common; otherwise one user, of whom everything that he makes is
looked at.
"""

from __future__ import annotations

import os
import shutil
import signal
import stat
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from harness import begun
from safetensors.numpy import save_file

from artifact_store import Checkpoint, Run, analysis
from artifact_store.errors import NotStored
from artifact_store.layout import Layout
from artifact_store.modes import mode
from artifact_store.stores.local import LocalStore
from artifact_store.stores.quarantine import quarantined
from artifact_store.verify import verify

GROUP: Final = 65533
USERS: Final = (65533, 65534)
EPOCHS: Final = range(8)
SECONDS: Final = 60


@analysis
def summed(checkpoint: Checkpoint) -> Any:
    return {"sum": checkpoint["w"].sum(axis=0), "w": checkpoint["w"]}


@analysis
def above(checkpoint: Checkpoint) -> Any:
    return summed(checkpoint)["sum"].max()


def right(epoch: int) -> float:
    return 2.0 * epoch


def saved(run: Path) -> None:
    (run / "checkpoints").mkdir(parents=True)
    for epoch in EPOCHS:
        values = np.full((2, 3), epoch, np.float32)
        path = run / f"checkpoints/checkpoint_epoch_{epoch:05d}.safetensors"
        save_file({"w": values}, path)
        path.chmod(0o644)  # Safetensors saves for its user alone.


def use(run: Path, *epochs: int) -> None:
    """Ask for results, each of which is right."""
    opened = Run(run)
    for epoch in epochs:
        assert above(opened[epoch]) == right(epoch)
        assert summed(opened[epoch])["w"][0, 0] == epoch


def mend_and_remove(run: Path) -> None:
    """What one user does to what all of them made: check it, mend some, remove some."""
    store = LocalStore(run / "artifacts")
    keys = sorted(store.keys(), key=str)
    assert len(keys) == 2 * len(EPOCHS)
    assert not any(one.problem for one in verify(store, keys))
    path = summed.artifact(Run(run)[EPOCHS[-1]]).path / "w" / "c.0.0"
    path.unlink()
    use(run, EPOCHS[-1])
    assert len(list(quarantined(Layout(store.location)))) > 0
    store.remove(keys[::2])
    assert len(list(store.keys())) == len(EPOCHS)
    use(run, *EPOCHS)
    assert len(list(store.keys())) == 2 * len(EPOCHS)


@pytest.fixture
def run() -> Iterator[Path]:
    """A run in a directory whose group may write, and passes its group on; not below `tmp_path`, which is private."""
    home = Path(tempfile.mkdtemp(prefix="shared_"))
    try:
        # So that what other users may not read, as the libraries of root, is loaded by then.
        saved(home / "warm")
        use(home / "warm", *EPOCHS)
        mend_and_remove(home / "warm")
        saved(home / "run")
        if os.geteuid() == 0:
            os.chown(home / "run", -1, GROUP)
        home.chmod(0o755)
        (home / "run").chmod(0o2775)
        yield home / "run"
    finally:
        shutil.rmtree(home)


def begun_as(user: int, umask: int, work: Callable[[], object]) -> int:
    """A process in which one of the users does something; its number."""

    def become_and_work() -> None:
        signal.alarm(SECONDS)
        if os.geteuid() == 0:
            os.setgroups([])
            os.setgid(GROUP)
            os.setuid(USERS[user])
        os.umask(umask)
        warnings.simplefilter("error")
        work()

    return begun(become_and_work)


def done_as(user: int, umask: int, work: Callable[[], object]) -> int:
    """The same, when it has ended; its wait status."""
    return os.waitpid(begun_as(user, umask, work), 0)[1]


def made_in(run: Path) -> dict[Path, os.stat_result]:
    """Everything in the store that has rights of its own, as links have none."""
    paths = [run / "artifacts", *(run / "artifacts").rglob("*")]
    return {one: one.stat() for one in paths if not one.is_symlink()}


@pytest.mark.parametrize("umasks", [(0o002, 0o002), (0o002, 0o007)], ids=str)
def test_what_one_user_makes_the_other_can_use_mend_and_remove(
    run: Path, umasks: tuple[int, int]
) -> None:
    half = len(EPOCHS) // 2
    assert done_as(0, umasks[0], lambda: use(run, *EPOCHS[:half])) == 0
    assert done_as(1, umasks[1], lambda: use(run, *EPOCHS)) == 0
    assert done_as(0, umasks[0], lambda: use(run, *EPOCHS)) == 0
    assert done_as(1, umasks[1], lambda: mend_and_remove(run)) == 0
    assert done_as(0, umasks[0], lambda: mend_and_remove(run)) == 0

    made = made_in(run)
    assert len(made) > 10 * len(EPOCHS)
    group = run.stat().st_gid
    for path, status in made.items():
        is_folder = stat.S_ISDIR(status.st_mode)
        assert status.st_gid == group, path
        needed = 0o2770 if is_folder else 0o660
        assert stat.S_IMODE(status.st_mode) & needed == needed, path
    if os.geteuid() == 0:
        assert {one.st_uid for one in made.values()} == set(USERS)


def test_both_at_once_compute_each_key_once(run: Path) -> None:
    (run / "artifacts").mkdir(mode=0o2775)
    (run / "artifacts").chmod(0o2775)
    users = [begun_as(n % 2, 0o002, lambda: use(run, *EPOCHS)) for n in range(6)]

    assert [os.waitpid(one, 0)[1] for one in users] == [0] * len(users)
    store = LocalStore(run / "artifacts")
    assert len(list(store.keys())) == 2 * len(EPOCHS)
    assert not any(one.problem for one in verify(store, store.keys()))


def test_who_makes_folders_that_others_may_not_write_to_loses_nobody_a_result(
    run: Path,
) -> None:
    half = EPOCHS[: len(EPOCHS) // 2]
    assert done_as(0, 0o022, lambda: use(run, *half)) == 0

    def hit() -> None:
        with mode("require"):
            use(run, *half)

    def miss() -> None:
        opened = Run(run)
        refused = []
        for epoch in EPOCHS:
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always")
                assert above(opened[epoch]) == right(epoch)
            refused += [one for one in told if one.category is NotStored]
        is_other = os.geteuid() != (run / "artifacts").stat().st_uid
        assert bool(refused) == is_other
        assert not is_other or "Permission denied" in str(refused[0].message)

    assert done_as(1, 0o002, hit) == 0
    assert done_as(1, 0o002, miss) == 0
    store = LocalStore(run / "artifacts")
    assert not any(one.problem for one in verify(store, store.keys()))
