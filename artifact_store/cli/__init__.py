"""`artifact-store`: look at the artifacts of a run, compute them, check them, remove them.

One module per verb: what it is asked with, and what it prints. Exit status: 0 if
all is well, 1 if there is something to see to, 2 if the question could not be answered.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import shlex
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import Final

from artifact_store._version import __version__
from artifact_store.errors import ArtifactStoreError
from artifact_store.events import log
from artifact_store.terminals import visible

# In the order in which one meets them.
_VERBS: Final[Mapping[str, str]] = {
    "status": "say what of a run is stored and up to date",
    "plan": "say what `run` would compute, and why",
    "run": "compute what is missing",
    "why": "explain why an artifact is up to date, or is not",
    "bless": "state that a change of code changes no result",
    "ls": "list what is stored",
    "show": "say everything about one entry",
    "verify": "check every byte of what is stored, or compute a sample again",
    "du": "say what is stored weighs, by analysis",
    "rm": "remove what is stored, after saying what",
    "pin": "have an entry stay, whatever a budget says; list what is pinned",
    "unpin": "let an entry go again",
    "gc": "remove what nothing needs, and keep within a budget",
    "push": "bring what is stored into a shared store",
    "pull": "bring what a shared store holds here",
    "export": "write what is stored into one file",
    "import": "bring in what was exported",
    "doctor": "say what this file system can do, and what is set where",
}

# Where the name of a verb can be none of a module.
_MODULES: Final[Mapping[str, str]] = {"import": "import_"}

ERROR: Final = 2
# What a shell reports for a process that SIGINT or SIGPIPE ended.
INTERRUPTED: Final = 130
PIPE_CLOSED: Final = 141

_EXAMPLES = """\
examples:
  artifact-store status results/model_p113_seed999
  artifact-store run results/model_p113_seed999 --analysis mymodule:myfunction --jobs 4
  artifact-store why results/model_p113_seed999 neuron_freq_norm --epoch 500

An analysis is `module:function`, or a name that an installed package offers.
ARTIFACT_STORE names a store to use instead of the one inside each run.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Carry out one verb; the return is the exit status."""
    words = sys.argv[1:] if argv is None else argv
    arguments = _parser(words).parse_args(words)
    try:
        with _warnings_told():
            exit_status: int = arguments.verb(arguments)
        sys.stdout.flush()
        return exit_status
    except KeyboardInterrupt as interrupt:
        done = str(interrupt) or "What is done is kept: the same again resumes."
        typed = shlex.join(["artifact-store", *words])
        _complain(f"interrupted. {done}\n  {typed}")
        return INTERRUPTED
    except BrokenPipeError:
        # The interpreter flushes once more at its end, and would complain then.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except (ArtifactStoreError, OSError, ImportError) as error:
        _complain(str(error))
    except Exception:
        # Not ours to phrase: most often the module of an analysis does not load.
        traceback.print_exc()
    return ERROR


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="artifact-store",
        description="Look at the artifacts of a run, compute them, check them, remove them.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=__version__)
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    asked = next((word for word in words if word in _VERBS), None)
    for verb, does in _VERBS.items():
        sentence = f"{does[0].upper()}{does[1:]}."
        one = verbs.add_parser(verb, help=does, description=sentence)
        # Of the others nobody asks more than what they do: each brings along what it carries that out with.
        if verb == asked:
            import_module(f"artifact_store.cli.{_MODULES.get(verb, verb)}").add_to(one)
    return parser


class _Visible(logging.Formatter):
    """Writes out what a terminal would obey."""

    def format(self, record: logging.LogRecord) -> str:
        return visible(super().format(record))


@contextlib.contextmanager
def _warnings_told() -> Iterator[None]:
    """Show what the library logs as a warning, as it does not print by itself."""
    handler = logging.StreamHandler()
    handler.setLevel(logging.WARNING)
    handler.setFormatter(_Visible("artifact-store: %(message)s"))
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)


def _complain(sentence: str) -> None:
    print(f"artifact-store: {visible(sentence)}", file=sys.stderr)
