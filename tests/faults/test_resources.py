"""Something runs out while a result is kept or read: it is returned all the same, and nothing is half there."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import shutil
import signal
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import Injected, is_long, times
from harness import (
    ERRORS,
    descriptors,
    failing_always,
    failing_at,
    in_child,
    operations,
)
from sites import (
    ANALYSES,
    Site,
    all_is_whole,
    is_right,
    new_site,
    packed,
    ran,
    small,
    streamed,
    watched,
)

from artifact_store import AnalysisPipeline, Checkpoint, staging
from artifact_store.errors import (
    NoRoomForBlocks,
    NotStored,
    PipelineFailed,
    StoreFailed,
)

KEPT = ("small", "large", "several", "packed", "synced", "nested")
OF_WHICH_SOME = ("small", "large", "packed")


@pytest.fixture(autouse=True)
def log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settled: None
) -> Iterator[Path]:
    """Where bodies note that they ran."""
    monkeypatch.setenv("ARTIFACT_STORE_STRICT", "0")
    monkeypatch.setattr(staging, "UNLOCKED_SECONDS", -1.0)
    yield from watched(tmp_path, monkeypatch)


def called(name: str, site: Site) -> bool:
    """Make a call; whether it was said that the result is not kept, which was right in any case."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = ANALYSES[name](site.checkpoint())
    assert is_right(name, found)
    assert {one.category for one in caught} <= {NotStored}
    return bool(caught)


