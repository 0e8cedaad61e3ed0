"""`rm`: remove entries, after saying which."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

from artifact_store.cli.arguments import (
    Verbs,
    add_place,
    add_verb,
    goes_by,
    import_from_here,
    run_at,
    split_names,
)
from artifact_store.cli.printing import (
    count,
    near,
    out,
    print_json,
    size,
    table,
)
from artifact_store.equivalence import as_good
from artifact_store.keys import Key
from artifact_store.layout import home_of_run
from artifact_store.lookup import key_of
from artifact_store.offers import analysis_named, offered
from artifact_store.retention import (
    freed_by,
    is_made_of,
    is_stale,
    leftovers,
    remove_leftovers,
)
from artifact_store.runs import Run
from artifact_store.stores.base import Store
from artifact_store.stores.locate import store_at


def add_to(verbs: Verbs) -> None:
    """How to ask for it."""
    does = "remove what is stored, after saying what"
    parser = add_verb(verbs, "rm", does, rm, "Removes nothing without --yes.")
    add_place(parser)
    add = parser.add_argument
    mine = "entries of these analyses"
    add("--analysis", action="extend", type=split_names, metavar="NAME,...", help=mine)
    add("--all", action="store_true", help="if no analysis is named: of every analysis")
    add("--epoch", type=int, metavar="N", help="only of this checkpoint of RUN")
    stale = (
        "only what is of other code than today's, or of a checkpoint that was replaced"
    )
    add("--stale", action="store_true", help=stale)
    nothing = "what is left over: data that no entry names, and what was set aside"
    add("--leftovers", action="store_true", help=nothing)
    add("--yes", action="store_true", help="do remove them")


def rm(arguments: argparse.Namespace) -> int:
    """Carry it out."""
    if arguments.leftovers:
        return _rm_leftovers(arguments)
    if not arguments.analysis and not arguments.all:
        arguments.parser.error("name an --analysis, or say --all or --leftovers")
    store = store_at(arguments.run)
    keys = _selected(arguments, store)
    gained = store.remove(keys) if arguments.yes else freed_by(store, keys)
    if arguments.json:
        names = [str(key) for key in keys]
        print_json({"removed": arguments.yes, "keys": names, "nbytes": gained})
        return 0

    rows = table("", ">", indent=2)
    for analysis, number in Counter(key.analysis for key in keys).items():
        rows.add_row("  " + analysis, count(number, "entry"))
    done = "Removed" if arguments.yes else "Would remove"
    what = f"{count(len(keys), 'entry')} of {near(store.location)}"
    out(
        f"{done} {what}; {size(gained)} {'freed' if arguments.yes else 'to gain'}.",
        rows,
    )
    if keys and not arguments.yes:
        out("Nothing was removed. The same with --yes does it.")
    return 0


def _rm_leftovers(arguments: argparse.Namespace) -> int:
    narrowed = arguments.analysis or arguments.all or arguments.stale
    if narrowed or arguments.epoch is not None:
        arguments.parser.error("--leftovers are of no analysis or epoch: name neither")
    store = store_at(arguments.run)
    found = leftovers(store)
    gained = sum(one.nbytes for one in found)
    if arguments.yes:
        gained = remove_leftovers(store, found)
    if arguments.json:
        paths = [one.path for one in found]
        print_json({"removed": arguments.yes, "paths": paths, "nbytes": gained})
        return 0

    rows = table("", ">", indent=2)
    for kind, number in Counter(one.kind for one in found).items():
        rows.add_row("  " + kind, str(number))
    done = "Removed" if arguments.yes else "Would remove"
    what = f"{count(len(found), 'leftover')} of {near(store.location)}"
    out(
        f"{done} {what}; {size(gained)} {'freed' if arguments.yes else 'to gain'}.",
        rows,
    )
    if found and not arguments.yes:
        out("Nothing was removed. The same with --yes does it.")
    return 0


def _selected(arguments: argparse.Namespace, store: Store) -> list[Key]:
    names = arguments.analysis
    known = {key_of(one): one for one in store.manifests()}
    found = {key: one for key, one in known.items() if goes_by(one, names)}
    if arguments.epoch is not None:
        run = run_at(arguments.run)
        checkpoint = run[arguments.epoch]
        same = {checkpoint.identify(store).hex}
        same |= {checkpoint.label} if _is_of(store, run) else set()
        found = {key: one for key, one in found.items() if is_made_of(one, same)}
    if arguments.stale:
        now, contents = _today(arguments, store)
        found = {
            key: one
            for key, one in found.items()
            if one.analysis in now and is_stale(one, *now[one.analysis], contents)
        }
    elif arguments.epoch is None:
        # Of those that cannot be read, no more is known than the analysis.
        wanted = {
            key for key in store.keys() if key.analysis in (names or [key.analysis])
        }
        return [*found, *sorted(wanted - known.keys(), key=str)]
    return list(found)


def _today(
    arguments: argparse.Namespace, store: Store
) -> tuple[dict[str, tuple[set[str], str]], dict[str, str]]:
    """Code and declaration of each analysis, and the content of each checkpoint, as they are now."""
    import_from_here()
    names, run = arguments.analysis, run_at(arguments.run)
    analyses = [analysis_named(name) for name in names] if names else offered()
    now = {
        one.__name__: (
            as_good(store, one.__name__, one.closure.digest.hex),
            one.declaration.environment,
        )
        for one in analyses
    }
    if not _is_of(store, run):
        return now, {}
    return now, {one.label: one.identify(store).hex for one in run.values()}


def _is_of(store: Store, run: Run) -> bool:
    """Whether a store holds this run alone, so that labels mean its checkpoints."""
    return Path(store.location) == home_of_run(run.path)
