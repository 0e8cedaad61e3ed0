"""A bar that moves as work is done."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from artifact_store.terminals import visible

Advance = Callable[[int, str], None]


@contextmanager
def bar(title: str, total: int, unit: str) -> Iterator[Advance]:
    """A bar on a terminal or in a notebook, of what takes more than a second; nothing where nobody watches."""
    if not sys.stderr.isatty() and "ipykernel" not in sys.modules:
        yield lambda count, note: None
        return
    # Here and not above for its weight.
    from tqdm.auto import tqdm

    with tqdm(total=total, desc=title, unit=unit, leave=False, delay=1) as drawn:

        def advance(count: int, note: str) -> None:
            drawn.set_postfix_str(visible(note), refresh=False)
            drawn.update(count)

        yield advance
