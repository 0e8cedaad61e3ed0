"""Files in a bucket, read by ranges: as much of them as is asked for, of the very content that was opened.

url ──► *RemoteFile* ──► header, tensors, each a range or some
"""

from __future__ import annotations

from functools import partial
from typing import Final

import msgspec

from artifact_store.buckets import Bucket, Piece, Superseded, open_bucket
from artifact_store.urls import UrlPath

# A header is rarely longer: with the length that comes before it, it is one request.
_HEAD_BYTES: Final = 1 << 17

# Of one request: so much at once is as quick as more, and what breaks off is not lost as a whole.
RANGE_BYTES: Final = 16 << 20


class RemoteFile(msgspec.Struct):
    """A file in a bucket as it was when it was opened; every read raises `Superseded` if it is another one now."""

    url: UrlPath
    size: int
    tag: str
    head: bytes = b""

    def read(self, nbytes: int, offset: int) -> bytes:
        """So many bytes, or as many as there are."""
        stop = min(offset + nbytes, self.size)
        if stop <= _HEAD_BYTES:
            if not self.head and self.size:
                until = min(_HEAD_BYTES, self.size)
                self.head = bytes(self._piece(0, until).content)
            return self.head[offset:stop]
        return bytes(self._piece(offset, stop).content) if stop > offset else b""

    def fill(self, target: memoryview, offset: int) -> None:
        """Fill `target` from `offset` on, by several requests at once if it is large; `EOFError` where it ends."""
        if offset + len(target) > self.size:
            raise EOFError
        starts = range(0, len(target), RANGE_BYTES)
        self._bucket.each(partial(self._fill_range, target, offset), starts)

    def _fill_range(self, target: memoryview, offset: int, start: int) -> None:
        part = target[start : start + RANGE_BYTES]
        first = offset + start
        part[:] = self._piece(first, first + len(part)).content

    def _piece(self, start: int, stop: int) -> Piece:
        piece = self._bucket.get_range(self.url.name, start, stop, self.tag)
        if piece is None or len(piece.content) != stop - start:
            raise Superseded(str(self.url))
        return piece

    @property
    def _bucket(self) -> Bucket:
        return open_bucket(str(self.url.parent))


def remote_file(url: UrlPath) -> RemoteFile | None:
    """The file at a URL, unread; `None` if there is none."""
    listed = open_bucket(str(url.parent)).head(url.name)
    return None if listed is None else RemoteFile(url, listed.size, listed.tag)


def remote_names(url: UrlPath) -> list[str]:
    """The names of all files and folders in a folder of a bucket, so to speak."""
    return open_bucket(str(url)).names("")
