"""`analyses serve` ends when it is told to, and begins anew when its code was edited."""

from __future__ import annotations

import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# As `analyses serve` is started, with a module of the user's; tests may themselves run where Ctrl-C is ignored.
SERVE = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
import mine
from analyses.__main__ import main
sys.exit(main(["serve", *sys.argv[1:]]))
"""


@contextmanager
def served(folder: Path, mine: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", SERVE, str(folder), "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=mine
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def test_it_ends_at_ctrl_c(analysed: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("x = 1")
    with served(analysed, tmp_path) as process:
        address = said(process).split()[0]
        urllib.request.urlopen(f"{address}pulse").close()
        process.send_signal(signal.SIGINT)

        assert process.wait() == 0 and said(process) == ""


def test_it_begins_anew_at_the_same_address_when_a_module_was_edited(
    analysed: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text("x = 1")
    with served(analysed, tmp_path) as process:
        address = said(process)
        (tmp_path / "mine.py").write_text("x = 12")

        assert said(process).startswith("Edited: ") and said(process) == address
