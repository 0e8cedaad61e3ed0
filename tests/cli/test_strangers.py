"""A run that somebody else made, with everything in it that could be taken for code of ours."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import RunDirectory, WriteModule

from artifact_store import Run
from artifact_store.stamps import stamp_of, stamped

TRAP = "from pathlib import Path\nPath(__file__).with_name('sprung').touch()\n"
POINTS = "[artifact_store.analyses]\ntrap = evil:trap\n"

# The last ones are looked for, and not there: by the standard library, by xarray, by torch.
SHADOWED = (
    "rich",
    "tqdm",
    "torch",
    "numcodecs",
    "xarray",
    "analyses",
    "evil",
    "probe",
    "org",
    "dask",
    "cftime",
)


@pytest.fixture
def stranger(run_directory: RunDirectory, write_module: WriteModule) -> Path:
    """A run with an entry, modules named like those that we import, and a package that offers an analysis."""
    body = (
        "from artifact_store import Checkpoint, analysis\n\n\n"
        "@analysis\ndef mean(checkpoint: Checkpoint):\n    return checkpoint['w'].mean()\n"
    )
    run = run_directory()
    mean = write_module("probe", body).mean
    stamp = stamp_of("means", {}, "run", 500, [mean.artifact(Run(run)[500])])
    (run / "fig.svg").write_bytes(stamped(b"<svg></svg>", "svg", stamp))
    for name in SHADOWED:
        (run / f"{name}.py").write_text(TRAP)
    info = run / "evil-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(POINTS)
    return run


@pytest.mark.parametrize(
    "words",
    [
        ["status", "."],
        ["plan", "."],
        ["why", ".", "neuron_activations", "--epoch", "500"],
        ["why", "fig.svg", "."],
        ["ls", "."],
        ["show", "mean@checkpoint_epoch_00500", "."],
        ["du", "."],
        ["verify", "."],
        ["verify", ".", "--recompute", "all"],
        ["verify", ".", "--analysis", "analyses.neurons:neuron_activations"],
        ["status", ".", "--analysis", "analyses.neurons:neuron_activations"],
        ["rm", ".", "--all", "--stale"],
        ["pin", ".", "mean@checkpoint_epoch_00500"],
        ["gc", ".", "--max-bytes", "1"],
        ["doctor", "."],
    ],
    ids=lambda words: " ".join(words[:1] + words[3:]),
)
def test_no_verb_runs_what_lies_in_the_run_it_is_asked_about(
    stranger: Path, words: list[str]
) -> None:
    # As the installed command does, Python looks for no module where it was started.
    command = (
        "import sys; from artifact_store.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", command, *words],
        cwd=stranger,
        env={**os.environ, "PYTHONPATH": ""},
        capture_output=True,
        text=True,
    )

    assert done.returncode in (0, 1) or "has no entry of" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (stranger / "sprung").exists()
