"""Code is the author's by where it lies, unless the author or the project says otherwise."""

from __future__ import annotations

import importlib
import importlib.util
import os
import site
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from artifact_store.closures import origins
from artifact_store.closures.origins import FirstParty, first_party, origins_of
from artifact_store.closures.reach import closure_of
from artifact_store.errors import BadSetting

BODY = "def g(): return N\nN = 1\nclass A: pass\n"
NOBODY = FirstParty(frozenset())

Put = Callable[[str], Path]


@pytest.fixture(autouse=True)
def imports_are_undone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever a test makes importable, it is not any more for the next."""
    monkeypatch.delenv("ARTIFACT_STORE_FIRST_PARTY", raising=False)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.partition(".")[0] in ("mine", "theirs", "shared", "user"):
            del sys.modules[name]
    importlib.invalidate_caches()


@pytest.fixture
def put(tmp_path: Path) -> Put:
    """Writes a module, and has what lies in its topmost folder that is no package importable."""

    def put(path: str) -> Path:
        folder, _, module = path.rpartition(":")
        file = tmp_path / folder / module
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(BODY)
        sys.path.insert(0, str(tmp_path / folder))
        importlib.invalidate_caches()
        return file

    return put


def is_ours(name: str, ours: FirstParty = NOBODY) -> bool:
    """Whether a module is first-party; the same before and after its import, and of what it holds."""
    before = ours.has_module(name)
    module = importlib.import_module(name)
    found = {ours.has(one) for one in (module, module.g, module.A)}
    assert found == {before}
    return before


OURS = [
    "project:mine.py",
    "project:mine/__init__.py",
    "project/src:mine/__init__.py",
    "project/my-site-packages:mine.py",
    "site-packages.d:mine/__init__.py",
    "venv/src/checkout:mine.py",
    "conda/envs/base/projects:mine.py",
    "python/lib/scripts:mine.py",
]
THEIRS = [
    "project/.venv/lib/python3.11/site-packages:theirs.py",
    "project/.venv/lib64/python3.11/site-packages:theirs/__init__.py",
    "usr/lib/python3/dist-packages:theirs.py",
    "home/.local/lib/python3.11/site-packages:theirs.py",
    "home/Library/Python/3.11/lib/python/site-packages:theirs.py",
    "conda/envs/base/lib/python3.11/site-packages:theirs.py",
    "site-packages/theirs-1.0.egg:theirs.py",
]


@pytest.mark.parametrize("path", OURS)
def test_what_lies_in_no_folder_of_installers_is_the_authors(
    put: Put, path: str
) -> None:
    put(path)

    assert is_ours("mine")


@pytest.mark.parametrize("path", THEIRS)
def test_what_lies_in_a_folder_of_installers_is_not(put: Put, path: str) -> None:
    put(path)

    assert not is_ours("theirs")


@pytest.mark.parametrize("name", ["json", "os", "zipimport", "sys", "numpy", "torch"])
def test_the_standard_library_and_what_is_installed_here_are_not(name: str) -> None:
    module = importlib.import_module(name)

    assert not NOBODY.has(module) and not NOBODY.has_module(name)


def test_a_project_may_lie_below_the_prefix_of_python(
    put: Put, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    standard = tmp_path / "conda/lib/python3.11"
    monkeypatch.setattr(origins, "_INSTALLED", (f"{standard}{os.sep}",))
    put("conda/lib/python3.11:theirs.py")
    put("conda/lib/python3.11-project:mine.py")

    assert is_ours("mine") and not is_ours("theirs")


def test_an_editable_install_by_a_path_file_is_the_authors(
    put: Put, tmp_path: Path
) -> None:
    sites = put("site-packages:theirs.py").parent
    source = tmp_path / "checkout" / "mine.py"
    source.parent.mkdir()
    source.write_text(BODY)
    (sites / "__editable__.mine-1.0.pth").write_text(f"{source.parent}\n")

    site.addsitedir(str(sites))

    assert is_ours("mine") and not is_ours("theirs")


def test_an_editable_install_by_a_finder_is_the_authors(tmp_path: Path) -> None:
    source = tmp_path / "checkout" / "mine.py"
    source.parent.mkdir()
    source.write_text(BODY)

    class EditableFinder:
        @staticmethod
        def find_spec(name: str, path: Any = None, target: Any = None) -> Any:
            if name == "mine":
                return importlib.util.spec_from_file_location(name, source)

    sys.meta_path.append(EditableFinder)

    assert is_ours("mine")


def test_a_folder_that_is_linked_into_place_is_where_it_leads(
    put: Put, tmp_path: Path
) -> None:
    put("checkout:mine/__init__.py")
    sys.path.pop(0)
    sites = put("site-packages:theirs.py").parent

    (sites / "mine").symlink_to(tmp_path / "checkout" / "mine")

    assert is_ours("mine")


def test_a_file_that_an_installer_links_is_installed(put: Put, tmp_path: Path) -> None:
    downloaded = put("downloads:0f3a.py")
    sites = put("site-packages:other.py").parent

    (sites / "theirs").mkdir()
    (sites / "theirs" / "__init__.py").symlink_to(downloaded)

    assert not is_ours("theirs")


@pytest.mark.parametrize("first", ["site-packages", "project"])
def test_the_parts_of_a_namespace_package_are_judged_one_by_one(
    put: Put, first: str
) -> None:
    for folder in sorted(["site-packages", "project"], key=first.__eq__):
        part = {"site-packages": "theirs", "project": "mine"}[folder]
        put(f"{folder}:shared/deep/{part}.py")

    assert NOBODY.has_module("shared")
    assert is_ours("shared.deep.mine") and not is_ours("shared.deep.theirs")
    assert "shared" in sys.modules and NOBODY.has(sys.modules["shared"])


@pytest.mark.parametrize(
    "body",
    [
        "import shared.mine\ndef f(): return shared.mine.N",
        "def f():\n    import shared.mine\n    return shared.mine.N",
        "def f():\n    from shared.mine import N\n    return N",
    ],
)
def test_a_constant_in_a_namespace_package_counts(
    put: Put, tmp_path: Path, body: str
) -> None:
    (tmp_path / "user.py").write_text(body)
    sys.path.insert(0, str(tmp_path))
    file = put("project:shared/mine.py")
    put("site-packages:shared/theirs.py")

    before = closure_of(importlib.import_module("user").f).digest
    file.write_text(BODY.replace("1", "2"))
    for name in ("user", "shared", "shared.mine"):
        sys.modules.pop(name, None)
    importlib.invalidate_caches()

    assert closure_of(importlib.import_module("user").f).digest != before


@pytest.mark.parametrize("folder", ["project", "site-packages"])
def test_an_archive_is_judged_by_where_it_lies(tmp_path: Path, folder: str) -> None:
    (tmp_path / folder).mkdir()
    archive = tmp_path / folder / "code.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("mine/__init__.py", "")
        packed.writestr("mine/inner.py", BODY)
    sys.path.insert(0, str(archive))

    assert is_ours("mine.inner") is (folder == "project")


def test_a_module_that_only_pretends_to_have_a_file_is_of_its_package(put: Put) -> None:
    put("site-packages:theirs/__init__.py")
    put("project:mine/__init__.py")
    for package in ("theirs", "mine"):
        importlib.import_module(package)
        pretender = ModuleType(f"{package}.made")
        pretender.__file__ = "_made.py"
        sys.modules[f"{package}.made"] = pretender

    assert NOBODY.has_module("mine.made") and not NOBODY.has_module("theirs.made")


def test_a_module_that_someone_made_is_the_authors_if_it_ran_code() -> None:
    sys.modules["mine"] = ModuleType("mine")
    assert not NOBODY.has_module("mine")

    exec(BODY, vars(sys.modules["mine"]))

    assert is_ours("mine")
    assert not is_ours("mine", FirstParty(frozenset(), frozenset({"mine"})))


def test_the_package_of_an_analysis_is_its_authors_wherever_it_lies(put: Put) -> None:
    put("site-packages:theirs.py")

    assert is_ours("theirs", first_party("theirs"))


def test_an_analysis_may_declare_an_installed_package(put: Put) -> None:
    put("site-packages:theirs.py")

    assert is_ours("theirs", first_party("pkg", ["theirs"]))


def test_a_project_may_have_an_installed_package_followed_and_another_not(
    put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    put("site-packages:theirs.py"), put("project:mine.py")
    assert is_ours("mine", first_party("pkg"))

    monkeypatch.setenv("ARTIFACT_STORE_FIRST_PARTY", " theirs, !mine,")

    assert is_ours("theirs", first_party("pkg"))
    assert not is_ours("mine", first_party("pkg"))


def test_what_an_analysis_declares_goes_before_what_the_project_says(
    put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    put("project:mine.py")
    monkeypatch.setenv("ARTIFACT_STORE_FIRST_PARTY", "!mine")

    assert is_ours("mine", first_party("mine"))
    assert is_ours("mine", first_party("pkg", ["mine"]))


def test_artifact_store_is_never_followed() -> None:
    ours = first_party("artifact_store")

    assert not ours.has(closure_of) and not ours.has(FirstParty)


@pytest.mark.parametrize(
    "setting, problem",
    [
        ("missing_package", "'missing_package' cannot be imported"),
        ("numpy, !nunpy", "'nunpy' cannot be imported"),
        ("numpy.linalg", "'numpy.linalg' is not the name of a top-level package"),
        ("!!numpy", "'!numpy' is not the name of a top-level package"),
        ("numpy torch", "'numpy torch' is not the name of a top-level package"),
        ("!__main__", "'__main__' is not the name of a top-level package"),
        ("json", "'json' is part of Python"),
        ("artifact_store", "'artifact_store' is part of Python or artifact_store"),
    ],
)
def test_a_setting_that_names_no_package_is_refused(
    monkeypatch: pytest.MonkeyPatch, setting: str, problem: str
) -> None:
    monkeypatch.setenv("ARTIFACT_STORE_FIRST_PARTY", setting)

    with pytest.raises(BadSetting, match="^ARTIFACT_STORE_FIRST_PARTY=") as refused:
        first_party("pkg")

    assert problem in str(refused.value)


def test_to_name_a_package_does_not_import_it(
    put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    put("project:mine/__init__.py")
    monkeypatch.setenv("ARTIFACT_STORE_FIRST_PARTY", "mine")

    assert first_party("pkg").own == {"pkg", "mine"}
    assert "mine" not in sys.modules


def test_the_origins_of_a_closure_are_its_packages_and_their_folders() -> None:
    members = [
        ("pkg.deep.module.f", "/home/me/pkg/src/pkg/deep/module.py"),
        ("pkg.A", "/home/me/pkg/src/pkg/__init__.py"),
        ("single.f", "/home/me/single.py"),
        ("shared.one.f", "/home/me/shared/one.py"),
        ("shared.two.f", "/opt/lib/shared/two.py"),
        ("__main__.f", "/tmp/ipykernel_7/1234.py"),
        ("__main__.g", "/tmp/ipykernel_7/5678.py"),
        ("pkg.Made", ""),
    ]

    assert origins_of(members) == [
        ("__main__", "/tmp/ipykernel_7"),
        ("pkg", "/home/me/pkg/src/pkg"),
        ("shared", "/home/me/shared"),
        ("shared", "/opt/lib/shared"),
        ("single", "/home/me"),
    ]
