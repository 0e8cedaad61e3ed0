from __future__ import annotations

import errno
import fcntl
import os
import threading
from pathlib import Path

import pytest

from artifact_store.leases import leased


def is_free(path: Path) -> bool:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def test_a_lease_is_held_in_its_block_and_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "leases" / "key"
    with leased(str(path)):
        assert not is_free(path)
    assert list(path.parent.iterdir()) == []


def test_an_error_in_the_block_frees_the_lease_and_is_raised(tmp_path: Path) -> None:
    path = tmp_path / "key"
    with pytest.raises(ZeroDivisionError), leased(str(path)):
        raise ZeroDivisionError
    assert not path.exists()


def test_threads_that_want_one_lease_have_it_one_after_the_other(
    tmp_path: Path,
) -> None:
    start, inside, most = threading.Barrier(8), list[int](), list[int]()

    def work(number: int) -> None:
        start.wait(10)
        for _ in range(20):
            with leased(str(tmp_path / "key")):
                inside.append(number)
                most.append(len(inside))
                inside.remove(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert most == [1] * 160 and not (tmp_path / "key").exists()


def test_a_forked_child_that_lives_on_does_not_keep_the_lease(tmp_path: Path) -> None:
    never, hold = os.pipe()
    with leased(str(tmp_path / "key")):
        child = os.fork()
        if not child:
            os.close(hold)
            os.read(never, 1)
            os._exit(0)
    taken = threading.Event()

    def take() -> None:
        with leased(str(tmp_path / "key")):
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

    monkeypatch.setattr(fcntl, "flock", refuse)
    done = []
    with leased(str(tmp_path / "key")):
        done.append(1)
    assert done == [1]


def test_an_error_in_work_without_a_lease_has_nothing_to_do_with_leases(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(ZeroDivisionError) as caught, leased(str(tmp_path / "key")):
        raise ZeroDivisionError
    assert caught.value.__context__ is None


def test_where_the_place_of_a_lease_is_a_file_the_work_is_done_without(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").touch()
    done = []
    with leased(str(tmp_path / "file" / "key")):
        done.append(1)
    assert done == [1]


def test_an_interrupt_while_waiting_is_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(fcntl, "flock", interrupt)
    with pytest.raises(KeyboardInterrupt), leased(str(tmp_path / "key")):
        pass
