"""Buckets: what lies below a URL, each piece under its name, written and read whole or by ranges of bytes.

    url ──► *Bucket* ──► get, put, create, listed

The one home of obstore, which speaks with S3 and whatever speaks like it, with GCS and Azure. Credentials come from
the environment or the machine, as its clients find them, or from a profile; nothing here keeps any or shows any.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote

import msgspec

from artifact_store.environment import variable
from artifact_store.errors import (
    BucketFailed,
    BucketForked,
    CorruptArtifact,
    MissingPackage,
    UnknownUrl,
)
from artifact_store.recent import cached_property
from artifact_store.urls import joined

if TYPE_CHECKING:
    from obstore import GetOptions
    from obstore.store import ObjectStore

T = TypeVar("T")
U = TypeVar("U")

# Requests that one process has under way at once: they wait for the network, not for a core.
CONCURRENT: Final = 32

# What is lost on the way, or refused for the moment, is asked for again after pauses that grow up to threefold, at
# random: for some 3 to 50 seconds if it is refused at once, as by a server that throttles.
_RETRIES: Final = 12
_RETRY_SECONDS: Final = 60
_PAUSE_SECONDS: Final = 0.1
_GROWTH: Final = 3
# What breaks off in the middle.
_BROKEN_OFF: Final = 5
_CONNECT_SECONDS: Final = 5
# Between two pieces of an answer, whose whole may take as long as a slow line needs.
_READ_SECONDS: Final = 30

# What is kept in the memory of this process.
MEMORY: Final = "memory://"

# A piece without content that is made to find out what a server can do.
_PROBE: Final = ".store/probe"
# What those say that cannot.
_NOT_IMPLEMENTED: Final = ("501", "NotImplemented", "not supported", "not implemented")

# What is larger goes in parts, of which S3 takes 10,000.
_PART_BYTES: Final = 8 << 20
_MOST_PARTS: Final = 5000

# Of a download, what is written at a time.
_DOWNLOADED: Final = 4 << 20


class Piece(msgspec.Struct, frozen=True):
    """What was read of a bucket.

    Attributes
    ----------
    content
        Its bytes, or those that were asked for.
    tag
        What the server says of the whole: another one, if it was written since.
    """

    content: memoryview
    tag: str


class Listed(msgspec.Struct, frozen=True):
    """What is known of a piece that was not read; `modified` is in seconds of the server's clock."""

    name: str
    size: int
    tag: str
    modified: float


