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
from artifact_store.digests import Digest, digest_of
from artifact_store.encoding import encode
from artifact_store.keys import KEY_FORMAT, Key, key_of, start_of
from artifact_store.params import encode_params
from artifact_store.reads import Question, Read, after

GOLDEN = Path(__file__).parent / "golden" / "keys.json"
ENCODED = {name: encode(value).hex() for name, value in values.VALUES.items()}
CLOSURES = {
    name: str(closure_of(getattr(functions, name)).digest) for name in functions.NAMES
}

READS = (
    Read(Question("tensor", "0", "w"), "a1"),
    Read(Question("call", "0", "mean", "Z2l2ZW4="), "b2"),
)


def key(
    analysis: str = "f",
    params: Mapping[str, Any] | None = None,
    closure: str = "affine",
    inputs: bytes = b"inputs",
) -> Key:
    encoded = encode_params(analysis, params or {})
    code = closure_of(getattr(functions, closure)).digest
    return key_of(analysis, code, encoded, inputs)


def start(environment: bytes = b"", form: bytes = b"form") -> Digest:
    code = closure_of(functions.affine).digest
    return start_of("f", code, environment, encode_params("f", {"k": 1}), form)


KEYS = {
    "no params": str(key()),
    "params": str(key(params={"k": 1, "name": "a"})),
    "other code": str(key(closure="windowed")),
    "start": str(start()),
    "declared": str(start(environment=b"dims")),
    "reads": str(after(start(), READS)),
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
        key_of("f", digest[0], b"p", b"i"),
        key_of("g", digest[0], b"p", b"i"),
        key_of("f", digest[1], b"p", b"i"),
        key_of("f", digest[0], b"x", b"i"),
        key_of("f", digest[0], b"p", b"x"),
        key_of("f", digest[0], b"pi", b""),
    ]
    starts = [
        start_of("f", digest[0], b"e", b"p", b"i"),
        start_of("g", digest[0], b"e", b"p", b"i"),
        start_of("f", digest[1], b"e", b"p", b"i"),
        start_of("f", digest[0], b"x", b"p", b"i"),
        start_of("f", digest[0], b"e", b"x", b"i"),
        start_of("f", digest[0], b"e", b"p", b"x"),
        start_of("f", digest[0], b"ep", b"", b"i"),
        start_of("f", digest[0], b"e", b"pi", b""),
    ]

    digests = {one.digest for one in keys} | set(starts)
    assert len(digests) == len(keys) + len(starts)


def test_the_order_of_params_does_not_matter() -> None:
    assert key(params={"a": 1, "b": 2}) == key(params={"b": 2, "a": 1})


def test_a_key_names_its_analysis() -> None:
    assert str(key()) == f"f:{key().digest.hex}"
