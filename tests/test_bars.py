from __future__ import annotations

import io
import subprocess
import sys

import pytest
from rich.console import Console

from artifact_store.bars import _drawn
from artifact_store.outcomes import Done
from artifact_store.tallies import Tally


def lines(tally: Tally, width: int = 80, height: int = 20) -> list[str]:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(_drawn("run", tally, height))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize("width", [60, 80, 200])
def test_each_analysis_is_one_line_however_long_its_name(width: int) -> None:
    tally = Tally({"f": 3, "a_name_as_long_as_names_of_analyses_can_be": 3})
    tally.add([Done("f", 0, "computed", 0.5), Done("f", 1, "hit")])
    shown = lines(tally, width)

    assert len(shown) == 3 and max(map(len, shown)) <= width
    assert shown[0].startswith("f ") and "2/3" in shown[0]


def test_hits_and_misses_pace_and_time_are_told() -> None:
    tally = Tally({"f": 3})
    tally.add([Done("f", 0, "computed", 0.5), Done("f", 1, "hit")])
    row, last = lines(tally)

    assert "1 computed, 1 hit, 0.50 s each" in row
    assert last.startswith("run  2/3, ") and "left" in last and "so far" in last


def test_of_more_analyses_than_the_terminal_has_lines_those_to_do_are_shown() -> None:
    tally = Tally({f"f{number}": 1 for number in range(50)})
    tally.add([Done("f0", 0, "hit")])
    shown = lines(tally, height=10)

    assert shown[0].startswith("f1 ")
    assert len(shown) == 12 and "and 40 more analyses" in shown


def test_a_name_is_no_markup_and_no_command() -> None:
    tally = Tally({"[red]f\x1b[2J\n": 1})

    assert lines(tally)[0].startswith("[red]f\\u001b[2J\\u000a")


def test_only_who_waits_at_a_terminal_loads_rich() -> None:
    script = (
        "import sys, artifact_store.pipeline, artifact_store.progress as progress\n"
        "with progress.shown('run', {'f': 1}): print({'rich', 'tqdm'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)  # fmt: skip

    assert done.stdout == "set()\n"
