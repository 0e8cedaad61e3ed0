"""Whatever bytes stand in the files of a checkpoint or of a store: they are refused by name, or mean what they say.

valid input ──► mutated by libFuzzer, guided by coverage ─┐
            └─► with a part of its JSON replaced ─────────┴─► *Target*
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from conftest import Injected, is_long, times
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from targets import Target, targets

FUZZ = Path(__file__).with_name("fuzz.py")

# Far more than the inputs, of kilobytes, declare; Python, numpy and libFuzzer take some 100 MB.
MOST_MB = 400
# In all, with those that have a part replaced, a million.
RUNS = times(3000, 49_500)

NAMES = (
    *("file", "header", "index", "manifest", "group", "array", "steps", "blessings"),
    *("closures", "journal", "memo", "pin", "note", "config", "canonical", "amount"),
    *("chunk", "shard", "stamp", "svg", "png"),
)
# Of all others, the valid input is one JSON object.
_PLAIN = (
    *("file", "journal", "config", "canonical", "amount", "chunk", "shard"),
    *("svg", "png"),
)
OF_JSON = [name for name in NAMES if name not in _PLAIN]


@pytest.fixture(scope="module")
def every() -> Iterator[Mapping[str, Target]]:
    with targets() as found:
        yield found


@pytest.mark.parametrize("name", NAMES if is_long() else ["every"])
def test_no_input_that_coverage_leads_to_is_a_crash_a_hang_or_an_unnamed_error(
    tmp_path: Path,
    name: str,
    injected: Injected,
) -> None:
    limits = ["-timeout=20", f"-rss_limit_mb={MOST_MB}", "-max_len=8192"]
    chosen = [f"-runs={RUNS}", "-seed=5", "-print_final_stats=1", "-verbosity=0"]
    seeds = tmp_path / "seeds"
    seeds.mkdir()
    words = [sys.executable, str(FUZZ), name, str(seeds), *limits, *chosen]
    # The peak of a process begins with that of whoever becomes it, which would be this one; so a shell stands between.
    found = subprocess.run(
        ["sh", "-c", '"$@"; exit $?', "sh", *words, f"-artifact_prefix={tmp_path}/"],
        capture_output=True,
        text=True,
        errors="replace",
    )

    said = found.stdout + found.stderr
    assert found.returncode == 0, said[-4000:]
    done = re.search(r"number_of_executed_units: (\d+)", said)
    peak = re.search(r"peak_rss_mb: +(\d+)", said)
    assert done is not None and int(done[1]) >= RUNS
    assert peak is not None and int(peak[1]) < MOST_MB
    injected("bad input, led by coverage", int(done[1]))


def test_every_target_reads_its_valid_inputs(every: Mapping[str, Target]) -> None:
    assert set(NAMES) == every.keys()
    for name in NAMES:
        for seed in every[name].seeds:
            every[name].run(seed)


DEEP = b"[" * 100_000
ODD: st.SearchStrategy[Any] = st.one_of(
    *(st.none(), st.booleans(), st.text(max_size=20), st.floats(allow_nan=False, allow_infinity=False)),
    *(st.integers(), st.integers(-1, 1 << 64), st.sampled_from([2**63 - 1, 2**63, 10**4000, -(2**63)])),
    *(st.sampled_from(["..", "../../x", "/etc", "a/b", "\0", "|O", "f" * 64]), st.just([]), st.just({})),
)  # fmt: skip
PART = st.recursive(
    ODD,
    lambda one: st.lists(one, max_size=3) | st.dictionaries(st.text(max_size=8), one, max_size=3),
    max_leaves=8,
)  # fmt: skip


def places(tree: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every part of a JSON document."""
    yield at
    if isinstance(tree, dict | list):
        for name in tree if isinstance(tree, dict) else range(len(tree)):
            yield from places(tree[name], (*at, name))


def replaced(tree: Any, at: tuple[Any, ...], part: Any) -> Any:
    """A document with another part at a place; without any there, if it is `...`."""
    if not at:
        return part
    changed = dict(tree) if isinstance(tree, dict) else list(tree)
    if part is ... and len(at) == 1:
        del changed[at[0]]
    else:
        changed[at[0]] = replaced(changed[at[0]], at[1:], part)
    return changed


@pytest.mark.parametrize("name", OF_JSON)
def test_no_part_of_a_document_can_be_another_without_a_name_for_it(
    every: Mapping[str, Target], name: str, injected: Injected
) -> None:
    target = every[name]
    document = msgspec.json.decode(target.seeds[0])
    ways, tried = list(places(document)), list[int]()

    @settings(
        max_examples=times(40, 10_000),
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(st.tuples(st.sampled_from(ways), PART | st.just(...)), min_size=1, max_size=2))  # fmt: skip
    @example([((), [])])
    def check(changes: list[tuple[tuple[Any, ...], Any]]) -> None:
        changed = document
        for at, part in changes:
            try:
                changed = replaced(changed, at, part)
            except (LookupError, TypeError, AttributeError):
                continue  # The first change took away what the second one is about.
        encoded = b"{" if changed is ... else msgspec.json.encode(changed)
        target.run(encoded)
        tried.append(1)

    check()
    injected("bad input, parts of a document replaced", len(tried))


# What once came up without a name, took all memory or did not end.
FOUND: dict[str, list[bytes]] = {
    "header": [DEEP, b'{"a":' + DEEP],
    "index": [DEEP],
    "manifest": [
        b'{"unknown":' + DEEP,
        b'{"format":' + DEEP,
        b'{"format":1,"key":"\xff"}',
    ],
    "group": [DEEP, b'{"a":' + DEEP, b'"\xff"'],
    "array": [DEEP],
    "steps": [b'{"record":' + DEEP, b'{"record":"\xff"}'],
    "closures": [b'{"record":[{}]}', b'{"record":[{"name":1}]}', b'{"record":[[]]}'],
    "blessings": [b'{"record":' + DEEP, b'{"record":[{"was":1}]}'],
    "memo": [b'{"record":{"w":"%s\\n"}}' % (b"f" * 64)],
    "pin": [DEEP, b'"\xff"'],
    "note": [DEEP, b'"\xff"'],
    "config": [b"max_files = " + DEEP, b'max_bytes = "' + b"9" * 400 + b'"'],
    "amount": [b"9" * 400, b"9" * 5000],
    "stamp": [DEEP, b'{"view":' + DEEP, b'"\xff"'],
    "svg": [b'<metadata id="artifact-store">' * 100_000],
}


@pytest.mark.parametrize("name", FOUND)
def test_what_was_found_once_stays_mended(
    every: Mapping[str, Target], name: str
) -> None:
    for one in FOUND[name]:
        every[name].run(one)
