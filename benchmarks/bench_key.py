"""What does it cost to know that a call was made before?

The parts of a hit that come before the store is asked: the checkpoint is recognised, the guard finds that no code and
no constant changed, the key is made. Of ten functions and five constants; and what a table of 10 MB among them adds,
whose content is compared at each call. A loop that does nothing of ours says how fast the machine is just now.

The key alone is made of what the other parts found: the digest of the closure, the params, the content of the inputs.
A checkpoint that this process has not seen is recognised by what another process has noted in the store; a fresh
object stands for it here, and opening the file and reading its header is timed apart: each of many checkpoints once,
in a new interpreter.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from artifact_store import Checkpoint
from artifact_store.checkpoints import open_checkpoint
from artifact_store.keys import key_of
from artifact_store.params import encode_inputs, encode_params
from artifact_store.stores.base import Store
from benchmarks.measure import Timing, Way, elsewhere, in_words, race, warmups
from benchmarks.report import Answer, Bar
from benchmarks.tables import medians, plot_parts
from benchmarks.typical import kept, tabled, typical
from benchmarks.workloads import RACY_SECONDS, write_run

ROUNDS, BURST = 200, 10
EPOCH_ROUNDS, EPOCH_BURST = 20, 5
EPOCHS = (EPOCH_ROUNDS + warmups(EPOCH_ROUNDS)) * EPOCH_BURST

KEY, SEEN, RECALLED = "the key alone", "an unchanged checkpoint", "one that another process has seen"  # fmt: skip
OPENED, HEADER = "the same, from its file", "of that, the file opened and its header read"  # fmt: skip

# Seconds, at most.
LIMITS = {KEY: 10e-6, SEEN: 4e-6, RECALLED: 15e-6}


def main() -> Answer:
    """The table and the bars."""
    with tempfile.TemporaryDirectory() as directory:
        paths = write_run(Path(directory) / "run", EPOCHS)
        time.sleep(RACY_SECONDS)
        # It makes the store, and notes each checkpoint there.
        for path in paths:
            kept(path, 3, 0.5, "1 KB")
        found = medians([*parts(paths[0]), *elsewhere(recalled, paths)])
    rows = (f"| {name} | {in_words(seconds)} |" for name, seconds in found.items())
    return Answer(
        "What does it cost to know that a call was made before?",
        "\n".join(["| part | median |", "|---|---|", *rows]),
        tuple(Bar(name, found[name], limit, "s") for name, limit in LIMITS.items()),
        (plot_parts("Before the store is asked", found),),
    )


def parts(path: str) -> list[Timing]:
    """What every call does, in a process that knows the checkpoint."""
    guard, large = typical.closure.guard, tabled.closure.guard
    assert guard.holds() and large.holds()
    call: Any = typical.call(path, 3, 0.5, kind="1 KB")  # type: ignore[arg-type]
    name, arguments = typical.__name__, call.arguments
    known: Any = typical.key

    def key(_: int) -> object:
        params = encode_params(name, arguments.params)
        inputs = encode_inputs(name, arguments.inputs, call.store)
        return key_of(name, call.whole, params, inputs)

    assert key(0) == call.key == known(path, 3, 0.5, kind="1 KB")
    assert open_checkpoint(path).identify(call.store) == Checkpoint(path).root
    ways: dict[str, Way] = {
        "a loop of 200 additions": lambda _: sum(range(200)),
        KEY: key,
        SEEN: lambda _: open_checkpoint(path).identify(call.store),
        "the guard": lambda _: guard.holds(),
        "the guard, with a table of 10 MB": lambda _: large.holds(),
        "arguments bound, and all of these": lambda _: known(path, 3, 0.5, kind="1 KB"),
    }
    return race(ways, ROUNDS, burst=BURST)


def recalled(paths: list[str]) -> list[Timing]:
    """What a process does that has seen none of these checkpoints, though another has."""
    store: Store = typical.call(paths[0], 3, 0.5, kind="1 KB").store  # type: ignore[arg-type]
    fresh = [Checkpoint(path) for path in paths]
    assert all(store.recall(one.signature) for one in fresh)
    # Each is taken once by each way.
    objects, opened, looked_at = iter(fresh), iter(paths), iter(paths)
    ways: dict[str, Way] = {
        RECALLED: lambda _: next(objects).identify(store),
        OPENED: lambda _: open_checkpoint(next(opened)).identify(store),
        HEADER: lambda _: Checkpoint(next(looked_at)),
    }
    return race(ways, EPOCH_ROUNDS, burst=EPOCH_BURST)


if __name__ == "__main__":
    print(main())
