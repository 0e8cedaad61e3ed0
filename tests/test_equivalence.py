"""Blessed closures, and constants that became parameters."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from conftest import WriteCheckpoint, WriteModule

from artifact_store.equivalence import as_good, bless, blessings, unbless
from artifact_store.errors import BadDeclaration
from artifact_store.events import Event, Published
from artifact_store.retention import is_stale

BODY = """\
from artifact_store import Checkpoint, analysis


def helper(w):
    return w.sum() * 2


@analysis
def inner(checkpoint: Checkpoint):
    return helper(checkpoint["w"])


@analysis
def outer(checkpoint: Checkpoint):
    return inner(checkpoint) + 1
"""
REFACTORED = BODY.replace("w.sum() * 2", "2 * w.sum()")


@pytest.fixture
def code(write_module: WriteModule) -> Callable[..., ModuleType]:
    """The module with this text, as a new process would find it."""
    return lambda text=BODY: write_module("equal", text)


def blessed(before: Any, after: Any, checkpoint: Path) -> Any:
    store = after.call(checkpoint).store
    was, now = before.closure.digest.hex, after.closure.digest.hex
    return store, bless(store, after.__name__, was, now, "only reordered")


def test_what_was_blessed_is_not_computed_again(
    code: Any, checkpoint: Path, seen: list[Event]
) -> None:
    before = code()
    kept = before.outer(checkpoint)
    after = code(REFACTORED)
    assert after.inner.find(checkpoint) is None

    blessed(before.inner, after.inner, checkpoint)
    seen.clear()

    assert after.inner.explain(checkpoint).hit
    assert after.outer(checkpoint) == kept
    assert not [one for one in seen if isinstance(one, Published)]


def test_a_blessing_is_of_one_analysis(code: Any, checkpoint: Path) -> None:
    text = BODY + BODY[BODY.index("@analysis") :].replace("inner", "other").replace(
        "outer", "last"
    )
    before = code(text)
    before.inner(checkpoint), before.other(checkpoint)
    after = code(text.replace("w.sum() * 2", "2 * w.sum()"))

    blessed(before.inner, after.inner, checkpoint)

    assert after.inner.find(checkpoint) is not None
    assert after.other.find(checkpoint) is None


def test_an_edit_after_a_blessing_is_not_covered(code: Any, checkpoint: Path) -> None:
    before = code()
    before.inner(checkpoint)
    after = code(REFACTORED)
    blessed(before.inner, after.inner, checkpoint)
    after.inner(checkpoint)

    assert code(BODY.replace("* 2", "* 3")).inner.find(checkpoint) is None


def test_what_was_blessed_is_not_stale(code: Any, checkpoint: Path) -> None:
    before = code()
    made = before.inner.artifact(checkpoint).entry.manifest
    after = code(REFACTORED)
    now, declared = after.inner.closure.digest.hex, made.provenance.environment
    store = after.inner.call(checkpoint).store
    assert is_stale(made, as_good(store, "inner", now), declared, {})

    blessed(before.inner, after.inner, checkpoint)

    assert not is_stale(made, as_good(store, "inner", now), declared, {})


def test_blessings_join_up_and_go_both_ways(code: Any, checkpoint: Path) -> None:
    first = code()
    first.inner(checkpoint)
    second = code(REFACTORED)
    blessed(first.inner, second.inner, checkpoint)
    third = code(BODY.replace("w.sum() * 2", "(w * 2).sum()"))
    blessed(second.inner, third.inner, checkpoint)

    assert third.inner.find(checkpoint) is not None
    assert code().inner.find(checkpoint) is not None


def test_a_blessing_taken_back_counts_no_more_though_it_was_used(
    code: Any, checkpoint: Path
) -> None:
    before = code()
    before.inner(checkpoint)
    after = code(REFACTORED)
    store, blessing = blessed(before.inner, after.inner, checkpoint)
    after.inner(checkpoint)
    assert blessings(store, "inner") == [blessing]

    unbless(store, blessing)

    assert blessings(store, "inner") == []
    assert after.inner.find(checkpoint) is None
    assert code().inner.find(checkpoint) is not None


LAYERED = """\
from artifact_store import Checkpoint, analysis

LAYER = 0
SCALE = 2


@analysis
def norm(checkpoint: Checkpoint, power: int = 2):
    w = checkpoint[f"w.{LAYER}"]
    return (w**power).sum() * SCALE
"""
PROMOTED = (
    LAYERED.replace("LAYER = 0\n", "")
    .replace("@analysis", "@analysis(was={'layer': 0})")
    .replace("power: int = 2", "power: int = 2, layer: int = 0")
    .replace("{LAYER}", "{layer}")
)


@pytest.fixture
def two_layers(write_checkpoint: WriteCheckpoint) -> Path:
    return write_checkpoint(**{"w.0": [1.0, 2.0], "w.1": [3.0, 4.0]})


@pytest.mark.parametrize(
    "before",
    [
        LAYERED,
        LAYERED.replace("LAYER = 0\n", "").replace('f"w.{LAYER}"', "'w.0'"),
        LAYERED.replace("LAYER = 0", "class Of:\n    layer = 0\nLAYER = Of.layer"),
    ],
    ids=["constant", "literal", "attribute"],
)
def test_a_constant_that_becomes_a_param_keeps_its_results(
    code: Any, two_layers: Path, seen: list[Event], before: str
) -> None:
    kept = code(before).norm(two_layers, power=3)
    after = code(PROMOTED)
    seen.clear()

    assert after.norm(two_layers, power=3) == kept
    assert not [one for one in seen if isinstance(one, Published)]
    # Neither for another value, nor for other params.
    assert after.norm.find(two_layers, power=3, layer=1) is None
    assert after.norm.find(two_layers, power=2) is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("* SCALE", "/ SCALE"),
        ("SCALE = 2", "SCALE = 3"),
        ("    return (w", "    layer = 1 - layer\n    return (w"),
        ('f"w.{layer}"', 'f"w.{1 - layer}"'),
        ("w**power", "w**layer"),
        (
            'w = checkpoint[f"w.{layer}"]',
            'w = (lambda layer: checkpoint[f"w.{layer}"])(1)',
        ),
    ],
)
def test_a_promotion_that_changes_more_keeps_nothing(
    code: Any, two_layers: Path, old: str, new: str
) -> None:
    code(LAYERED).norm(two_layers)
    assert PROMOTED.count(old) == 1

    assert code(PROMOTED.replace(old, new)).norm.find(two_layers) is None


def test_what_was_is_gone_with_the_declaration(code: Any, two_layers: Path) -> None:
    code(LAYERED).norm(two_layers)
    code(PROMOTED).norm(two_layers)

    undeclared = code(PROMOTED.replace("@analysis(was={'layer': 0})", "@analysis"))

    assert undeclared.norm.find(two_layers) is None


@pytest.mark.parametrize("was", ["{'depth': 0}", "{'layer': object()}"])
def test_what_was_must_be_params_with_plain_values(code: Any, was: str) -> None:
    with pytest.raises(BadDeclaration, match="was"):
        code(PROMOTED.replace("{'layer': 0}", was))
