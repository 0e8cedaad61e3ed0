"""What every store promises, whatever it is made of."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import numpy as np
import pytest

from artifact_store.arrays import Codec, normalize
from artifact_store.artifacts import Artifact
from artifact_store.digests import digest_of
from artifact_store.errors import ResultsDiffer
from artifact_store.files import Signature
from artifact_store.keys import Key
from artifact_store.manifests import InputRecord, ParamRecord, Provenance
from artifact_store.stores.base import Publication, Store


def key(name: str = "one", analysis: str = "mean") -> Key:
    return Key(analysis, digest_of("key", name.encode()))


def provenance(**changes: Any) -> Provenance:
    facts: dict[str, Any] = {
        "function": "module:mean",
        "closure": "c" * 64,
        "params": {"k": ParamRecord("1", "d" * 64)},
        "inputs": (InputRecord("checkpoint", "checkpoint_epoch_00500", "e" * 64),),
        "ignored": {},
        "environment": "",
        "versions": {"numpy": "2.0"},
        "python": "3.11",
        "platform": "linux",
        "host": "here",
        "created": "2025-01-01T00:00:00.000000+00:00",
        "seconds": 0.5,
    }
    return Provenance(**(facts | changes))


def publication(
    arrays: Mapping[str, Any] | None = None,
    *,
    label: str = "door",
    codec: Codec = "raw",
    durable: bool = False,
    details: Mapping[tuple[str, str], Callable[[], Any]] | None = None,
) -> Publication:
    return Publication(
        arrays=normalize(arrays or {"mean": np.arange(6.0).reshape(2, 3)}),
        single=False,
        codec=codec,
        durable=durable,
        label=label,
        provenance=provenance(),
        details=details or {},
    )


class LookingContract:
    """What a store promises whoever looks into it.

    Subclass it, and give it the fixtures `kept`, an empty store, and `store`, which looks into it.
    """

    def test_an_empty_store_has_nothing(self, store: Store) -> None:
        assert store.find(key()) is None
        assert list(store.keys()) == [] and list(store.manifests()) == []
        assert store.detail("closures", "c" * 64) is None

    def test_what_was_published_is_found_bit_for_bit_and_read_only(
        self, store: Store, kept: Store
    ) -> None:
        values = np.array([[np.nan, -0.0], [np.inf, 1e-310]])
        published = kept.publish(key(), publication({"mean": values}))
        found = store.find(key())

        assert found is not None and found.key == published.key == key()
        # Each place seals what it holds in its own way.
        seal = published.manifest.seal
        assert msgspec.structs.replace(found.manifest, seal=seal) == published.manifest
        for entry in (published, found):
            array = Artifact(entry).numpy()["mean"]
            assert array.tobytes() == values.tobytes() and not array.flags.writeable
        assert store.find(key("another")) is None

    def test_how_it_was_made_is_kept_with_it(self, store: Store, kept: Store) -> None:
        kept.publish(key(), publication())
        found = store.find(key())

        assert found is not None and found.manifest.provenance == provenance()
        assert found.manifest.analysis == "mean"
        assert found.manifest.key == key().digest.hex

    def test_keys_and_manifests_are_those_of_one_analysis_or_of_all(
        self, store: Store, kept: Store
    ) -> None:
        ones = {key("one"), key("two"), key("three", analysis="other")}
        for one in ones:
            kept.publish(one, publication())

        assert set(store.keys()) == ones
        assert set(store.keys("mean")) == {key("one"), key("two")}
        assert [one.analysis for one in store.manifests("other")] == ["other"]
        assert {one.key for one in store.manifests()} == {
            one.digest.hex for one in ones
        }
        assert list(store.keys("nothing")) == []

    def test_details_are_kept_by_kind_and_digest(
        self, store: Store, kept: Store
    ) -> None:
        words = [
            {
                "name": "mean",
                "file": "m.py",
                "line": 3,
                "source": "def mean(): ...",
                "digest": "d" * 64,
                "references": [["constant", "K", "e" * 64, "1"]],
            }
        ]
        kept.publish(
            key(), publication(details={("closures", "c" * 64): lambda: words})
        )

        assert store.detail("closures", "c" * 64) == words
        assert store.detail("inputs", "c" * 64) is None
        assert store.detail("closures", "d" * 64) is None

    def test_digests_are_recalled_by_the_whole_signature(
        self, store: Store, kept: Store
    ) -> None:
        signature = (Signature(1, 2, 3, 4), Signature(5, 6, 7, 8))
        digests = {"w": digest_of("tensor", b"w"), "ünï": digest_of("tensor", b"u")}
        kept.publish(key(), publication())
        kept.remember(signature, digests)

        assert store.recall(signature) == digests
        assert store.recall(signature[:1]) is None
        assert store.recall((signature[0], Signature(5, 6, 7, 9))) is None

    def test_a_store_says_where_it_is(self, store: Store) -> None:
        assert store.location and store.location in repr(store)


class StoreContract(LookingContract):
    """Subclass it, and give it the fixture `store`: an empty store."""

    @pytest.fixture
    def kept(self, store: Store) -> Store:
        return store

    def test_who_is_first_has_published_for_all_and_who_differs_is_told(
        self, store: Store
    ) -> None:
        first = store.publish(key(), publication({"mean": np.zeros(2)}))
        again = store.publish(key(), publication({"mean": np.zeros(2)}))
        with pytest.warns(ResultsDiffer, match="with different results"):
            other = store.publish(key(), publication({"mean": np.ones(2)}))

        assert again.manifest.output == other.manifest.output == first.manifest.output
        assert Artifact(other).numpy()["mean"].tolist() == [0.0, 0.0]
        assert list(store.keys()) == [key()]

    def test_what_other_code_made_under_a_key_is_no_rival(self, store: Store) -> None:
        store.publish(key(), publication({"mean": np.zeros(2)}))
        made = msgspec.structs.replace(provenance(), closure="f" * 64)
        ours = publication({"mean": np.ones(2)})
        store.publish(key(), msgspec.structs.replace(ours, provenance=made))
        found = store.find(key())

        assert found is not None
        assert Artifact(found).numpy()["mean"].tolist() == [1.0, 1.0]

    def test_to_replace_puts_an_entry_in_the_place_of_another(
        self, store: Store
    ) -> None:
        store.publish(key(), publication({"mean": np.zeros(2)}))
        store.replace(key(), publication({"mean": np.ones(2)}))
        found = store.find(key())

        assert found is not None
        assert Artifact(found).numpy()["mean"].tolist() == [1.0, 1.0]
        assert list(store.keys()) == [key()]

    @pytest.mark.parametrize("codec", ["raw", "zstd"])
    def test_the_codec_decides_nothing_but_the_space(
        self, store: Store, codec: Codec
    ) -> None:
        values = np.arange(5000.0).reshape(100, 50)
        entry = store.publish(key(), publication({"x": values}, codec=codec))

        assert np.array_equal(Artifact(entry).numpy()["x"], values)
        assert (
            entry.manifest.output
            == store.publish(key("raw"), publication({"x": values})).manifest.output
        )

    def test_a_durable_entry_is_found_like_any_other(self, store: Store) -> None:
        published = store.publish(key(), publication(durable=True))
        found = store.find(key())

        assert found is not None and found.manifest == published.manifest

    def test_what_was_foreseen_is_what_is_found(self, store: Store) -> None:
        store.publish(key(), publication())
        store.foresee([key(), key("another"), key()])

        assert store.find(key()) is not None and store.find(key()) is not None
        assert store.find(key("another")) is None
        store.publish(key("another"), publication())
        assert store.find(key("another")) is not None

    def test_what_was_removed_is_gone_and_the_rest_is_not(self, store: Store) -> None:
        store.publish(key("one"), publication({"x": np.zeros(3)}))
        store.publish(key("two"), publication({"x": np.ones(3)}))

        assert store.remove([key("one")]) > 0
        assert store.find(key("one")) is None
        kept = store.find(key("two"))
        assert kept is not None
        assert Artifact(kept).numpy()["x"].tolist() == [1.0, 1.0, 1.0]

    def test_equal_data_are_there_until_the_last_entry_goes(self, store: Store) -> None:
        first = store.publish(key("one"), publication())
        second = store.publish(key("two", analysis="other"), publication())

        assert first.manifest.output == second.manifest.output
        assert store.remove([key("one")]) == 0
        kept = store.find(key("two", analysis="other"))
        assert kept is not None and Artifact(kept).numpy()["mean"].shape == (2, 3)
        assert store.remove([key("two", analysis="other")]) == first.manifest.nbytes
        assert list(store.keys()) == []

    def test_removing_what_is_not_there_removes_nothing(self, store: Store) -> None:
        store.publish(key(), publication())

        assert store.remove([key("another"), key("third", analysis="other")]) == 0
        assert store.find(key()) is not None

    def test_a_sound_entry_is_never_set_aside(self, store: Store) -> None:
        store.publish(key(), publication())
        store.set_aside(key(), "damaged")

        assert store.find(key()) is not None

    def test_setting_aside_what_is_not_there_does_nothing(self, store: Store) -> None:
        store.set_aside(key(), "damaged")

        assert list(store.keys()) == []

    def test_a_lease_excludes_every_other_holder_of_its_key(self, store: Store) -> None:
        entered, order = threading.Event(), list[str]()

        def second() -> None:
            entered.set()
            with store.lease(key()):
                order.append("second")

        with store.lease(key()):
            thread = threading.Thread(target=second)
            thread.start()
            entered.wait(10)
            with store.lease(key("another")):  # another key is free
                order.append("first")
        thread.join(10)

        assert order == ["first", "second"]

    def test_a_lease_ends_with_an_error_in_its_block(self, store: Store) -> None:
        with pytest.raises(ZeroDivisionError), store.lease(key()):
            raise ZeroDivisionError
        with store.lease(key()):
            pass
