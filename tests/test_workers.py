"""Threads help where they can be had, and nothing depends on them."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from artifact_store.workers import worker

# What is still going on while the interpreter ends: no pool takes work any more.
AT_THE_END = """
import atexit, sys
from pathlib import Path
import numpy as np
from safetensors.numpy import save_file
from artifact_store import Checkpoint, analysis

path = Path(sys.argv[1], "checkpoints/checkpoint_epoch_00001.safetensors")
path.parent.mkdir(parents=True)
save_file({"a": np.ones(3 << 20, np.float32), "b": np.ones(3, np.float32)}, path)

@analysis
def large(checkpoint: Checkpoint):
    return checkpoint["a"] * 2

atexit.register(lambda: print(int(large(path).sum()), large.find(path) is not None))
"""


def test_work_is_done_meanwhile() -> None:
    begun = threading.Event()

    def wait() -> str:
        begun.set()
        return threading.current_thread().name

    with worker() as work:
        result = work(wait)
        assert begun.wait(10)
        assert result() != threading.current_thread().name


def test_where_no_thread_can_be_had_it_is_done_when_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with worker() as work:
        result = work(lambda: threading.current_thread().name)
        assert result() == threading.current_thread().name


def test_large_results_are_kept_while_the_interpreter_ends(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(AT_THE_END)
    command = [sys.executable, str(script), str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True)

    assert done.stdout == f"{2 * (3 << 20)} True\n", done.stderr
