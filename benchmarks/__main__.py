"""`python -m benchmarks`: every question and its table."""

from __future__ import annotations

from benchmarks import (
    bench_explain,
    bench_hit,
    bench_invalidation,
    bench_key,
    bench_miss,
)

for bench in (bench_hit, bench_miss, bench_key, bench_explain, bench_invalidation):
    print(f"{(bench.__doc__ or '').splitlines()[0]}\n\n{bench.main()}\n", flush=True)
