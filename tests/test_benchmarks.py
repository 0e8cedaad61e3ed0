"""The benchmarks run on something tiny, and say what they found; how long anything takes is asserted nowhere."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from artifact_store import AnalysisPipeline
from benchmarks import (
    bench_engines,
    bench_hit,
    bench_key,
    bench_miss,
    bench_pipeline,
    bench_remote,
    bench_runs,
    bench_scale,
    results,
)
from benchmarks.machine import file_system
from benchmarks.measure import Timing, race, warmups
from benchmarks.plots import draw
from benchmarks.report import Answer, Bar, Line, Plot
from benchmarks.tables import plot, ratio, table
from benchmarks.typical import kept
from benchmarks.workloads import SMALL, write_run

TINY = replace(SMALL, rounds=2, epochs=5)
MET, MISSED = Bar("a", 1, 2), Bar("b", 3, 2, "s")
COLUMNS = Plot("columns", "size", "seconds", ("1 KB", "1 MB"), (Line("a", (1e-6, 2e-3)),))  # fmt: skip


@pytest.fixture(autouse=True)
def nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Young files are digested again, which here nobody minds."""
    for module in (bench_hit, bench_miss):
        monkeypatch.setattr(module, "RACY_SECONDS", 0)


def test_everybody_gives_the_same_hit(tmp_path: Path) -> None:
    bursts, alone = bench_hit.again(TINY, tmp_path)
    names = [timing.name for timing in bursts]

    assert names[:3] == ["artifact_store", "np.load", "joblib.Memory"]
    assert names[3:] == ["diskcache", "npz", "zarr.open"]
    assert [timing.name for timing in alone] == names


def test_a_sum_is_the_same_of_a_map_and_of_a_file(tmp_path: Path) -> None:
    assert [timing.name for timing in bench_hit.summed(TINY, tmp_path)] == ["artifact_store", "np.load"]  # fmt: skip


def test_what_another_process_stored_is_asked_for_once(tmp_path: Path) -> None:
    timings = bench_hit.first(TINY, tmp_path)

    assert [len(timing.seconds) for timing in timings] == [TINY.epochs] * 5


def test_every_call_of_a_miss_is_one(tmp_path: Path) -> None:
    ours, *rivals = bench_miss.measure(TINY, tmp_path)

    assert len(ours.seconds) == TINY.rounds * bench_miss.BURST
    saved = [bench_miss.OVER, bench_miss.NEW]
    assert [timing.name for timing in rivals] == [*saved, "joblib.Memory", "diskcache", "npz"]  # fmt: skip


def test_a_key_is_made_of_its_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench_key, "ROUNDS", 1)
    (path,) = write_run(tmp_path / "run", 1)
    kept(path, 3, 0.5, "1 KB")

    assert bench_key.KEY in [timing.name for timing in bench_key.parts(path)]


def test_each_way_is_called_in_bursts_and_warms_up_uncounted() -> None:
    seen: list[int] = []

    (timing,) = race({"a": seen.append}, rounds=4, burst=3)

    assert len(timing.seconds) == 12
    assert seen == sorted(list(range(-warmups(4), 4)) * 3)


def test_a_rival_that_was_not_measured_leaves_its_cells_empty() -> None:
    rows = {
        "1 KB": [Timing("ours", (1e-6,)), Timing("theirs", (4e-6,))],
        "1 MB": [Timing("ours", (2e-6,))],
    }

    assert ratio(rows["1 KB"], "theirs", "ours") == 0.25
    assert table("hit", rows).splitlines()[2:] == [
        "| 1 KB | 1 µs | 4 µs | 0.25 |",
        "| 1 MB | 2 µs |  |  |",
    ]
    assert len(plot("hit", rows).lines) == 2


def test_the_page_has_every_bar_and_says_which_is_not_met(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "PAGE", tmp_path / "RESULTS.md")
    monkeypatch.setattr(results, "PLOTS", tmp_path / "plots")

    answer = Answer("Why?", "Because.", (MET, MISSED), (COLUMNS,))
    results.write({"bench_a": answer}, {"bench_b": "KeyError"}, 60)

    page = (tmp_path / "RESULTS.md").read_text()
    assert "| a | 1 | ≤ 2 | met |" in page
    assert "| b | 3 s | ≤ 2 s | **not met** |" in page
    assert "bench_b` FAILED" in page
    assert "(plots/bench_a.svg)" in page
    assert (tmp_path / "plots/bench_a.svg").is_file()


@pytest.mark.parametrize(
    "drawn",
    [
        COLUMNS,
        replace(COLUMNS, points=("a name that is long " * 3, "another " * 5)),
        replace(COLUMNS, points=(1.0, 1e6)),
        replace(COLUMNS, is_logarithmic=False, y="%"),
    ],
    ids=["columns", "bars", "lines", "linear"],
)
def test_a_picture_is_the_same_each_time(tmp_path: Path, drawn: Plot) -> None:
    for name in ("one", "two"):
        draw(drawn, tmp_path / name)

    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_file_system_is_that_of_the_nearest_mount() -> None:
    mounts = "a / ext4 rw 0 0\nb /tmp tmpfs rw 0 0\n"

    assert file_system(Path("/tmp/x"), mounts) == "tmpfs"
    assert file_system(Path("/tmpx"), mounts) == "ext4"


def test_many_runs_hold_the_same_entries_in_one_store_and_in_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench_scale, "CHECKPOINTS", 1)
    monkeypatch.setattr(bench_scale, "RACY_SECONDS", 0)

    lines = bench_runs.measure(5, 20, tmp_path).text.splitlines()

    rows = [line.strip("| ").split(" | ") for line in lines[-2:]]
    held = {way: (stores, entries) for way, stores, entries, *_ in rows}
    assert held == {"one store": ("1", "500"), "a store each": ("5", "500")}


def test_every_engine_is_asked_with_every_number_of_workers(
    tmp_path: Path,
) -> None:
    run = bench_pipeline.write_run(tmp_path / "run", bench_pipeline.NARROW, 2)
    answer = bench_engines.measure(
        AnalysisPipeline(run), bench_pipeline.ANALYSES, "ours", [1], rounds=1
    )
    (picture,) = answer.plots

    assert picture.points == (1.0,)
    assert [line.name for line in picture.lines] == ["loky", "dask", "threads"]


def test_a_hit_in_object_storage_is_two_requests() -> None:
    answer = bench_remote.measure(rounds=1, seconds=0.0, many=3)
    requests, missed, _ = answer.bars

    assert (requests.measured, missed.measured) == (2, 1)
