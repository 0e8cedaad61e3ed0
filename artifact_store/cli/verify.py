"""`verify`: whether everything stored is what was published."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from artifact_store import verify as checks
from artifact_store.cli.arguments import add_place, begin
from artifact_store.cli.printing import count, line, near, out, print_json, text
from artifact_store.layout import Layout
from artifact_store.listing import listed_keys, number_of_entries
from artifact_store.progress import bar
from artifact_store.stores.locate import store_at


def add_to(parser: argparse.ArgumentParser) -> None:
    """How to ask for it."""
    more = "Exit status 1 if something is not what was published."
    begin(parser, verify, more)
    add_place(parser)


def verify(arguments: argparse.Namespace) -> int:
    """Carry it out."""
    store = store_at(arguments.run)
    layout, findings, checked = Layout(store.location), list[checks.Check](), 0
    with bar("verify", number_of_entries(layout), "entry") as advance:
        for check in checks.verify(store, listed_keys(layout)):
            findings += [check] if check.problem else []
            checked += 1
            advance(1, f"{len(findings)} wrong")
    if arguments.json:
        wrong = [asdict(check) for check in findings]
        print_json({"store": store.location, "checked": checked, "findings": wrong})
    else:
        _print(findings, checked)
    return 1 if findings else 0


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
