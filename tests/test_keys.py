"""Keys are frozen: a change here is a change of format, and a line in the changelog under *Keys*.

To accept one, run `ARTIFACT_STORE_GOLDEN=write pytest tests/test_keys.py -p no:randomly -n 0` and read the diff.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from golden import functions, values

from artifact_store.closures.reach import closure_of
from artifact_store.digests import digest_of
from artifact_store.encoding import encode
from artifact_store.keys import KEY_FORMAT, Key, key_of
from artifact_store.params import encode_params

GOLDEN = Path(__file__).parent / "golden" / "keys.json"
ENCODED = {name: encode(value).hex() for name, value in values.VALUES.items()}
CLOSURES = {
    name: str(closure_of(getattr(functions, name)).digest) for name in functions.NAMES
}


def key(
    analysis: str = "f",
    params: Mapping[str, Any] | None = None,
    closure: str = "affine",
    environment: bytes = b"",
    inputs: bytes = b"inputs",
) -> Key:
    encoded = encode_params(analysis, params or {})
    code = closure_of(getattr(functions, closure)).digest
    return key_of(analysis, code, environment, encoded, inputs)


KEYS = {
    "no params": str(key()),
    "params": str(key(params={"k": 1, "name": "a"})),
    "environment": str(key(environment=b"dims")),
    "other code": str(key(closure="windowed")),
}
FROZEN: Mapping[str, Any] = {
    "format": KEY_FORMAT.decode(),
    "encoded": ENCODED,
    "closures": CLOSURES,
    "keys": KEYS,
}
ROWS = [
    (kind, name) for kind in ("encoded", "closures", "keys") for name in FROZEN[kind]
]


@pytest.fixture(scope="module")
def golden() -> Any:
    if os.environ.get("ARTIFACT_STORE_GOLDEN") == "write":
        GOLDEN.write_text(json.dumps(FROZEN, indent=1, ensure_ascii=False) + "\n")
    return json.loads(GOLDEN.read_text())


@pytest.mark.parametrize(("kind", "name"), ROWS)
def test_what_is_frozen_has_not_moved(golden: Any, kind: str, name: str) -> None:
    assert golden[kind][name] == FROZEN[kind][name]


def test_all_that_is_frozen_is_still_checked(golden: Any) -> None:
    assert {kind: list(golden[kind]) for kind in ("encoded", "closures", "keys")} == {
        kind: list(FROZEN[kind]) for kind in ("encoded", "closures", "keys")
    }
    assert golden["format"] == KEY_FORMAT.decode()


def test_every_part_decides() -> None:
    digest = digest_of("closure", b"1"), digest_of("closure", b"2")
    keys = [
        key_of("f", digest[0], b"e", b"p", b"i"),
        key_of("g", digest[0], b"e", b"p", b"i"),
        key_of("f", digest[1], b"e", b"p", b"i"),
        key_of("f", digest[0], b"x", b"p", b"i"),
        key_of("f", digest[0], b"e", b"x", b"i"),
        key_of("f", digest[0], b"e", b"p", b"x"),
        key_of("f", digest[0], b"ep", b"", b"i"),
        key_of("f", digest[0], b"e", b"pi", b""),
    ]

    assert len({one.digest for one in keys}) == len(keys)


def test_the_order_of_params_does_not_matter() -> None:
    assert key(params={"a": 1, "b": 2}) == key(params={"b": 2, "a": 1})


def test_a_key_names_its_analysis() -> None:
    assert str(key()) == f"f:{key().digest.hex}"
