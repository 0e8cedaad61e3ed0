"""An entry is found if all that it was made from is as it was, and only then."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from conftest import Ran, RunDirectory, WriteCheckpoint, WriteModule
from safetensors.numpy import save_file

from artifact_store import AnalysisPipeline, Checkpoint, Run
from artifact_store.memoize import Analysis
from artifact_store.stores.base import Store
from artifact_store.traces import Pending, peek

HEAD = """\
from __future__ import annotations

import numpy as np

from artifact_store import Artifact, Checkpoint, Run, analysis

"""

CHAIN = HEAD + """
@analysis
def total(checkpoint: Checkpoint, scale: int = 1):
    return checkpoint["w"].sum() * scale


@analysis
def is_large(checkpoint: Checkpoint):
    return total(checkpoint) > 10


@analysis
def shown(checkpoint: Checkpoint):
    return np.array([is_large(checkpoint), total(checkpoint, scale=2) < 0])
"""


@pytest.fixture(autouse=True)
def stable(settled: None) -> None: ...


def store_of(analysis: Analysis[..., Any], given: Any) -> Store:
    return analysis.call(given).store


# What was read


def test_a_tensor_that_epochs_share_is_analysed_once(
    write_module: WriteModule, write_checkpoint: WriteCheckpoint, ran: Ran
) -> None:
    module = write_module("study", CHAIN)
    frozen = np.ones(3)
    first, second = (
        write_checkpoint(f"run/checkpoints/epoch_{n}.safetensors", w=frozen, v=[n])
        for n in (1, 2)
    )

    assert module.total(first) == module.total(second)
    assert ran() == ["total"]


def test_an_adopted_entry_is_one_of_its_own(
    write_module: WriteModule, write_checkpoint: WriteCheckpoint
) -> None:
    module = write_module("study", CHAIN)
    first, second = (
        write_checkpoint(f"run/checkpoints/epoch_{n}.safetensors", w=[3.0], v=[n])
        for n in (1, 2)
    )
    made, adopted = module.total.artifact(first), module.total.artifact(second)

    assert adopted.key == module.total.key(second) != made.key
    assert adopted.entry.manifest.first == made.key.digest.hex
    assert made.entry.manifest.first == ""
    assert [one.label for one in adopted.provenance.inputs] == ["epoch_2"]
    assert adopted.path == made.path
    doors = second.parent.parent / "artifacts/total"
    assert {one.name for one in doors.iterdir()} == {"epoch_1", "epoch_2"}


def test_recomputing_what_was_adopted_compares_with_that(
    write_module: WriteModule, write_checkpoint: WriteCheckpoint
) -> None:
    total = write_module("study", CHAIN).total
    total(write_checkpoint("one.safetensors", w=[1.0], v=[1.0]))

    again = total.recompute(write_checkpoint("two.safetensors", w=[1.0], v=[2.0]))

    assert again.previous is not None and not again.changed


def test_an_adopted_entry_stays_when_the_one_it_came_from_is_removed(
    write_module: WriteModule, write_checkpoint: WriteCheckpoint, ran: Ran
) -> None:
    module = write_module("study", CHAIN)
    paths = [
        write_checkpoint(f"run/checkpoints/epoch_{n}.safetensors", w=[3.0], v=[n])
        for n in (1, 2, 3)
    ]
    made, adopted = (module.total.artifact(one) for one in paths[:2])
    store_of(module.total, paths[0]).remove([made.key])
    ran()

    assert module.total(paths[1]) == 3.0
    # And others are found by its reads.
    assert module.total(paths[2]) == 3.0
    assert ran() == []


@pytest.mark.parametrize(
    "tensors, computed",
    [
        ({"w": [3.0], "v": [2.0]}, []),
        ({"w": [3.0]}, []),
        ({"w": [3.0], "v": [1.0], "x": [1.0]}, []),
        ({"w": [4.0], "v": [1.0]}, ["total"]),
        ({"w": np.array([3.0], np.float32), "v": [1.0]}, ["total"]),
        ({"w": [[3.0]], "v": [1.0]}, ["total"]),
    ],
)
def test_only_what_was_read_of_a_checkpoint_decides(
    write_module: WriteModule,
    write_checkpoint: WriteCheckpoint,
    ran: Ran,
    tensors: dict[str, Any],
    computed: list[str],
) -> None:
    module = write_module("study", CHAIN)
    module.total(write_checkpoint(w=[3.0], v=[1.0]))
    ran()
    module.total(write_checkpoint(**tensors))

    assert ran() == computed


def test_another_param_is_another_call(
    write_module: WriteModule, checkpoint: Path, ran: Ran
) -> None:
    module = write_module("study", CHAIN)

    assert [module.total(checkpoint, scale=n) for n in (1, 2, 1)] == [15, 30, 15]
    assert ran() == ["total", "total"]


OPTIONAL = HEAD + """
@analysis
def bias(checkpoint: Checkpoint):
    try:
        return checkpoint["b"].sum()
    except KeyError:
        return 0.0
