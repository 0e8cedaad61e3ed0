from __future__ import annotations

from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pytest
from plotly.offline import get_plotlyjs

from artifact_store.browsers import Figure, Size
from artifact_store.errors import UnknownPicture
from artifact_store.rendering import format_of, rendered, settled
from artifact_store.stamps import Stamp, read_stamp

STAMP = Stamp("bars", {"colour": "<red>"}, "run", 500, (), (), {})

# As Plotly writes it: of a drawing, of two traces, a gradient, a pattern and ticks of a colour bar.
PLOTLY = (
    '<svg xmlns="http://www.w3.org/2000/svg"><defs id="defs-{d}"><clipPath id="clip{d}xyplot"/>'
    '<clipPath id="clip{d}commonlabelx"/><linearGradient id="g{d}-cb{t}"/><pattern id="p{d}-{u}-0"/></defs>'
    '<g clip-path="url(#clip{d}xyplot)"><g class="trace scatter trace{t}"/></g><defs id="topdefs-{d}"/>'
    "<path style=\"fill: url('#p{d}-{u}-0');\"/><g class=\"ycb{t}tick\"/><use href=\"#clip{d}xyplot\"/>"
    '<text class="legendtext">clip{w} trace{w}</text></svg>'
)  # fmt: skip


def drawn(d: str = "7da3c4", t: str = "c871e4", u: str = "d87df5", w: str = "0abcde") -> bytes:  # fmt: skip
    return PLOTLY.format(d=d, t=t, u=u, w=w).encode()


def test_the_same_drawing_has_the_same_names_each_time() -> None:
    assert settled(drawn()) == settled(drawn("8beca0", "b92d40", "00ff11"))


def test_names_still_refer_to_what_they_did() -> None:
    content = settled(drawn()).decode()
    name = content.partition('id="defs-')[2][:6]

    assert content.count(name) == drawn().decode().count("7da3c4")
    assert content == drawn(name, f"{int(name, 16) + 1:06x}", f"{int(name, 16) + 2:06x}").decode()  # fmt: skip


def test_words_that_look_like_names_stay() -> None:
    # They are shown, and so they make another picture.
    assert b">clip7da3c4 trace7da3c4<" in settled(drawn(w="7da3c4"))


def test_two_pictures_in_one_page_have_no_name_in_common() -> None:
    one, other = settled(drawn()), settled(drawn(w="another"))

    name = one.partition(b'id="defs-')[2][:6]
    assert name not in other


def test_settling_again_changes_nothing() -> None:
    assert settled(settled(drawn())) == settled(drawn())
    assert settled(b"<svg><rect/></svg>") == b"<svg><rect/></svg>"


def test_a_page_has_the_same_bytes_each_time_and_its_stamp() -> None:
    figure = go.Figure(go.Bar(y=[1, 2]))

    page = rendered(figure, "html", STAMP)

    assert page == rendered(go.Figure(go.Bar(y=[1, 2])), "html", STAMP)
    assert read_stamp(page, "x") == STAMP


def test_a_page_asks_nobody_for_anything() -> None:
    page = rendered(go.Figure(go.Bar(y=[1, 2])), "html", STAMP).decode()
    own = page.replace(get_plotlyjs(), "")

    assert "default-src 'none'" in own
    assert "http://" not in own and "https://" not in own


def test_a_title_of_a_stranger_is_no_markup() -> None:
    stamp = Stamp("</title><script>alert()</script>", {}, "run", None, (), (), {})

    page = rendered(go.Figure(), "html", stamp).decode()

    assert "<script>alert" not in page
    assert "<title>&lt;/title&gt;&lt;script&gt;alert" in page


def test_an_svg_is_settled_before_it_is_stamped() -> None:
    def draw(figure: Figure, format: str, size: Size) -> bytes:
        assert (format, size) == ("svg", Size(300, 200))
        return drawn()

    content = rendered(go.Figure(), "svg", STAMP, Size(300, 200), draw)

    assert read_stamp(content, "x") == STAMP
    assert b"7da3c4" not in content


@pytest.mark.parametrize("name, format", [("a.svg", "svg"), ("b.PNG", "png"), ("c.d.html", "html")])  # fmt: skip
def test_a_file_name_says_the_format(name: str, format: Any) -> None:
    assert format_of(Path(name)) == format


@pytest.mark.parametrize("name", ["a.pdf", "svg", "a.svg.gz", ""])
def test_another_format_is_refused(name: str) -> None:
    with pytest.raises(UnknownPicture, match="Let it end in .svg, .png or .html"):
        format_of(Path(name))
