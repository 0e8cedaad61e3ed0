"""The server knows when its code was edited."""

from __future__ import annotations

import sys
from pathlib import Path

import analyses.model
from analyses.workbench.sources import Sources, can_be_read, loaded, stat_of


def watched(path: Path) -> Sources:
    path.write_text("x = 1")
    return Sources({str(path): stat_of(str(path))})


def test_what_was_not_edited_is_not_named(tmp_path: Path) -> None:
    sources = watched(tmp_path / "a.py")
    sources.look()

    assert sources.edited == () and sources.why == ""


def test_an_edited_file_is_named_until_it_is_as_it_was(tmp_path: Path) -> None:
    sources = watched(tmp_path / "a.py")
    (tmp_path / "a.py").unlink()
    sources.look()

    assert sources.edited == (str(tmp_path / "a.py"),)
    assert sources.why.startswith("Edited: a.py.")


def test_our_modules_are_watched_and_installed_ones_are_not() -> None:
    files = loaded().files

    assert analyses.model.__file__ in files
    assert sys.modules["numpy"].__file__ not in files
    assert sys.modules["json"].__file__ not in files


def test_half_an_edit_is_not_begun_with(tmp_path: Path) -> None:
    whole, half = tmp_path / "whole.py", tmp_path / "half.py"
    whole.write_text("x = 1")
    half.write_text("def f(")

    assert can_be_read([str(whole)])
    assert not can_be_read([str(whole), str(half)])
    assert not can_be_read([str(tmp_path / "gone.py")])
