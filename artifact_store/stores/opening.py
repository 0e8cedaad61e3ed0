"""Opening a store by its name: a path, or a URL."""

from __future__ import annotations

from artifact_store.stores.base import Store
from artifact_store.stores.local import open_store
from artifact_store.urls import is_url


def store_opened(name: str) -> Store:
    """The store in the directory or bucket of this name; one object per process."""
    if not is_url(name):
        return open_store(name)
    from artifact_store.stores.remote import open_remote  # for those who need it

    return open_remote(name)
