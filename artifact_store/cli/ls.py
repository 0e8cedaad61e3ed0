"""`ls`: the entries of a store."""

from __future__ import annotations

import argparse

from artifact_store.cli.arguments import (
    Verbs,
    add_place,
    add_verb,
    goes_by,
    split_names,
)
from artifact_store.cli.printing import (
    age,
    as_dict,
    labels,
    out,
    print_json,
    shape,
    size,
    table,
    text,
)
from artifact_store.manifests import Manifest
from artifact_store.stores.locate import store_at


def add_to(verbs: Verbs) -> None:
    """How to ask for it."""
    parser = add_verb(verbs, "ls", "list what is stored", ls)
    add_place(parser)
    add = parser.add_argument
    mine = "only of these analyses"
    add("--analysis", action="extend", type=split_names, metavar="NAME,...", help=mine)
    add("--label", metavar="WORDS", help="only of inputs whose label contains this")


def ls(arguments: argparse.Namespace) -> int:
    """Carry it out."""
    found = [
        manifest
        for manifest in store_at(arguments.run).manifests()
        if goes_by(manifest, arguments.analysis)
        and (arguments.label or "") in labels(manifest)
    ]
    if arguments.json:
        print_json([as_dict(manifest) for manifest in found])
        return 0

    kinds: dict[tuple[str, str], list[Manifest]] = {}
    for manifest in found:
        kinds.setdefault((_call(manifest), _arrays(manifest)), []).append(manifest)
    for number, ((call, arrays), manifests) in enumerate(kinds.items()):
        manifests.sort(key=lambda one: (labels(one), one.provenance.created))
        rows = table("", ">", ">", "")
        for one in manifests:
            name = text(("  " + one.analysis + "@", "dim"), labels(one))
            made = age(one.provenance.created)
            rows.add_row(name, size(one.nbytes), made, text((one.key[:8], "cyan")))
        title = text((call, "bold"), "  ", arrays)
        out(*[""] * (number > 0), title, rows)
    if not found:
        out("Nothing stored goes by that.")
    return 0


def _call(manifest: Manifest) -> str:
    params = manifest.provenance.params.items()
    given = ", ".join(f"{name}={record.shown}" for name, record in params)
    return f"{manifest.analysis}({given})" if given else manifest.analysis


def _arrays(manifest: Manifest) -> str:
    named = ((one.name, *shape(one)) for one in manifest.arrays)
    return ", ".join(f"{name} {dtype} {sides}" for name, sides, dtype in named)