"""


def test_a_tensor_that_was_not_there_counts(
    write_module: WriteModule, write_checkpoint: WriteCheckpoint, ran: Ran
) -> None:
    module = write_module("study", OPTIONAL)

    assert module.bias(write_checkpoint(w=[1.0])) == 0
    assert module.bias(write_checkpoint(w=[2.0])) == 0
    assert ran() == ["bias"]
    assert module.bias(write_checkpoint(w=[2.0], b=[3.0])) == 3


BRANCH = HEAD + """
@analysis
def chosen(checkpoint: Checkpoint):
    return checkpoint["a"].sum() if checkpoint["flag"][0] else checkpoint["b"].sum()
"""


def test_what_a_branch_did_not_read_does_not_count(
    write_module: WriteModule, write_checkpoint: WriteCheckpoint, ran: Ran
) -> None:
    module = write_module("study", BRANCH)

    def result(flag: int, a: float, b: float) -> float:
        return float(module.chosen(write_checkpoint(flag=[flag], a=[a], b=[b])))

    assert [result(1, 3, 4), result(0, 3, 4)] == [3, 4]
    ran()
    assert [result(1, 3, 5), result(0, 2, 4)] == [3, 4]
    assert ran() == []
    assert [result(1, 4, 5), result(0, 2, 5)] == [4, 5]
    assert ran() == ["chosen", "chosen"]


def test_a_result_that_reads_nothing_serves_every_checkpoint(
    write_module: WriteModule, run_directory: RunDirectory, ran: Ran
) -> None:
    module = write_module(
        "study", HEAD + "@analysis\ndef one(checkpoint: Checkpoint):\n    return 1\n"
    )
    run = Run(run_directory())

    assert [module.one(run[epoch]) for epoch in run] == [1, 1, 1]
    assert ran() == ["one"]


# Labels and metadata

LABELS = HEAD + """
@analysis(strict=False)
def when(checkpoint: Checkpoint):
    return checkpoint.epoch


@analysis
def rate(checkpoint: Checkpoint):
    return float(checkpoint.metadata["lr"])


@analysis
def size(checkpoint: Checkpoint):
    return checkpoint["w"].size


@analysis
def doubled(checkpoint: Checkpoint):
    return 2 * rate(checkpoint)


@analysis(strict=False)
def later(checkpoint: Checkpoint):
    return 1 + when(checkpoint)
