"""Put every question, or some: `python -m benchmarks [bench_hit bench_key ...]`.

All of them write `RESULTS.md`; some are only printed. Each is asked in a process of its own, so that none finds
what another has loaded or left in memory. One that fails does not stop the others; it makes the run fail.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections.abc import Sequence

from benchmarks.measure import elsewhere, in_words
from benchmarks.report import Answer, answer_to
from benchmarks.results import table_of, write

QUESTIONS = (
    # First, as what the others remove makes new files slow for minutes: see the README on quiet folders.
    "bench_miss",
    "bench_hit",
    "bench_key",
    "bench_digest",
    "bench_partial_read",
    "bench_series",
    "bench_scale",
    "bench_runs",
    "bench_import",
    "bench_pipeline",
    "bench_parallel",
    "bench_engines",
    "bench_remote",
    "bench_explain",
    "bench_invalidation",
    "bench_workbench",
)


def main() -> None:
    """Ask, print, and write what there is to write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "question", nargs="*", help="one of " + ", ".join(QUESTIONS) + "; or all"
    )
    chosen: Sequence[str] = parser.parse_args().question
    if unknown := set(chosen) - set(QUESTIONS):
        parser.error(f"there is no {', '.join(sorted(unknown))}")

    started = time.perf_counter()
    answers, failed = ask(chosen or QUESTIONS)
    if not chosen:
        write(answers, failed, time.perf_counter() - started)
    if failed:
        raise SystemExit(f"FAILED: {', '.join(failed)}. See above for why.")


def ask(names: Sequence[str]) -> tuple[dict[str, Answer], dict[str, str]]:
    """Put these questions; the answers, and what went wrong with the others."""
    answers, failed = dict[str, Answer](), dict[str, str]()
    for name in names:
        started = time.perf_counter()
        try:
            answer = answers[name] = elsewhere(answer_to, name)
        except Exception:
            failed[name] = traceback.format_exc()
            print(f"{name} FAILED\n{failed[name]}", file=sys.stderr, flush=True)
            continue
        took = in_words(time.perf_counter() - started)
        bars = f"\n\n{table_of(answer.bars)}" if answer.bars else ""
        print(f"# {name}, in {took}\n\n{answer}{bars}\n", flush=True)
    return answers, failed


if __name__ == "__main__":
    main()