class Bucket:
    """The pieces below a URL. Every method raises `BucketFailed` if the server does not do what it is asked."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._process = _process_of_client()
        self._store: ObjectStore = _store_at(url)

    def __repr__(self) -> str:
        return f"Bucket({self.url!r})"

    @property
    def opened(self) -> ObjectStore:
        """The same for zarr."""
        if self._process != os.getpid():
            # Its threads are those of the parent: whoever asks in the child would wait forever.
            raise BucketForked(self.url)
        return self._store

    def get(self, name: str, most: int | None = None) -> Piece | None:
        """A piece, or `None` if it is not there.

        Raises
        ------
        CorruptArtifact
            It has more than `most` bytes, which are not read.
        """
        return self._got(name, most=most)

    def get_range(self, name: str, start: int, stop: int, tag: str) -> Piece | None:
        """The bytes from `start` to `stop` of a piece that still has this tag; `None` if it is not there any more.

        Raises
        ------
        Superseded
            It has another one.
        """
        piece = self._got(name, {"range": (start, stop), "if_match": tag})
        # A server that knows no conditions gives a range of whatever is there.
        if piece is not None and piece.tag != tag:
            raise Superseded(name)
        return piece

    def _got(
        self, name: str, options: GetOptions | None = None, most: int | None = None
    ) -> Piece | None:
        import obstore

        def read() -> Piece | None:
            try:
                found = obstore.get(self.opened, name, options=options)
                self._refuse_larger(name, found.meta["size"], most)
                tag = found.meta["e_tag"] or ""
                return Piece(memoryview(found.bytes()), tag)
            except FileNotFoundError:
                return None
            except obstore.exceptions.PreconditionError:
                raise Superseded(name) from None

        with self._told("read", name):
            return _again(read)

    def _refuse_larger(self, name: str, size: int, most: int | None) -> None:
        """Raise `CorruptArtifact` of what a stranger may have put there to fill memory or a disk."""
        if most is not None and size > most:
            problem = f"has {size} bytes, where {most} are the most"
            raise CorruptArtifact(joined(self.url, name), problem)

    def download(self, name: str, path: str, most: int) -> bool:
        """Make a file of a piece, which may be larger than memory but than `most`; whether it is there."""
        import obstore

        def download() -> bool:
            try:
                found = obstore.get(self.opened, name)
            except FileNotFoundError:
                return False
            self._refuse_larger(name, found.meta["size"], most)
            with open(path, "wb") as file:
                for some in found.stream(min_chunk_size=_DOWNLOADED):
                    file.write(some)
            return True

        with self._told("read", name):
            return _again(download)

    def head(self, name: str) -> Listed | None:
        """What is known of a piece, or `None` if it is not there."""
        import obstore

        with self._told("looked at", name):
            try:
                return _listed(obstore.head(self.opened, name))
            except FileNotFoundError:
                return None

    def put(self, name: str, content: bytes | Path) -> str:
        """Write a piece, bytes or the file at a `Path`, in place of what may be there; its tag."""
        import obstore

        size = os.stat(content).st_size if isinstance(content, Path) else 0
        part = max(_PART_BYTES, size // _MOST_PARTS + 1)
        with self._told("written", name):
            found = _again(
                lambda: obstore.put(self.opened, name, content, chunk_size=part)
            )
            return found["e_tag"] or ""

    def create(self, name: str, content: bytes) -> bool:
        """Write a piece unless there is one; whether there was none.

        Where the answer to a request is lost and it is sent again, there is one, and it is ours: compare. Of a server
        without conditional writes, two who create a piece at the same moment both hear that there was none.
        """
        if self.is_conditional:
            return self._created(name, content)
        if self.head(name) is not None:
            return False
        self.put(name, content)
        return True

    @cached_property
    def is_conditional(self) -> bool:
        """Whether the server writes on the condition that there is nothing yet; tried out, and not assumed."""
        try:
            # What another process has left there answers at the first try.
            return not (self._created(_PROBE, b"") and self._created(_PROBE, b""))
        except BucketFailed as error:
            if any(code in error.cause for code in _NOT_IMPLEMENTED):
                return False
            raise

    def _created(self, name: str, content: bytes) -> bool:
        import obstore

        with self._told("written", name):
            try:
                _again(lambda: obstore.put(self.opened, name, content, mode="create"))
                return True
            except obstore.exceptions.AlreadyExistsError:
                return False

    def delete(self, names: Iterable[str]) -> None:
        """Remove pieces, if they are there."""
        import obstore

        gone = list(names)
        if gone:
            with self._told("removed", gone[0]):
                try:
                    _again(lambda: obstore.delete(self.opened, gone))
                except FileNotFoundError:
                    pass

    def listed(self, prefix: str) -> Iterator[Listed]:
        """Every piece below a prefix, a folder so to speak, in the order of names where the server has one."""
        import obstore

        with self._told("listed", prefix):
            for some in obstore.list(self.opened, prefix):
                yield from map(_listed, some)

    def names(self, prefix: str) -> list[str]:
        """The names in a folder, so to speak: of pieces, and of what goes on below."""
        import obstore

        with self._told("listed", prefix):
            found = _again(
                lambda: obstore.list_with_delimiter(self.opened, prefix or None)
            )
        paths = [*found["common_prefixes"], *(one["path"] for one in found["objects"])]
        return sorted({path.rstrip("/").rpartition("/")[2] for path in paths})

    def each(self, do: Callable[[T], U], items: Iterable[T]) -> list[U]:
        """`do` of each item, several at once."""
        every = list(items)
        if len(every) < 2:
            return [do(one) for one in every]
        from concurrent.futures import ThreadPoolExecutor  # of its weight

        with ThreadPoolExecutor(min(CONCURRENT, len(every))) as pool:
            return list(pool.map(do, every))

    @contextmanager
    def _told(self, done: str, name: str) -> Iterator[None]:
        """Say of what the server refuses what it was for."""
        import obstore

        try:
            yield
        except (obstore.exceptions.BaseError, OSError, ValueError) as error:
            if isinstance(error, Superseded | BucketFailed | BucketForked):
                raise
            where = joined(self.url, name) if name else self.url
            raise BucketFailed(where, done, _cause_of(error)) from None


def _again(ask: Callable[[], T]) -> T:
    """What `ask` gives; once more if its answer breaks off, of which the client does not take care itself."""
    from obstore.exceptions import BaseError

    for number in range(_BROKEN_OFF):
        try:
            return ask()
        except BaseError as error:
            if "body error" not in str(error):
                raise  # It has tried again itself, for long enough.
            time.sleep(_PAUSE_SECONDS * 2**number)
    return ask()


class Superseded(Exception):
    """A piece has another tag than it was asked for by."""


def _listed(meta: Any) -> Listed:
    modified = meta["last_modified"].timestamp()
    return Listed(meta["path"], meta["size"], meta["e_tag"] or "", modified)


def _cause_of(error: Exception) -> str:
    """What happened, in a few words: what follows is how the client's own structures look in memory."""
    said, _, _ = str(error).partition("\n")
    # Nor is what the server sent with its status of use to people, which is a page of XML.
    said, _, _ = said.partition("<")
    for noise in _NOISE:
        said = noise.sub("", said)
    return said.strip(" :,-")[:300]


