from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from artifact_store.errors import UnknownFormat
from artifact_store.keys import Key
from artifact_store.layout import Layout
from artifact_store.lookup import key_of
from artifact_store.manifests import Manifest, render_manifest
from artifact_store.retention import freed_by, is_stale, weighed_by_analysis
from artifact_store.stores.base import Store


@pytest.fixture
def store(equal_results: Store) -> Store:
    return equal_results


def of(store: Store, analysis: str) -> Manifest:
    return next(store.manifests(analysis))


def test_removing_one_of_two_that_share_data_frees_nothing(store: Store) -> None:
    assert freed_by(store, [key_of(of(store, "same"))]) == 0


def test_what_is_foretold_is_what_is_freed(store: Store) -> None:
    keys = list(store.keys())

    assert freed_by(store, keys) == of(store, "same").nbytes
    assert freed_by(store, keys) == store.remove(keys)


def test_what_may_name_any_data_is_no_reason_to_foretell_that_some_are_freed(
    store: Store,
) -> None:
    same, copied = (key_of(of(store, name)) for name in ("same", "copied"))
    manifest = msgspec.structs.replace(of(store, "copied"), format=99)
    path = Path(Layout(store.location).manifest(copied))
    path.write_bytes(render_manifest(manifest))

    with pytest.raises(UnknownFormat):
        freed_by(store, [same])
    assert freed_by(store, [same, copied]) == of(store, "same").nbytes


def test_entries_are_weighed_by_analysis(store: Store) -> None:
    keys = [*store.keys(), Key("gone", key_of(of(store, "same")).digest)]
    sums = weighed_by_analysis(store, keys)
    nbytes = of(store, "same").nbytes

    assert list(sums) == ["copied", "gone", "same"]
    assert [one.entries for one in sums.values()] == [1, 1, 1]
    assert [one.nbytes for one in sums.values()] == [nbytes, 0, nbytes]
    assert sums["same"].used > sums["gone"].used == 0
    assert weighed_by_analysis(store, keys[:1]).keys() == {keys[0].analysis}


def test_an_entry_of_todays_code_and_content_is_not_stale(store: Store) -> None:
    then = of(store, "same").provenance
    contents = {"checkpoint_epoch_00500": then.inputs[0].digest, "another": "f" * 64}

    assert not is_stale(of(store, "same"), {then.closure}, then.environment, contents)
    assert not is_stale(of(store, "same"), {then.closure}, then.environment, {})


def test_other_code_declaration_or_content_makes_it_stale(store: Store) -> None:
    then = of(store, "same").provenance
    replaced = {"checkpoint_epoch_00500": "f" * 64}

    assert is_stale(of(store, "same"), {"f" * 64}, then.environment, {})
    assert is_stale(of(store, "same"), {then.closure}, "dims={'w': ('a',)}", {})
    assert is_stale(of(store, "same"), {then.closure}, then.environment, replaced)


def test_only_the_first_input_is_looked_for_by_its_label(store: Store) -> None:
    manifest = of(store, "same")
    then = manifest.provenance
    (first,) = then.inputs
    another = msgspec.structs.replace(first, name="other", digest="a" * 64)
    both = msgspec.structs.replace(then, inputs=(first, another))
    of_two_runs = msgspec.structs.replace(manifest, provenance=both)
    contents = {first.label: first.digest}

    assert not is_stale(of_two_runs, {then.closure}, then.environment, contents)