"""


def write_with(path: Path, lr: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({"w": np.ones(3)}, path, metadata={"lr": lr})
    return path


@pytest.mark.parametrize("name, shift", [("when", 0), ("later", 1)])
def test_a_label_that_was_read_never_serves_another(
    write_module: WriteModule, tmp_path: Path, name: str, shift: int
) -> None:
    module = write_module("study", LABELS)
    path = write_with(tmp_path / "run/checkpoints/checkpoint_epoch_00001.st", "1")
    assert getattr(module, name)(path) == 1 + shift
    renamed = path.rename(path.with_name("checkpoint_epoch_00002.st"))

    assert getattr(module, name)(renamed) == 2 + shift


def test_a_label_that_was_read_is_flagged(
    write_module: WriteModule, tmp_path: Path
) -> None:
    module = write_module("study", LABELS)
    path = write_with(tmp_path / "run/checkpoints/checkpoint_epoch_00001.st", "1")

    assert module.when.artifact(path).entry.manifest.flags == ("read checkpoint.epoch",)
    assert "not pure: read checkpoint.epoch" in str(module.when.explain(path))


def test_edited_metadata_miss_what_read_them_and_nothing_else(
    write_module: WriteModule, tmp_path: Path, ran: Ran
) -> None:
    module = write_module("study", LABELS)
    path = write_with(tmp_path / "run/checkpoints/checkpoint_epoch_00001.st", "1")
    assert [module.rate(path), module.doubled(path), module.size(path)] == [1, 2, 3]
    ran()
    # The tensors are as they were, and so are all keys.
    write_with(path, "5")

    assert [module.rate(path), module.doubled(path), module.size(path)] == [5, 10, 3]
    assert ran() == ["rate", "doubled"]


def test_metadata_that_are_as_they_were_again_find_their_result(
    write_module: WriteModule, tmp_path: Path, ran: Ran
) -> None:
    module = write_module("study", LABELS)
    path = tmp_path / "run/checkpoints/checkpoint_epoch_00001.st"

    found = [float(module.doubled(write_with(path, lr))) for lr in "121"]

    assert found == [2, 4, 2]


# What other analyses returned


def test_code_that_gives_the_same_stops_there(
    write_module: WriteModule, checkpoint: Path, ran: Ran
) -> None:
    write_module("study", CHAIN).shown(checkpoint)
    assert ran() == ["total", "is_large", "total", "shown"]
    module = write_module("study", CHAIN.replace("sum() *", "sum() * 1 *"))

    assert module.shown(checkpoint).tolist() == [True, False]
    assert ran() == ["total", "total"]


def test_another_result_goes_as_far_as_it_changes_anything(
    write_module: WriteModule, checkpoint: Path, ran: Ran
) -> None:
    write_module("study", CHAIN).shown(checkpoint)
    ran()
    # 15 becomes 30, which is large too.
    module = write_module("study", CHAIN.replace("sum() *", "sum() * 2 *"))
    module.shown(checkpoint)
    assert sorted(ran()) == ["is_large", "shown", "total", "total"]


def test_a_change_in_the_middle_of_a_chain_leaves_both_ends(
    write_module: WriteModule, checkpoint: Path, ran: Ran
) -> None:
    write_module("study", CHAIN).shown(checkpoint)
    ran()
    module = write_module("study", CHAIN.replace("> 10", "> 11"))
    module.shown(checkpoint)

    assert ran() == ["is_large"]


def test_a_default_that_a_caller_left_to_its_callee_counts(
    write_module: WriteModule, checkpoint: Path, ran: Ran
) -> None:
    assert write_module("study", CHAIN).is_large(checkpoint)
    ran()
    module = write_module("study", CHAIN.replace("scale: int = 1", "scale: int = 0"))

    assert not module.is_large(checkpoint)
    assert ran() == ["total", "is_large"]


def test_a_default_that_no_caller_relies_on_does_not_count(
    write_module: WriteModule, checkpoint: Path, ran: Ran
) -> None:
    explicit = CHAIN.replace("total(checkpoint) >", "total(checkpoint, 1) >")
    write_module("study", explicit).shown(checkpoint)
    ran()
    module = write_module("study", explicit.replace("scale: int = 1", "scale: int = 0"))
    module.shown(checkpoint)

    assert ran() == []


def test_undoing_an_edit_computes_nothing(
    write_module: WriteModule, checkpoint: Path, ran: Ran
) -> None:
    for text in (CHAIN, CHAIN.replace("sum()", "max()")):
        write_module("study", text).shown(checkpoint)
    ran()
    write_module("study", CHAIN).shown(checkpoint)

    assert ran() == []


GUIDED = HEAD + """
@analysis
def sign(checkpoint: Checkpoint):
    return np.sign(checkpoint["v"].sum())


