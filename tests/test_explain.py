from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import RunDirectory, WriteCheckpoint, WriteModule
from safetensors.numpy import save_file

from artifact_store import Checkpoint, File, Run, analysis
from artifact_store.causes import Cause
from artifact_store.equivalence import bless

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

    # Of the tensors, it read one.
    assert cause.what == "tensor w of checkpoint_epoch_00500 changed"
    assert re.fullmatch("- w [0-9a-f]{12}\n\\+ w [0-9a-f]{12}", cause.detail)


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


def test_of_inputs_that_were_added_the_labels_are_told(
    run_directory: RunDirectory, settled: None
) -> None:
    @analysis
    def over(checkpoints: list[Checkpoint]) -> Any:
        return [one["w"].sum() for one in checkpoints]

    run = Run(run_directory())
    over([run[0], run[500]])
    cause = only(over.explain(list(run.values())).causes, "input")

    assert cause.what == "3 inputs; the nearest entry has 2: input checkpoint_epoch_01000 is new"  # fmt: skip
    assert cause.detail == "+ checkpoint_epoch_01000"


def test_what_was_read_beside_tensors_is_told_in_words(
    write_checkpoint: WriteCheckpoint, settled: None
) -> None:
    @analysis
    def asked(checkpoint: Checkpoint) -> Any:
        return float("b" in checkpoint) + len(checkpoint.shape("w"))

    asked(Checkpoint(write_checkpoint(w=np.ones(3))))
    other = Checkpoint(write_checkpoint(w=np.ones((3, 1)), b=np.ones(1)))
    causes = {cause.what: cause.detail for cause in asked.explain(other).causes}

    assert causes == {
        "whether there is b of checkpoint_epoch_00500 changed": "- False\n+ True",
        "shape of w of checkpoint_epoch_00500 changed": "- (3,)\n+ (3, 1)",
    }


def test_the_names_of_tensors_that_came_and_went_are_told(
    write_checkpoint: WriteCheckpoint, settled: None
) -> None:
    @analysis
    def named(checkpoint: Checkpoint) -> Any:
        return len(checkpoint)

    named(Checkpoint(write_checkpoint(a=np.ones(1), b=np.ones(1))))
    other = Checkpoint(write_checkpoint(a=np.zeros(1), c=np.ones(1)))
    cause = only(named.explain(other).causes, "input")

    assert cause.what == "tensors b, c of checkpoint_epoch_00500 changed"
    assert [line[:3] for line in cause.detail.splitlines()] == ["- b", "+ c"]


def test_of_many_tensors_the_number_is_told(
    write_checkpoint: WriteCheckpoint, settled: None
) -> None:
    @analysis
    def whole(checkpoint: Checkpoint) -> Any:
        return sum(checkpoint[f"t{n}"].sum() for n in range(5))

    whole(Checkpoint(write_checkpoint(**{f"t{n}": np.ones(1) for n in range(5)})))
    other = Checkpoint(write_checkpoint(**{f"t{n}": np.zeros(1) for n in range(5)}))
    cause = only(whole.explain(other).causes, "input")

    assert cause.what == "5 tensors of checkpoint_epoch_00500 changed"
    assert len(cause.detail.splitlines()) == 10


def test_a_file_that_changed_is_named(tmp_path: Path, settled: None) -> None:
    @analysis
    def read(file: File) -> Any:
        return len(file.read_bytes())

    path = tmp_path / "notes.txt"
    path.write_text("one")
    read(File(path))
    path.write_text("other")

    assert only(read.explain(File(path)).causes, "input").what == "the content of notes.txt changed"  # fmt: skip


def test_a_hit_of_blessed_code_says_who_said_so(
    computed: Any, write_module: WriteModule, checkpoint: Path
) -> None:
    was = computed.f.closure.digest.hex
    after = write_module("explained", BODY.replace("w + 1", "1 + w"))
    store, now = after.f.call(checkpoint).store, after.f.closure.digest.hex
    blessing = bless(store, "f", was, now, "only turned round")

    words = str(after.f.explain(checkpoint))

    assert f"which {blessing.who} blessed as the same: {blessing.name} (only turned round)" in words  # fmt: skip


ANALYSIS_OF_A_CONSTANT = """\
from artifact_store import Checkpoint, analysis

K = 2

@analysis
def g(checkpoint: Checkpoint):
    return checkpoint["w"] * K
"""


