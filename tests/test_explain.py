from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import WriteCheckpoint, WriteModule

from artifact_store import Checkpoint, analysis
from artifact_store.causes import Cause, source_diff

BODY = """\
from artifact_store import analysis, Checkpoint

FACTOR = 2.0


def helper(w):
    # Twice as much.
    shifted = w + 1
    return shifted * FACTOR


@analysis
def f(checkpoint: Checkpoint, k: int = 1, mode: str = "fast"):
    return {"sum": helper(checkpoint["w"]).sum() * k}
"""


@pytest.fixture
def computed(write_module: WriteModule, checkpoint: Path, settled: None) -> Any:
    module = write_module("explained", BODY)
    module.f(checkpoint)
    return module


def only(causes: tuple[Cause, ...], kind: str) -> Cause:
    (cause,) = causes
    assert cause.kind == kind
    return cause


def test_what_was_never_computed_says_so(
    write_module: WriteModule, checkpoint: Path
) -> None:
    explanation = write_module("explained", BODY).f.explain(checkpoint)

    assert not explanation.hit and only(explanation.causes, "never computed")
    assert "f(checkpoint_epoch_00500, k=1, mode='fast'): miss" in str(explanation)


def test_a_hit_lists_everything_it_depends_on(computed: Any, checkpoint: Path) -> None:
    explanation = computed.f.explain(checkpoint)
    words = str(explanation)

    assert explanation.hit and explanation.causes == () and explanation.drift == ()
    assert "hit" in words.splitlines()[0]
    for fact in (
        "input checkpoint: checkpoint_epoch_00500",
        "param k = 1",
        "param mode = 'fast'",
        "code explained.f",
        "code explained.helper",
        "constant FACTOR = 2.0",
        "dims",
    ):
        assert fact in words, fact
    assert f"{computed.__file__}:6" in words  # where helper stands


def test_an_edited_helper_is_named_with_its_line_and_the_difference(
    computed: Any, write_module: WriteModule, checkpoint: Path
) -> None:
    edited = "# a line more\n" + BODY.replace("w + 1", "w - 1")
    causes = write_module("explained", edited).f.explain(checkpoint).causes
    cause = only(causes, "code")

    assert cause.what == f"explained.helper changed ({computed.__file__}:9)"
    assert "-    shifted = w + 1\n+    shifted = w - 1" in cause.detail
    assert "@@ -7,3 +8,3 @@" in cause.detail


def test_an_edited_constant_is_named_with_both_values(
    computed: Any, write_module: WriteModule, checkpoint: Path
) -> None:
    edited = BODY.replace("FACTOR = 2.0", "FACTOR = 3.0")
    causes = write_module("explained", edited).f.explain(checkpoint).causes
    cause = only(causes, "constant")

    assert "FACTOR" in cause.what and "explained.helper" in cause.what
    assert cause.detail == "- 2.0\n+ 3.0"


def test_code_that_is_reached_now_and_code_that_no_longer_is_are_named(
    computed: Any, write_module: WriteModule, checkpoint: Path
) -> None:
    edited = BODY.replace("helper(checkpoint", "other(checkpoint") + "def other(w):\n    return w\n"  # fmt: skip
    causes = write_module("explained", edited).f.explain(checkpoint).causes
    words = [cause.what for cause in causes]

    assert any("explained.f changed" in one for one in words)
    assert any("other is reached now" in one for one in words)
    assert any("helper is no longer reached" in one for one in words)


def test_a_param_is_named_with_both_values(computed: Any, checkpoint: Path) -> None:
    cause = only(computed.f.explain(checkpoint, k=7).causes, "param")

    assert cause.what == "parameter k is 7; the nearest entry has 1"


def test_of_a_changed_checkpoint_the_tensors_are_named(
    computed: Any, write_checkpoint: WriteCheckpoint
) -> None:
    path = write_checkpoint(w=np.zeros((2, 3), np.float32), extra=np.ones(1))
    cause = only(computed.f.explain(path).causes, "input")

    assert cause.what == "the content of checkpoint_epoch_00500 changed"
    # Of the tensors, it read one.
    assert cause.detail == "changed: w"


