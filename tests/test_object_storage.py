"""The line that other tests rely on: the faults that they inject do happen, and what they count went over it."""

from __future__ import annotations

import asyncio
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import Storage

from benchmarks.object_storage import Line, _message

BODY = bytes(range(256)) * 8

# Moto wants to see a signature, and does not look whether it is right.
_SIGNED = {
    "Authorization": "AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/s3/aws4_request, "
    "SignedHeaders=host, Signature=0"
}


class Raw:
    """A client that tries nothing again, so that each fault shows."""

    def __init__(self, storage: Storage) -> None:
        self._bucket = storage.url.split("/")[2]
        self._line = storage.line

    def ask(self, method: str, name: str = "x", body: bytes = b"") -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self._line.port, 30)
        try:
            connection.request(method, f"/{self._bucket}/{name}", body or None, _SIGNED)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


@pytest.fixture
def raw(storage: Storage) -> Raw:
    return Raw(storage)


def test_a_request_that_is_dropped_never_arrives(raw: Raw, line: Line) -> None:
    with line.failing("drop") as fault, pytest.raises(ConnectionError):
        raw.ask("PUT", body=BODY)

    assert fault.met == 1 and raw.ask("GET")[0] == 404


def test_a_request_whose_answer_is_lost_is_carried_out(raw: Raw, line: Line) -> None:
    with line.failing("lose") as fault, pytest.raises(ConnectionError):
        raw.ask("PUT", body=BODY)

    assert fault.met == 1 and raw.ask("GET") == (200, BODY)


def test_an_answer_is_cut_in_the_middle(raw: Raw, line: Line) -> None:
    raw.ask("PUT", body=BODY)
    with line.failing("cut") as fault, pytest.raises(http.client.IncompleteRead) as cut:
        raw.ask("GET")

    assert fault.met == 1 and cut.value.partial == BODY[: len(BODY) // 2]


def test_an_answer_without_a_body_is_not_counted_as_cut(raw: Raw, line: Line) -> None:
    with line.failing("cut") as fault:
        assert raw.ask("PUT", body=BODY)[0] == 200
        assert raw.ask("HEAD")[0] == 200
        assert fault.met == 0
        with pytest.raises(http.client.IncompleteRead):
            raw.ask("GET")

    assert fault.met == 1


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_request_that_is_answered_with_an_error_never_arrives(
    raw: Raw, line: Line, status: int
) -> None:
    with line.failing("error", status=status):
        found, said = raw.ask("PUT", body=BODY)

    assert found == status and b"<Code>SlowDown</Code>" in said
    assert raw.ask("GET")[0] == 404


def test_a_late_answer_is_whole(raw: Raw, line: Line) -> None:
    raw.ask("PUT", body=BODY)
    with line.failing("delay", seconds=0.01) as fault:
        assert raw.ask("GET") == (200, BODY)

    assert fault.met == 1


def test_a_fault_meets_what_it_is_for_as_often_as_it_is_told(
    raw: Raw, line: Line
) -> None:
    with line.failing("error", 2, meets=lambda method, path: method == "PUT") as fault:
        statuses = [raw.ask(method)[0] for method in ("GET", "PUT", "PUT", "PUT")]

    assert statuses == [404, 503, 503, 200] and fault.met == 2
    assert line.faults == []


def test_requests_are_counted_with_the_bytes_of_both_bodies(
    raw: Raw, line: Line
) -> None:
    with line.noting() as requests:
        raw.ask("PUT", body=BODY)
        raw.ask("HEAD")
        raw.ask("GET")

    counted = [(one.method, one.status, one.sent, one.received) for one in requests]
    size = len(BODY)
    assert counted == [
        ("PUT", 200, size, 0),
        ("HEAD", 200, 0, 0),
        ("GET", 200, 0, size),
    ]


def test_a_body_in_chunks_is_carried_as_it_is() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    body = b"5\r\nhello\r\n3;x=y\r\n\r\n!\r\n0\r\n\r\n"

    async def carried() -> tuple[bytes, bytes]:
        reader = asyncio.StreamReader()
        reader.feed_data(head + body + b"HTTP/1.1 204")
        return await _message(reader, "GET")

    assert asyncio.run(carried()) == (head, body)


_STARTS = """
import time
from benchmarks.object_storage import moto
with moto() as server:
    print(server.port, flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("ended", [signal.SIGINT, signal.SIGKILL])
def test_a_server_ends_with_the_process_that_started_it(
    ended: signal.Signals, tmp_path: Path
) -> None:
    here = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    starter = subprocess.Popen(
        [sys.executable, "-c", _STARTS],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=here,
    )
    with starter:
        assert starter.stdout is not None
        port = int(starter.stdout.readline())
        starter.send_signal(ended)

    until = time.monotonic() + 30
    while _listens(port):
        assert time.monotonic() < until, f"something listens on port {port}"


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
