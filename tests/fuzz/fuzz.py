"""Fuzzes one target, guided by coverage: `python fuzz.py TARGET SEEDS-FOLDER -runs=1000`, as libFuzzer takes it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import atheris

# Only ours is instrumented, before anything imports it.
with atheris.instrument_imports(include=["artifact_store"]):
    from targets import Target, targets


def main() -> None:
    """Write the seeds where libFuzzer looks for them, and begin."""
    name, folder, *options = sys.argv[1:]
    with targets() as every:
        target = at_once(every) if name == "every" else every[name]
        for number, seed in enumerate(target.seeds):
            Path(folder, f"seed{number}").write_bytes(seed)
        atheris.Setup([sys.argv[0], folder, *options], target.run)
        atheris.Fuzz()


def at_once(every: Mapping[str, Target]) -> Target:
    """All targets as one, whose first byte says which."""
    chosen = list(every.values())

    def run(given: bytes) -> None:
        if given:
            chosen[given[0] % len(chosen)].run(given[1:])

    seeds = [bytes([n]) + seed for n, one in enumerate(chosen) for seed in one.seeds]
    return Target(run, tuple(seeds))


if __name__ == "__main__":
    main()
