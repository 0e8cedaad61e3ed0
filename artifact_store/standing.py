"""Whether a picture still shows what its run has: each artifact that was drawn, beside that of today.

stamp, run, analysis ──► the same call ──► found ┬─ the same output ──► *stands*
                                                 └─ another, or none ──► why
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, TypeAlias

from artifact_store.calls import Call, closure_in_words
from artifact_store.causes import Cause, code_changes
from artifact_store.checkpoints import Checkpoint
from artifact_store.digests import digest_of
from artifact_store.errors import ArtifactStoreError
from artifact_store.explain import explain
from artifact_store.manifests import ParamRecord
from artifact_store.memoize import Analysis
from artifact_store.params import encode_param
from artifact_store.runs import Run
from artifact_store.stamps import StampedArtifact
from artifact_store.stores.base import Entry
from artifact_store.traces import peek

# Longer values are shown cut short, and cannot be told.
_LONGEST: Final = 120

State: TypeAlias = Literal["same", "other", "none", "unknown"]


@dataclass(frozen=True, slots=True)
class Standing:
    """What a run has today in the place of an artifact that was drawn.

    Attributes
    ----------
    state
        `same`: the same output, however it was made. `other`: another one. `none`: nothing that is up to date.
        `unknown`: it cannot be said.
    key, output
        Of the artifact of today; empty if there is none.
    causes
        Why it is not the same.
    why
        Why it cannot be said.
    """

    state: State
    key: str = ""
    output: str = ""
    causes: tuple[Cause, ...] = ()
    why: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The same, for JSON."""
        return asdict(self)


def standings(
    drawn: Iterable[StampedArtifact],
    run: Run,
    analyses: Mapping[str, Analysis[..., Any]],
) -> list[Standing]:
    """What `run` has in the place of each artifact that was drawn; computes nothing.

    Parameters
    ----------
    analyses
        Those that may be asked, by their function: a stamp may come from a stranger, who names any.
    """
    inputs: dict[str, Run | Checkpoint] = {one.label: one for one in run.values()}
    found = []
    for one in drawn:
        try:
            found.append(_standing(one, _call(one, run, inputs, analyses)))
        except (_Unknown, ArtifactStoreError) as error:
            found.append(Standing("unknown", why=str(error)))
    return found


class _Unknown(Exception):
    """Why it cannot be said what there is today."""


def _call(
    drawn: StampedArtifact,
    run: Run,
    inputs: Mapping[str, Run | Checkpoint],
    analyses: Mapping[str, Analysis[..., Any]],
) -> Call:
    """The call that would be made today."""
    analysis = analyses.get(drawn.function)
    if analysis is None:
        raise _Unknown(f"{drawn.function} is imported only if it is named, after the run")  # fmt: skip
    if len(drawn.inputs) != 1:
        raise _Unknown("it was not made of one input")
    label = drawn.inputs[0].label
    asked = run if analysis.takes_run else inputs.get(label)
    if asked is None:
        raise _Unknown(f"{run.name} has no checkpoint {label}")
    params = {n: _value(n, p) for n, p in drawn.params.items() if not p.is_default}
    try:
        return analysis.call(asked, **params)
    except TypeError as error:
        raise _Unknown(f"{drawn.function} no longer takes that: {error}") from None


def _value(name: str, param: ParamRecord) -> Any:
    """A param again, from its words, if they tell it."""
    try:
        # Words of a stranger may be of any length, and nest deeper than Python survives.
        value = ast.literal_eval(param.shown[:_LONGEST])
        if digest_of("param", encode_param(value)).hex == param.digest:
            return value
    except (ValueError, SyntaxError, MemoryError, RecursionError, ArtifactStoreError):
        pass
    raise _Unknown(f"param {name} = {param.shown} cannot be told from these words")


def _standing(drawn: StampedArtifact, call: Call) -> Standing:
    found = peek(call)
    if not isinstance(found, Entry):
        return Standing("none", causes=explain(call).causes)
    output, key = found.manifest.output, call.key.digest.hex
    if output == drawn.output:
        return Standing("same", key, output)
    return Standing("other", key, output, tuple(_differences(drawn, call)))


def _differences(drawn: StampedArtifact, call: Call) -> Iterator[Cause]:
    """Why a call has another result today."""
    is_same_code = drawn.closure == call.closure.digest.hex
    if not is_same_code:
        recorded = call.store.detail("closures", drawn.closure)
        yield from code_changes(recorded, closure_in_words(call.closure))
    is_same_input = [one.digest for one in drawn.inputs] == [one.digest for one in call.inputs]  # fmt: skip
    if not is_same_input:
        yield Cause("input", f"{drawn.inputs[0].label} holds something else")
    if is_same_code and is_same_input:
        what = "an analysis that it calls gave another result, or it was computed again"
        yield Cause("upstream", what)
