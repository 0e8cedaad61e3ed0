"""Object storage on this machine: a server that speaks as S3 does, and a line to it that counts and fails on demand.

client ──► *Line*: counts, delays, drops ──► *Server*: moto, or s3rver, in a process of its own
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

_START_SECONDS: Final = 30.0
_libc = ctypes.CDLL(None)
_PR_SET_PDEATHSIG: Final = 1


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _die_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


@dataclass(frozen=True)
class Server:
    """A server that listens on a port of this machine, and whom it lets in."""

    port: int
    key: str = "an-access-key"
    secret: str = "a-secret-of-no-worth"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def make_bucket(self, name: str) -> None:
        """Make an empty bucket."""
        import boto3

        access = {"aws_access_key_id": self.key, "aws_secret_access_key": self.secret}
        client = boto3.client(
            "s3", endpoint_url=self.url, region_name="us-east-1", **access
        )
        client.create_bucket(Bucket=name)


@contextmanager
def moto() -> Iterator[Server]:
    """Moto's server, which has conditional writes."""
    port = _free_port()
    program = Path(sys.executable).with_name("moto_server")
    with _running([str(program), "-H", "127.0.0.1", "-p", str(port)], port) as server:
        yield server


@contextmanager
def s3rver(folder: Path) -> Iterator[Server]:
    """S3rver, of npm, which knows nothing of conditional writes; its content goes below `folder`."""
    port = _free_port()
    program = Path(sys.prefix) / "s3rver/node_modules/s3rver/bin/s3rver.js"
    named = ["-a", "127.0.0.1", "-p", str(port), "-d", str(folder), "--silent"]
    with _running(["node", str(program), *named], port):
        yield Server(port, "S3RVER", "S3RVER")


@contextmanager
def _running(command: list[str], port: int) -> Iterator[Server]:
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=_die_with_parent,
    )
    try:
        _wait_for(port, process)
        yield Server(port)
    finally:
        process.kill()
        process.wait()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < until:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        time.sleep(0.02)
    raise RuntimeError(f"{process.args!r} does not listen on port {port}")


def environment(server: Server, url: str) -> dict[str, str]:
    """What has clients find a server at a URL by the standard chain."""
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ALLOW_HTTP": "true",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": server.key,
        "AWS_SECRET_ACCESS_KEY": server.secret,
    }


@dataclass(frozen=True)
class Request:
    """One request that went over a line, the status of its answer, and the bytes of both bodies."""

    method: str
    path: str
    status: int
    sent: int
    received: int


# What becomes of a request: it never arrives; it is carried out, and nobody hears of it; its answer is cut in the
# middle; it is answered with an error at once; it is answered late.
Kind = Literal["drop", "lose", "cut", "error", "delay"]


@dataclass
class Fault:
    """A fault, and how many more requests it meets of those that it is for."""

    kind: Kind
    times: int
    status: int = 503
    seconds: float = 0.0
    meets: Callable[[str, str], bool] = lambda method, path: True
    met: int = 0


_SLOW_DOWN: Final = (
    b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>SlowDown</Code>'
    b"<Message>Please reduce your request rate.</Message></Error>"
)


