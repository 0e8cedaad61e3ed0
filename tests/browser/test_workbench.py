"""The workbench, as one uses it: a slider is moved, a run is chosen, what is missing is computed, a picture is kept."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser.conftest import complaints_of
from playwright.sync_api import Browser, Page, expect

from analyses.clusters import neuron_freq_norm
from analyses.train import Training, train
from analyses.workbench.jobs import Jobs
from analyses.workbench.server import create_app, serve
from analyses.workbench.sources import loaded
from artifact_store import AnalysisPipeline, Run
from artifact_store.cli import main as artifact_store
from artifact_store.stamps import read_stamp

SHARED = Path(__file__).parents[3] / "shared/runs/p59_seed485"

# Of a machine that also runs other tests.
PATIENCE = 20_000


@pytest.fixture(scope="session")
def analysed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two runs with all their artifacts: one that groks, and a tiny one."""
    folder = tmp_path_factory.mktemp("analysed")
    shutil.copytree(SHARED, folder / "p59")
    make_tiny(folder / "tiny")
    for run in ("p59", "tiny"):
        AnalysisPipeline(folder / run).run()
    return folder


@pytest.fixture(scope="session")
def address(analysed: Path) -> Iterator[str]:
    """The workbench of these."""
    with serving(analysed) as address:
        yield address


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    """A folder with a run that was never analysed."""
    make_tiny(tmp_path / "results/fresh")
    return tmp_path / "results"