@analysis
def left(checkpoint: Checkpoint, k: int):
    return checkpoint["a"].sum() + k


@analysis
def right(checkpoint: Checkpoint, k: int):
    return checkpoint["b"].sum() + k


@analysis
def taken(checkpoint: Checkpoint):
    way = int(sign(checkpoint))
    return (left if way > 0 else right)(checkpoint, k=way)
"""


def test_the_way_that_was_not_taken_does_not_count(
    write_module: WriteModule, write_checkpoint: WriteCheckpoint, ran: Ran
) -> None:
    module = write_module("study", GUIDED)

    def result(v: float, a: float, b: float) -> float:
        return float(module.taken(write_checkpoint(v=[v], a=[a], b=[b])))

    assert result(1, 3, 4) == 4
    assert ran() == ["sign", "left", "taken"]
    assert result(1, 3, 5) == 4 and ran() == []
    assert result(2, 3, 5) == 4 and ran() == ["sign"]
    assert result(-1, 3, 5) == 4
    assert ran() == ["sign", "right", "taken"]


@pytest.mark.parametrize(
    "old, new, computed",
    [
        ('["b"].sum() + k', '["b"].sum() - k', []),
        ('["a"].sum() + k', '["a"].sum() + 1 * k', ["left"]),
        ('["a"].sum() + k', '["a"].sum() - k', ["left", "taken"]),
        ("np.sign(", "-np.sign(", ["sign", "right", "taken"]),
    ],
)
def test_an_edit_of_what_was_called_counts_as_far_as_it_was_called(
    write_module: WriteModule,
    write_checkpoint: WriteCheckpoint,
    ran: Ran,
    old: str,
    new: str,
    computed: list[str],
) -> None:
    path = write_checkpoint(v=[1.0], a=[3.0], b=[4.0])
    write_module("study", GUIDED).taken(path)
    ran()
    write_module("study", GUIDED.replace(old, new)).taken(path)

    assert ran() == computed


PASSED = HEAD + """
@analysis
def scaled(checkpoint: Checkpoint):
    return checkpoint["w"] * 2


@analysis
def largest(scaled: Artifact, above: float = 0.0):
    return max(scaled.numpy().max(), above)


@analysis
def peak(checkpoint: Checkpoint):
    return largest(scaled.artifact(checkpoint), above=1.0)
"""


def test_an_artifact_that_is_passed_on_counts_by_what_it_holds(
    write_module: WriteModule, checkpoint: Path, ran: Ran
) -> None:
    assert write_module("study", PASSED).peak(checkpoint) == 10
    assert ran() == ["scaled", "largest", "peak"]
    module = write_module("study", PASSED.replace("* 2", "* 1 * 2"))
    assert module.peak(checkpoint) == 10 and ran() == ["scaled"]
    module = write_module("study", PASSED.replace("* 2", "* -2"))
    assert module.peak(checkpoint) == 1 and ran() == ["scaled", "largest", "peak"]
    module = write_module("study", PASSED.replace(".max(), above", ".min(), above"))
    assert module.peak(checkpoint) == 1 and ran() == ["largest", "peak"]


# Sequences and dicts

SEVERAL = HEAD + """
@analysis
def mean(checkpoint: Checkpoint):
    return checkpoint["w"].mean()


@analysis
def means(checkpoints: list[Checkpoint]):
    return np.array([mean(one) for one in checkpoints])


@analysis
def head(checkpoints: list[Checkpoint]):
    return checkpoints[0]["w"]


@analysis
def named(checkpoints: dict[str, Checkpoint]):
    return {name: one["w"] for name, one in checkpoints.items()}
