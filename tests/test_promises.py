"""What the README promises, on the package `analyses` itself, copied and edited as its author would."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

import analyses
from analyses.train import Training, initial_weights

TINY = Training(prime=7, d_model=8, n_heads=2, d_mlp=16)

EVERY = {
    "fourier_coefficients",
    "dominant_frequencies",
    "neuron_activations",
    "neuron_freq_norm",
    "neuron_clusters",
    "specialised_neurons",
}
NOTHING: dict[str, list[str]] = {
    "misses": [],
    "pending": [],
    "computed": [],
    "causes": [],
}
OF_NEURONS = EVERY - {"fourier_coefficients", "dominant_frequencies"}

SCRIPT = """
import json, sys
from pathlib import Path
from analyses import clusters, embedding, neurons
from artifact_store import AnalysisPipeline, Run

assert Path(neurons.__file__).is_relative_to(sys.argv[1]), neurons.__file__
chosen = [
    embedding.fourier_coefficients, embedding.dominant_frequencies, neurons.neuron_activations,
    clusters.neuron_freq_norm, clusters.neuron_clusters, clusters.specialised_neurons,
]
pattern = sys.argv[4] if len(sys.argv) > 4 else "checkpoints/checkpoint_epoch_{epoch:05d}.safetensors"
pipeline = AnalysisPipeline(Run(sys.argv[2], pattern))
plan = pipeline.plan(chosen)
misses, pending = ({step.analysis for step in steps} for steps in (plan.misses, plan.pending))
causes = [step.details for step in plan.misses]
computed = set()
if sys.argv[3] == "run":
    outcome = pipeline.run(chosen)
    computed = {one.analysis for one in outcome.done if one.state == "computed"}
    assert misses <= computed <= misses | pending, (misses, computed, pending)
    assert not pipeline.plan(chosen).misses + pipeline.plan(chosen).pending