def make_tiny(folder: Path) -> None:
    """A run modulo 7, of three epochs."""
    shape = Training(prime=7, d_model=8, n_heads=2, d_mlp=16, num_epochs=3)
    train(shape, folder)


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The address of a workbench, while it is served."""
    server = serve(create_app(folder, Jobs(), loaded()), "127.0.0.1", 0)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()


@contextmanager
def at_work(page: Page, folder: Path) -> Iterator[str]:
    """As `serving`, for a page that asks again and again, until it is left."""
    with serving(folder) as address:
        yield address
        page.goto("about:blank")


def open_at(page: Page, address: str) -> None:
    page.goto(address)
    settle(page)


def settle(page: Page) -> None:
    """Wait until everything in sight is drawn."""
    done = "document.body.dataset.settled === 'true'"
    page.wait_for_function(done, timeout=PATIENCE)


def section(page: Page, view: str) -> Any:
    return page.locator(f"section[data-view={view}]")


def drawn(page: Page, view: str, what: str) -> Any:
    """What of the figure of a view is drawn, in its first pane, as JavaScript says it."""
    card = section(page, view)
    card.scroll_into_view_if_needed()
    page.wait_for_function(f"workbench.isCurrent('{view}')", timeout=PATIENCE)
    settle(page)
    return card.locator(".figure").first.evaluate(f"figure => {what}")


def picture(page: Page) -> Any:
    """What the clusters show: frequency by neuron."""
    return np.array(
        drawn(
            page,
            "neuron_clusters",
            "figure._fullData[1].z.map(row => Array.from(row))",
        )
    )


def stored(analysed: Path, run: str, epoch: int) -> Any:
    found = neuron_freq_norm.find(Run(analysed / run)[epoch])
    assert found is not None
    return found["norm"][...]


def test_every_view_is_drawn(page: Page, address: str) -> None:
    open_at(page, f"{address}/?run=p59")

    for card in page.locator("section.view").all():
        card.scroll_into_view_if_needed()
        expect(card.locator(".figure .main-svg").first).to_be_visible()
        expect(card.locator(".notice")).to_be_hidden()
    assert page.locator("section.view").count() == 9


def test_the_slider_moves_every_view(page: Page, address: str, analysed: Path) -> None:
    open_at(page, f"{address}/?run=p59&epoch=1200&neuron_clusters.sort=number")
    np.testing.assert_array_equal(picture(page), stored(analysed, "p59", 1200))

    page.locator("#slider").press("ArrowLeft")
    settle(page)

    expect(page.locator("#readout")).to_contain_text("1,000")
    np.testing.assert_array_equal(picture(page), stored(analysed, "p59", 1000))
    marks = (
        "figure.layout.shapes.filter(one => one.name === 'epoch').map(one => one.x0)"
    )
    assert drawn(page, "losses", marks) == [1000]


def test_dragging_past_many_epochs_ends_at_the_last(
    page: Page, address: str, analysed: Path
) -> None:
    open_at(page, f"{address}/?run=p59&epoch=0&neuron_clusters.sort=number")

    for _ in range(20):
        page.keyboard.press("ArrowRight")
    settle(page)

    np.testing.assert_array_equal(picture(page), stored(analysed, "p59", 1499))


def test_keys_go_to_the_ends(page: Page, address: str) -> None:
    open_at(page, f"{address}/?run=p59&epoch=500")

    page.keyboard.press("Home")
    expect(page.locator("#readout")).to_contain_text("1 of 14")
    page.keyboard.press("End")
    expect(page.locator("#readout")).to_contain_text("14 of 14")


def test_another_run_takes_the_place_of_the_first(
    page: Page, address: str, analysed: Path
) -> None:
    open_at(page, f"{address}/?run=p59&neuron_clusters.sort=number")

    page.locator("#run").click()
    page.get_by_text("tiny", exact=True).last.click()
    expect(page.locator("#readout")).to_contain_text("of 3")

    np.testing.assert_array_equal(picture(page), stored(analysed, "tiny", 2))


def test_two_runs_stand_side_by_side_under_one_slider(page: Page, address: str) -> None:
    open_at(page, f"{address}/?run=p59&with=tiny&epoch=500")

    named = section(page, "dominant_frequencies").locator(".of")
    expect(named).to_contain_text(["p59, epoch 500", "tiny, epoch 2"])
    assert section(page, "dominant_frequencies").locator(".figure").count() == 2


def test_the_threshold_moves_without_computing(
    page: Page, address: str, analysed: Path
) -> None:
    open_at(page, f"{address}/?run=p59&epoch=1499&neuron_clusters.sort=number")
    entries = sum(1 for _ in (analysed / "p59/artifacts/.store/entries").rglob("*"))
    slider = section(page, "neuron_clusters").locator("input[type=range]")
    slider.fill("0.9")
    settle(page)

    coloured = drawn(page, "neuron_clusters", "Array.from(figure._fullData[0].marker.color)")  # fmt: skip
    purest = stored(analysed, "p59", 1499).max(axis=0)
    assert coloured == (purest >= 0.9).astype(int).tolist()
    assert entries == sum(1 for _ in (analysed / "p59/artifacts/.store/entries").rglob("*"))  # fmt: skip


def test_chosen_neurons_are_drawn(page: Page, address: str) -> None:
    open_at(page, f"{address}/?run=p59&epoch=500")

    section(page, "activation_heatmap").locator("input[type=text]").first.fill("3, 17")
    titles = "figure.layout.annotations.map(one => one.text)"
    drawn(page, "activation_heatmap", titles)
    page.wait_for_function(
        "workbench.state.visuals.activation_heatmap.neurons === '3, 17'"
    )

    assert drawn(page, "activation_heatmap", titles) == ["neuron 3", "neuron 17"]


def test_a_neuron_that_is_not_there_is_told(page: Page, address: str) -> None:
    open_at(page, f"{address}/?run=p59&activation_heatmap.neurons=9999")

    section(page, "activation_heatmap").scroll_into_view_if_needed()
    notice = section(page, "activation_heatmap").locator(".notice")
    expect(notice).to_contain_text("There is no neuron 9999")


def test_what_is_missing_is_computed_and_appears(page: Page, fresh: Path) -> None:
    with at_work(page, fresh) as address:
        open_at(page, address)
        card = section(page, "neuron_clusters")
        card.scroll_into_view_if_needed()
        expect(card.locator(".notice")).to_contain_text("neuron_freq_norm is missing")

        card.get_by_role("button", name="Compute all epochs").click()
        expect(page.locator("#jobs")).to_contain_text("Computing neuron_freq_norm")
        expect(card.locator(".figure .main-svg").first).to_be_visible(timeout=PATIENCE)

        expect(page.locator("#jobs p")).to_have_count(0, timeout=PATIENCE)
    run = Run(fresh / "fresh")
    assert all(neuron_freq_norm.find(run[epoch]) for epoch in run)


def test_a_page_that_is_loaded_again_still_shows_the_progress(
    page: Page, fresh: Path
) -> None:
    with at_work(page, fresh) as address:
        open_at(page, address)
        card = section(page, "neuron_clusters")
        card.scroll_into_view_if_needed()
        card.get_by_role("button", name="Compute all epochs").click()
        expect(page.locator("#jobs")).to_contain_text("Computing")

        open_at(page, page.url)

        expect(page.locator("#jobs p")).to_have_count(0, timeout=PATIENCE)
        card.scroll_into_view_if_needed()
        expect(card.locator(".figure .main-svg").first).to_be_visible(timeout=PATIENCE)


def test_a_stale_artifact_is_told_with_its_cause_and_not_drawn(
    page: Page, fresh: Path
) -> None:
    checkpoints = fresh / "fresh/checkpoints"
    AnalysisPipeline(fresh / "fresh").run([neuron_freq_norm])
    make_other(checkpoints / "checkpoint_epoch_00002.safetensors")
    with at_work(page, fresh) as address:
        open_at(page, f"{address}/?epoch=2")
        card = section(page, "neuron_clusters")
        card.scroll_into_view_if_needed()

        expect(card.locator(".notice")).to_contain_text("neuron_freq_norm is pending")
        card.locator(".notice summary").click()
        changed = "tensors of checkpoint_epoch_00002 changed"
        expect(card.locator(".notice pre")).to_contain_text(changed)
        expect(card.locator(".figure")).to_be_hidden()


def make_other(path: Path) -> None:
    """Other weights in place of those of a checkpoint."""
    from safetensors.torch import load_file, save_file

    save_file({name: -tensor for name, tensor in load_file(path).items()}, path)


@pytest.mark.parametrize("kind", ["svg", "png", "html"])
def test_an_export_says_what_it_was_drawn_from(
    page: Page,
    address: str,
    analysed: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    kind: str,
) -> None:
    open_at(page, f"{address}/?run=p59&epoch=500&view=neuron_clusters")

    first, second = (exported(page, kind, tmp_path / str(n)) for n in range(2))

    stamp = read_stamp(first.read_bytes(), str(first))
    key = neuron_freq_norm.key(Run(analysed / "p59")[500]).digest.hex
    assert [one.key for one in stamp.artifacts] == [key]
    assert first.name == f"p59_epoch_00500_neuron_clusters.{kind}"
    if kind != "png":
        assert first.read_bytes() == second.read_bytes()
    assert artifact_store(["why", str(first)]) == 0
    told = capsys.readouterr().out
    assert "analyses.fourier.grid_shares" in told and "checkpoint_epoch_00500" in told


def exported(page: Page, kind: str, folder: Path) -> Path:
    with page.expect_download() as download:
        page.get_by_role("button", name=kind.upper(), exact=True).click()
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def test_the_address_restores_what_was_seen(
    page: Page, browser: Browser, address: str
) -> None:
    open_at(page, f"{address}/?run=p59&epoch=500")
    section(page, "neuron_clusters").locator("input[type=range]").fill("0.6")
    page.locator("#slider").press("Home")
    settle(page)
    seen = page.url

    with browser.new_page() as other:
        complaints = complaints_of(other)
        open_at(other, seen)
        expect(other.locator("#readout")).to_contain_text("0 (1 of 14)")
        slider = section(other, "neuron_clusters").locator("input[type=range]")
        expect(slider).to_have_value("0.6")
    assert complaints == []


def test_a_view_has_a_link_of_its_own(page: Page, address: str) -> None:
    open_at(page, f"{address}/?run=p59&epoch=500")

    section(page, "dominant_frequencies").locator("a.link").click()
    settle(page)

    expect(page.locator("section.view")).to_have_count(1)
    expect(page.locator("#readout")).to_contain_text("500")
    page.get_by_text("All views").click()
    expect(page.locator("section.view")).to_have_count(9)


def test_dark_pages_have_light_ink(browser: Browser, address: str) -> None:
    ink = "figure._fullLayout.font.color"
    with browser.new_page(color_scheme="dark") as page:
        open_at(page, f"{address}/?run=tiny")
        assert drawn(page, "dominant_frequencies", ink) == "#e6edf3"
        page.emulate_media(color_scheme="light")
        # A page that nobody looks at is not rendered, and hears of nothing until it is.
        for _ in range(100):
            page.screenshot()
            now = drawn(page, "dominant_frequencies", ink)
            if now != "#e6edf3":
                break
        assert now == "#24292f"


@pytest.mark.parametrize("width", [1280, 1920])
def test_nothing_is_wider_than_the_page(
    browser: Browser, address: str, width: int
) -> None:
    with browser.new_page(viewport={"width": width, "height": 900}) as page:
        open_at(page, f"{address}/?run=p59&with=tiny")

        assert page.evaluate("document.documentElement.scrollWidth") == width


def test_a_server_that_went_away_is_told_and_found_again(
    browser: Browser, analysed: Path
) -> None:
    with browser.new_page() as page:
        with serving(analysed) as address:
            open_at(page, f"{address}/?run=p59&epoch=500")
        page.keyboard.press("Home")

        expect(page.locator("#trouble")).to_contain_text("Is the server still running?")


def test_every_control_can_be_reached_with_the_keyboard(
    page: Page, address: str
) -> None:
    open_at(page, f"{address}/?run=p59&view=neuron_clusters")
    focused = """[...function* (one) { yield one.textContent.trim(); for (; one; one = one.parentElement) yield one.id }
        (document.activeElement)]"""
    reached: set[str] = set()
    for _ in range(20):
        page.keyboard.press("Tab")
        reached |= set(page.evaluate(focused))

    assert {"run", "beside", "slider", "link", "SVG", "PNG", "HTML"} <= reached
