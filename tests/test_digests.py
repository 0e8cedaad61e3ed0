"""One content has one digest, however it arrives and whoever makes it."""

from __future__ import annotations

import os
import signal

import pytest

from artifact_store.digests import Hasher, digest_of

LARGE = bytes(range(256)) * (1 << 15) + b"x"


@pytest.mark.parametrize("size", [1 << 12, 1 << 22, len(LARGE)])
def test_pieces_give_the_digest_of_the_whole(size: int) -> None:
    hasher = Hasher("kind", b"first")
    hasher.announce(len(LARGE))
    for start in range(0, len(LARGE), size):
        hasher.feed(LARGE[start : start + size])

    assert hasher.digest() == digest_of("kind", b"first", LARGE)


def test_a_forked_child_gets_the_same_digest_and_waits_for_nobody() -> None:
    def whole() -> str:
        hasher = Hasher("kind")
        hasher.part(LARGE)
        return hasher.digest().hex

    expected = whole()
    child = os.fork()
    if not child:
        signal.alarm(30)
        os._exit(whole() != expected)
    assert os.waitpid(child, 0)[1] == 0
