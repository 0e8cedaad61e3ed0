"""Opening a store by its name: a path, or a URL."""

from __future__ import annotations

import os

from artifact_store.stores.base import Store
from artifact_store.stores.local import open_store
from artifact_store.urls import as_path, is_url


def store_opened(name: str) -> Store:
    """The store in the directory or bucket of this name; one object per process."""
    # Each hit asks, and of most names the first letter tells.
    if name.startswith("/") or not is_url(name):
        return open_store(name)
    from artifact_store.stores.remote import open_remote  # for those who need it

    return open_remote(name)


def absolute(name: str | os.PathLike[str]) -> str:
    """The one name of a directory that a person names; of a URL, the URL."""
    if is_url(name):
        url = os.fspath(name)
        return url if url.endswith("://") else url.rstrip("/")
    return os.path.abspath(os.path.expanduser(as_path(name)))
