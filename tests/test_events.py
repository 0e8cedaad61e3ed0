from __future__ import annotations

import contextvars
import logging
import threading

import pytest

from artifact_store.digests import digest_of
from artifact_store.events import Event, Hit, Miss, Published, SetAside, emit, listening
from artifact_store.keys import Key

KEY = Key("mean", digest_of("key", b"1"))


def test_a_listener_hears_what_happens_in_its_block_and_nothing_after() -> None:
    outer: list[Event] = []
    inner: list[Event] = []
    with listening(outer.append):
        emit(Miss(KEY))
        with listening(inner.append):
            emit(Hit(KEY))
        emit(Published(KEY, 0.5, 3))
    emit(Miss(KEY))

    assert outer == [Miss(KEY), Hit(KEY), Published(KEY, 0.5, 3)]
    assert inner == [Hit(KEY)]


def test_a_listener_is_deaf_again_after_an_error() -> None:
    heard: list[Event] = []
    with pytest.raises(ZeroDivisionError), listening(heard.append):
        raise ZeroDivisionError
    emit(Hit(KEY))

    assert heard == []


def test_listeners_of_one_thread_do_not_hear_another() -> None:
    heard: list[Event] = []
    with listening(heard.append):
        for work in (
            lambda: emit(Miss(KEY)),
            lambda: contextvars.Context().run(emit, Miss(KEY)),
        ):
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()

    assert heard == []


def test_the_log_has_damage_at_warning_misses_at_info_and_hits_at_debug(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, logger="artifact_store")
    for event in (SetAside(KEY, "why"), Miss(KEY), Hit(KEY), Published(KEY, 1.0, 2)):
        emit(event)

    assert [record.levelname for record in caplog.records] == [
        "WARNING",
        "INFO",
        "DEBUG",
        "DEBUG",
    ]
    assert "mean" in caplog.text and "why" in caplog.text


def test_the_library_says_nothing_unless_asked(
    capsys: pytest.CaptureFixture[str],
) -> None:
    emit(SetAside(KEY, "why"))

    assert capsys.readouterr() == ("", "")
