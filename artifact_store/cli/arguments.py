"""What several verbs are asked with."""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeAlias

from artifact_store.checkpoints import INDEX_SUFFIX
from artifact_store.layout import ARTIFACTS, HIDDEN
from artifact_store.listing import Brief
from artifact_store.manifests import Manifest
from artifact_store.offers import Chosen, offered
from artifact_store.runs import DEFAULT_PATTERN, Run
from artifact_store.urls import UrlPath, as_path, is_url, located

# The first and last epoch of each stretch; with no last one, all that follow.
Epochs: TypeAlias = tuple[tuple[int, int | None], ...]


def begin(
    parser: argparse.ArgumentParser,
    carry_out: Callable[[argparse.Namespace], int],
    more: str = "",
) -> None:
    """What all verbs have; `more` is said of this one beyond what it does."""
    parser.description = f"{parser.description} {more}".strip()
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(verb=carry_out, parser=parser)


def place(text: str) -> Path:
    """A path or URL as one types it."""
    return located(text) if is_url(text) else Path(as_path(text))


def add_place(parser: argparse.ArgumentParser) -> None:
    """`[RUN]` for verbs that look into a store."""
    parser.add_argument(
        "run",
        nargs="?",
        type=place,
        default=Path(),
        metavar="RUN",
        help="a run, one of its checkpoints, or a store (default: here)",
    )


def add_run(
    parser: argparse.ArgumentParser, what: str = "the directory of a run"
) -> None:
    """`RUN` for verbs that go along its checkpoints."""
    parser.add_argument("run", type=place, metavar="RUN", help=what)
    parser.add_argument(
        "--pattern",
        default=DEFAULT_PATTERN,
        metavar="PATTERN",
        help="where its checkpoints are (default: %(default)s)",
    )


def add_analyses(parser: argparse.ArgumentParser) -> None:
    """`--analysis`, once or several times."""
    parser.add_argument(
        "--analysis",
        action="extend",
        type=split_names,
        metavar="NAME,...",
        help="module:function, or an offered name (default: all that are offered)",
    )


def split_names(text: str) -> list[str]:
    """Names with commas between them."""
    names = [name for name in text.split(",") if name]
    if not names:
        raise argparse.ArgumentTypeError("no analysis is named")
    return names


def add_epochs(parser: argparse.ArgumentParser) -> None:
    """`--epochs`, as numbers and stretches."""
    parser.add_argument(
        "--epochs",
        type=_stretches,
        metavar="EPOCHS",
        help="0,500 or 0-1000 or 1000- (default: all)",
    )


def _stretches(text: str) -> Epochs:
    found = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if not first.isdecimal() or not (last or "0").isdecimal():
            raise argparse.ArgumentTypeError(
                f"{part!r} is neither an epoch nor a range such as 0-1000"
            )
        end = int(first) if not dash else int(last) if last else None
        if end is not None and end < int(first):
            raise argparse.ArgumentTypeError(f"{part!r} ends before it begins")
        found.append((int(first), end))
    return tuple(found)


def epochs_as_asked(asked: Epochs) -> str:
    """Epochs as one types them."""
    return ",".join(
        str(first) if first == last else f"{first}-{'' if last is None else last}"
        for first, last in asked
    )


def run_at(path: Path, pattern: str = DEFAULT_PATTERN) -> Run:
    """The run at a path, or the one that the store at this path belongs to."""
    if isinstance(path, UrlPath):
        return Run(path, pattern)
    is_home = path.absolute().name == ARTIFACTS and (path / HIDDEN).is_dir()
    return Run(path.absolute().parent if is_home else path, pattern)


def is_checkpoint(path: Path) -> bool:
    """Whether a path or URL is that of a file, and no run."""
    if isinstance(path, UrlPath):
        return path.name.endswith((".safetensors", INDEX_SUFFIX))
    return path.is_file()


def epochs_in(run: Run, asked: Epochs | None) -> list[int] | None:
    """The epochs of a run that were asked for; one that was named must be there, `MissingEpoch` if not."""
    if asked is None:
        return None
    found: dict[int, None] = {}
    for first, last in asked:
        within = [e for e in run if e >= first and (last is None or e <= last)]
        if not within:
            run[first]  # which says what is nearest
        found.update(dict.fromkeys(within))
    return sorted(found)


def analyses_in(arguments: argparse.Namespace) -> Chosen:
    """The names of the analyses that were asked for, or all that are offered."""
    names: list[str] | None = arguments.analysis
    import_from_here(names)
    if names is not None:
        return names
    found = offered()
    if not found:
        arguments.parser.error("no installed package offers any: name an --analysis")
    return found


def import_from_here(names: Iterable[str] | None) -> None:
    """Let a `module:function` that was named be found in the current directory, if it is found nowhere else.

    Otherwise nothing is looked for there: the directory may be that of a run that somebody else made.
    """
    packages = {name.partition(":")[0].partition(".")[0] for name in names or () if ":" in name}  # fmt: skip
    if os.getcwd() not in sys.path and not all(map(_is_found, packages)):
        sys.path.append(os.getcwd())


def _is_found(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):  # `__main__`, or no name at all
        return True


def goes_by(entry: Manifest | Brief, names: Iterable[str] | None) -> bool:
    """Whether an entry is of one of these analyses; of any, if none is named."""
    if names is None:
        return True
    of = (entry.analysis, entry.provenance.function)
    return any(name in of for name in names)