"""


@pytest.fixture
def several(write_module: WriteModule) -> ModuleType:
    return write_module("study", SEVERAL)


@pytest.fixture
def abc(write_checkpoint: WriteCheckpoint) -> list[Path]:
    return [
        write_checkpoint(f"run/checkpoints/{name}.safetensors", w=[float(value)], v=[1])
        for value, name in enumerate("abc")
    ]


def test_order_and_repetition_of_checkpoints_count(
    several: ModuleType, abc: list[Path], ran: Ran
) -> None:
    a, b, c = abc
    for some in ([a, a], [b, a], [a, b], [a], [a, b, c], [c, b, a], []):
        if some:
            expected = [float(abc.index(one)) for one in some]
            assert several.means(some).tolist() == expected
    assert ran().count("means") == 6


def test_a_checkpoint_that_nobody_looks_at_may_be_another(
    several: ModuleType, abc: list[Path], ran: Ran
) -> None:
    a, b, c = abc
    several.head([a, b])
    assert several.head([a, c]) == several.head([a, a]) == 0
    assert ran() == ["head"]
    # One more is another form of input, as the function may count them.
    assert several.head([a, b, c]) == 0 and several.head([b, a]) == 1
    assert ran() == ["head", "head"]


def test_replacing_one_of_several_computes_it_alone_and_what_looks_at_all(
    several: ModuleType, abc: list[Path], write_checkpoint: WriteCheckpoint, ran: Ran
) -> None:
    several.means(abc)
    ran()
    write_checkpoint("run/checkpoints/b.safetensors", w=[7.0], v=[1])
    assert several.means(abc).tolist() == [0, 7, 2]
    assert ran() == ["mean", "means"]
    write_checkpoint("run/checkpoints/b.safetensors", w=[7.0], v=[2])
    several.means(abc)
    assert ran() == []


def test_the_names_of_checkpoints_in_a_dict_count(
    several: ModuleType, abc: list[Path], ran: Ran
) -> None:
    a, b, _ = abc

    assert several.named({"x": a, "y": b}).keys() == {"x", "y"}
    assert several.named({"x": a, "z": b}).keys() == {"x", "z"}
    assert several.named({"x": b, "y": a})["x"] == 1
    assert ran() == ["named"] * 3


# Runs

ALONG = HEAD + """
@analysis
def mean(checkpoint: Checkpoint):
    return checkpoint["w"].mean()


@analysis
def curve(run: Run):
    return np.array([mean(run[epoch]) for epoch in run])


@analysis
def middle(run: Run):
    return mean(run[500]) if 500 in run else -1.0


@analysis
def raw(run: Run):
    return run[500]["w"]


@analysis
def count(run: Run):
    return len(run)
