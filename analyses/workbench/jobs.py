"""Computing what is missing, in processes of their own.

    names of run and analyses ──► `artifact-store run … --progress json` ──► its output, a file ──► *Progress*

The page may be reloaded and this server may end: a job goes on, and what it has finished is kept.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

State = Literal["running", "finished", "failed", "stopped"]

# Of an error with its traceback, a page shows the end, which says what happened.
SHOWN = 2000

# A server that a script started in the background has its children ignore Ctrl-C, which is how they are stopped.
RUN = """import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from artifact_store.cli import main
sys.exit(main())"""


@dataclass(frozen=True)
class Progress:
    """How far a job is."""

    number: int
    run: str
    analyses: tuple[str, ...]
    epoch: int | None
    state: State
    done: int = 0
    total: int = 0
    seconds_left: float | None = None
    error: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The same, for JSON."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Job:
    """One process, and where it writes."""

    number: int
    run: str
    analyses: tuple[str, ...]
    epoch: int | None
    process: subprocess.Popen[bytes]
    output: Path
    complaints: Path
    asked: threading.Event = field(default_factory=threading.Event)

    def progress(self) -> Progress:
        """How far it is now."""
        status = self.process.poll()
        lines = _objects(self.output)
        nothing: Mapping[str, Any] = {}
        told = next((one for one in reversed(lines) if "total" in one), nothing)
        state: State = "running"
        if status == 0:
            state = "finished"
        elif status is not None:
            by_hand = self.asked.is_set() or status in (-signal.SIGINT, 130)
            state = "stopped" if by_hand else "failed"
        return Progress(
            self.number,
            self.run,
            self.analyses,
            self.epoch,
            state,
            done=int(told.get("done", 0)),
            total=int(told.get("total", 0)),
            seconds_left=told.get("seconds_left"),
            error=self._error(lines) if state == "failed" else "",
        )

    def stop(self) -> None:
        """Ask it to end, as Ctrl-C does, and insist when it was asked before; what was finished is kept."""
        if self.process.poll() is not None:
            return  # Its number may be that of another by now.
        # Where the server was started in the background of a script, Ctrl-C means nothing to it nor to its jobs.
        urgent = self.asked.is_set()
        self.asked.set()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM if urgent else signal.SIGINT)

    def _error(self, lines: Sequence[Mapping[str, Any]]) -> str:
        # What an analysis fails with is told with its artifact; what ends the whole process, as programs do.
        failed = [str(one["error"]) for one in lines if one.get("error")]
        text = self.complaints.read_text("utf-8", errors="replace").strip()
        said = "\n".join(dict.fromkeys(failed)) or text
        return said[-SHOWN:] or f"it ended with status {self.process.returncode}"


@dataclass(frozen=True)
class Jobs:
    """The jobs of this server, the newest last."""

    folder: Path = field(
        default_factory=lambda: Path(tempfile.mkdtemp(prefix="analyses-jobs-"))
    )
    _jobs: list[Job] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self, run: Path, analyses: Sequence[str], epoch: int | None) -> Progress:
        """Compute these analyses of a run, of one epoch or all, beside everything else."""
        with self._lock:
            wanted = run.name, tuple(analyses), epoch
            for job in self._jobs:
                # Asked twice, it is still one job.
                if (
                    job.run,
                    job.analyses,
                    job.epoch,
                ) == wanted and job.process.poll() is None:
                    return job.progress()
            job = self._started(len(self._jobs), run, wanted[1], epoch)
            self._jobs.append(job)
        return job.progress()

    def progress(self) -> list[Progress]:
        """Of every job, the newest last."""
        return [job.progress() for job in self._jobs]

    def stop(self, number: int) -> None:
        """End one; there need not be any of this number."""
        for job in self._jobs:
            if job.number == number:
                job.stop()

    def leave(self) -> list[Job]:
        """Those that go on without this server; what they wrote for it goes, if there are none."""
        going_on = self.under_way()
        if not going_on:
            shutil.rmtree(self.folder, ignore_errors=True)
        return going_on

    def under_way(self) -> list[Job]:
        """Those that have not ended."""
        return [job for job in self._jobs if job.process.poll() is None]

    def _started(
        self, number: int, run: Path, analyses: tuple[str, ...], epoch: int | None
    ) -> Job:
        output, complaints = (
            self.folder / f"{number}.jsonl",
            self.folder / f"{number}.txt",
        )
        command = [sys.executable, "-c", RUN, "run", str(run), "--progress", "json"]
        command += ["--analysis", ",".join(analyses)]
        command += [] if epoch is None else ["--epochs", str(epoch)]
        with output.open("wb") as out, complaints.open("wb") as err:
            # A session of its own: Ctrl-C in the terminal ends the server alone.
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        return Job(number, run.name, analyses, epoch, process, output, complaints)


def _objects(path: Path) -> list[dict[str, Any]]:
    """The last of the whole lines that a process has written, as far as they are JSON objects."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 65_536))
        lines = file.read().split(b"\n")[:-1]
    found = []
    for line in lines:
        with contextlib.suppress(ValueError):
            found.append(json.loads(line))
    return [one for one in found if isinstance(one, dict)]
