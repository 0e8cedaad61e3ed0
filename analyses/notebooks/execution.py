"""Executing a notebook in a folder, and keeping what it shows. Needs what tests need: `artifact-store[analyses,test]`.

notebook ──► *executed* ──► *settled*: no times, no folder of today ──► the same file, for those who only read it
"""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import Any, Final

import nbformat
from nbclient import NotebookClient

HERE: Final = Path(__file__).parent

# Of a cell that draws pictures, for which there has to be a Chromium.
BROWSER: Final = "browser"

# What `tempfile.mkdtemp(prefix="tour-")` makes up, wherever it does so.
_FOLDER: Final = re.compile(r"(?:/[\w.-]+)+/tour-\w+")


def read(text: str) -> Any:
    """A notebook from the text of its file."""
    return nbformat.reads(text, as_version=4)  # type: ignore[no-untyped-call]


def written(notebook: Any) -> str:
    """The text of its file."""
    text: str = nbformat.writes(notebook)  # type: ignore[no-untyped-call]
    return text + "\n"


def executed(path: Path, folder: Path, without: Collection[str] = ()) -> Any:
    """A notebook as it is after all cells ran, but for those with one of these tags.

    Parameters
    ----------
    folder
        Where its kernel is started.
    """
    notebook = read(path.read_text("utf-8"))
    tagged = [(one, set(one.metadata.get("tags", ()))) for one in notebook.cells]
    notebook.cells = [cell for cell, tags in tagged if tags.isdisjoint(without)]
    client = NotebookClient(
        notebook,
        timeout=300,
        record_timing=False,
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute()
    return notebook


def settled(notebook: Any) -> Any:
    """The same without what is another each time and tells nothing: the name of its folder, the version of Python."""
    notebook.metadata = {"kernelspec": notebook.metadata["kernelspec"]}
    return read(_FOLDER.sub("/tmp/tour", written(notebook)))


def words_of(cell: Any) -> str:
    """All that a cell shows in words."""
    shown = []
    for output in cell.get("outputs", ()):
        data = output.get("data", {})
        shown += [output.get("text", ""), data.get("text/plain", ""), data.get("text/html", "")]  # fmt: skip
    return "\n".join(shown)
