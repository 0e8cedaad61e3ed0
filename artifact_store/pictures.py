"""What a picture says of itself: some JSON and words for people, inside an SVG, a PNG or an HTML file.

    SVG, HTML, PNG ──► *with_record* ──► the same picture, which *record_in* reads

Whoever reads one may have it from a stranger: nothing in it is followed, run or parsed but the record, of bounded size.
"""

from __future__ import annotations

import html
import re
import struct
import zlib
from collections.abc import Iterator
from typing import Final, Literal, TypeAlias

from artifact_store.errors import BadStamp, NoStamp, StampTooLarge
from artifact_store.terminals import visible

Format: TypeAlias = Literal["svg", "png", "html"]

# No picture, and no record of one, is larger.
MAX_PICTURE: Final = 128 << 20
MAX_RECORD: Final = 16 << 20

# The name of the record: an id in SVG and HTML, a keyword in PNG.
_NAME: Final = b"artifact-store"

# No `<` within, so that what only begins like it is passed over in one go.
_OPENING: Final = re.compile(
    rb"""<((?:[\w.-]{1,40}:)?metadata|script)\b[^<>]{0,200}?\bid=["']%s["'][^<>]{0,200}>""" % _NAME  # fmt: skip
)
_WORDS: Final = re.compile(rb"\A<(title|desc)>[^<]*</\1>")
_SVG: Final = re.compile(rb"<svg\b[^<>]*(?<!/)>")

_PNG: Final = b"\x89PNG\r\n\x1a\n"
_IS_DEFLATED: Final = b"\0\1\0\0\0"  # and of no language, without a translated keyword


def with_record(
    content: bytes, format: Format, record: bytes, title: str, description: str
) -> bytes:
    """A picture that carries `record`, in place of one that it has.

    Parameters
    ----------
    record
        JSON in ASCII.
    title, description
        What is shown, for people who do not see it and programs that list files; a page keeps its own.

    Raises
    ------
    BadStamp
        The content is no picture of this format.
    StampTooLarge
        Nobody would read it.
    """
    # To JSON the same; to XML and HTML then, nothing in it is markup.
    plain = record.translate(None, b"\r\n")
    for character in b"<>&":
        plain = plain.replace(bytes([character]), b"\\u%04x" % character)
    if len(plain) > MAX_RECORD:
        raise StampTooLarge(len(plain), MAX_RECORD)
    if format == "png":
        return _in_png(content, plain, title, description)
    if format == "svg":
        return _in_svg(_without(content), plain, title, description)
    return _in_html(_without(content), plain)


def record_in(content: bytes, path: str) -> bytes:
    """The record that a picture carries, of whatever format.

    Parameters
    ----------
    path
        Of the picture; for messages alone.

    Raises
    ------
    NoStamp
        It carries none.
    BadStamp
        It is damaged, too large, or one of several.
    """
    if len(content) > MAX_PICTURE:
        raise BadStamp(path, f"is larger than {MAX_PICTURE >> 20} MiB")
    record = _of_png(content, path) if content.startswith(_PNG) else _of_text(content, path)  # fmt: skip
    if record is None:
        raise NoStamp(path)
    if len(record) > MAX_RECORD:
        raise BadStamp(path, f"has a stamp of more than {MAX_RECORD >> 20} MiB")
    return record


def _of_text(content: bytes, path: str) -> bytes | None:
    found = list(_records(content))
    if len(found) > 1:
        raise BadStamp(path, f"has {len(found)} stamps")
    for _, start, end, _ in found:
        if end < 0:
            raise BadStamp(path, "has a stamp that does not end")
        # An editor of XML may write out quotes; the record itself has no ampersand.
        inside = content[start:end].removeprefix(b"<![CDATA[").removesuffix(b"]]>")
        return html.unescape(inside.decode("utf-8", "replace")).encode()
    return None


