"""Calls every analysis of the project as it now is, and prints which were computed; see `harness`."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import study

from artifact_store import Run
from artifact_store.events import Event, Published, listening


def main(**instead: Any) -> None:
    """Call everything, with the analyses of `instead` for those of the same name."""
    where, *order = sys.argv[1:]
    os.environ.pop("ARTIFACT_STORE", None)  # Results belong beside the run.
    run = Run(where)
    checkpoints = [run[epoch] for epoch in run][:2]
    calls = [
        *((one, c) for one in study.OF_A_CHECKPOINT for c in checkpoints),
        *((one, checkpoints) for one in study.OF_CHECKPOINTS),
        *((one, run) for one in study.OF_A_RUN),
    ]
    computed: set[str] = set()

    def note(event: Event) -> None:
        if isinstance(event, Published):
            computed.add(event.key.analysis)

    with listening(note):
        for one, argument in reversed(calls) if order else calls:
            instead.get(one.__name__, one)(argument)
    print(json.dumps(sorted(computed)))


if __name__ == "__main__":
    main()
