from __future__ import annotations

import os
from unittest import mock

import pytest

from artifact_store.environment import variable


def test_a_variable_is_what_it_was_set_to_last(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "ARTIFACT_STORE_ÜNÏ"
    assert variable(name) is None
    for value in ("one", "zwei ü", "\udcff"):
        monkeypatch.setenv(name, value)
        assert variable(name) == value == os.environ[name]
    monkeypatch.setenv(name, "")
    assert variable(name) is None
    monkeypatch.delenv(name)
    assert variable(name) is None
    with mock.patch.dict(os.environ, {name: "patched"}):
        assert variable(name) == "patched"
    assert variable(name) is None
