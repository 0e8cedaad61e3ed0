"""What does a run of analyses cost, beyond computing them?

Our three analyses along checkpoints of p = 113 networks with 512 neurons, 26 MB of results each.

*cold*: nothing is stored. Beside it the *bare loop*, which calls the same plain functions and keeps nothing; that loop
with `np.save`, the least that keeping can cost; and the *npz* files that people write by hand around a plain forward
pass (`straightforward`). Each starts from an empty folder.
*parts*: forward pass and Fourier transform alone, beside those of `straightforward`; and by how many neurons at a time.
*again*: the same pipeline where all is stored, `AnalysisPipeline.run` again and again in one process. A hit reads no
data, so these networks have 16 neurons only, or filling the store would take longer than everything else.

Ours compute on one thread, one checkpoint after the other; `bench_parallel` gives each core a checkpoint. The
straightforward ones use as many threads as PyTorch chooses. Left out: importing torch, and the logits, which nobody
here needs.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from analyses import model
from analyses.clusters import frequency_shares, neuron_freq_norm
from analyses.embedding import fourier_coefficients
from analyses.fourier import coefficient_norms
from analyses.neurons import activations_of, neuron_activations
from analyses.train import Training, initial_weights
from artifact_store import Analysis, AnalysisPipeline
from benchmarks import straightforward
from benchmarks.measure import Timing, Way, in_words, race
from benchmarks.report import Answer, Bar
from benchmarks.tables import plot, ratio, table
from benchmarks.workloads import RACY_SECONDS

ANALYSES: tuple[Analysis[..., Any], ...] = (
    fourier_coefficients,
    neuron_activations,
    neuron_freq_norm,
)
NETWORK = Training(prime=113, d_mlp=512)
NARROW = replace(NETWORK, d_mlp=16)


def main() -> Answer:
    """All tables and bars."""
    bare = of_run(NETWORK, 4, beside_the_bare_loop)
    npz = of_run(NETWORK, 2, beside_npz)
    (again,) = of_run(NARROW, 95, stored)
    one_by_one = parts(initial_weights(NETWORK))
    tables = (
        table(
            "*cold*, a checkpoint", {"beside the bare loop": bare, "beside npz": npz}
        ),
        table("*parts*, a checkpoint", one_by_one),
        table("*parts*, neurons at a time", by_block(initial_weights(NETWORK))),
        f"*again*, an analysis of a checkpoint: {in_words(again.median / len(ANALYSES))}",
    )
    return Answer(
        "What does a run of analyses cost, beyond computing them?",
        "\n\n".join(tables),
        (
            Bar("cold pipeline / bare loop", ratio(bare, "bare loop"), 1.25),
            Bar("npz / cold pipeline", 1 / ratio(npz, "npz"), 6, sense="at least"),
            Bar("stored analysis of a checkpoint", again.median / 3, 100e-6, "s"),
        ),
        (plot("forward pass and Fourier transform", one_by_one),),
    )


def of_run(
    config: Training, epochs: int, measure: Callable[[Path], list[Timing]]
) -> list[Timing]:
    """Times per checkpoint, of a run of so many untrained networks."""
    with tempfile.TemporaryDirectory() as directory:
        run = write_run(Path(directory, "run"), config, epochs)
        time.sleep(RACY_SECONDS)
        timings = measure(run)
    return [
        Timing(one.name, tuple(each / epochs for each in one.seconds))
        for one in timings
    ]


def write_run(run: Path, config: Training, epochs: int) -> Path:
    """A run of so many untrained networks, no two equal."""
    folder = run / "checkpoints"
    folder.mkdir(parents=True)
    for epoch in range(epochs):
        weights = initial_weights(replace(config, model_seed=epoch))
        save_file(weights, folder / f"checkpoint_epoch_{epoch:05d}.safetensors")
    return run


def beside_the_bare_loop(run: Path) -> list[Timing]:
    """All that is to be computed, kept and not."""
    paths, folder = checkpoints_of(run), run / "npy"
    check(kept(paths[0]), plain(paths[0]))

    def forget(_: int) -> None:
        shutil.rmtree(run / "artifacts", ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()

    def save(_: int) -> None:
        for path in paths:
            for name, array in plain(path).items():
                np.save(folder / f"{path.stem}_{name}.npy", array)

    forget(0)
    ways = {
        "artifact_store": lambda _: AnalysisPipeline(run).run(ANALYSES),
        "bare loop": lambda _: [plain(path)["norm"] for path in paths],
        "bare loop and np.save": save,
    }
    return race(ways, 8, after=forget)


def beside_npz(run: Path) -> list[Timing]:
    """The same, and what people write."""
    paths, folder = checkpoints_of(run), run / "npz"

    def forget(_: int) -> None:
        shutil.rmtree(run / "artifacts", ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()

    forget(0)
    check(kept(paths[0]), straightforward.analysed(paths[0], folder))
    forget(0)
    ways = {
        "artifact_store": lambda _: AnalysisPipeline(run).run(ANALYSES),
        "npz": lambda _: [
            straightforward.analysed(path, folder)["norm"] for path in paths
        ],
    }
    return race(ways, 3, after=forget)


def stored(run: Path) -> list[Timing]:
    """A pipeline that finds everything."""
    pipeline = AnalysisPipeline(run)
    assert pipeline.run(ANALYSES).count("computed") == 3 * len(checkpoints_of(run))
    assert pipeline.run(ANALYSES).count("hit") == 3 * len(checkpoints_of(run))
    return race({"artifact_store": lambda _: pipeline.run(ANALYSES)}, 30)


def parts(weights: model.Weights) -> dict[str, list[Timing]]:
    """Forward pass and Fourier transform, each beside the straightforward one."""
    grids, theirs = activations_of(weights).numpy(), straightforward.forward(weights)
    close(grids.reshape(len(grids), -1), theirs.T)
    close(frequency_shares(grids, "cpu"), straightforward.frequency_norm(theirs))
    ours = ways_of(weights)
    return {
        "forward pass": race(
            {
                "artifact_store": ours["forward pass"],
                "straightforward": lambda _: straightforward.forward(weights),
            },
            10,
        ),
        "Fourier transform": race(
            {
                "artifact_store": ours["Fourier transform"],
                "straightforward": lambda _: straightforward.frequency_norm(theirs),
            },
            10,
        ),
    }


def by_block(weights: model.Weights) -> dict[str, list[Timing]]:
    """Both parts, going through so many neurons at a time: why `model.BLOCK` is what it is."""
    ours = ways_of(weights)

    def at(block: int, part: str) -> Way:
        def way(number: int) -> None:
            with patch.object(model, "BLOCK", block):
                ours[part](number)

        return way

    sizes = (model.BLOCK, 8, 512)
    return {
        part: race({f"{block} neurons": at(block, part) for block in sizes}, 10)
        for part in ours
    }


def ways_of(weights: model.Weights) -> dict[str, Way]:
    """Our parts."""
    grids = activations_of(weights).numpy()
    return {
        "forward pass": lambda _: activations_of(weights),
        "Fourier transform": lambda _: frequency_shares(grids, "cpu"),
    }


def plain(path: Path) -> dict[str, NDArray[Any]]:
    """The results for one checkpoint, by the plain functions of our analyses."""
    weights = load_file(path)
    grids = activations_of(weights).numpy()
    return {
        "coefficients": coefficient_norms(weights["embed.W_E"][:-1]),
        "activations": grids,
        "norm": frequency_shares(grids, "cpu").numpy(),
    }


def kept(path: Path) -> dict[str, NDArray[Any]]:
    """The results for one checkpoint, by our analyses."""
    return {k: v for one in ANALYSES for k, v in one(str(path)).items()}


def check(ours: Mapping[str, Any], others: Mapping[str, Any]) -> None:
    """Whether results are the same to within rounding."""
    for name, array in others.items():
        close(ours[name], array)


def close(ours: Any, theirs: Any) -> None:
    """Whether two arrays are, as close as independent code comes to ours in the tests."""
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


def checkpoints_of(run: Path) -> Sequence[Path]:
    """In order."""
    return sorted((run / "checkpoints").iterdir())


if __name__ == "__main__":
    print(main())
