"""Sharing: entries of one store brought into another, whatever each is made of; and a store in one file.

    store ──► entries that the other lacks, with what explains and finds them ──► store
    store ──► *bundle*, a tar archive of a store in a directory ──► store

What is there already is left alone, so that whatever was interrupted goes on where it ended. All data are digested
where they arrive on a disk.
"""

from __future__ import annotations

import os
import tarfile
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Final, TypeAlias

import msgspec

from artifact_store.errors import (
    ArtifactStoreError,
    BucketFailed,
    NoBundle,
    NotTwoStores,
)
from artifact_store.keys import Key
from artifact_store.layout import HIDDEN
from artifact_store.manifests import Manifest
from artifact_store.stores.base import Store
from artifact_store.stores.local import LocalStore
from artifact_store.stores.remote import RemoteStore

# As many entries at once; each is some requests.
_AT_ONCE: Final = 8

Advance: TypeAlias = Callable[[int, str], None]


class Shared(msgspec.Struct, frozen=True):
    """What became of entries that were to be in another store.

    Attributes
    ----------
    failures
        The entries that could not be brought there, each with why.
    """

    sent: int
    there: int
    nbytes: int
    failures: tuple[tuple[str, str], ...]


def share(
    source: Store,
    target: Store,
    is_meant: Callable[[Key], bool] = lambda key: True,
    advance: Advance = lambda number, what: None,
) -> Shared:
    """Bring the entries of one store that are meant and that another lacks there.

    Raises
    ------
    NotTwoStores
        Both are one, or one of them is made of stores.
    BucketFailed
        A bucket cannot be reached. What was brought there stays.
    """
    here, there = _plain(source), _plain(target)
    if here.location == there.location:
        raise NotTwoStores(here.location, "is both of them")
    keys = [key for key in here.keys() if is_meant(key)]
    sent, failures = list[Manifest](), list[tuple[str, str]]()
    at_once = _AT_ONCE if here.is_far or there.is_far else 1
    with ThreadPoolExecutor(at_once) as pool:
        begun = {pool.submit(_share_one, here, there, key): key for key in keys}
        try:
            for future in as_completed(begun):
                key = begun[future]
                try:
                    sent += future.result()
                except BucketFailed:
                    raise  # The others would fail likewise, each after as long.
                except (ArtifactStoreError, OSError) as error:
                    failures.append((f"{key.analysis} {key.digest.short}", str(error)))
                advance(1, key.analysis)
        finally:
            pool.shutdown(cancel_futures=True)
    if keys:
        # Also of those that were there: whoever brought them may have been interrupted before these.
        for node, steps in here.noted():
            there.note(node, steps)
    nbytes = sum(one.nbytes for one in sent)
    return Shared(
        len(sent), len(keys) - len(sent) - len(failures), nbytes, tuple(failures)
    )


def _plain(store: Store) -> LocalStore | RemoteStore:
    if not isinstance(store, LocalStore | RemoteStore):
        raise NotTwoStores(store.location, f"is a {type(store).__name__}")
    return store


def _share_one(
    here: LocalStore | RemoteStore, there: LocalStore | RemoteStore, key: Key
) -> list[Manifest]:
    """Bring one entry there, if it is not; its manifest, if it was brought."""
    if there.has(key):
        return []
    entry = here.look(key)
    if entry is None:
        return []  # It was removed meanwhile.
    made = entry.manifest.provenance
    noted = [
        ("closures", made.closure),
        *(("inputs", one.digest) for one in made.inputs),
    ]
    for kind, digest in noted:
        detail = here.detail(kind, digest)
        if detail is not None:
            there.keep(kind, digest, detail)
    there.note_kin(key, made.inputs[0].label if len(made.inputs) == 1 else "")
    # The manifest goes last, as ever.
    return [there.take_in(entry).manifest]


def pack(
    source: Store,
    path: Path,
    is_meant: Callable[[Key], bool] = lambda key: True,
    advance: Advance = lambda number, what: None,
) -> Shared:
    """Write the entries of a store that are meant into one file, in place of one that is there."""
    with tempfile.TemporaryDirectory(prefix=".bundle-", dir=path.parent) as folder:
        store = LocalStore(f"{folder}/store")
        found = share(source, store, is_meant, advance)
        os.makedirs(f"{folder}/store/{HIDDEN}", exist_ok=True)
        with tarfile.open(f"{folder}/bundle", "w") as bundle:
            for part in ("entries", "data", "records"):
                at = f"{HIDDEN}/{part}"
                if os.path.isdir(f"{folder}/store/{at}"):
                    bundle.add(f"{folder}/store/{at}", at, filter=_anonymous)
        os.replace(f"{folder}/bundle", path)
    return found


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """A member that does not tell whose it was."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def unpack(
    path: Path, target: Store, advance: Advance = lambda number, what: None
) -> Shared:
    """Bring the entries in a file that `pack` wrote into a store.

    Raises
    ------
    NoBundle
        It is no such file.
    """
    beside = target.location if os.path.isdir(target.location) else None
    with tempfile.TemporaryDirectory(prefix=".bundle-", dir=beside) as folder:
        try:
            with tarfile.open(path, "r:") as bundle:
                bundle.extractall(folder, members=_ours(path, bundle), filter="data")
        except (tarfile.TarError, EOFError) as error:
            raise NoBundle(str(path), f"is no archive of a store ({error})") from None
        return share(LocalStore(folder), target, advance=advance)


def _ours(path: Path, bundle: tarfile.TarFile) -> Iterable[tarfile.TarInfo]:
    """The members, all of which are files and folders of a store: whoever made it may mean harm."""
    for member in bundle:
        is_inside = member.name.split("/")[0] == HIDDEN and ".." not in member.name
        # A sparse one unfolds to any size.
        is_plain = (member.isfile() and not member.issparse()) or member.isdir()
        if not is_inside or not is_plain:
            raise NoBundle(str(path), f"holds {member.name!r}, which is of no store")
        yield member
