"""Figures drawn as SVG and PNG by a real browser, and pages opened in one."""

from __future__ import annotations

import io
import threading
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import pytest
from PIL import Image
from playwright.sync_api import Page

from analyses.figures.activations import activation_heatmaps
from analyses.figures.clusters import neuron_clusters, specialised_neurons
from analyses.figures.frequencies import dominant_frequencies, frequency_heatmap
from analyses.figures.losses import loss_curves
from artifact_store.browsers import Draw, Size, browser, draw_alone
from artifact_store.errors import BrowserFailed
from artifact_store.rendering import rendered, settled
from artifact_store.stamps import Stamp, read_stamp, stamped

STAMP = Stamp("view", {"threshold": "0.75"}, "run", 500, (), (), {})


def figures(p: int = 113, neurons: int = 512) -> dict[str, go.Figure]:
    """Every figure there is, of random numbers."""
    random = np.random.default_rng(0)
    frequency, epochs = np.arange(1, p // 2 + 1), np.array([0, 10, 500])
    norm = random.random((len(frequency), neurons))
    power = random.random((len(epochs), len(frequency)))
    return {
        "activations": activation_heatmaps(random.random((6, p, p)), range(6)),
        "clusters": neuron_clusters(norm / norm.sum(0), frequency, threshold=0.1),
        "specialised": specialised_neurons((9 * power).astype(int), epochs, frequency, threshold=0.75),
        "dominant": dominant_frequencies(random.random(p), frequency, threshold=0.04),
        "spectrum": frequency_heatmap(power / power.sum(), epochs, frequency, epoch=500),
        "losses": loss_curves(random.random(501), random.random(501), epoch=500),
        # What no figure of ours has yet, and Plotly makes up names for.
        "patterns": go.Figure(go.Bar(y=[1, 2], marker={"pattern": {"shape": "x"}, "color": [1, 2], "showscale": True})),
        "contours": go.Figure(go.Contour(z=random.random((5, 5)))),
    }  # fmt: skip


FIGURES = figures()
EVERY = pytest.mark.parametrize("name", FIGURES)


@pytest.fixture(scope="module")
def draw(chromium: str) -> Iterator[Draw]:
    with browser() as draw:
        yield draw


@pytest.fixture(scope="module")
def draw_elsewhere(chromium: str) -> Iterator[Draw]:
    with browser() as draw:
        yield draw


@EVERY
def test_an_svg_has_the_same_bytes_from_every_browser(
    draw: Draw, draw_elsewhere: Draw, name: str
) -> None:
    content = rendered(FIGURES[name], "svg", STAMP, draw=draw)

    assert content == rendered(FIGURES[name], "svg", STAMP, draw=draw)
    assert content == rendered(figures()[name], "svg", STAMP, draw=draw_elsewhere)
    assert read_stamp(content, "x") == STAMP
    assert ElementTree.fromstring(content)[0].text == STAMP.title


@EVERY
def test_a_png_is_as_large_as_asked_and_small_on_disk(draw: Draw, name: str) -> None:
    content = rendered(FIGURES[name], "png", STAMP, Size(800, 400, 1.5), draw)

    with Image.open(io.BytesIO(content)) as image:
        image.load()
        assert image.size == (1200, 600)
    assert read_stamp(content, "x") == STAMP
    if name != "activations":  # noise, which does not compress
        assert len(content) < 300_000


@EVERY
def test_a_page_draws_its_figure_and_asks_nobody(
    page: Page, tmp_path: Path, name: str
) -> None:
    path = tmp_path / "figure.html"
    path.write_bytes(rendered(FIGURES[name], "html", STAMP))

    page.goto(path.as_uri())

    page.wait_for_selector("#figure .main-svg")
    assert page.title() == STAMP.title
    box = page.locator("#figure").bounding_box()
    assert box is not None and (box["width"], box["height"]) == (1280, 800)


def test_what_a_page_draws_by_itself_can_be_settled_and_stamped(
    page: Page, tmp_path: Path
) -> None:
    path = tmp_path / "figure.html"
    path.write_bytes(rendered(FIGURES["clusters"], "html", STAMP))

    def exported() -> bytes:
        page.goto(path.as_uri())
        page.wait_for_selector("#figure .main-svg")
        options = "{format: 'svg', width: 960, height: 540, imageDataOnly: true}"
        svg: str = page.evaluate(f"Plotly.toImage('figure', {options})")
        return stamped(settled(svg.encode()), "svg", STAMP)

    content = exported()

    assert content == exported()
    assert read_stamp(content, "x") == STAMP
    ElementTree.fromstring(content)


def test_a_page_keeps_the_stamp_that_a_browser_saves_again(
    page: Page, tmp_path: Path
) -> None:
    path = tmp_path / "figure.html"
    path.write_bytes(rendered(FIGURES["losses"], "html", STAMP))

    page.goto(path.as_uri())

    assert read_stamp(page.content().encode(), "x") == STAMP


def test_no_process_is_left_behind(chromium: str) -> None:
    before = children()

    draw_alone(FIGURES["losses"], "svg", Size())

    assert children() == before


def children() -> set[str]:
    tasks = Path("/proc/self/task").glob("*/children")
    return {child for task in tasks for child in task.read_text().split()}


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_an_image_that_a_figure_has_from_elsewhere_is_not_fetched(
    draw: Draw, host: str
) -> None:
    asked: list[str] = []

    class Server(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, format: str, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        source = f"http://{host}:{server.server_port}/pixel.png"
        place = {"x": 0, "y": 1, "sizex": 1, "sizey": 1, "xref": "paper", "yref": "paper"}  # fmt: skip
        figure = go.Figure(go.Bar(y=[1, 2]), {"images": [{"source": source, **place}]})
        drawn = draw(figure, "svg", Size())
        server.shutdown()

    assert asked == [] and drawn.startswith(b"<svg")


def test_what_plotly_cannot_draw_is_an_error_and_the_next_figure_is_drawn(
    draw: Draw,
) -> None:
    class Broken(go.Figure):  # type: ignore[misc]
        def to_dict(self) -> dict[str, object]:
            return {"data": 5, "layout": {}}

    with pytest.raises(BrowserFailed, match="did not draw the picture"):
        draw(Broken(), "svg", Size())
    assert draw(FIGURES["losses"], "svg", Size()).startswith(b"<svg")
