from __future__ import annotations

import os
from pathlib import Path

import pytest

from artifact_store.weights import Budget, Weight, weight_of


def test_a_link_in_a_store_weighs_what_a_link_weighs(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(bytes(10_000))
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "link").symlink_to(tmp_path / "large")
    (tmp_path / "folder" / "other").symlink_to(tmp_path)

    assert weight_of(str(tmp_path / "folder")).files == 2
    assert weight_of(str(tmp_path / "folder")).nbytes < 1000
    assert weight_of(str(tmp_path / "large")) == Weight(10_000, 1)


def test_what_goes_while_it_is_weighed_weighs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(bytes(100))
    real = os.lstat

    def gone(path: str) -> os.stat_result:
        if path.endswith("file"):
            (tmp_path / "file").unlink(missing_ok=True)
        return real(path)

    monkeypatch.setattr(os, "lstat", gone)

    assert weight_of(str(tmp_path)) == weight_of(str(tmp_path / "file")) == Weight()


def test_a_budget_is_exceeded_by_bytes_or_by_files_but_not_where_it_says_nothing() -> (
    None
):
    weight = Weight(100, 5)

    assert weight.exceeds(Budget(99, None)) and weight.exceeds(Budget(None, 4))
    assert not weight.exceeds(Budget(100, 5)) and not weight.exceeds(Budget())