"""


@pytest.fixture
def along(write_module: WriteModule, run_directory: RunDirectory) -> ModuleType:
    module = write_module("study", ALONG)
    run_all(module, run_directory())
    return module


def run_all(module: ModuleType, path: Path) -> None:
    AnalysisPipeline(path).run([module.curve, module.middle, module.raw, module.count])


def test_a_new_epoch_misses_what_looks_at_all_epochs(
    along: ModuleType, run_directory: RunDirectory, tmp_path: Path, ran: Ran
) -> None:
    ran()
    run_all(along, run_directory(epochs=(0, 500, 1000, 1500)))

    assert ran() == ["mean", "curve", "count"]


def test_an_epoch_that_is_gone_misses_what_looked_for_it(
    along: ModuleType, tmp_path: Path, ran: Ran
) -> None:
    ran()
    (tmp_path / "run/checkpoints/checkpoint_epoch_00500.safetensors").unlink()
    along.middle(tmp_path / "run")
    along.count(tmp_path / "run")

    assert ran() == ["middle", "count"]


def test_another_checkpoint_at_one_epoch_misses_what_looked_at_it(
    along: ModuleType, write_checkpoint: WriteCheckpoint, tmp_path: Path, ran: Ran
) -> None:
    ran()
    changed = write_checkpoint(
        "run/checkpoints/checkpoint_epoch_01000.safetensors", w=np.ones((2, 3))
    )
    run_all(along, tmp_path / "run")
    assert ran() == ["mean", "curve"]

    # Of `v`, nobody asked.
    write_checkpoint(changed, w=np.ones((2, 3)), v=[1.0])
    run_all(along, tmp_path / "run")
    assert ran() == []


# Entries that are gone or damaged


def entry_path(analysis: Analysis[..., Any], given: Any) -> Path:
    call = analysis.call(given)
    root, key = Path(call.store.location), call.key.digest.hex
    return root / f".store/entries/{call.key.analysis}/{key[:2]}/{key[2:]}.json"


def test_of_three_entries_with_the_same_reads_the_last_is_found_when_two_are_removed(
    write_module: WriteModule, write_checkpoint: WriteCheckpoint, ran: Ran
) -> None:
    total = write_module("study", CHAIN).total
    keys: list[Any] = []
    for other in range(4):
        path = write_checkpoint(w=[1.0], v=[float(other)])
        if other == 3:
            total.call(path).store.remove(keys[:2])
        total(path)
        keys.append(total.key(path))

    assert ran() == ["total"]


@pytest.mark.parametrize("damage", [b"", b"{}", None], ids=str)
def test_what_calls_an_entry_that_is_gone_or_damaged_stays(
    write_module: WriteModule, checkpoint: Path, ran: Ran, damage: bytes | None
) -> None:
    module = write_module("study", CHAIN)
    module.shown(checkpoint)
    path = entry_path(module.total, checkpoint)
    path.unlink() if damage is None else path.write_bytes(damage)
    ran()

    assert module.is_large(checkpoint) and ran() == []
    # Found by its reads, since all code is another; so what it reads has to be there again.
    module = write_module("study", CHAIN.replace("* scale", "* scale * 1"))
    assert module.is_large(checkpoint) and ran() == ["total"]


def test_a_plan_waits_for_what_is_damaged_and_does_not_call_its_callers_so(
    write_module: WriteModule, checkpoint: Path, ran: Ran
) -> None:
    module = write_module("study", CHAIN)
    module.is_large(checkpoint)
    edited = CHAIN.replace("* scale", "* scale * 1")
    module = write_module("study", edited)
    module.total(checkpoint)
    entry_path(module.total, checkpoint).write_bytes(b"{}")
    pipeline = AnalysisPipeline(checkpoint.parent.parent)
    ran()

    plan = pipeline.plan([module.is_large, module.total])
    assert [step.state for step in plan.steps] == ["pending", "corrupt"]
    pipeline.run([module.is_large, module.total])
    assert ran() == ["total"]


def test_peeking_computes_nothing_and_says_for_which_call_it_would_wait(
    write_module: WriteModule, checkpoint: Path, ran: Ran
) -> None:
    write_module("study", CHAIN).shown(checkpoint)
    ran()
    module = write_module("study", CHAIN.replace("sum()", "max()"))
    found = peek(module.shown.call(checkpoint))

    assert isinstance(found, Pending)
    assert found.upstream.key == module.total.key(checkpoint)
    assert ran() == []


RECORDS = "run/artifacts/.store/records/steps"


def records_in(tmp_path: Path) -> Iterator[Path]:
    yield from sorted((tmp_path / RECORDS).iterdir())


def spoil(path: Path, content: bytes) -> None:
    if content == b"gone":
        path.unlink()
    else:
        path.write_bytes(content)


@pytest.mark.parametrize(
    "content",
    [
        b"gone",
        b"",
        b"\0\xff",
        b"[]",
        b"{}",
        b'[{"type":"ask","questions":[]}]',
        b'[{"type":"ask","questions":[["tensor","7","w",""]]}]',
        b'[{"type":"ask","questions":[["tensor","0/x","w",""]]}]',
        b'[{"type":"ask","questions":[["tensor","@5","w",""]]}]',
        b'[{"type":"ask","questions":[["tensor","File:/etc/hostname","w",""]]}]',
        b'[{"type":"ask","questions":[["epochs","0","",""]]}]',
        b'[{"type":"ask","questions":[["has","0","w",""],["call","0","total",""]]}]',
        b'[{"type":"ask","questions":[["call","9","total","bm9uZTowOg=="]]}]',
        b'[{"type":"ask","questions":[["call","x","total","bm9uZTowOg=="]]}]',
        b'[{"type":"ask","questions":[["call","0","total","ZmxvYXQ6MDo="]]}]',
        b'[{"type":"ask","questions":[["call","0","total","!"]]}]',
        b'[{"type":"found","key":"0","reads":[]}]',
        b'[{"type":"found","key":"../../x","reads":[]}]',
    ],
)
def test_a_damaged_record_of_reads_costs_a_computation_and_never_a_wrong_result(
    write_module: WriteModule, checkpoint: Path, tmp_path: Path, content: bytes
) -> None:
    write_module("study", CHAIN).shown(checkpoint)
    for path in records_in(tmp_path):
        spoil(path, content)
    module = write_module("study", CHAIN.replace("sum()", "max()"))

    assert module.shown.explain(checkpoint).state == "miss"
    assert module.shown(checkpoint).tolist() == [False, False]
    # And all is well again.
    module = write_module("study", CHAIN.replace("sum()", "max() * 1"))
    assert module.shown(checkpoint).tolist() == [False, False]


def test_a_record_that_leads_to_another_entry_is_not_believed(
    write_module: WriteModule, write_checkpoint: WriteCheckpoint, tmp_path: Path
) -> None:
    module = write_module("study", CHAIN)
    one = write_checkpoint("run/checkpoints/a.safetensors", w=[1.0])
    other = write_checkpoint("run/checkpoints/b.safetensors", w=[2.0])
    keys = [module.total.artifact(path).key.digest.hex for path in (one, other)]
    for path in records_in(tmp_path):
        path.write_text(path.read_text().replace(keys[0], keys[1]))
    same = write_checkpoint("run/checkpoints/c.safetensors", w=[1.0], v=[1.0])

    assert module.total(same) == 1


# Processes

SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
import study
from artifact_store.events import Published, listening
computed = []
with listening(lambda event: computed.append(event) if isinstance(event, Published) else None):
    study.shown(sys.argv[2])
print(*[event.key.analysis for event in computed])
"""


