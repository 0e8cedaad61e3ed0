"""`verify`: whether everything stored is what was published, and whether it comes out again."""

from __future__ import annotations

import argparse
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict

import msgspec

from artifact_store import reruns
from artifact_store import verify as checks
from artifact_store.cli.arguments import (
    add_analyses,
    add_place,
    begin,
    import_from_here,
    run_at,
)
from artifact_store.cli.printing import count, line, near, out, print_json, text
from artifact_store.keys import Key
from artifact_store.layout import Layout
from artifact_store.listing import listed_keys, number_of_entries
from artifact_store.progress import bar
from artifact_store.stores.base import Store
from artifact_store.stores.locate import store_at
from artifact_store.workers import cores


def add_to(parser: argparse.ArgumentParser) -> None:
    """How to ask for it."""
    more = "Exit status 1 if something is not what was published."
    begin(parser, verify, more)
    add_place(parser)
    add_analyses(parser)
    add = parser.add_argument
    again = "compute some entries again in fresh processes, and compare: 5%%, a number, or all"
    add("--recompute", type=_sample, metavar="SAMPLE", help=again)
    add("--seed", type=int, metavar="N", help="choose the same sample as then")
    add(
        "--jobs", type=int, default=cores(), metavar="N", help="processes (%(default)s)"
    )


def _sample(text: str) -> str:
    number = text.removesuffix("%")
    if text == "all" or (number.isdecimal() and int(number)):
        return text
    raise argparse.ArgumentTypeError(f"{text!r} is no sample such as 5%, 20 or all")


def verify(arguments: argparse.Namespace) -> int:
    """Carry it out."""
    store = store_at(arguments.run)
    if arguments.recompute:
        return _recompute(arguments, store)
    layout, findings, checked = Layout(store.location), list[checks.Check](), 0
    with bar("verify", number_of_entries(layout), "entry") as advance:
        for check in checks.verify(store, _keys(arguments, store)):
            findings += [check] if check.problem else []
            checked += 1
            advance(1, f"{len(findings)} wrong")
    if arguments.json:
        wrong = [asdict(check) for check in findings]
        print_json({"store": store.location, "checked": checked, "findings": wrong})
    else:
        _print(findings, checked)
    return 1 if findings else 0


def _keys(arguments: argparse.Namespace, store: Store) -> Iterator[Key]:
    layout, names = Layout(store.location), arguments.analysis
    for name in names or [None]:
        yield from listed_keys(layout, name and name.rpartition(":")[2])


def _recompute(arguments: argparse.Namespace, store: Store) -> int:
    """Compute a sample again."""
    import_from_here()
    seed = int.from_bytes(os.urandom(2)) if arguments.seed is None else arguments.seed
    keys = reruns.sampled(_keys(arguments, store), arguments.recompute, seed)
    done = list[reruns.Rerun]()
    with bar("recompute", len(keys), "entry") as advance:
        for one in reruns.rerun(store, run_at(arguments.run), keys, arguments.jobs):
            done.append(one)
            advance(1, one.state)
    done.sort(key=lambda one: (one.state, str(one.key)))
    findings = [one for one in done if one.state in ("differs", "fails")]
    if arguments.json:
        print_json({"seed": seed, "reruns": [msgspec.to_builtins(one) for one in done]})
    else:
        _print_reruns(done, findings, seed)
    return 1 if findings else 0


def _print_reruns(
    done: list[reruns.Rerun], findings: list[reruns.Rerun], seed: int
) -> None:
    for one in findings:
        name = "@".join([one.key.analysis, *one.labels])
        out(text((name, "bold"), (f"  {one.key.digest.hex[:8]}", "cyan")))
        for difference in one.differences:
            out(text("  ", (f"{difference.array} {difference.what}", "red")))
        if one.why:
            out(text("  ", (one.why, "red")))
        for flag in one.flags:
            out(text("  when it was made, it ", (flag, "yellow")))
    skipped = Counter(one.why for one in done if one.state == "skipped")
    same = sum(one.state == "same" for one in done)
    again = len(done) - skipped.total()
    result = f"{count(again, 'entry')} computed again: {same} bit by bit the same"
    wrong = f", {len(findings)} not." if findings else "."
    out(*[""] * bool(findings), text((result + wrong, "red" if findings else "green")))
    for why, number in skipped.most_common():
        out(f"Not computed again: {number}, for {why}.")
    out(text((f"Choose the same sample by --seed {seed}.", "dim")))


def _print(findings: list[checks.Check], checked: int) -> None:
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
