"""`why`: why a call would hit or miss, in words; of a picture, what it was drawn from."""

from __future__ import annotations

import argparse
import ast
import inspect
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from artifact_store.causes import SHORT
from artifact_store.checkpoints import Checkpoint, open_checkpoint
from artifact_store.cli.arguments import (
    add_run,
    begin,
    import_from_here,
    is_checkpoint,
    run_at,
)
from artifact_store.cli.pictures import is_picture, why_picture
from artifact_store.cli.printing import cause_lines, line, near, out, print_json, text
from artifact_store.explain import Explanation
from artifact_store.memoize import Analysis
from artifact_store.offers import analysis_named
from artifact_store.runs import Run

if TYPE_CHECKING:
    from rich.text import Text

_PICTURES = "Of an exported SVG, PNG or HTML: say what it was drawn from, and whether a run still has that."
_USAGE = """%(prog)s RUN ANALYSIS [--epoch N] [--param NAME=VALUE] [--pattern PATTERN] [--json]
       %(prog)s PICTURE [RUN [ANALYSIS ...]] [--pattern PATTERN] [--json]"""


def add_to(parser: argparse.ArgumentParser) -> None:
    """How to ask for it."""
    begin(parser, why, _PICTURES)
    parser.usage = _USAGE
    add_run(parser, "the directory of a run, one of its checkpoints, or a picture")
    name = "module:function, or an offered name; after a picture: a run, and analyses that may be imported"
    parser.add_argument("asked", nargs="*", metavar="ANALYSIS", help=name)
    which = "which checkpoint (default: the first without an artifact, else the last)"
    parser.add_argument("--epoch", type=int, metavar="N", help=which)
    parser.add_argument(
        "--param",
        action="append",
        default=[],
        type=_param,
        metavar="NAME=VALUE",
        help="a parameter that is not at its default",
    )


def _param(assigned: str) -> tuple[str, Any]:
    name, equals, value = assigned.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{assigned!r} is not NAME=VALUE")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


def why(arguments: argparse.Namespace) -> int:
    """Carry it out."""
    if is_picture(arguments.run):
        return why_picture(arguments)
    if len(arguments.asked) != 1:
        arguments.parser.error("name one ANALYSIS")
    import_from_here(arguments.asked)
    analysis, params = analysis_named(arguments.asked[0]), dict(arguments.param)
    try:
        inspect.signature(analysis.__wrapped__).bind(None, **params)
    except TypeError as error:
        arguments.parser.error(f"{analysis.__name__}: {error}")
    explanation = analysis.explain(_input(arguments, analysis, params), **params)
    if arguments.json:
        print_json(explanation.as_dict())
    else:
        _print(explanation)
    return 0


def _input(
    arguments: argparse.Namespace, analysis: Analysis[..., Any], params: dict[str, Any]
) -> Run | Checkpoint:
    if is_checkpoint(arguments.run):
        return open_checkpoint(arguments.run)
    run = run_at(arguments.run, arguments.pattern)
    if analysis.takes_run:
        return run
    if arguments.epoch is not None:
        return run[arguments.epoch]
    without = (one for one in run.values() if analysis.find(one, **params) is None)
    return next(without, run[run.epochs[-1]])


def _print(found: Explanation) -> None:
    verdict = (found.state, "green" if found.hit else "yellow")
    blocks = [text((found.call, "bold"), ": ", verdict, (f"  key {found.key[:SHORT]}", "dim"))]  # fmt: skip
    for cause in found.causes:
        blocks += [text(""), *cause_lines(cause)]
    if found.hit:
        blocks += [text(""), *map(text, found.found)]
        blocks.append(text("It is the answer because none of this has changed:"))
        blocks += (line("  ", near(one)) for one in found.depends_on)
    blocks += _beside("drift", "which is not part of the key", found.drift)
    blocks += _beside("not pure", "when it was computed", found.flags)
    out(*blocks)


def _beside(what: str, when: str, facts: Sequence[str]) -> Iterator[Text]:
    """What there is to say beside the verdict."""
    if facts:
        yield text("")
        yield text((what, "red" if what == "not pure" else "cyan"), f", {when}:")
        yield from (line("  ", near(one)) for one in facts)