# The URL once more, how many microseconds a request took, and the settings of the client.
_NOISE: Final = tuple(
    map(
        re.compile,
        (
            r"Generic \w+ error: |Error performing |Server returned |Object at location \S+ ",
            r"https?://\S+ |, max_retries: .*?s(?= )| for path \S+(?=:)",
            r" in [0-9.]+.?s\b",
        ),
    )
)


@lru_cache(maxsize=1)
def _process_of_client() -> int:
    """The process whose threads the client has, which are those of all its buckets; no child has them."""
    return os.getpid()


@lru_cache(maxsize=256)
def open_bucket(url: str) -> Bucket:
    """The bucket at a URL; one object per process, which keeps its connections."""
    return Bucket(url.rstrip("/") if not url.endswith("://") else url)


def _spelled(url: str) -> str:
    """A URL as the client reads it: every letter below the bucket is one of a name."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{quote(rest)}"


# For ever: whatever else is opened, what is kept nowhere else stays.
@lru_cache(maxsize=None)
def _memory(url: str) -> Any:
    from obstore.store import MemoryStore

    return MemoryStore()


def _by_profile(url: str) -> dict[str, Any]:
    """Who tells the credentials of a profile of AWS, which the client does not know: boto3, where one is meant."""
    is_told = any(map(variable, ("AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE")))
    home = os.path.expanduser("~/.aws/credentials")
    file = variable("AWS_SHARED_CREDENTIALS_FILE") or home
    is_meant = variable("AWS_PROFILE") is not None or os.path.exists(file)
    if not url.startswith(("s3://", "s3a://")) or is_told or not is_meant:
        return {}
    try:
        from obstore.auth.boto3 import Boto3CredentialProvider
    except ImportError:
        raise MissingPackage(
            f"A profile of AWS, to open {url},", "boto3", "boto3"
        ) from None
    return {"credential_provider": Boto3CredentialProvider()}


def _store_at(url: str) -> Any:
    try:
        from obstore import exceptions
        from obstore.store import from_url
    except ImportError:
        raise MissingPackage(url, "obstore", "artifact-store[remote]") from None
    if url.startswith(MEMORY):
        return _memory(url)
    pause = timedelta(seconds=_PAUSE_SECONDS)
    try:
        return from_url(
            _spelled(url),
            **_by_profile(url),
            client_options={
                # The client asks the environment itself only where it is given no options.
                "allow_http": (variable("AWS_ALLOW_HTTP") or "").lower() == "true",
                "connect_timeout": timedelta(seconds=_CONNECT_SECONDS),
                "read_timeout": timedelta(seconds=_READ_SECONDS),
                "timeout": timedelta(days=1),
            },
            retry_config={
                "max_retries": _RETRIES,
                "retry_timeout": timedelta(seconds=_RETRY_SECONDS),
                "backoff": {
                    "init_backoff": pause,
                    "max_backoff": 100 * pause,
                    "base": _GROWTH,
                },
            },
        )
    except (exceptions.BaseError, ValueError) as error:
        raise UnknownUrl(url, _cause_of(error)) from None
