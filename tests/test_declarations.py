from __future__ import annotations

import subprocess
import sys
from functools import partial
from typing import Any

import pytest

from artifact_store.arraysets import UNDECLARED
from artifact_store.declarations import Declaration, declare
from artifact_store.errors import BadDeclaration
from artifact_store.versions import version_of

OTHERS: dict[str, Any] = {
    "codec": "raw",
    "ignore": (),
    "versions": (),
    "depends_on": (),
    "first_party": (),
    "was": {},
    "strict": None,
    "store": None,
    "durable": False,
    "mode": None,
}


def function(checkpoint: Any, device: str = "cpu") -> Any: ...


def declared(
    function: Any = function, name: str | None = None, **options: Any
) -> Declaration:
    dims = options.pop("dims", UNDECLARED)
    return declare(function, name, dims, **(OTHERS | options))


def test_a_declaration_is_named_like_the_function_unless_told_otherwise() -> None:
    assert declared().name == "function"
    assert declared(partial(partial(function), device="gpu")).name == "function"
    assert declared(name="other").name == "other"


@pytest.mark.parametrize(
    "options, problem",
    [
        ({"name": "a/b"}, "identifier"),
        ({"ignore": ("nonsense",)}, "nonsense"),
        ({"ignore": "device"}, "ignore is a str"),
        ({"ignore": ["device"]}, "ignore is a list"),
        ({"versions": "numpy"}, "versions is a str"),
        ({"versions": ("no_such_package",)}, "no_such_package"),
        ({"depends_on": function}, "depends_on is a function"),
        ({"codec": "gzip"}, "gzip"),
        ({"dims": {"w": "frequency"}}, "string"),
        ({"function": 3, "name": "three"}, "cannot be called"),
        ({"function": staticmethod(function), "name": "x"}, "method"),
    ],
)
def test_what_does_not_fit_is_refused_when_it_is_declared(
    options: dict[str, Any], problem: str
) -> None:
    with pytest.raises(BadDeclaration, match=problem):
        declared(**options)


def test_dims_and_counted_versions_are_in_the_environment_and_nothing_else() -> None:
    plain = declared().environment_bytes

    assert declared(dims={"w": ("a",)}).environment_bytes != plain
    assert declared(versions=("numpy",)).environment_bytes != plain
    same = declared(codec="zstd", ignore=("device",), durable=True, store="x")
    assert (
        same.environment_bytes == plain and same.environment == declared().environment
    )


def test_the_order_of_a_declaration_is_irrelevant() -> None:
    one = declared(dims={"w": ["a"], "v": ("b",)}, versions=("numpy", "zarr"))
    other = declared(dims={"v": ("b",), "w": ("a",)}, versions=("zarr", "numpy"))

    assert one.environment_bytes == other.environment_bytes
    assert one.environment == other.environment


def test_a_declaration_cannot_be_changed() -> None:
    with pytest.raises(AttributeError, match="immutable"):
        declared().name = "other"  # type: ignore[misc]


def test_a_version_does_not_depend_on_what_has_been_imported() -> None:
    packages = ["numpy", "yaml", "torch", "artifact_store", "google_crc32c"]
    ask = "from artifact_store.calls import version_of; print([version_of(p) for p in {}])"
    asked = [
        subprocess.check_output([sys.executable, "-c", first + ask.format(packages)])
        for first in ("", "import numpy, yaml;")
    ]

    assert asked[0] == asked[1] and b"unknown" not in asked[0]


def test_a_package_that_is_not_there_has_an_unknown_version() -> None:
    assert version_of("no_such_package") == "unknown"