def test_a_hit_by_a_constant_that_became_a_parameter_says_so(
    computed: Any, write_module: WriteModule, checkpoint: Path, settled: None
) -> None:
    body = ANALYSIS_OF_A_CONSTANT
    write_module("promoted", body).g(checkpoint)
    promoted = (
        body.replace("K = 2\n", "")
        .replace("@analysis", "@analysis(was={'K': 2})")
        .replace("Checkpoint)", "Checkpoint, K=2)")
    )
    explanation = write_module("promoted", promoted).g.explain(checkpoint)

    assert explanation.hit
    assert "the same with was: K=2." in str(explanation)


LAYERED = """

@analysis
def g(checkpoint: Checkpoint):
    return f(checkpoint)["sum"] + 1
"""


def test_of_a_result_that_is_corrupt_the_reason_is_told(
    write_module: WriteModule, checkpoint: Path, settled: None
) -> None:
    write_module("explained", BODY + LAYERED).g(checkpoint)
    module = write_module("explained", BODY.replace("w + 1", "w - 1") + LAYERED)
    artifact = module.f.artifact(checkpoint)
    (artifact.path / "sum" / "c").write_bytes(b"not it")
    explanation = module.g.explain(checkpoint)
    cause = only(explanation.causes, "upstream")

    assert explanation.state == "pending"
    assert cause.what == "f(checkpoint_epoch_00500, k=1, mode='fast') has to be computed first"  # fmt: skip
    assert "its entry is corrupt" in only(cause.because, "corrupt").what


def test_what_a_result_below_read_is_told_once(
    write_module: WriteModule, checkpoint: Path, settled: None
) -> None:
    top = """

@analysis
def h(checkpoint: Checkpoint):
    return f(checkpoint)["sum"] + g(checkpoint)
"""
    module = write_module("explained", BODY + LAYERED + top)
    module.h(checkpoint)
    told = module.h.explain(checkpoint).depends_on
    words = [re.sub(" = [0-9a-f]{12}", "", one) for one in told]

    below = "f(checkpoint_epoch_00500, k=1, mode='fast')"
    assert words[1:5] == [
        f"result of {below}",
        "  read tensor w",
        "result of g(checkpoint_epoch_00500)",
        f"  result of {below}, as above",
    ]


def test_a_label_that_is_read_otherwise_is_a_cause(
    write_checkpoint: WriteCheckpoint, settled: None
) -> None:
    @analysis(strict=False)
    def labelled(checkpoint: Checkpoint) -> Any:
        return checkpoint["w"] * int(checkpoint.metadata.get("step", 0))

    path = write_checkpoint()
    labelled(Checkpoint(path))
    save_file({"w": Checkpoint(path)["w"]}, path, metadata={"step": "2"})
    cause = only(labelled.explain(Checkpoint(path)).causes, "input")

    assert cause.what == "metadata of checkpoint_epoch_00500 changed"


def test_what_is_read_beside_the_notes_counts_whole(
    checkpoint: Path, settled: None
) -> None:
    @analysis
    def above(checkpoint: Checkpoint) -> Any:
        @analysis
        def within(checkpoint: Checkpoint) -> Any:
            return checkpoint["w"]

        return within(checkpoint)

    above(Checkpoint(checkpoint))
    words = str(above.explain(Checkpoint(checkpoint)))

    assert re.search("checkpoint_epoch_00500 [0-9a-f]{12}, of which all counts\n      w = ", words)  # fmt: skip


def test_an_entry_that_was_made_from_the_same_reads_and_removed_is_evicted(
    write_checkpoint: WriteCheckpoint, computed: Any
) -> None:
    path = write_checkpoint(
        "run/checkpoints/checkpoint_epoch_00600.safetensors",
        w=np.arange(6, dtype=np.float32).reshape(2, 3),
        other=np.ones(1),
    )
    assert computed.f.explain(path).hit
    store = computed.f.call(path).store
    store.remove(list(store.keys("f")))

    assert only(computed.f.explain(path).causes, "evicted")


def test_a_call_of_many_inputs_is_described_by_the_ends(
    run_directory: RunDirectory,
) -> None:
    @analysis
    def over(checkpoints: list[Checkpoint]) -> Any:
        return len(checkpoints)

    run = Run(run_directory(epochs=range(5)))

    assert over.explain(list(run.values())).call == (
        "over(checkpoint_epoch_00000, ... 3 more ..., checkpoint_epoch_00004)"
    )
