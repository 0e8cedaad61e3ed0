"""How long does it take to digest a checkpoint that changed?

Every tensor of a file, by BLAKE3, read by the block while it is in the memory of the system. Each is digested once, so
each call of each way takes another file, where they are small, and none is in the processor's caches. Beside it: the
same bytes only read, into memory that is aligned and was used before, the least that looking at them can cost; read
into new memory, as `np.fromfile` does; the whole file by SHA-256, as tools do that know files by that; and what
`safetensors` takes to load every tensor.

Left out: a file that has to come from a disk, which is slower than all of these.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from artifact_store import Checkpoint
from benchmarks.measure import Way, race, warmups
from benchmarks.report import Answer, Bar, Line, Plot
from benchmarks.tables import medians
from benchmarks.workloads import write_checkpoint

OURS, READ = "digested (BLAKE3)", "only read"

# At least, of the rate at which the file can be read.
LIMIT = 0.5

Rates = Mapping[str, float]


def main() -> Answer:
    """The table and the bars."""
    rates = {"0.9 MB": of_files(write_small, 60), "256 MB": of_files(write_large, 7)}
    return Answer(
        "How long does it take to digest a checkpoint that changed?",
        table(rates),
        tuple(bars(rates)),
        (plot(rates),),
    )


def plot(rates: Mapping[str, Rates]) -> Plot:
    """Columns of every way at both sizes."""
    ways = next(iter(rates.values()))
    lines = (Line(way, tuple(of[way] / 1e9 for of in rates.values())) for way in ways)
    title, x = "All bytes of a checkpoint", "size of the file"
    return Plot(title, x, "GB/s", tuple(rates), tuple(lines), is_logarithmic=False)


def bars(rates: Mapping[str, Rates]) -> Iterator[Bar]:
    """What was promised of digests."""
    for size, found in rates.items():
        what = f"rate of digesting a checkpoint of {size} / of reading it"
        yield Bar(what, found[OURS] / found[READ], LIMIT, sense="at least")


def of_files(write: Callable[[Path, int], list[Path]], rounds: int) -> Rates:
    """Bytes per second of each way, of files that this writes."""
    with tempfile.TemporaryDirectory() as directory:
        files = write(Path(directory), rounds + warmups(rounds))
        nbytes = files[0].stat().st_size
        timings = race(ways_of(files, rounds), rounds)
    return {way: nbytes / seconds for way, seconds in medians(timings).items()}


def write_small(folder: Path, count: int) -> list[Path]:
    """As many checkpoints of 0.9 MB as there are rounds."""
    return [write_checkpoint(folder / f"{seed}.safetensors", seed) for seed in range(count)]  # fmt: skip


def write_large(folder: Path, count: int) -> list[Path]:
    """A checkpoint of 256 MB: 16 layers of 16 MB. It is in no processor's cache when it is read again."""
    file = folder / "large.safetensors"
    layer = np.random.default_rng(2).standard_normal((2048, 2048), dtype=np.float32)
    save_file({f"layer_{number}": layer + number for number in range(16)}, file)
    return [file]


def ways_of(files: list[Path], rounds: int) -> dict[str, Way]:
    """Each does the same to a file, and is far from what the others do it to."""
    target = aligned(files[0].stat().st_size)
    of_a_file: Mapping[str, Callable[[Path], object]] = {
        "opened and digested": lambda file: Checkpoint(file).digests,
        READ: lambda file: read_into(target, file),
        "read by np.fromfile": lambda file: np.fromfile(file, np.uint8),
        "SHA-256": sha256,
        "loaded by safetensors": load_file,
    }
    read_into(target, files[0])
    assert bytes(target) == files[0].read_bytes()
    assert Checkpoint(files[0]).digests.keys() == load_file(files[0]).keys()

    # Opened for each round, so that it has not been digested; numbers below zero find those at the end.
    count = rounds + warmups(rounds)
    opened = [Checkpoint(files[number % len(files)]) for number in range(count)]
    ways: dict[str, Way] = {OURS: lambda number: opened[number].digests}
    for place, (name, way) in enumerate(of_a_file.items(), 1):
        shift = place * len(files) // (len(of_a_file) + 1)
        ways[name] = partial(_do, way, [*files[shift:], *files[:shift]])
    return ways


def _do(way: Callable[[Path], object], files: list[Path], number: int) -> object:
    return way(files[number % len(files)])


def aligned(nbytes: int) -> memoryview:
    """Memory that begins with a page and has been written to."""
    page = os.sysconf("SC_PAGESIZE")
    block = np.zeros(nbytes + page, np.uint8)
    block += 1
    start = -block.ctypes.data % page
    return block[start : start + nbytes].data


def read_into(target: memoryview, file: Path) -> None:
    """Read a whole file into memory that is there."""
    descriptor = os.open(file, os.O_RDONLY)
    try:
        assert os.preadv(descriptor, [target], 0) == len(target)
    finally:
        os.close(descriptor)


def sha256(file: Path) -> str:
    """The digest of a whole file, as the standard library has it."""
    with open(file, "rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def table(rates: Mapping[str, Rates]) -> str:
    """A row per way: how fast, and beside only reading."""
    sizes = list(rates)
    lines = [
        "| GB/s | " + " | ".join(f"{size} | of reading" for size in sizes) + " |",
        "|---" * (1 + 2 * len(sizes)) + "|",
    ]
    for way in rates[sizes[0]]:
        cells = (f"{of[way] / 1e9:.2f} | {of[way] / of[READ]:.2f}" for of in rates.values())  # fmt: skip
        lines.append(f"| {way} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(main())
