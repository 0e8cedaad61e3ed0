from __future__ import annotations

from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import pytest
from conftest import WriteModule

from artifact_store.entry_points import loaded, points
from artifact_store.errors import MissingPackage

GROUP = "artifact_store.views"


class Distribution:
    name = "probes"
    requires = (
        "numpy",
        'torchlike-extras>=1; extra == "more"',
        "Torchlike>=2.4; extra == 'heavy'",
    )


def point(value: str, dist: Any = None) -> EntryPoint:
    found = EntryPoint("f", value, GROUP)
    vars(found)["dist"] = dist
    return found


@pytest.fixture
def heavy(write_module: WriteModule) -> str:
    """A module that needs a package which is not installed."""
    light = write_module("light", "f = 1").__file__
    assert light is not None
    (Path(light).parent / "heavy.py").write_text("import torchlike.nn\nf = 2")
    return "heavy:f"


def test_what_is_offered_is_sorted_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def entry_points(group: str) -> EntryPoints:
        assert group == GROUP
        return EntryPoints(EntryPoint(name, "nothing:here", group) for name in "bca")

    monkeypatch.setattr("importlib.metadata.entry_points", entry_points)

    assert [one.name for one in points(GROUP)] == ["a", "b", "c"]


def test_what_an_entry_point_names_is_imported(write_module: WriteModule) -> None:
    light = write_module("light", "class A:\n    f = 3")

    assert loaded(point("light:A.f")) == 3 and loaded(point("light")) is light


def test_a_package_that_is_missing_is_told_with_the_extra_that_brings_it(
    heavy: str,
) -> None:
    with pytest.raises(MissingPackage, match=r"f needs torchlike.*pip install 'probes\[heavy\]'"):  # fmt: skip
        loaded(point(heavy, Distribution()))


def test_a_missing_package_of_no_known_extra_is_named_itself(heavy: str) -> None:
    with pytest.raises(MissingPackage, match="pip install 'torchlike'"):
        loaded(point(heavy))


def test_a_module_that_an_installed_package_lacks_is_the_fault_of_its_author(
    write_module: WriteModule,
) -> None:
    write_module("light", "f = 1")

    for value in ("light.absent:f", "artifact_store.absent:f"):
        with pytest.raises(ModuleNotFoundError, match="absent") as caught:
            loaded(point(value))
        assert not isinstance(caught.value, MissingPackage)


def test_a_name_that_a_module_lacks_is_the_fault_of_its_author(
    write_module: WriteModule,
) -> None:
    write_module("light", "f = 1")

    with pytest.raises(AttributeError, match="absent"):
        loaded(point("light:absent"))
