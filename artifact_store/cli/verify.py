"""`verify`: whether everything stored is what was published, and whether it comes out again."""

from __future__ import annotations

import argparse
import os
import re
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import asdict
from typing import Any, Final

from artifact_store import reruns
from artifact_store import verify as checks
from artifact_store.cli.arguments import (
    add_epochs,
    add_place,
    begin,
    epochs_as_asked,
    epochs_in,
    goes_by,
    import_from_here,
    run_at,
    split_names,
)
from artifact_store.cli.printing import (
    command,
    line,
    near,
    out,
    print_json,
    table,
    text,
)
from artifact_store.cli.selection import check_names, folders_of, is_function
from artifact_store.keys import Key
from artifact_store.layout import Layout
from artifact_store.listing import Brief, briefs, listed_keys, number_of_entries
from artifact_store.offers import offered_functions
from artifact_store.progress import bar
from artifact_store.quantities import count
from artifact_store.runs import DEFAULT_PATTERN
from artifact_store.stores.base import Store
from artifact_store.stores.locate import store_at
from artifact_store.workers import cores

_STATES: Final = {
    "same": "green",
    "differs": "red",
    "fails": "red",
    "corrupt": "red",
    "skipped": "yellow",
}


def add_to(parser: argparse.ArgumentParser) -> None:
    """How to ask for it."""
    more = "Exit status 1 if something is not what was published."
    begin(parser, verify, more)
    add_place(parser)
    add = parser.add_argument
    mine = "only of these analyses"
    add("--analysis", action="extend", type=split_names, metavar="NAME,...", help=mine)
    add_epochs(parser)
    again = "compute some entries again in fresh processes, and compare: 5%%, a number, or all"
    add("--recompute", type=_sample, metavar="SAMPLE", help=again)
    with_it = parser.add_argument_group("with --recompute")
    add = with_it.add_argument
    add("--seed", type=int, metavar="N", help="choose the same sample as then")
    add("--jobs", type=int, metavar="N", help="processes (default: one on each core)")
    where = "where the checkpoints of the run are (default: %(default)s)"
    add("--pattern", default=DEFAULT_PATTERN, metavar="PATTERN", help=where)


def _sample(text: str) -> str:
    number = text.removesuffix("%")
    if text == "all" or (re.fullmatch(r"\d+(\.\d+)?", number) and float(number)):
        if number != text or "." not in number:
            return text
    raise argparse.ArgumentTypeError(f"{text!r} is no sample such as 5%, 20 or all")


def verify(arguments: argparse.Namespace) -> int:
    """Carry it out."""
    store = store_at(arguments.run)
    if arguments.recompute:
        return _recompute(arguments, store)
    if arguments.seed is not None or arguments.jobs is not None:
        arguments.parser.error("--seed and --jobs go with --recompute")
    keys, number = _asked_for(arguments, store)
    findings, checked = list[checks.Check](), 0
    with bar("verify", number, "entry") as advance:
        for check in checks.verify(store, keys):
            findings += [check] if check.problem else []
            checked += 1
            advance(1, f"{len(findings)} wrong")
    if arguments.json:
        wrong = [_as_dict(check) for check in findings]
        print_json({"store": store.location, "checked": checked, "findings": wrong})
    else:
        _print(findings, checked)
    return 1 if findings else 0


def _asked_for(
    arguments: argparse.Namespace, store: Store
) -> tuple[Iterator[Key], int]:
    """The keys to look at, and how many they are."""
    layout, names = Layout(store.location), arguments.analysis
    if names is None and arguments.epochs is None:
        return listed_keys(layout), number_of_entries(layout)
    labels = None
    if arguments.epochs is not None:
        run = run_at(arguments.run, arguments.pattern)
        labels = {run[one].label for one in epochs_in(run, arguments.epochs) or ()}
    check_names(names or [], store)
    folders = folders_of(names)
    found = [key for one in folders for key in _narrowed(layout, one, names, labels)]
    return iter(found), len(found)


def _narrowed(
    layout: Layout,
    folder: str | None,
    names: list[str] | None,
    labels: Collection[str] | None,
) -> Iterator[Key]:
    """Keys without those of entries that go by other names; what cannot be read may be one that is asked for."""

    def is_other(brief: Brief) -> bool:
        made_of = {one.label for one in brief.provenance.inputs}
        at_others = labels is not None and made_of.isdisjoint(labels)
        return at_others or not goes_by(brief, names)

    others = {one.address for one in briefs(layout, folder) if is_other(one)}
    return (key for key in listed_keys(layout, folder) if key not in others)