def test_the_nearest_entry_is_compared_and_of_equally_near_ones_the_newest(
    computed: Any, write_module: WriteModule, checkpoint: Path
) -> None:
    computed.f(checkpoint, k=2)
    edited = write_module("explained", BODY.replace("w + 1", "w + 2"))
    edited.f(checkpoint, k=5)
    edited.f(checkpoint, k=6)

    # Near: today's code with other params, not older code with other params.
    cause = only(edited.f.explain(checkpoint, k=7).causes, "param")
    assert cause.what == "parameter k is 7; the nearest entry has 6"
    # Nearer still: the same params with older code.
    cause = only(edited.f.explain(checkpoint, k=2).causes, "code")
    assert "w + 1" in cause.detail


def test_another_declaration_is_a_cause(
    computed: Any, write_module: WriteModule, checkpoint: Path
) -> None:
    edited = BODY.replace("@analysis\n", "@analysis(dims={'sum': ()})\n")
    causes = write_module("explained", edited).f.explain(checkpoint).causes

    assert "'sum': ()" in only(causes, "declaration").detail


def test_a_corrupt_entry_says_so(computed: Any, checkpoint: Path) -> None:
    artifact = computed.f.artifact(checkpoint)
    (artifact.path / "sum" / "c").write_bytes(b"not it")
    explanation = computed.f.explain(checkpoint)

    assert not explanation.hit and only(explanation.causes, "corrupt")
    assert str(artifact.path) in str(explanation)


def test_inputs_in_another_form_are_a_cause_and_not_silence(
    checkpoint: Path, settled: None
) -> None:
    @analysis
    def of_some(inputs: Any) -> Any:
        return inputs[0]["w"]

    one = Checkpoint(checkpoint)
    of_some([one])

    assert "another form" in only(of_some.explain((one,)).causes, "input").what


def test_another_version_of_a_package_is_drift_and_no_cause(
    computed: Any, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("artifact_store.calls.__version__", "99.9")
    explanation = computed.f.explain(checkpoint)

    assert explanation.hit and len(explanation.drift) == 1
    assert "99.9 now" in str(explanation)


def test_an_explanation_is_json_and_html_too(computed: Any, checkpoint: Path) -> None:
    explanation = computed.f.explain(checkpoint, mode="<b>")

    assert json.loads(json.dumps(explanation.as_dict()))["hit"] is False
    assert "&lt;b&gt;" in explanation._repr_html_()


def test_explaining_computes_and_keeps_nothing(computed: Any, checkpoint: Path) -> None:
    computed.f.explain(checkpoint, k=9)

    assert computed.f.find(checkpoint, k=9) is None


def test_a_diff_has_the_line_numbers_of_the_files() -> None:
    was = {"file": "a.py", "line": 10, "source": "def f():\n    a\n    b\n    c\n"}
    now = {"file": "a.py", "line": 20, "source": "def f():\n    a\n    c\n"}

    assert source_diff(was, now) == (22, "@@ -11,3 +21,2 @@\n     a\n-    b\n     c")


def test_members_that_are_new_or_gone_are_told_in_the_order_of_their_names(
    write_module: WriteModule, checkpoint: Path, settled: None
) -> None:
    names = [f"helper_{letter}" for letter in "abcdefgh"]
    added = "".join(f"def {name}(w): return w\n" for name in reversed(names))
    called = "".join(f"    {name}(0)\n" for name in reversed(names))
    bare = BODY.replace("@analysis", added + "@analysis")
    full = bare.replace("    return {", called + "    return {")

    def told(then: str, now: str, words: str) -> list[str]:
        write_module("explained", then).f(checkpoint)
        causes = write_module("explained", now).f.explain(checkpoint).causes
        return [str(cause).split()[0] for cause in causes if words in str(cause)]

    gone = told(full, bare, "is no longer reached")
    assert len(gone) == 8 and gone == sorted(gone)
    new = told(bare, full.replace("FACTOR = 2.0", "FACTOR = 3.0"), "is reached now")
    assert len(new) == 8 and new == sorted(new)
