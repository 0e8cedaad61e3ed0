from __future__ import annotations

import itertools

import pytest
from contract import StoreContract

from artifact_store.stores.opening import store_opened
from artifact_store.stores.remote import RemoteStore

_numbers = itertools.count()


class TestMemory(StoreContract):
    @pytest.fixture
    def store(self) -> RemoteStore:
        store = store_opened(f"memory://{next(_numbers)}")
        assert isinstance(store, RemoteStore)
        return store