def test_reads_of_one_process_are_known_to_the_next(
    write_checkpoint: WriteCheckpoint, tmp_path: Path
) -> None:
    def computed(text: str, path: Path) -> list[str]:
        (tmp_path / "study.py").write_text(text)
        command = [sys.executable, "-B", "-c", SCRIPT, str(tmp_path), str(path)]
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, env=dict(os.environ)
        )
        return done.stdout.split()

    one = write_checkpoint("run/checkpoints/a.safetensors", w=[9.0], v=[1.0])
    other = write_checkpoint("run/checkpoints/b.safetensors", w=[9.0], v=[2.0])

    assert computed(CHAIN, one) == ["total", "is_large", "total", "shown"]
    assert computed(CHAIN, other) == []
    assert computed(CHAIN.replace("sum()", "max()"), other) == ["total", "total"]


def test_two_copies_of_a_run_know_what_one_of_them_knew(
    write_module: WriteModule, run_directory: RunDirectory, tmp_path: Path, ran: Ran
) -> None:
    module = write_module("study", CHAIN)
    run = Run(run_directory())
    for epoch in run:
        module.shown(run[epoch])
    ran()
    run.path.rename(tmp_path / "moved")
    moved = Run(tmp_path / "moved")
    module = write_module("study", CHAIN.replace("sum()", "sum() * 1"))
    for epoch in moved:
        module.shown(moved[epoch])

    assert set(ran()) == {"total"}
    assert isinstance(moved[0], Checkpoint)
