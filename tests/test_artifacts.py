from __future__ import annotations

import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorstore
import xarray
import zarr

from artifact_store import Artifact, Checkpoint, analysis
from artifact_store.arrays import Codec
from artifact_store.errors import MissingArray


@analysis(dims={"power": ("frequency", "neuron"), "big": ("row", "column")})
def everything(checkpoint: Checkpoint) -> Any:
    return arrays(checkpoint["w"])


@analysis(dims={"power": ("frequency", "neuron")}, codec="zstd")
def packed(checkpoint: Checkpoint) -> Any:
    return arrays(checkpoint["w"])


def arrays(w: Any) -> dict[str, Any]:
    return {
        "power": w,
        "frequency": np.array([10, 20]),
        "scalar": np.float32(-0.0),
        "flags": np.array([True, False, True]),
        "none": np.zeros((0, 4), np.int16),
        "zeros": np.zeros((3, 2)),
        "complex": np.array([[1 + 2j]]),
        "half": np.linspace(0, 1, 5, dtype=np.float16),
        "with space, ünïcode": np.arange(3, dtype=np.uint8),
        "big": np.arange(300_001 * 2, dtype=np.int32).reshape(-1, 2),
    }


@pytest.fixture(params=[everything, packed], ids=["raw", "zstd"])
def artifact(request: Any, checkpoint: Path) -> Artifact:
    made: Artifact = request.param.artifact(Checkpoint(checkpoint))
    return made


@pytest.fixture
def door(artifact: Artifact, checkpoint: Path) -> Path:
    home = checkpoint.parents[1] / "artifacts"
    return home / artifact.key.analysis / "checkpoint_epoch_00500"


def test_numpy_gives_what_the_function_returned(
    artifact: Artifact, checkpoint: Path
) -> None:
    expected, found = arrays(Checkpoint(checkpoint)["w"]), artifact.numpy()

    assert list(found) == sorted(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, strict=True)
        assert not found[name].flags.writeable
    assert np.signbit(found["scalar"])


def test_plain_zarr_reads_every_array_through_the_door_of_a_moved_run(
    artifact: Artifact, door: Path, checkpoint: Path, tmp_path: Path
) -> None:
    expected = artifact.numpy()
    shutil.move(checkpoint.parents[1], tmp_path / "moved")
    group: Any = zarr.open(tmp_path / "moved" / door.relative_to(tmp_path / "run"))

    assert sorted(group.array_keys()) == sorted(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(group[name][...], values, strict=True)


def test_xarray_reads_every_array_and_its_coordinates(
    artifact: Artifact, door: Path
) -> None:
    expected = artifact.numpy()
    for found in (xarray.open_zarr(door, chunks=None), artifact.to_xarray()):
        for name, values in expected.items():
            np.testing.assert_array_equal(found[name].values, values)
            assert found[name].dtype == values.dtype
        assert found["power"].dims == ("frequency", "neuron")
        assert found["power"].sel(frequency=20).values.tolist() == [3.0, 4.0, 5.0]


def test_tensorstore_reads_every_array(artifact: Artifact, door: Path) -> None:
    for name, values in artifact.numpy().items():
        spec = {
            "driver": "zarr3",
            "kvstore": {"driver": "file", "path": f"{door}/{name}/"},
        }
        found = tensorstore.open(spec).result().read().result()
        np.testing.assert_array_equal(found, values)


def test_an_array_is_read_where_it_is_indexed(artifact: Artifact) -> None:
    lazy = artifact["big"]

    assert lazy.shape == (300_001, 2) and lazy.dtype == np.int32
    assert lazy[-1].tolist() == [600_000, 600_001]
    assert lazy[1:6:2, 1].tolist() == [3, 7, 11]
    np.testing.assert_array_equal(np.asarray(artifact["power"]), artifact["power"][...])


def test_an_artifact_is_a_mapping_of_names(artifact: Artifact) -> None:
    assert list(artifact) == list(artifact.keys()) and len(artifact) == 10
    assert "power" in artifact and "nonsense" not in artifact
    with pytest.raises(MissingArray, match="'power'"):
        artifact["nonsense"]


def test_an_artifact_says_how_it_was_made(artifact: Artifact) -> None:
    made = artifact.provenance

    assert [one.label for one in made.inputs] == ["checkpoint_epoch_00500"]
    assert made.function.endswith(f":{artifact.key.analysis}")
    assert {"artifact_store", "numpy"} <= made.versions.keys()
    assert artifact.label == f"{artifact.key.analysis}(checkpoint_epoch_00500)"
    assert artifact.label in repr(artifact) and "float32[2, 3]" in repr(artifact)
    html = artifact._repr_html_()
    assert "300001 × 2" in html and artifact.output_digest.short in html


def test_an_artifact_of_one_array_is_one_to_numpy(
    artifact: Artifact, checkpoint: Path
) -> None:
    @analysis
    def single(checkpoint: Checkpoint) -> Any:
        return checkpoint["w"]

    one = single.artifact(Checkpoint(checkpoint))
    assert np.asarray(one).tolist() == [[0, 1, 2], [3, 4, 5]]
    assert np.asarray(one, dtype=np.int64).dtype == np.int64
    with pytest.raises(MissingArray, match="the only array"):
        np.asarray(artifact)


def test_an_artifact_travels_to_another_process(artifact: Artifact) -> None:
    again = pickle.loads(pickle.dumps(artifact))

    assert again.key == artifact.key and again["power"][1, 2] == 5.0


@pytest.mark.parametrize("codec", ["raw", "zstd"])
def test_equal_results_are_equal_artifacts_whatever_the_codec(
    checkpoint: Path, codec: Codec
) -> None:
    function = analysis(name=f"by_{codec}", codec=codec)(everything.__wrapped__)
    plain = analysis(name="plain")(everything.__wrapped__)

    one = Checkpoint(checkpoint)
    assert function.artifact(one).output_digest == plain.artifact(one).output_digest


def test_importing_the_package_imports_nothing_heavy() -> None:
    ask = "import sys, artifact_store; print(*sys.modules)"
    loaded = subprocess.check_output([sys.executable, "-c", ask], text=True).split()

    assert not {"torch", "zarr", "xarray", "joblib", "plotly", "tqdm"} & {*loaded}