answer = {"misses": misses, "pending": pending, "computed": computed}
print(json.dumps({name: sorted(some) for name, some in answer.items()} | {"causes": causes}))
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with a copy of the package, and a run of two epochs."""
    source = Path(analyses.__file__).parent
    shutil.copytree(source, tmp_path / "code" / "analyses")
    for epoch in (0, 500):
        path = tmp_path / f"run/checkpoints/checkpoint_epoch_{epoch:05d}.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(initial_weights(Training(**vars(TINY) | {"model_seed": epoch})), path)
    return tmp_path


@pytest.fixture
def in_a_new_process(project: Path) -> Callable[..., dict[str, list[str]]]:
    """Plan or run everything with the code as it is now; what missed."""

    def run(verb: str, run: str = "run", *pattern: str) -> dict[str, list[str]]:
        code = project / "code"
        command = [sys.executable, "-c", SCRIPT, str(code), str(project / run), verb]
        done = subprocess.run(
            [*command, *pattern], cwd=code, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        answer: dict[str, list[str]] = json.loads(done.stdout)
        return answer

    return run


Planned = Callable[..., dict[str, list[str]]]


def edit(project: Path, file: str, old: str, new: str) -> None:
    path = project / "code/analyses" / file
    text = path.read_text()
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {file}"
    path.write_text(text.replace(old, new))


def test_a_second_run_computes_nothing(in_a_new_process: Planned) -> None:
    assert set(in_a_new_process("run")["computed"]) == EVERY
    assert in_a_new_process("run") == NOTHING


def test_an_edit_far_away_misses_exactly_what_reaches_it(
    project: Path, in_a_new_process: Planned
) -> None:
    in_a_new_process("run")
    # Three calls below neuron_activations, and never met by what only looks at the embedding.
    edit(project, "model.py", "W_Q.shape[-1] ** 0.5", "W_Q.shape[-1] ** 0.25")

    answer = in_a_new_process("run")

    assert set(answer["misses"]) == {"neuron_activations"}
    assert set(answer["pending"]) == OF_NEURONS - {"neuron_activations"}
    assert set(answer["computed"]) == OF_NEURONS
    assert "analyses.model.attention_scores changed" in str(answer["causes"])
    assert "W_Q.shape[-1] ** 0.25" in str(answer["causes"])


def test_an_edit_that_leaves_a_result_as_it_was_misses_nothing_that_uses_it(
    project: Path, in_a_new_process: Planned
) -> None:
    in_a_new_process("run")
    edit(project, "model.py", "W_Q.shape[-1] ** 0.5", "(W_Q.shape[-1] * 1) ** 0.5")

    answer = in_a_new_process("run")

    assert set(answer["pending"]) == OF_NEURONS - {"neuron_activations"}
    assert set(answer["computed"]) == {"neuron_activations"}


def test_a_change_of_one_tensor_misses_what_reads_it(
    project: Path, in_a_new_process: Planned
) -> None:
    in_a_new_process("run")
    path = project / "run/checkpoints/checkpoint_epoch_00500.safetensors"
    tensors = load_file(path)
    save_file(tensors | {"blocks.0.mlp.W_in": tensors["blocks.0.mlp.W_in"] * 2}, path)

    assert (
        {"neuron_activations", "neuron_freq_norm"}
        <= set(in_a_new_process("run")["computed"])
        <= OF_NEURONS
    )

    save_file(tensors | {"unembed.W_U": tensors["unembed.W_U"] * 2}, path)

    # No analysis looks at what follows the neurons.
    assert in_a_new_process("run") == NOTHING


def test_an_edit_of_a_shared_helper_misses_everything_that_shares_it(
    project: Path, in_a_new_process: Planned
) -> None:
    in_a_new_process("run")
    edit(project, "fourier.py", "* (2 / p) ** 0.5", "* (2 / p) ** 0.25")

    assert set(in_a_new_process("run")["computed"]) == EVERY - {"neuron_activations"}


def test_a_comment_a_docstring_and_a_moved_line_miss_nothing(
    project: Path, in_a_new_process: Planned
) -> None:
    in_a_new_process("run")
    for file in ("model.py", "fourier.py", "clusters.py", "neurons.py", "embedding.py"):
        path = project / "code/analyses" / file
        text = re.sub(r'^( +""")(?=\w)', r"\1So to say: ", path.read_text(), flags=re.M)
        path.write_text(
            re.sub(r"^( +)return ", r"\1# Now.\n\n\1return ", text, flags=re.M)
        )

    assert in_a_new_process("plan") == NOTHING


def test_undoing_an_edit_finds_the_old_results(
    project: Path, in_a_new_process: Planned
) -> None:
    in_a_new_process("run")
    edit(project, "model.py", "W_Q.shape[-1] ** 0.5", "W_Q.shape[-1] ** 0.25")
    in_a_new_process("run")
    edit(project, "model.py", "W_Q.shape[-1] ** 0.25", "W_Q.shape[-1] ** 0.5")

    assert in_a_new_process("plan") == NOTHING


def test_a_copied_run_and_a_renamed_checkpoint_hit(
    project: Path, in_a_new_process: Planned
) -> None:
    in_a_new_process("run")
    shutil.copytree(project / "run", project / "elsewhere/copy", symlinks=True)
    checkpoints = project / "elsewhere/copy/checkpoints"
    (checkpoints / "checkpoint_epoch_00500.safetensors").rename(
        checkpoints / "checkpoint_epoch_00777.safetensors"
    )

    assert in_a_new_process("run", "elsewhere/copy") == NOTHING


def test_moving_a_helper_to_another_file_misses_nothing(
    project: Path, in_a_new_process: Planned
) -> None:
    in_a_new_process("run")
    path = project / "code/analyses/fourier.py"
    text = path.read_text()
    start, end = text.index("@functools.lru_cache"), text.index("def fourier_basis(")
    head = "from __future__ import annotations\nimport functools\nimport numpy as np\n"
    helper = head + text[start:end]
    (path.parent / "waves_alone.py").write_text(helper)
    path.write_text(
        text[:start] + text[end:] + "\n\nfrom analyses.waves_alone import waves\n"
    )

    assert in_a_new_process("plan") == NOTHING