def asked_for(name: str, site: Site) -> bool:
    """The same where an artifact is asked for."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotStored)  # of what it calls
        try:
            artifact = ANALYSES[name].artifact(site.checkpoint())
        except StoreFailed as failure:
            assert is_right(name, failure.result)
            return True
    with contextlib.suppress(OSError):  # of a handle, it says what it is
        assert is_right(name, artifact.numpy())
    return False


def failures(names: list[str]) -> Iterator[tuple[int, int]]:
    """What goes wrong: the number of an operation, and what the system says.

    In the short version, that is one thing, and only of every third operation.
    """
    for number in range(1 + len(names) % times(3, 1), len(names) + 1, times(3, 1)):
        codes = ERRORS[names[number - 1]]
        for code in codes if is_long() else [codes[number // 3 % len(codes)]]:
            yield number, code


@pytest.mark.parametrize("name", KEPT)
def test_whatever_operation_fails_the_result_is_returned_and_nothing_is_half_there(
    tmp_path: Path,
    name: str,
    injected: Injected,
) -> None:
    counted = new_site(tmp_path / "counted")
    names = operations(lambda: counted.call(name), counted.store)
    told = 0
    for number, code in failures(names):
        site = new_site(tmp_path / f"{number}-{code}")
        before = descriptors()
        with failing_at(number, code, site.store):
            told += (called, asked_for)[code % 2](name, site)
        all_is_whole(site)
        site.call(name)
        assert ANALYSES[name].find(site.checkpoint()) is not None
        all_is_whole(site)
        assert descriptors() <= before
        shutil.rmtree(site.root)
    # Many failures concern only what is convenient, such as doors and notes; but not all do.
    assert len(names) >= 40 and told >= 5
    injected(
        "operation failed: ENOSPC, EDQUOT, EROFS, EACCES, EMFILE, ENFILE, EFBIG, EIO ...",
        len(list(failures(names))),
    )


@pytest.mark.parametrize("name", OF_WHICH_SOME)
def test_whatever_fails_while_it_is_read_an_entry_is_served_or_computed_and_stays(
    tmp_path: Path,
    log: Path,
    name: str,
    injected: Injected,
) -> None:
    site, counted = new_site(tmp_path / "run"), tmp_path / "counted"
    assert in_child(lambda: site.call(name)) == 0

    def count() -> None:
        names = operations(lambda: site.call(name), site.store)
        counted.write_text(" ".join(names))

    assert in_child(count) == 0
    names = counted.read_text().split()
    manifests = [(one, one.stat().st_ino) for one in site.manifests()]
    for number, code in failures(names):

        def read(number: int = number, code: int = code) -> None:
            before = descriptors()
            with failing_at(number, code, site.store):
                called(name, site)
            assert descriptors() <= before
            ran(log)
            site.call(name)
            assert ran(log) == []

        assert in_child(read) == 0
        assert [(one, one.stat().st_ino) for one in site.manifests()] == manifests
    assert len(names) >= 2
    all_is_whole(site)
    injected(
        "operation failed: ENOSPC, EDQUOT, EROFS, EACCES, EMFILE, ENFILE, EFBIG, EIO ...",
        len(list(failures(names))),
    )


def test_a_failure_to_store_is_an_error_that_has_the_result_where_an_artifact_is_asked_for(
    tmp_path: Path,
) -> None:
    site = new_site(tmp_path / "run")
    (site.root / "checkpoints/epoch_2.safetensors").unlink()
    site.path.rename(site.path.with_name("checkpoint_epoch_00001.safetensors"))
    (path,) = site.path.parent.iterdir()
    pipeline = AnalysisPipeline(site.root)
    with failing_always(("write", "mkdir"), errno.ENOSPC, site.store):
        with pytest.raises(StoreFailed, match="No space left") as caught:
            small.artifact(Checkpoint(path))
        assert is_right("small", caught.value.result)
        with pytest.raises(PipelineFailed, match="No space left"):
            pipeline.run([small])
        with pytest.warns(NotStored, match="No space left"):
            assert is_right("small", small(Checkpoint(path)))
    assert pipeline.run([small]).count("computed") == 1


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO])
def test_where_nothing_can_be_written_every_result_is_returned(
    tmp_path: Path,
    code: int,
    injected: Injected,
) -> None:
    site = new_site(tmp_path / "run")
    with failing_always(("write", "mkdir", "rename", "symlink"), code, site.store):
        assert [called(name, site) for name in KEPT] == [True] * len(KEPT)
    site.call(*KEPT)
    all_is_whole(site)
    injected("nothing can be written at all", len(KEPT))


def test_blocks_that_fit_nowhere_are_named_and_leave_nothing(tmp_path: Path) -> None:
    site = new_site(tmp_path / "run")
    with failing_always(("write", "posix_fallocate"), errno.ENOSPC, site.root):
        with pytest.raises(NoRoomForBlocks, match="No space left"):
            streamed(site.checkpoint())
    site.call("streamed")
    all_is_whole(site)


def in_limited_child(kind: int, limit: int, work: Callable[[], object]) -> int:
    """Do something in a process that may not have more; its wait status."""

    def limited() -> None:
        # As Python has it; it would be deadly otherwise.
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(kind, (limit, limit))
        work()

    return in_child(limited)


@pytest.mark.parametrize("limit", [0, 100, 1 << 10, 1 << 20, 4 << 20])
def test_a_limit_on_the_size_of_files_costs_no_result(
    tmp_path: Path,
    limit: int,
    monkeypatch: pytest.MonkeyPatch,
    injected: Injected,
) -> None:
    site = new_site(tmp_path / "run")
    # Nor could the bodies note that they ran.
    monkeypatch.setenv("fault_log", os.devnull)

    def work() -> None:
        told = [called(name, site) for name in OF_WHICH_SOME]
        assert told[1] and told[0] == (limit <= 1 << 10)

    assert in_limited_child(resource.RLIMIT_FSIZE, limit, work) == 0
    all_is_whole(site)
    site.call(*OF_WHICH_SOME)
    all_is_whole(site)
    injected("limit on the size of files", len(OF_WHICH_SOME))


@pytest.mark.parametrize("left", range(2, 8))
def test_no_more_descriptors_cost_no_result(
    tmp_path: Path,
    left: int,
    monkeypatch: pytest.MonkeyPatch,
    injected: Injected,
) -> None:
    site = new_site(tmp_path / "run")
    site.call("small")
    monkeypatch.setenv("fault_log", os.devnull)

    def work() -> None:
        checkpoint = site.checkpoint()
        assert checkpoint.root
        held = _all_that_are_left()
        # One of them for reading the checkpoint, one for the lease.
        for _ in range(left):
            os.close(held.pop())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotStored)
            assert is_right("packed", packed(checkpoint))
            assert is_right("small", small(checkpoint))

    assert in_limited_child(resource.RLIMIT_NOFILE, 512, work) == 0
    # Removing a folder takes descriptors, too: whoever writes next does it.
    staging.sweep(f"{site.store}/.store/staging")
    all_is_whole(site)
    site.call("packed")
    all_is_whole(site)
    injected("too few descriptors", 1)


def _all_that_are_left() -> list[int]:
    held = list[int]()
    try:
        while True:
            held.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        return held


@pytest.fixture
def unwritable(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A run in which nobody may write, and that everybody may read."""
    # Not below `tmp_path`, where no other user may even look.
    with tempfile.TemporaryDirectory() as at:
        site = new_site(Path(at) / "run")
        site.call("small")
        monkeypatch.setenv("fault_log", os.devnull)
        paths = [Path(at), *Path(at).rglob("*")]
        modes = [path.stat().st_mode for path in paths]
        for path in paths:
            path.chmod(0o555)
        yield site
        for path, mode in zip(paths, modes, strict=True):
            path.chmod(mode)


def test_where_nobody_may_write_hits_are_served_and_misses_are_returned(
    unwritable: Site,
    injected: Injected,
) -> None:
    def work() -> None:
        if os.geteuid() == 0:
            # With its right to write everywhere, nothing would be seen.
            os.setgid(65534)
            os.setuid(65534)
        assert not called("small", unwritable)
        with pytest.warns(NotStored, match="Permission denied"):
            packed(unwritable.checkpoint())
        with pytest.raises(StoreFailed, match="Permission denied") as caught:
            packed.artifact(unwritable.checkpoint())
        assert is_right("packed", caught.value.result)

    before = {one: one.lstat().st_mtime_ns for one in unwritable.root.rglob("*")}
    assert in_child(work) == 0
    after = {one: one.lstat().st_mtime_ns for one in unwritable.root.rglob("*")}
    assert after == before
    injected("read-only directory, another user", 1)
