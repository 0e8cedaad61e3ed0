"""Progress: who is told while work is done, and how.

pipeline ──► each `Done` ──► *shown*: bars on a terminal, a bar in a notebook, else a line now and then
verb of the command line ──► *bar*
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from artifact_store.outcomes import Done
from artifact_store.tallies import Tally
from artifact_store.terminals import in_one_line, visible

if TYPE_CHECKING:
    from tqdm import tqdm

Advance: TypeAlias = Callable[[int, str], None]
Tell: TypeAlias = Callable[[Sequence[Done]], None]

# Of the name of a run, and how many calls there are of each analysis, makes whom to tell of those that are done, as
# soon as that is known: of a worker, of all of a checkpoint together.
Progress: TypeAlias = Callable[[str, Mapping[str, int]], AbstractContextManager[Tell]]

# Nobody wants to see what is over when he looks.
DELAY: Final = 1.0
FIRST_LINE: Final = 10.0


@contextmanager
def shown(run: str, totals: Mapping[str, int]) -> Iterator[Tell]:
    """Show whoever sits there how far a pipeline is, once it takes longer than a moment; on standard error."""
    tally = Tally(totals)
    match watched_on():
        case "terminal":
            from artifact_store.bars import bars  # 0.1 s, for those who watch

            drawn: AbstractContextManager[Callable[[], None]] = bars(run, tally, DELAY)
        case "notebook":
            drawn = _notebook_bar(run, tally)
        case "pipe":
            drawn = nullcontext(_Lines(run, tally).after)
    with drawn as moved:

        def tell(together: Sequence[Done]) -> None:
            tally.add(together)
            moved()

        yield tell


@contextmanager
def unseen(run: str, totals: Mapping[str, int]) -> Iterator[Tell]:
    """Tell nobody."""
    yield lambda together: None


def watched_on() -> Literal["terminal", "notebook", "pipe"]:
    """What stands at the other end of standard error."""
    asked = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if getattr(asked, "kernel", None) is not None:
        return "notebook"
    is_dumb = os.environ.get("TERM") in ("dumb", "unknown")
    return "terminal" if sys.stderr.isatty() and not is_dumb else "pipe"


class _Lines:
    """A line when it has taken ten seconds, and another each time it has taken a tenth longer than at the last."""

    def __init__(self, run: str, tally: Tally) -> None:
        self._run, self._tally = run, tally
        self._next = FIRST_LINE

    def after(self) -> None:
        """Print one, if it is time."""
        tally, taken = self._tally, monotonic() - self._tally.begun
        if taken < self._next or tally.done == tally.total:
            return
        self._next = taken + max(FIRST_LINE, taken / 10)
        facts = (
            f"{tally.done} of {tally.total} ({tally.endings()}), {tally.time_left()}"
        )
        print(visible(in_one_line(f"{self._run}: {facts}")), file=sys.stderr, flush=True)  # fmt: skip


@contextmanager
def _notebook_bar(run: str, tally: Tally) -> Iterator[Callable[[], None]]:
    with _tqdm(run, tally.total, "artifact") as drawn:

        def moved() -> None:
            drawn.set_postfix_str(tally.endings(), refresh=False)
            drawn.update(tally.done - drawn.n)

        yield moved


@contextmanager
def bar(title: str, total: int | None, unit: str) -> Iterator[Advance]:
    """A bar on a terminal or in a notebook, of what takes more than a second; nothing where nobody watches."""
    if watched_on() == "pipe":
        yield lambda count, note: None
        return
    with _tqdm(title, total, unit) as drawn:

        def advance(count: int, note: str) -> None:
            drawn.set_postfix_str(visible(note), refresh=False)
            drawn.update(count)

        yield advance


def _tqdm(title: str, total: int | None, unit: str) -> tqdm[Any]:
    # Here and not above for its weight.
    import warnings

    with warnings.catch_warnings():
        # Without `ipywidgets` it draws in characters, which needs no warning.
        warnings.simplefilter("ignore")
        from tqdm.auto import tqdm

        return tqdm(
            total=total, desc=visible(title), unit=unit, leave=False, delay=DELAY
        )
