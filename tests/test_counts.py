from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from conftest import RunDirectory

from artifact_store import AnalysisPipeline, Checkpoint, analysis
from artifact_store.counts import CacheInfo


def of_its_own() -> Any:
    """An analysis that nobody has called."""

    @analysis
    def doubled(checkpoint: Checkpoint, *, times: int = 2) -> Any:
        return checkpoint["w"] * times

    return doubled


@pytest.fixture(autouse=True)
def stable(settled: None) -> None: ...


def test_hits_and_misses_are_counted_with_what_was_found(checkpoint: Path) -> None:
    doubled = of_its_own()
    for _ in range(3):
        doubled(checkpoint)
    doubled(checkpoint, times=3)
    found = doubled.find(checkpoint)

    assert doubled.cache_info() == CacheInfo(
        2, 2, 2 * found.nbytes, 2 * found.provenance.seconds
    )


def test_two_functions_of_one_name_do_not_count_for_each_other(
    checkpoint: Path,
) -> None:
    first, second = of_its_own(), of_its_own()
    first(checkpoint)
    second(checkpoint)

    assert (first.cache_info().misses, second.cache_info().hits) == (1, 1)


def test_looking_and_computing_again_count_nothing(checkpoint: Path) -> None:
    doubled = of_its_own()
    doubled.find(checkpoint)
    doubled.recompute(checkpoint)
    doubled.find(checkpoint)
    doubled.explain(checkpoint)

    assert doubled.cache_info() == CacheInfo()


def test_a_pipeline_and_other_analyses_count(run_directory: RunDirectory) -> None:
    doubled = of_its_own()

    @analysis
    def summed(checkpoint: Checkpoint) -> Any:
        return doubled(checkpoint).sum()

    AnalysisPipeline(run_directory()).run([doubled, summed])

    assert doubled.cache_info().misses == 3
    assert doubled.cache_info().hits >= 3


def test_threads_count_every_call(checkpoint: Path) -> None:
    doubled = of_its_own()
    doubled(checkpoint)

    def call() -> None:
        for _ in range(1000):
            doubled(checkpoint)

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert 0 <= doubled.cache_info().hits <= 4000
    for thread in threads:
        thread.join()

    info = doubled.cache_info()
    assert (info.hits, info.nbytes) == (4000, 4000 * doubled.find(checkpoint).nbytes)


def test_it_reads_as_words_and_as_a_table() -> None:
    info = CacheInfo(1200, 1, 31_000_000, 600.0)

    assert repr(info) == (
        "CacheInfo(hits=1200, misses=1, nbytes=31000000, seconds_saved=600.0)"
    )
    assert str(info) == "1,200 hit, 1 missed, 31 MB found, 10 min saved"
    assert "31 MB" in info._repr_html_() and "<table" in info._repr_html_()
