"""The notebooks run, and what they are kept with is what they show."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from test_markup import Read

from analyses.notebooks.execution import (
    BROWSER,
    HERE,
    executed,
    read,
    settled,
    words_of,
)

TOUR = HERE / "tour.ipynb"

# They show how long something took, or numbers that another processor may round otherwise.
OF_THIS_MACHINE = {"first-call", "second-call", "zarr", "along"}


def kept() -> Any:
    return read(TOUR.read_text("utf-8"))


def cells(notebook: Any) -> dict[str, Any]:
    return {cell.id: cell for cell in notebook.cells if cell.cell_type == "code"}


def plain(cell: Any) -> list[str]:
    """What a cell shows as text."""
    return [
        output.get("text", "") + output.get("data", {}).get("text/plain", "")
        for output in cell.outputs
    ]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder: Path = tmp_path_factory.mktemp("notebook")
    return cells(settled(executed(TOUR, folder, without=[BROWSER])))


def rows(cell: Any) -> list[list[str]]:
    """What a cell shows as a table, cell by cell."""
    (output,) = cell.outputs
    lines = [row.split("<td")[1:] for row in output.data["text/html"].split("<tr>")]
    return [[Read("<td" + one).words for one in line] for line in lines if line]


def test_an_edited_helper_makes_one_analysis_stale_and_one_recompute(
    ran: dict[str, Any],
) -> None:
    stale, again = rows(ran["edited-status"]), rows(ran["edited-run"])

    assert {row[0]: row[2] for row in stale[:3]} == {
        "power": "17 stale",
        "strongest": "17 pending",
        "size": "17 fresh",
    }
    assert stale[-1][:2] == ["stale", "power"] and "my_analyses.py:7" in stale[-1][3]
    computed_and_hit = {row[0]: (row[2], row[3]) for row in again}
    assert computed_and_hit == {
        "power": ("17", ""),
        "strongest": ("", "17"),
        "size": ("", "17"),
    }


def test_the_edit_is_shown_as_a_difference(ran: dict[str, Any]) -> None:
    words = Read(words_of(ran["explain"])).words

    assert "-    return rows - rows.mean(axis=0)" in words
    assert "+    return rows - rows.sum(axis=0) / len(rows)" in words


def test_an_edit_that_is_taken_back_finds_all_results_again(
    ran: dict[str, Any],
) -> None:
    assert plain(ran["undone-status"]) == ["<Plan of tiny: 51 hits, 0 misses>"]


def test_what_the_tour_is_kept_with_is_what_it_shows(ran: dict[str, Any]) -> None:
    for name, cell in cells(kept()).items():
        if name in ran and name not in OF_THIS_MACHINE:
            assert plain(cell) == plain(ran[name]), name


def test_the_tour_is_kept_executed_small_and_without_scripts() -> None:
    notebook, text = kept(), TOUR.read_text()
    code = list(cells(notebook).values())

    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert not any(o.output_type == "error" for cell in code for o in cell.outputs)
    shown = [kind for one in code for o in one.outputs for kind in o.get("data", ())]
    assert set(shown) == {"text/plain", "text/html", "image/png"}
    assert len(text) < 400_000 and "<script" not in text
    assert json.loads(text)["metadata"].keys() == {"kernelspec"}
