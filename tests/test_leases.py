from __future__ import annotations

import errno
import fcntl
import os
import threading
from pathlib import Path

import pytest

from artifact_store.leases import is_leased, leased


def is_free(path: Path, place: int) -> bool:
    """Whether another process could take it, as far as the kernel says."""
    free = []

    def ask() -> None:
        with leased(str(path), place):
            free.append(True)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(0.2)
    return bool(free)


def test_a_lease_is_held_in_its_block_and_nobody_else_is_kept_out(
    tmp_path: Path,
) -> None:
    path = tmp_path / "store" / "lock"
    far = 16**15 - 1
    with leased(str(path), far), leased(str(path), 5):
        assert not is_free(path, far) and not is_free(path, 5)
        assert is_free(path, far - 1) and is_free(path, 6) and is_free(path, 0)
    assert is_free(path, far) and is_free(path, 5)
    assert path.stat().st_size == 0


def test_an_error_in_the_block_frees_the_lease_and_is_raised(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with pytest.raises(ZeroDivisionError), leased(str(path), 1):
        raise ZeroDivisionError
    assert is_free(path, 1)


def test_threads_that_want_one_lease_have_it_one_after_the_other(
    tmp_path: Path,
) -> None:
    start, inside, most = threading.Barrier(8), list[int](), list[int]()

    def work(number: int) -> None:
        start.wait(10)
        for _ in range(20):
            with leased(str(tmp_path / "lock"), 1):
                inside.append(number)
                most.append(len(inside))
                inside.remove(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert most == [1] * 160


def test_a_forked_child_that_lives_on_does_not_keep_the_lease(tmp_path: Path) -> None:
    never, hold = os.pipe()
    with leased(str(tmp_path / "lock"), 1):
        child = os.fork()
        if not child:
            os.close(hold)
            os.read(never, 1)
            os._exit(0)
    taken = threading.Event()

    def take() -> None:
        with leased(str(tmp_path / "lock"), 1):
            taken.set()

    thread = threading.Thread(target=take, daemon=True)
    thread.start()
    assert taken.wait(10)
    os.close(hold)
    os.waitpid(child, 0)
    os.close(never)


@pytest.mark.parametrize(
    "code", [errno.EROFS, errno.EACCES, errno.ENOSPC, errno.ENOLCK, errno.ENOSYS]
)
def test_where_no_lease_can_be_had_the_work_is_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "fcntl", refuse)
    done = []
    with leased(str(tmp_path / "lock"), 1):
        done.append(1)
    assert done == [1]


def test_an_error_in_work_without_a_lease_has_nothing_to_do_with_leases(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(fcntl, "fcntl", refuse)
    with pytest.raises(ZeroDivisionError) as caught, leased(str(tmp_path / "lock"), 1):
        raise ZeroDivisionError
    assert caught.value.__context__ is None


def test_where_the_place_of_a_lease_is_a_file_the_work_is_done_without(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").touch()
    done = []
    with leased(str(tmp_path / "file" / "lock"), 1):
        done.append(1)
    assert done == [1]


def test_an_interrupt_while_waiting_is_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(fcntl, "fcntl", interrupt)
    with pytest.raises(KeyboardInterrupt), leased(str(tmp_path / "lock"), 1):
        pass


def test_a_lease_is_seen_by_others_and_by_nobody_afterwards(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    assert not is_leased(path, 1)
    with leased(path, 1):
        child = os.fork()
        if not child:
            os._exit(int(is_leased(path, 1)) + 2 * int(is_leased(path, 2)))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
        assert is_leased(path, 1)
    assert not is_leased(path, 1)


def test_where_locks_cannot_be_asked_for_nothing_is_leased(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    path = str(tmp_path / "lock")
    with leased(path, 1):
        monkeypatch.setattr(fcntl, "fcntl", refuse)
        assert not is_leased(path, 1)
        monkeypatch.undo()


def test_a_thread_does_not_wait_for_a_lease_of_its_own(tmp_path: Path) -> None:
    path, left = tmp_path / "lock", leased(str(tmp_path / "lock"), 1)
    # As if it had been interrupted where it was to let go.
    left.__enter__()
    with leased(str(path), 1):
        assert not is_free(path, 1)
    assert is_free(path, 1)
    left.__exit__(None, None, None)


def test_a_lease_goes_with_the_last_that_refers_to_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    left = leased(str(path), 1)
    left.__enter__()
    assert not is_free(path, 1)
    del left
    assert is_free(path, 1)


def test_who_lets_a_lease_go_twice_takes_none_of_another(tmp_path: Path) -> None:
    first, path = leased(str(tmp_path / "lock"), 1), tmp_path / "lock"
    with first:
        pass
    with leased(str(path), 2):
        first.__exit__(None, None, None)
        assert not is_free(path, 2)


def test_threads_that_want_many_leases_do_not_disturb_each_other(
    tmp_path: Path,
) -> None:
    start, failed = threading.Barrier(8), list[BaseException]()

    def work(number: int) -> None:
        start.wait(10)
        try:
            for turn in range(300):
                with leased(str(tmp_path / "lock"), number * 1000 + turn):
                    pass
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
