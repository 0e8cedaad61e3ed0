from __future__ import annotations

import io
import json
import struct
import xml.etree.ElementTree as ElementTree
import zlib
from html.parser import HTMLParser

import pytest
from PIL import Image

from artifact_store import pictures
from artifact_store.errors import BadStamp, NoStamp, StampTooLarge
from artifact_store.pictures import Format, record_in, with_record

SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="4" height="3"><rect width="1"/></svg>'
HTML = (
    b"<!doctype html><html><head><title>own</title></head><body><p>x</p></body></html>"
)
RECORD = b'{"a":"</script></metadata>]]>&amp;\\u00e9"}'


def png() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (4, 3), "red").save(file, "png")
    return file.getvalue()


PICTURES: dict[Format, bytes] = {"svg": SVG, "html": HTML, "png": png()}
EVERY = pytest.mark.parametrize("format", PICTURES)


@EVERY
def test_a_record_comes_out_as_it_went_in(format: Format) -> None:
    content = with_record(PICTURES[format], format, RECORD, "title", "description")

    assert json.loads(record_in(content, "x")) == json.loads(RECORD)


@EVERY
def test_a_new_record_takes_the_place_of_the_old_one(format: Format) -> None:
    once = with_record(PICTURES[format], format, RECORD, "title", "description")
    other = with_record(PICTURES[format], format, b'{"b":2}', "another", "more")

    assert with_record(other, format, RECORD, "title", "description") == once


@EVERY
def test_a_picture_without_a_record_is_named(format: Format) -> None:
    with pytest.raises(NoStamp, match="fig.x does not say what it was drawn from"):
        record_in(PICTURES[format], "fig.x")


def test_an_svg_stays_xml_and_begins_with_its_title_and_description() -> None:
    content = with_record(SVG, "svg", RECORD, "a < b\x00", "c & d \ud800")

    title, description, metadata, rect = ElementTree.fromstring(content)
    assert (title.text, description.text) == ("a < b\\u0000", "c & d \\ud800")
    assert json.loads(metadata.text or "") == json.loads(RECORD)
    assert rect.tag.endswith("rect")


def test_a_record_survives_an_editor_of_xml() -> None:
    content = with_record(SVG, "svg", RECORD, "title", "description")

    again = ElementTree.tostring(ElementTree.fromstring(content))
    as_characters = content.replace(b'">{', b'"><![CDATA[{').replace(b"}</", b"}]]></")

    assert b"<ns0:metadata" in again
    assert json.loads(record_in(again, "x")) == json.loads(RECORD)
    assert json.loads(record_in(as_characters, "x")) == json.loads(RECORD)


def test_a_png_stays_a_picture_whose_texts_any_reader_lists() -> None:
    content = with_record(png(), "png", RECORD, "tïtle", "description")

    with Image.open(io.BytesIO(content)) as image:
        image.load()
        assert image.size == (4, 3)
        texts = image.text  # type: ignore[attr-defined]
    assert texts["Title"] == "tïtle" and texts["Description"] == "description"
    assert json.loads(texts["artifact-store"]) == json.loads(RECORD)
    assert content.index(b"iTXtartifact-store") < content.index(b"IDAT")


def test_in_a_page_the_record_is_data_and_closes_nothing() -> None:
    seen: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # fmt: skip
            seen.append(tag)

        def handle_endtag(self, tag: str) -> None:
            seen.append(f"/{tag}")

    Reader().feed(with_record(HTML, "html", RECORD, "title", "description").decode())

    assert seen[-6:] == ["p", "/p", "script", "/script", "/body", "/html"]


def test_content_of_another_format_is_refused() -> None:
    with pytest.raises(BadStamp, match="the picture is no PNG"):
        with_record(SVG, "png", RECORD, "title", "description")
    with pytest.raises(BadStamp, match="the picture is no SVG"):
        with_record(png(), "svg", RECORD, "title", "description")


def test_two_records_are_not_believed() -> None:
    one = with_record(SVG, "svg", RECORD, "title", "description")

    with pytest.raises(BadStamp, match="x has 2 stamps"):
        record_in(b"<p>" + one + one + b"</p>", "x")


def test_a_png_with_two_records_is_not_believed_either() -> None:
    one = with_record(png(), "png", RECORD, "title", "description")
    end = one.index(b"IDAT") - 4
    records = one[one.index(b"iTXt") - 4 : end]

    with pytest.raises(BadStamp, match="x has 2 stamps"):
        record_in(one[:end] + records + one[end:], "x")


@EVERY
def test_a_record_that_nobody_would_read_is_not_written(
    format: Format, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "MAX_RECORD", len(RECORD) - 1)

    with pytest.raises(StampTooLarge, match="Draw it from fewer artifacts"):
        with_record(PICTURES[format], format, RECORD, "title", "description")


def test_a_picture_that_is_cut_short_or_damaged_is_named() -> None:
    svg = with_record(SVG, "svg", RECORD, "title", "description")
    content = with_record(png(), "png", RECORD, "title", "description")
    place = content.index(b"iTXtartifact-store") + 30
    damaged = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]

    with pytest.raises(BadStamp, match="has a stamp that does not end"):
        record_in(svg[: svg.index(b"</metadata>")], "x")
    with pytest.raises(BadStamp, match="is damaged: a checksum is not right"):
        record_in(damaged, "x")
    for length in range(8, content.index(b"iTXtartifact-store")):
        with pytest.raises(BadStamp, match="is cut short"):
            record_in(content[:length], "x")


def test_a_bomb_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "MAX_RECORD", 1000)
    data = b"artifact-store\0\1\0\0\0" + zlib.compress(bytes(1 << 24))
    checksum = struct.pack(">I", zlib.crc32(b"iTXt" + data))
    chunk = struct.pack(">I", len(data)) + b"iTXt" + data + checksum
    content = png()[:33] + chunk + png()[33:]

    with pytest.raises(BadStamp, match="has a stamp of more than 0 MiB"):
        record_in(content, "x")


def test_what_only_begins_like_a_record_is_passed_over_at_once() -> None:
    with pytest.raises(NoStamp):
        record_in(b"<metadata id=" * 1_000_000, "x")
    with pytest.raises(BadStamp, match="does not end"):
        record_in(b'<metadata id="artifact-store">' * 400_000, "x")
