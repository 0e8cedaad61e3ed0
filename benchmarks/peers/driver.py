"""Calls every analysis of the project with whichever library it now uses; see `mutations.harness`.

Prints the names of those whose bodies ran, and leaves what each call returned, as a digest, in the file `answers.json`
of the run.
"""

from __future__ import annotations

import faulthandler
import hashlib
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
from safetensors.numpy import load_file

# Some libraries import torch where there is one, which takes 2 s in every interpreter; nothing here is a tensor.
sys.modules.setdefault("torch", None)  # type: ignore[arg-type]
# At import, cachier asks git for its own version unless told that it is being released.
os.environ.setdefault("RELEASING_PROCESS", "1")

import study  # noqa: E402
import study.caching  # noqa: E402

# Seconds, after which a library that is still at it has failed.
PATIENCE = 120

Answers = dict[str, str]


def main(**instead: Any) -> None:
    """Call everything, with the analyses of `instead` for those of the same name."""
    faulthandler.dump_traceback_later(PATIENCE, exit=True)
    directory, *order = sys.argv[1:]
    ours = not hasattr(study.caching, "LIBRARY")
    ran: set[str] = set()
    with redirect_stdout(sys.stderr), (published if ours else entered)(ran):
        answers = _answers(
            _opened(directory) if ours else _loaded(directory), instead, bool(order)
        )
    Path(directory, "answers.json").write_text(json.dumps(answers))
    print(json.dumps(sorted(ran)))


def _answers(
    run: Mapping[int, Any], instead: Mapping[str, Any], backwards: bool
) -> Answers:
    checkpoints = [run[epoch] for epoch in run][:2]
    calls = [
        *(
            (one, c, at)
            for one in study.OF_A_CHECKPOINT
            for at, c in enumerate(checkpoints)
        ),
        *((one, checkpoints, 0) for one in study.OF_CHECKPOINTS),
        *((one, run, 0) for one in study.OF_A_RUN),
    ]
    answers = {}
    for one, argument, at in reversed(calls) if backwards else calls:
        name = one.__name__
        answers[f"{name} {at}"] = _answer(instead.get(name, one), argument)
    return answers


def _answer(analysis: Callable[[Any], Mapping[str, Any]], argument: Any) -> str:
    try:
        arrays = analysis(argument)
    except Exception as error:
        traceback.print_exc()
        return f"failed: {type(error).__name__}: {error}"
    digest = hashlib.sha256()
    for name, value in sorted(arrays.items()):
        array = np.asarray(value)
        digest.update(f"{name} {array.dtype} {array.shape} ".encode() + array.tobytes())
    return digest.hexdigest()


def _opened(directory: str) -> Any:
    from artifact_store import Run

    return Run(directory)


def _loaded(directory: str) -> dict[int, dict[str, np.ndarray[Any, Any]]]:
    """The tensors of each checkpoint by epoch, always in one order: what differs in the file alone is no news."""
    paths = sorted(
        Path(directory, "checkpoints").iterdir(),
        key=lambda path: int(path.stem.rpartition("_")[2]),
    )
    return {
        int(path.stem.rpartition("_")[2]): dict(sorted(load_file(path).items()))
        for path in paths
    }


@contextmanager
def published(ran: set[str]) -> Iterator[None]:
    """Add the names of the analyses that our own library computes."""
    from artifact_store.events import Event, Published, listening

    def note(event: Event) -> None:
        if isinstance(event, Published):
            ran.add(event.key.analysis)

    with listening(note):
        yield


@contextmanager
def entered(ran: set[str]) -> Iterator[None]:
    """Add the names of the analyses whose bodies the interpreter enters."""
    from libraries import BODIES  # type: ignore[import-not-found]

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and (name := BODIES.get(id(frame.f_code))) is not None:
            ran.add(name)

    sys.setprofile(note)
    try:
        yield
    finally:
        sys.setprofile(None)


if __name__ == "__main__":
    main()
