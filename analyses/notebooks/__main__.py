"""Executes every notebook of this folder, and keeps what it shows in it."""

from __future__ import annotations

import tempfile
from pathlib import Path

from analyses.notebooks.execution import HERE, executed, settled, written


def main() -> None:
    """Execute them one after another."""
    for path in sorted(HERE.glob("*.ipynb")):
        with tempfile.TemporaryDirectory() as folder:
            made = settled(executed(path, Path(folder)))
        path.write_text(written(made), "utf-8")
        print(f"{path.name}: {len(made.cells)} cells, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
