"""What verbs have in common that bring entries from one store to another."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from artifact_store.cli.arguments import split_names
from artifact_store.cli.printing import near, out, print_json, text
from artifact_store.errors import MissingStore, NoSuchAnalysis
from artifact_store.keys import Key
from artifact_store.modes import refuse_changes
from artifact_store.progress import bar
from artifact_store.quantities import count, size
from artifact_store.sharing import Shared, share
from artifact_store.stores.base import Store
from artifact_store.stores.locate import home_meant
from artifact_store.stores.opening import absolute, store_opened
from artifact_store.stores.places import SHARED_VARIABLE, said
from artifact_store.stores.tiered import READ_ONLY
from artifact_store.urls import UrlPath


def add_shared(parser: argparse.ArgumentParser, which: str) -> None:
    """`[SHARED]`, and which entries are meant."""
    does = f"{which}: a URL such as s3://bucket/prefix, or a directory (default: {SHARED_VARIABLE})"
    parser.add_argument("shared", nargs="?", metavar="SHARED", help=does)
    add_named(parser)


def add_named(parser: argparse.ArgumentParser) -> None:
    """`--analysis`, of what is stored."""
    does = "of these alone (default: of all)"
    parser.add_argument(
        "--analysis", action="extend", type=split_names, metavar="NAME,...", help=does
    )


def shared_store(arguments: argparse.Namespace) -> Store:
    """The store that is shared, as it was named or is set."""
    name: str | None = arguments.shared or said().shared
    if name is None:
        arguments.parser.error(f"name the SHARED store, or set {SHARED_VARIABLE}")
    return store_opened(absolute(str(name).removeprefix(READ_ONLY)))


def store_here(arguments: argparse.Namespace) -> Store:
    """The store at a place, which need not be there yet."""
    home = home_meant(arguments.run)
    if home is None:
        raise MissingStore(arguments.run.absolute(), "is not there")
    return home


def store_to_fill(arguments: argparse.Namespace) -> Store:
    """The same, at a place that is made if need be."""
    if not isinstance(arguments.run, UrlPath):
        arguments.run.mkdir(parents=True, exist_ok=True)
    return store_here(arguments)


def is_meant_by(arguments: argparse.Namespace, source: Store) -> Callable[[Key], bool]:
    """Whether a key is of one of the analyses that were named, of each of which there are some."""
    if arguments.analysis is None:
        return lambda key: True
    names = frozenset(arguments.analysis)
    known = {key.analysis for key in source.keys()}
    for name in names - known:
        raise NoSuchAnalysis(name, source.location, tuple(sorted(known)))
    return lambda key: key.analysis in names


def carry_out(arguments: argparse.Namespace, source: Store, target: Store) -> int:
    """Bring entries from one store to another, and say what became of them."""
    refuse_changes(target.location)
    with bar("bringing", None, "entry") as advance:
        found = share(source, target, is_meant_by(arguments, source), advance)
    return tell(arguments, found, source.location, target.location)


def tell(arguments: argparse.Namespace, found: Shared, source: str, target: str) -> int:
    """Say what was brought; the exit status."""
    if arguments.json:
        facts = {
            "from": source,
            "to": target,
            "sent": found.sent,
            "bytes": found.nbytes,
        }
        print_json(facts | {"there": found.there, "failures": list(found.failures)})
        return int(bool(found.failures))
    there = f"; {count(found.there, 'entry')} there already" if found.there else ""
    what = f"{count(found.sent, 'entry')} of {size(found.nbytes)}"
    out(f"{what} from {near(source)} to {near(target)}{there}.")
    for key, why in found.failures:
        out(text((f"{key} could not be brought there: {near(why)}", "red")))
    return int(bool(found.failures))