@dataclass
class Line:
    """A way to a server on another port, over which each request is noted."""

    server: Server
    port: int = 0
    requests: list[Request] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @contextmanager
    def failing(self, kind: Kind, times: int = 1, **given: Any) -> Iterator[Fault]:
        """Have a fault meet the next requests in this block."""
        fault = Fault(kind, times, **given)
        self.faults.append(fault)
        try:
            yield fault
        finally:
            self.faults.remove(fault)

    @contextmanager
    def noting(self) -> Iterator[list[Request]]:
        """The requests that go over the line in this block."""
        noted: list[Request] = []
        start = len(self.requests)
        yield noted
        noted.extend(self.requests[start:])

    async def serve(self, ready: threading.Event, stop: asyncio.Event) -> None:
        """Carry requests until told to stop."""
        listening = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        self.port = listening.sockets[0].getsockname()[1]
        ready.set()
        async with listening:
            await stop.wait()

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            there = await asyncio.open_connection("127.0.0.1", self.server.port)
            try:
                while await self._exchange(reader, writer, *there):
                    pass
            finally:
                there[1].close()
        writer.close()

    async def _exchange(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        answers: asyncio.StreamReader,
        asks: asyncio.StreamWriter,
    ) -> bool:
        """Carry one request and its answer; whether another may follow."""
        head, body = await _message(reader, "")
        if not head:
            return False
        method, path, *_ = head.split(b"\r\n", 1)[0].decode().split(" ")
        fault = self._fault(method, path)
        kind = None if fault is None else fault.kind
        if self.seconds:
            await asyncio.sleep(self.seconds)
        if kind == "drop":
            self._note(method, path, 0, body, b"")
            return False
        if fault is not None and kind == "error":
            line = f"HTTP/1.1 {fault.status} Slow Down\r\nContent-Length: {len(_SLOW_DOWN)}\r\n\r\n"
            self._note(method, path, fault.status, body, _SLOW_DOWN)
            writer.write(line.encode() + _SLOW_DOWN)
            await writer.drain()
            return True
        if fault is not None and kind == "delay":
            await asyncio.sleep(fault.seconds)
        asks.write(head + body)
        await asks.drain()
        found, content = await _message(answers, method)
        status = int(found.split(b" ", 2)[1])
        if kind == "lose":
            self._note(method, path, status, body, b"")
            return False
        if fault is not None and kind == "cut" and not content:
            # There is nothing to cut: the fault is kept for an answer that has a body.
            fault.met, kind = fault.met - 1, None
        if kind == "cut":
            content = content[: len(content) // 2]
        # Before the answer is there, so that whoever has it finds it noted.
        self._note(method, path, status, body, content)
        writer.write(found + content)
        await writer.drain()
        return kind != "cut"

    def _note(
        self, method: str, path: str, status: int, sent: bytes, received: bytes
    ) -> None:
        one = Request(method, path, status, len(sent), len(received))
        self.requests.append(one)

    def _fault(self, method: str, path: str) -> Fault | None:
        for fault in self.faults:
            if fault.met < fault.times and fault.meets(method, path):
                fault.met += 1
                return fault
        return None


async def _message(reader: asyncio.StreamReader, method: str) -> tuple[bytes, bytes]:
    """The head of a request or, to a method, of an answer, and its body as it goes over the line."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return b"", b""
    fields = {
        name.strip().lower(): value.strip().lower()
        for name, _, value in (line.partition(b":") for line in head.split(b"\r\n"))
    }
    is_bare = method == "HEAD" or (
        method and head.split(b" ", 2)[1] in (b"204", b"304")
    )
    if is_bare:
        return head, b""
    if fields.get(b"transfer-encoding") == b"chunked":
        return head, await _chunked(reader)
    return head, await reader.readexactly(int(fields.get(b"content-length", b"0")))


async def _chunked(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while True:
        line = await reader.readuntil(b"\r\n")
        size = int(line.split(b";")[0], 16)
        body += line + await reader.readexactly(size + 2)
        if not size:
            return body


@contextmanager
def line_to(server: Server) -> Iterator[Line]:
    """A line to a server, in a thread of this process."""
    line, ready = Line(server), threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    def run() -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(line.serve(ready, stop))
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0.01))
        loop.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    ready.wait(_START_SECONDS)
    try:
        yield line
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(_START_SECONDS)


@contextmanager
def clients_of(server: Server, url: str = "") -> Iterator[None]:
    """Have clients in this process, and in those that it starts, find a server, at a URL if it has another."""
    said = environment(server, url or server.url)
    before = {name: os.environ.get(name) for name in said}
    os.environ.update(said)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
