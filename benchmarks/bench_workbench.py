"""How long from the slider to the picture, and does the server grow?

A run modulo 113 of 97 epochs: 8 checkpoints of the trainer's first steps, each under a dozen names, since what is drawn
is as large whatever was learned. `analyses serve` is a process of its own, and headless Chromium, which draws without a
graphics card, another: a time is from the key that moves the slider until all that is in sight shows the new epoch.
Steps go to the next epoch, which the page has asked for ahead; jumps go anywhere. Then the slider is moved 1,000 times,
and the memory of the server is looked at before and after, once every checkpoint has been seen.
"""

from __future__ import annotations

import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from analyses.train import Training, train
from artifact_store import AnalysisPipeline
from benchmarks.measure import in_words
from benchmarks.report import Answer, Bar

SHAPE = Training(prime=113, d_mlp=512, training_fraction=0.3, num_epochs=8, checkpoint_every=1)  # fmt: skip
EPOCHS, MOVES, ROUNDS = 97, 1000, 60

# Seconds, from the slider to one picture.
LIMIT = 0.15
# Of the memory of the server, over all moves.
GROWTH = 1.05

PLACES = {
    "activation heatmaps (8 neurons)": ("&view=activation_heatmap", 1280, 900),
    "neurons by frequency": ("&view=neuron_clusters", 1280, 900),
    "dominant frequencies": ("&view=dominant_frequencies", 1280, 900),
    "the page, 1280 × 900: 6 views in sight": ("", 1280, 900),
    "the page, 1920 × 1000: 7 views in sight": ("", 1920, 1000),
}

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
SETTLED = "document.body.dataset.settled === 'true'"


def main() -> Answer:
    """The table and the bars."""
    with tempfile.TemporaryDirectory() as folder:
        make_run(Path(folder) / "p113")
        with serving(Path(folder)) as (address, process), sync_playwright() as driver:
            chromium = os.environ.get("BROWSER_PATH") or shutil.which("chromium")
            browser = driver.chromium.launch(executable_path=chromium, args=ARGUMENTS)
            times = {}
            for name, (query, width, height) in PLACES.items():
                page = browser.new_page(viewport={"width": width, "height": height})
                page.goto(f"{address}?run=p113&epoch=0{query}")
                page.wait_for_function(SETTLED)
                times[name] = moved(page, steps()), moved(page, jumps(ROUNDS))
                page.close()
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.goto(f"{address}?run=p113&view=activation_heatmap")
            moved(page, jumps(EPOCHS * 3))
            before = memory_of(process)
            moved(page, jumps(MOVES))
            after = memory_of(process)
    rows = [
        f"| {name} | {in_words(statistics.median(step))} | {in_words(statistics.median(jump))} "
        f"| {in_words(max(*step, *jump))} |"
        for name, (step, jump) in times.items()
    ]
    table = ["| in sight | a step | a jump | longest |", "|---|---|---|---|", *rows]
    grown = f"Memory of the server: {before / 1e6:.0f} MB before {MOVES:,} moves, {after / 1e6:.0f} MB after."
    bars = [
        Bar(f"{name}, a {how}", statistics.median(found), LIMIT, "s", "below")
        for name, pair in times.items()
        for how, found in zip(("step", "jump"), pair, strict=True)
    ]
    bars.append(Bar("memory of the server, after / before", after / before, GROWTH))
    question = "How long from the slider to the picture, and does the server grow?"
    return Answer(question, "\n".join([*table, "", grown]), tuple(bars))


def make_run(folder: Path) -> None:
    """A run of many epochs, analysed."""
    train(SHAPE, folder)
    checkpoints = sorted((folder / "checkpoints").iterdir())
    for epoch in range(len(checkpoints), EPOCHS):
        name = f"checkpoint_epoch_{epoch:05d}.safetensors"
        os.link(checkpoints[epoch % len(checkpoints)], folder / "checkpoints" / name)
    AnalysisPipeline(folder).run()


@contextmanager
def serving(folder: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The address of a workbench in a process of its own."""
    command = [sys.executable, "-m", "analyses", "serve", str(folder), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().split()[0], process
    finally:
        process.kill()
        process.wait()


def steps() -> Iterator[int]:
    """One epoch after the other."""
    return iter(range(1, ROUNDS + 1))


def jumps(count: int) -> Iterator[int]:
    """Anywhere, but never where it is."""
    place, chance = 0, random.Random(0)
    for _ in range(count):
        place = (place + chance.randrange(2, EPOCHS - 1)) % EPOCHS
        yield place


def moved(page: Page, places: Iterable[int]) -> list[float]:
    """Seconds of each move of the slider."""
    page.wait_for_function(SETTLED)
    page.evaluate("window.workbench.moves = []")
    for place in places:
        # As a hand does it: an input event of the slider.
        page.evaluate(
            "place => { const slider = document.querySelector('#slider'); slider.value = place;"
            " slider.dispatchEvent(new Event('input', { bubbles: true })) }",
            place,
        )
        page.wait_for_function(SETTLED)
    return [one / 1000 for one in page.evaluate("window.workbench.moves")]


def memory_of(process: subprocess.Popen[str]) -> float:
    """Bytes that are the process's own: what is mapped from files is the system's, and goes when it is needed."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    kilobytes = next(line for line in status.splitlines() if line.startswith("RssAnon"))
    return 1000 * float(kilobytes.split()[1])


if __name__ == "__main__":
    print(main())
