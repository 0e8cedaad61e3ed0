"""Stores with as many entries as one likes, written in seconds, for `bench_scale`.

Their layout and content are the real ones, made by the functions that publish makes them with: manifests under keys of
their own, spread over analyses, labels and params; data, which some entries share; a door for each. They are not made
by calling analyses, which takes a millisecond each.
"""

from __future__ import annotations

import os
from multiprocessing import get_context

import msgspec
import numpy as np

from artifact_store.arrays import digest_arrays, file_stats, normalize, write_group
from artifact_store.digests import digest_of
from artifact_store.keys import Key
from artifact_store.layout import Layout
from artifact_store.manifests import (
    InputRecord,
    Manifest,
    ParamRecord,
    boot_id,
    render_manifest,
    seal_of,
)

ANALYSES = ("activations", "coefficients", "distances", "norms")
LABELS = 1_000
# How many entries share the data of one: equal results are stored once.
SHARING = 20
# Of so many data, one more that no manifest names.
ORPHANS = 100
WRITERS = 2


def fill(root: str, like: Manifest, entries: int) -> None:
    """Add so many entries to the store at `root`, whose manifests are otherwise like this one."""
    with get_context("fork").Pool(WRITERS) as pool:
        firsts = range(0, entries, SHARING)
        shares = [(root, like, firsts[one::WRITERS], entries) for one in range(WRITERS)]
        pool.starmap(_write_share, shares)


def fill_one_of_many(root: str, like: Manifest, numbers: range) -> None:
    """The same for the store of one run among many: the entries of these numbers, in this process."""
    _write_share(root, like, numbers[::SHARING], numbers.stop)


def _write_share(root: str, like: Manifest, firsts: range, stop: int) -> None:
    layout = Layout(root)
    for first in firsts:
        if first % (SHARING * ORPHANS) == 0:
            orphan = _with_data(layout, like, -1 - first)
            os.utime(layout.group(orphan.output), (0, 0))
        data = _with_data(layout, like, first)
        for number in range(first, min(first + SHARING, stop)):
            _write_entry(layout, data, number)


def _with_data(layout: Layout, like: Manifest, number: int) -> Manifest:
    """A manifest of data that belong to this number alone, which are written."""
    arrays = normalize({"value": np.full(1, number, np.float64)})
    output = digest_arrays(arrays).hex
    group = layout.group(output)
    os.makedirs(os.path.dirname(group), exist_ok=True)
    stored = write_group(group, arrays)
    seal = seal_of(file_stats(group, stored), boot_id())
    return msgspec.structs.replace(like, output=output, arrays=stored, seal=seal)


def _write_entry(layout: Layout, data: Manifest, number: int) -> None:
    """A manifest of these data, and its door."""
    key, label, param = key_of(number), _label(number), _param(number)
    record = ParamRecord(f"{param}", digest_of("param", b"%d" % param).hex)
    digest = digest_of("checkpoint", label.encode()).hex
    provenance = msgspec.structs.replace(
        data.provenance,
        params={"threshold": record},
        inputs=(InputRecord("checkpoint", label, digest),),
    )
    manifest = msgspec.structs.replace(
        data, key=key.digest.hex, analysis=key.analysis, provenance=provenance
    )
    # As publish does but for the rename, which would only take time.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    descriptor = _opened(layout.manifest(key), flags)
    os.write(descriptor, render_manifest(manifest))
    os.close(descriptor)
    target = f"../.store/data/{data.output[:2]}/{data.output}"
    door = layout.door(key.analysis, f"{label},threshold={param}")
    os.makedirs(os.path.dirname(door), exist_ok=True)
    os.symlink(target, door)


def _opened(path: str, flags: int) -> int:
    """A new file, in a folder that is there from the second on."""
    try:
        return os.open(path, flags, 0o666)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return os.open(path, flags, 0o666)


def key_of(number: int) -> Key:
    """The key of one of the entries."""
    analysis = ANALYSES[number % len(ANALYSES)]
    return Key(analysis, digest_of("benchmark", b"%d" % number))


def orphans(entries: int) -> int:
    """How many of the data in a store with so many entries no manifest names."""
    return -(-entries // (SHARING * ORPHANS))


def _label(number: int) -> str:
    return f"checkpoint_epoch_{number // len(ANALYSES) % LABELS:05d}"


def _param(number: int) -> int:
    return number // len(ANALYSES) // LABELS