def _recompute(arguments: argparse.Namespace, store: Store) -> int:
    """Compute a sample again."""
    names = arguments.analysis or []
    import_from_here(names)
    trusted = {*filter(is_function, names), *offered_functions()}
    run = run_at(arguments.run, arguments.pattern)
    seed = int.from_bytes(os.urandom(2)) if arguments.seed is None else arguments.seed
    keys = reruns.sampled(_asked_for(arguments, store)[0], arguments.recompute, seed)
    done, wrong = list[reruns.Rerun](), 0
    with bar("recompute", len(keys), "entry") as advance:
        for one in reruns.rerun(store, run, keys, trusted, arguments.jobs or cores()):
            done.append(one)
            wrong += one.state in reruns.FINDINGS
            advance(1, f"{wrong} wrong")
    done.sort(key=lambda one: str(one.key))
    if arguments.json:
        rows = [_as_dict(one) for one in done]
        print_json({"store": store.location, "seed": seed, "reruns": rows})
    else:
        _print_reruns(done, wrong)
        _print_how_to_repeat(arguments, seed)
    return 1 if wrong else 0


def _as_dict(one: checks.Check | reruns.Rerun) -> dict[str, Any]:
    plain = asdict(one)
    del plain["key"]
    return {"analysis": one.key.analysis, "key": one.key.digest.hex, **plain}


def _print_reruns(done: list[reruns.Rerun], wrong: int) -> None:
    if not done:
        out("Nothing stored goes by that.")
        return
    counts = table("analysis", *(f">{state}" for state in _STATES))
    for name in dict.fromkeys(one.key.analysis for one in done):
        states = Counter(one.state for one in done if one.key.analysis == name)
        numbers = [(states[state], style) for state, style in _STATES.items()]  # type: ignore[index]
        counts.add_row(
            name, *(text((f"{n:,}", s) if n else ("-", "dim")) for n, s in numbers)
        )
    out(counts, "")
    for one in done:
        if one.state in reruns.FINDINGS:
            _print_finding(one)
    skipped = Counter(one.why for one in done if one.state == "skipped")
    for why, number in skipped.most_common():
        out(text(f"{number:,} skipped: ", near(why)))
    again = count(len(done) - skipped.total(), "entry")
    if len(done) == skipped.total():
        out(text(("Nothing could be computed again.", "yellow")))
    elif wrong:
        out(text((f"{wrong:,} of {again} not what was stored.", "red")))
    else:
        out(text((f"{again} computed again, bit by bit the same.", "green")))


def _print_finding(one: reruns.Rerun) -> None:
    name = "@".join([one.key.analysis, *one.labels])
    out(text((name, "bold"), (f"  {one.key.digest.hex[:8]}", "cyan")))
    for difference in one.differences:
        out(text("  ", (f"{difference.array} {difference.what}", "red")))
    if one.why:
        out(text("  ", (near(one.why), "red")))
    for hint in one.hints:
        out(text("  ", (near(hint), "yellow")))
    out("")


def _print_how_to_repeat(arguments: argparse.Namespace, seed: int) -> None:
    if arguments.recompute != "all":
        asked = ["verify", arguments.run]
        if arguments.analysis is not None:
            asked += ["--analysis", ",".join(arguments.analysis)]
        if arguments.epochs is not None:
            asked += ["--epochs", epochs_as_asked(arguments.epochs)]
        if arguments.pattern != DEFAULT_PATTERN:
            asked += ["--pattern", arguments.pattern]
        asked += ["--recompute", arguments.recompute, "--seed", str(seed)]
        out(command("the same entries again", *asked))


def _print(findings: list[checks.Check], checked: int) -> None:
    if not checked:
        out("Nothing stored goes by that.")
        return
    if not findings:
        right = f"{count(checked, 'entry')} checked; everything is what was published."
        out(text((right, "green")))
        return
    for check in findings:
        name = "@".join([check.key.analysis, *check.labels])
        out(text((name, "bold"), (f"  {check.key.digest.hex[:8]}", "cyan")))
        out(text("  ", (check.problem, "red")), line("  ", (near(check.path), "dim")))
    wrong = f"{len(findings)} of {count(checked, 'entry')} not what was published."
    out("", text((wrong, "red")), "Calls never use these; `run` computes them again.")