def _records(content: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Where each record begins with its tag, begins, ends, and ends with its tag; -1 where it does not end."""
    at = 0
    while opening := _OPENING.search(content, at):
        closing = b"</%s>" % opening[1]
        end = content.find(closing, opening.end())
        at = end + len(closing) if end >= 0 else len(content)
        yield opening.start(), opening.end(), end, at


def _without(content: bytes) -> bytes:
    """A page or SVG as it was before it carried a record."""
    for begin, _, end, after in reversed(list(_records(content))):
        if end >= 0:
            content = content[:begin] + content[after:]
    return content


def _in_svg(content: bytes, record: bytes, title: str, description: str) -> bytes:
    root = _SVG.search(content)
    if root is None:
        raise BadStamp("the picture", "is no SVG")
    # Title and description are the first children, or nobody reads them out.
    rest = content[root.end() :]
    while words := _WORDS.match(rest):
        rest = rest[words.end() :]
    said = f"<title>{_escaped(title)}</title><desc>{_escaped(description)}</desc>"
    metadata = b'<metadata id="%s">%s</metadata>' % (_NAME, record)
    return content[: root.end()] + said.encode() + metadata + rest


def _in_html(content: bytes, record: bytes) -> bytes:
    # At the end, where the declaration of the encoding stays among the first bytes.
    end = content.rfind(b"</body>")
    end = len(content) if end < 0 else end
    opening = b'<script type="application/json" id="%s">' % _NAME
    return content[:end] + opening + record + b"</script>" + content[end:]


def _escaped(words: str) -> str:
    return html.escape(visible(words), quote=False)


def _in_png(content: bytes, record: bytes, title: str, description: str) -> bytes:
    written, is_written = [_PNG], False
    for kind, data in _chunks(content, "the picture"):
        if kind == b"IDAT" and not is_written:
            is_written = True
            written.append(_text(b"Title", visible(title).encode()))
            written.append(_text(b"Description", visible(description).encode()))
            written.append(_text(_NAME, record))
        if kind != b"iTXt" or _keyword(data) not in (_NAME, b"Title", b"Description"):
            written.append(_chunk(kind, data))
    return b"".join(written)


def _of_png(content: bytes, path: str) -> bytes | None:
    found = [
        data
        for kind, data in _chunks(content, path)
        if kind == b"iTXt" and _keyword(data) == _NAME
    ]
    if len(found) > 1:
        raise BadStamp(path, f"has {len(found)} stamps")
    return _inflated(found[0][len(_NAME) :], path) if found else None


def _chunks(content: bytes, path: str) -> Iterator[tuple[bytes, bytes]]:
    """Kind and data of each part of a PNG, checked."""
    at = len(_PNG)
    if not content.startswith(_PNG):
        raise BadStamp(path, "is no PNG")
    while at < len(content):
        if at + 12 > len(content):
            raise BadStamp(path, "is cut short")
        (length,) = struct.unpack_from(">I", content, at)
        kind, data = content[at + 4 : at + 8], content[at + 8 : at + 8 + length]
        at += 12 + length
        if at > len(content):
            raise BadStamp(path, "is cut short")
        if struct.pack(">I", zlib.crc32(kind + data)) != content[at - 4 : at]:
            raise BadStamp(path, "is damaged: a checksum is not right")
        yield kind, data
        if kind == b"IEND":
            return
    raise BadStamp(path, "is cut short")


def _chunk(kind: bytes, data: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(kind + data))
    return struct.pack(">I", len(data)) + kind + data + checksum


def _text(keyword: bytes, words: bytes) -> bytes:
    return _chunk(b"iTXt", keyword + _IS_DEFLATED + zlib.compress(words, 9))


def _keyword(data: bytes) -> bytes:
    return data[:80].partition(b"\0")[0]


def _inflated(data: bytes, path: str) -> bytes:
    if not data.startswith(_IS_DEFLATED):
        raise BadStamp(path, "has a stamp that is not as it was written")
    inflate = zlib.decompressobj()
    try:
        # A bomb of a stranger ends at one byte more than is believed.
        return inflate.decompress(data[len(_IS_DEFLATED) :], MAX_RECORD + 1)
    except zlib.error as error:
        raise BadStamp(path, f"has a stamp that cannot be read: {error}") from None
