"""What is at hand: as much as fits, and what was used last."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from artifact_store.recent import Recent


def test_what_was_used_longest_ago_goes_first() -> None:
    recent: Recent[str, int] = Recent(2)
    recent.put("a", 1)
    recent.put("b", 2)
    assert recent.get("a") == 1
    recent.put("c", 3)

    assert [recent.get(key) for key in "abc"] == [1, None, 3]


def test_sizes_add_up_to_the_limit_at_most() -> None:
    recent: Recent[int, bytes] = Recent(10, len)
    for number in range(5):
        recent.put(number, bytes(4))
    assert [recent.get(number) is not None for number in range(5)] == [
        *[False] * 3,
        *[True] * 2,
    ]
    recent.put(4, bytes(8))
    assert (recent.get(3), len(recent)) == (None, 1)
    recent.put(5, bytes(11))
    assert len(recent) == 0


def test_threads_do_not_make_it_grow() -> None:
    recent: Recent[int, bytes] = Recent(100, len)

    def use(seed: int) -> None:
        for number in range(5000):
            recent.put((seed * number) % 70, bytes(seed))
            recent.get(number % 70)

    threads = [threading.Thread(target=use, args=(seed,)) for seed in (3, 5, 7, 11)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    held = [recent.get(key) for key in range(70)]
    assert 0 < sum(len(one) for one in held if one is not None) <= 100


def test_an_interrupt_leaves_it_to_others() -> None:
    def size_of(value: int) -> int:
        if value < 0:
            raise KeyboardInterrupt
        return 1

    recent: Recent[str, int] = Recent(2, size_of)
    with pytest.raises(KeyboardInterrupt):
        recent.put("a", -1)
    other = threading.Thread(target=recent.put, args=("b", 1), daemon=True)
    other.start()
    other.join(10)

    assert recent.get("b") == 1


def test_a_child_forked_while_another_thread_writes_does_not_wait_for_it() -> None:
    begun, goes_on = threading.Event(), threading.Event()

    def size_of(value: int) -> int:
        if value == 0:
            begun.set()
            goes_on.wait(10)
        return 1

    recent: Recent[str, int] = Recent(2, size_of)
    other = threading.Thread(target=recent.put, args=("a", 0))
    other.start()
    begun.wait(10)
    child = os.fork()
    if not child:
        signal.alarm(10)
        recent.put("b", 1)
        os._exit(0 if recent.get("b") == 1 else 1)
    goes_on.set()
    other.join()

    assert os.waitpid(child, 0)[1] == 0
