"""A store in a directory.

    find:     key → manifest → stat of the data files → Entry
    publish:  stage → data → manifest → door

Data and manifests are immutable and appear by rename, so every reader sees a
whole entry or none, whoever else is reading, writing or dying.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import (
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import AbstractContextManager
from functools import lru_cache, partial
from itertools import islice
from typing import Any, TypeAlias

import msgspec

from artifact_store.arrays import (
    ArraySet,
    FileStat,
    StoredArray,
    describe_group,
    digest_arrays,
    digest_group,
    file_stats,
    sync_group,
    write_group,
)
from artifact_store.checked import is_signed
from artifact_store.descriptors import refuse_links, sync
from artifact_store.digests import Digest
from artifact_store.errors import ArtifactStoreError, CorruptArtifact
from artifact_store.files import Signatures
from artifact_store.groups import FolderGroup, files_of
from artifact_store.keys import Key
from artifact_store.layout import HIDDEN, Layout
from artifact_store.leases import leased, place_of
from artifact_store.listing import listed_keys, manifest_at
from artifact_store.manifests import (
    DURABLE,
    Manifest,
    boot_id,
    is_sealed,
    parse_manifest,
    render_manifest,
    seal_of,
)
from artifact_store.reads import Step
from artifact_store.signing import signing_key
from artifact_store.staging import (
    Stage,
    leads,
    staged,
    sweep,
    sync_upward,
    touched,
)
from artifact_store.stores.base import Entry, Publication
from artifact_store.stores.quarantine import set_aside
from artifact_store.stores.records import Records, look, read
from artifact_store.stores.removal import remove
from artifact_store.stores.seen import SeenEntries
from artifact_store.stores.winners import compare, is_same_call
from artifact_store.workers import worker

_GITIGNORE = (
    b"# Artifacts can be computed again; see .store for how they were made.\n*\n"
)


@lru_cache(maxsize=256)
def open_store(root: str) -> LocalStore:
    """The store in the directory `root`; one object per process, so that it checks data once."""
    return LocalStore(root)


# How often a publication begins anew whose data somebody took for superfluous meanwhile, which is rare.
_ATTEMPTS = 10

# How long data are waited for that somebody is putting back: nobody needs more than microseconds, unless he is made
# to wait himself, as on a machine with more to do than cores.
_BACK_SECONDS = (0.001, 0.004, 0.02, 0.1)

# How many of the newest entries a miss is compared with.
_KIN = 20

# From here on, arrays are written while they are digested: both take longer than starting a thread.
_LARGE = 4 << 20

# Gives the entry that is to stay in place of a manifest of ours, if there is one.
Winner: TypeAlias = Callable[[Key, Manifest], Entry | None]

Write: TypeAlias = Callable[[], tuple[StoredArray, ...]]


def _digested(arrays: ArraySet, write: Write) -> tuple[str, Write]:
    """The output digest of arrays, and how to write them: large ones have been written by then."""
    if sum(one.values.nbytes for one in arrays.arrays) < _LARGE:
        return digest_arrays(arrays).hex, write
    with worker() as work:
        written = work(write)
        output = digest_arrays(arrays).hex
    return output, written


def _is_missing(error: CorruptArtifact | OSError) -> bool:
    """Whether data that were there a moment ago are not any more, so that somebody took them."""
    gone = (errno.ENOENT, errno.ESTALE, errno.ENOTEMPTY, errno.EEXIST)
    return isinstance(error, CorruptArtifact) or error.errno in gone


def _is_stale(error: CorruptArtifact) -> bool:
    """Whether a server says that a file is not any more what it was opened as, which says nothing of the data."""
    cause = error.__cause__
    return isinstance(cause, OSError) and cause.errno == errno.ESTALE


def _is_right(output: str, directory: str) -> bool:
    """Whether a group is what it is named for."""
    try:
        return digest_group(directory, describe_group(directory)).hex == output
    except (ArtifactStoreError, OSError):
        return False


class LocalStore:
    """A store in a directory of a local or shared file system."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self._layout = Layout(os.path.abspath(root))
        self._records = Records(self._layout)
        # What this process found right although its seal is broken or of another boot, by output digest.
        self._verified: dict[str, Mapping[str, FileStat]] = {}
        self._seen = SeenEntries()
        self._is_swept = False
        self._is_new = False
        self._is_rooted = False

    @property
    def location(self) -> str:
        return self._layout.root

    @property
    def is_far(self) -> bool:
        return False

    def __repr__(self) -> str:
        return f"LocalStore({self._layout.root!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return open_store, (self.location,)

    def find(self, key: Key) -> Entry | None:
        return self._seen.find(key) or self._sealed(key)

    def look(self, key: Key) -> Entry | None:
        return self._seen.find(key) or self._read(key)

    def _sealed(self, key: Key) -> Entry | None:
        """The entry under a key; what had to be read to be known as right is noted, for the processes to come."""
        entry = self._read(key)
        if entry is not None and not is_sealed(
            entry.manifest.seal, files_of(entry.group)
        ):
            self._seal(entry)
        return entry

    def _read(self, key: Key, waits: Sequence[float] = _BACK_SECONDS) -> Entry | None:
        found = self._manifest(key)
        if found is None:
            return None
        manifest, status = found
        directory = self._layout.group(manifest.output)
        self._refuse_links(directory)
        files = None
        try:
            files = self._stats(manifest, directory)
            self._verify(manifest, directory, files)
        except CorruptArtifact as error:
            is_there = files is not None and os.path.lexists(directory)
            if not waits or (is_there and not _is_stale(error)):
                raise
            # They were evicted since the manifest was read; or somebody who took them for superfluous puts them back,
            # as he sees that they were named meanwhile (`take`); or another host has done so since they were opened.
            time.sleep(waits[0])
            return self._read(key, waits[1:])
        entry = Entry(key, manifest, FolderGroup(directory, files))
        self._seen.note(entry, self._layout.manifest(key), status)
        return entry

    def _manifest(self, key: Key) -> tuple[Manifest, os.stat_result] | None:
        """What is under a key, and the stat of the very file that says so."""
        path = self._layout.manifest(key)
        self._refuse_links(path)
        try:
            found = look(path)
        except OSError as error:
            raise CorruptArtifact(path, f"cannot be read ({error.strerror})") from error
        if found is None:
            return None
        content, status = found
        manifest = parse_manifest(content, path)
        if (manifest.analysis, manifest.key) != (key.analysis, key.digest.hex):
            raise CorruptArtifact(
                path,
                f"is the manifest of another key, {manifest.analysis}:{manifest.key}",
            )
        return manifest, status

    def _refuse_links(self, path: str) -> None:
        """Go no further if a folder of ours that leads to `path` is a link."""
        refuse_links(path.rpartition("/")[0], self._layout.root)

    def _stats(self, manifest: Manifest, directory: str) -> Mapping[str, FileStat]:
        """The stat of the data files, which are there."""
        try:
            return file_stats(directory, manifest.arrays)
        except OSError as error:
            raise CorruptArtifact(
                directory, f"cannot be read ({error.strerror})"
            ) from error

    def _verify(
        self, manifest: Manifest, directory: str, files: Mapping[str, FileStat]
    ) -> None:
        """Raise `CorruptArtifact` unless the data files with these stats are as they were published."""
        if is_sealed(manifest.seal, files):
            return
        if self._verified.get(manifest.output) != files:
            try:
                found = digest_group(directory, manifest.arrays).hex
            except OSError as error:
                problem = f"cannot be read ({error.strerror})"
                raise CorruptArtifact(directory, problem) from error
            if found != manifest.output:
                raise CorruptArtifact(
                    directory, "holds other data than were published under its name"
                )
            self._verified[manifest.output] = files

    def _seal(self, entry: Entry) -> None:
        """Note the stat under which data were found right. Where we may not write, each process checks once."""
        path, files = self._layout.manifest(entry.key), files_of(entry.group)
        seal = seal_of(files, boot_id(), entry.manifest.seal)
        sealed = msgspec.structs.replace(entry.manifest, seal=seal)
        with contextlib.suppress(OSError), staged(self._layout.staging) as stage:
            # While the data were read, the entry may have been removed or replaced. What happens to it between these
            # two lines is still undone: microseconds, and what is undone is whole.
            if manifest_at(
                self._layout, entry.key
            ) == entry.manifest and not self._would_unsign(path):
                # A hit is no publication: by the time of its manifest an entry is older or newer than another.
                stage.supersede(render_manifest(sealed), path)
                touched(entry.directory)

    def _would_unsign(self, path: str) -> bool:
        """Whether a record at `path` is signed, and this process has no key to sign another one with."""
        return signing_key() is None and is_signed(read(path) or b"")

    def lease(self, key: Key) -> AbstractContextManager[None]:
        # A key that is none would be found out when there is something to sign: after hours of work.
        signing_key()
        self._note_whether_new()
        self._refuse_links(self._layout.lock)
        return leased(self._layout.lock, place_of(key.digest.hex))

    def _note_whether_new(self) -> None:
        # Before anything of ours is made: a directory that was there before may not be ours alone.
        self._is_new = self._is_new or not os.path.lexists(self._layout.root)

    def foresee(self, keys: Sequence[Key]) -> None:
        pass  # To look one up takes no longer than to look up many.

    def publish(self, key: Key, publication: Publication) -> Entry:
        return self._lastingly(key, publication, self._winner)

    def replace(self, key: Key, publication: Publication) -> Entry:
        return self._lastingly(key, publication, lambda key, ours: None)

    def _lastingly(self, key: Key, publication: Publication, winner: Winner) -> Entry:
        for _ in range(_ATTEMPTS):
            try:
                entry = self._published(key, publication, winner)
            except (CorruptArtifact, OSError) as error:
                if not _is_missing(error):
                    raise
                continue
            # Whoever removes data had to list manifests before ours was there. He takes what was not touched since,
            # and looks once more: so they are there, or stay.
            if touched(entry.directory):
                return entry
        return self._published(key, publication, winner)

    def _winner(self, key: Key, ours: Manifest) -> Entry | None:
        """The entry of who was faster: a host whose locks are not seen here, for instance."""
        try:
            there = self._read(key, ())
        except (ArtifactStoreError, OSError):
            return None
        if there is None or not is_same_call(ours, there.manifest):
            return None
        compare(key, ours, there.manifest, self.location)
        return there

    def _published(self, key: Key, publication: Publication, winner: Winner) -> Entry:
        with self._stage() as stage:
            output, directory, stored = self._publish_data(stage, key, publication)
            files = file_stats(directory, stored)
            seal = seal_of(files, DURABLE if publication.durable else boot_id())
            manifest = publication.manifest(key, output, stored, seal)
            for (kind, digest), make in publication.details.items():
                self._records.keep_once(stage, kind, digest, make)
            for node, step in publication.steps.items():
                self._records.keep_step(stage, node, step, key)
            self._records.keep_kin(key, publication.kinship)
            entry = winner(key, manifest)
            if entry is None:
                # The manifest goes last: whoever sees it may rely on every array it names.
                stage.appear(render_manifest(manifest), self._layout.manifest(key))
                entry = Entry(key, manifest, FolderGroup(directory, files))
            if publication.durable:
                sync_upward(self._layout.manifest(key), self.location)
            self._label(stage, entry, publication.label)
        return entry

    @contextlib.contextmanager
    def _stage(self) -> Iterator[Stage]:
        self._note_whether_new()
        if not self._is_swept:
            self._is_swept = True
            sweep(self._layout.staging)
        with staged(self._layout.staging) as stage:
            ignored = f"{self._layout.root}/.gitignore"
            if self._is_new and not os.path.lexists(ignored):
                stage.appear(_GITIGNORE, ignored)
            yield stage

    def _publish_data(
        self, stage: Stage, key: Key, publication: Publication
    ) -> tuple[str, str, tuple[StoredArray, ...]]:
        aside = stage.name()
        write = partial(write_group, aside, publication.arrays, codec=publication.codec)
        output, written = _digested(publication.arrays, write)
        directory, stored = self._placed(stage, aside, key, output, written)
        if publication.durable:
            # Also if somebody else wrote the same data, who need not have waited.
            self._sync_data(stage, directory)
        return output, directory, stored

    def _placed(
        self, stage: Stage, aside: str, key: Key, output: str, written: Write
    ) -> tuple[str, tuple[StoredArray, ...]]:
        """Where data are, and their arrays: those that were there, or else what is `written` aside."""
        directory = self._layout.group(output)
        stored = self._known_data(output, key)
        if stored is None or not touched(directory):
            stored = written()
            try:
                stage.into_place(aside, directory)
            except OSError:
                # Somebody else published the same data meanwhile; a directory is never renamed over another.
                known = self._known_data(output, key)
                if known is None:
                    raise
                stored = known
        return directory, stored

    def has(self, key: Key) -> bool:
        """Whether there is something under a key, readable or not."""
        return os.path.lexists(self._layout.manifest(key))

    def noted(self) -> Iterator[tuple[str, Sequence[Step]]]:
        """The steps after all that any computation has read, by node."""
        return self._records.noted_steps()

    def note(self, node: str, steps: Sequence[Step]) -> None:
        """Add steps of another store to those that are known."""
        with self._stage() as stage:
            self._records.keep_steps(stage, node, steps)

    def note_kin(self, key: Key, kinship: str) -> None:
        """Have an entry be found among its kin."""
        self._records.keep_kin(key, kinship)

    def take_in(self, entry: Entry) -> Entry:
        """An entry of another store as one of this: its data are read over once, and digested.

        Raises
        ------
        CorruptArtifact
            They are not what they are named for.
        """
        made = entry.manifest

        def saved(aside: str) -> tuple[StoredArray, ...]:
            entry.group.save(aside, made.arrays)
            if digest_group(aside, made.arrays).hex != made.output:
                problem = "holds other data than were published under its name"
                raise CorruptArtifact(entry.directory, problem)
            return made.arrays

        with self._stage() as stage:
            aside = stage.name()
            write = partial(saved, aside)
            directory, stored = self._placed(
                stage, aside, entry.key, made.output, write
            )
            files = file_stats(directory, stored)
            seal = seal_of(files, boot_id())
            manifest = msgspec.structs.replace(made, arrays=stored, seal=seal)
            stage.appear(render_manifest(manifest), self._layout.manifest(entry.key))
        return Entry(entry.key, manifest, FolderGroup(directory, files))

    def _sync_data(self, stage: Stage, directory: str) -> None:
        try:
            sync_group(directory)
        except OSError:
            # Of pages that are lost the kernel tells once: whoever waits for them again hears that all is well.
            with contextlib.suppress(OSError):
                os.rename(directory, stage.name())
            raise
        sync_upward(os.path.dirname(directory), self.location)
        if not self._is_rooted:
            # Its own folder may be new, too; once is enough.
            with contextlib.suppress(PermissionError):
                sync(os.path.dirname(self.location))
            self._is_rooted = True

    def _known_data(
        self, output: str, key: Key, cause: str = ""
    ) -> tuple[StoredArray, ...] | None:
        """The arrays of data that are there already, and right; damaged ones are moved away."""
        directory = self._layout.group(output)
        then = self._stat_or_none(directory)
        if then is None:
            return None
        try:
            stored = describe_group(directory)
            if digest_group(directory, stored).hex == output:
                return stored
            problem = f"{directory} holds other data than were published under its name"
        # An OSError says nothing of the data: it goes up, and they stay.
        except CorruptArtifact as error:
            problem = f"{error.path} {error.problem}"
        except ArtifactStoreError as error:
            problem = f"{directory}: {error}"
        # If somebody took them while they were read, what is there now are others, or on their way back. If that was on
        # another host, their old stat may still be what is known here.
        if self._stat_or_none(directory) == then:
            is_right = partial(_is_right, output)
            set_aside(self._layout, directory, key, cause or problem, is_right)
        return None

    def _stat_or_none(self, directory: str) -> FileStat | None:
        try:
            return FileStat.of(os.lstat(directory))
        except FileNotFoundError:
            return None

    def steps(self, node: Digest) -> Sequence[Step]:
        return self._records.steps(node)

    def kin(self, key: Key, kinship: str) -> tuple[Sequence[Manifest], bool]:
        known = self._records.kin(key, kinship)
        found = (
            manifest_at(self._layout, Key(key.analysis, Digest("blake3", one)))
            for one in known
        )
        manifests = list(islice((one for one in found if one is not None), _KIN))
        is_there = any(one.key == key.digest.hex for one in manifests)
        return manifests, key.digest.hex in known and not is_there

    def detail(self, kind: str, digest: str) -> Any:
        return self._records.detail(kind, digest)

    def keep(self, kind: str, digest: str, detail: Any) -> None:
        with self._stage() as stage:
            self._records.keep(stage, kind, digest, detail)

    def recall(self, signature: Signatures) -> Mapping[str, Digest] | None:
        return self._records.recall(signature)

    def remember(self, signature: Signatures, digests: Mapping[str, Digest]) -> None:
        # Looking makes no store where there is none.
        if not os.path.isdir(f"{self._layout.root}/{HIDDEN}"):
            return
        # What a memo would save is computed again where it cannot be kept.
        with contextlib.suppress(OSError), self._stage() as stage:
            self._records.remember(stage, signature, digests)

    def adopt(self, entry: Entry, label: str, kinship: str) -> None:
        # Where we may not write, it is found again each time by what it reads.
        with contextlib.suppress(OSError), self._stage() as stage:
            path = self._layout.manifest(entry.key)
            if self._would_unsign(path) or not touched(entry.directory):
                return
            self._records.keep_kin(entry.key, kinship)
            stage.appear(render_manifest(entry.manifest), path)
            # As in `publish`; this one is not owed to anybody.
            if not touched(entry.directory):
                os.unlink(path)
                return
            self._label(stage, entry, label)

    def label(self, entry: Entry, label: str, kinship: str) -> None:
        door = self._layout.door(entry.key.analysis, label)
        with contextlib.suppress(OSError):
            if not leads(door, self._layout.behind_door(entry.manifest.output)):
                with self._stage() as stage:
                    self._label(stage, entry, label)
                    self._records.keep_kin(entry.key, kinship)

    def _label(self, stage: Stage, entry: Entry, label: str) -> None:
        # A door is a convenience: where links cannot be made, the entry is there all the same.
        with contextlib.suppress(OSError):
            target = self._layout.behind_door(entry.manifest.output)
            stage.point(target, self._layout.door(entry.key.analysis, label))

    def remove(self, keys: Iterable[Key]) -> int:
        return remove(self._layout, self._records, keys)

    def set_aside(self, key: Key, cause: str) -> None:
        # What cannot be read need not be bad, and stays.
        with contextlib.suppress(OSError):
            if not self._is_mended(key, cause):
                set_aside(self._layout, self._layout.manifest(key), key, cause)

    def _is_mended(self, key: Key, cause: str) -> bool:
        """Whether somebody else has published it again or removed it meanwhile; damaged data are moved away."""
        path = self._layout.manifest(key)
        content = read(path)
        if content is None:
            return True  # It was removed meanwhile.
        try:
            manifest = parse_manifest(content, path)
        except ArtifactStoreError:
            return False
        known = self._known_data(manifest.output, key, cause)
        return manifest.key == key.digest.hex and manifest.arrays == known

    def manifests(self, analysis: str | None = None) -> Iterator[Manifest]:
        for key in self.keys(analysis):
            manifest = manifest_at(self._layout, key)
            if manifest is not None:
                yield manifest

    def keys(self, analysis: str | None = None) -> Iterator[Key]:
        """Every key that has a manifest, readable or not, of one analysis or all."""
        return listed_keys(self._layout, analysis)
