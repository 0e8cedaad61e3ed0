"""Many processes, one key: one computation, one entry."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import WriteCheckpoint

from artifact_store import Checkpoint, analysis

PROCESSES = 16


@analysis(ignore=("log",))
def logged(checkpoint: Checkpoint, log: str) -> Any:
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, b"x")
    os.close(descriptor)
    # Long enough that all others come meanwhile.
    noise = np.arange(2_000_000.0)
    for _ in range(10):
        noise = np.sqrt(noise + 1)
    return {"w": checkpoint["w"] + noise[0] * 0}


def at_once(work: Callable[[int], bytes]) -> list[bytes]:
    """What each of some processes returns, all of which begin together."""
    gate, opening = os.pipe()
    answers = []
    children = []
    for number in range(PROCESSES):
        answer, told = os.pipe()
        child = os.fork()
        if not child:
            try:
                os.close(opening)
                os.read(gate, 1)  # ends when the parent closes its side
                os.write(told, work(number))
                os._exit(0)
            except BaseException:
                os._exit(1)
        os.close(told)
        answers.append(answer)
        children.append(child)
    os.close(gate)
    os.close(opening)
    found = []
    for answer in answers:
        with os.fdopen(answer, "rb") as stream:
            found.append(stream.read())
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * PROCESSES
    return found


def test_sixteen_processes_with_one_cold_key_run_the_function_once(
    checkpoint: Path, tmp_path: Path, settled: None
) -> None:
    log = str(tmp_path / "log")
    answers = at_once(lambda _: logged(Checkpoint(checkpoint), log)["w"].tobytes())

    assert Path(log).read_bytes() == b"x"
    assert set(answers) == {np.arange(6, dtype=np.float32).astype(float).tobytes()}
    hidden = checkpoint.parents[1] / "artifacts/.store"
    assert len(list(hidden.glob("entries/*/*/*.json"))) == 1
    assert len(list(hidden.glob("data/*/*"))) == 1
    assert list(hidden.glob("staging/*/*")) == []


def test_processes_that_mend_one_corrupt_entry_all_get_the_right_result(
    checkpoint: Path, tmp_path: Path, settled: None
) -> None:
    log = str(tmp_path / "log")
    path = logged.artifact(Checkpoint(checkpoint), log).path / "w" / "c.0.0"
    path.write_bytes(bytes(path.stat().st_size))

    answers = at_once(lambda _: logged(Checkpoint(checkpoint), log)["w"].tobytes())

    assert set(answers) == {np.arange(6, dtype=np.float32).astype(float).tobytes()}


@pytest.mark.parametrize("same", [True, False], ids=["equal data", "other data"])
def test_many_writers_of_one_store_do_not_disturb_one_another(
    write_checkpoint: WriteCheckpoint, tmp_path: Path, settled: None, same: bool
) -> None:
    log = str(tmp_path / "log")
    paths = [
        write_checkpoint(
            f"run/checkpoints/epoch_{number}.safetensors",
            w=np.ones(2) * (1 if same else number),
            other=np.array(number),
        )
        for number in range(PROCESSES)
    ]
    answers = at_once(lambda n: logged(Checkpoint(paths[n]), log)["w"].tobytes())

    expected = [(np.ones(2) * (1 if same else n)).tobytes() for n in range(PROCESSES)]
    assert answers == expected
    hidden = paths[0].parents[1] / "artifacts/.store"
    assert len(list(hidden.glob("data/*/*"))) == (1 if same else PROCESSES)
    assert len(list(hidden.glob("entries/*/*/*.json"))) == PROCESSES
    assert not (hidden / "quarantine").exists()
