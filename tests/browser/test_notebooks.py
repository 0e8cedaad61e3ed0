"""The pictures in the notebooks."""

from __future__ import annotations

from pathlib import Path

from analyses.notebooks.execution import BROWSER, HERE, executed


def test_the_tour_draws_its_pictures(tmp_path: Path) -> None:
    cells = executed(HERE / "tour.ipynb", tmp_path).cells
    drawn = [c for c in cells if BROWSER in c.metadata.get("tags", ())]

    assert len(drawn) == 2
    assert all("image/png" in cell.outputs[0].data for cell in drawn)
