"""Calls: an analysis bound to its inputs and params; not yet computed.

function, arguments, key ──► *Call* ──► where its reads begin
                                   └──► provenance, and what explains a miss later
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from artifact_store._version import __version__
from artifact_store.artifacts import Artifact
from artifact_store.closures.reach import Closure
from artifact_store.declarations import Declaration
from artifact_store.digests import Digest, digest_of
from artifact_store.encoding import PLAIN, shown
from artifact_store.errors import ArtifactStoreError
from artifact_store.inputs import inputs_in, is_input
from artifact_store.keys import Key, start_of
from artifact_store.layout import door_label, home_of, home_of_group, home_of_run
from artifact_store.manifests import InputRecord, ParamRecord, Provenance, moment
from artifact_store.params import encode_param, encode_params, form_of
from artifact_store.recent import cached_property
from artifact_store.runs import Run
from artifact_store.signatures import Arguments, Signature
from artifact_store.stores.base import Store
from artifact_store.urls import located
from artifact_store.versions import version_of

# How many inputs are named one by one.
_FEW = 3


class Call(msgspec.Struct, frozen=True, dict=True):
    """One call of an analysis, and where its result is kept.

    Attributes
    ----------
    key
        Of all that may decide the result, whether it is read or not.
    whole, closure
        The code of the analysis and of those it calls; that of the analysis alone.
    params_bytes
        The params in canonical bytes, as they were when the call was made.
    """

    key: Key
    whole: Digest
    closure: Closure
    declaration: Declaration
    signature: Signature
    arguments: Arguments
    params_bytes: bytes
    store: Store

    @cached_property
    def start(self) -> Digest:
        """What it has in common with the calls that read the same, as long as they are told the same."""
        return self.start_with(self.closure.digest)

    def start_with(self, closure: Digest) -> Digest:
        """The same, had it the code of another closure."""
        return self._start(closure, self.params_bytes)

    def _start(self, closure: Digest, params: bytes) -> Digest:
        return start_of(
            self.key.analysis,
            closure,
            self.declaration.environment_bytes,
            params,
            form_of(self.arguments.inputs),
        )

    def is_as_made(self) -> bool:
        """Whether its arguments still are what they were."""
        values = self.arguments.params.values()
        is_plain = PLAIN.issuperset(map(type, values))
        if is_plain and all(map(is_input, self.arguments.inputs.values())):
            return True  # Nobody can change these.
        try:
            params = encode_params(self.key.analysis, self.arguments.params)
            return self._start(self.closure.digest, params) == self.start
        except ArtifactStoreError:
            return False

    @property
    def label(self) -> str:
        """The name of its door: every input, and every param that is not at its default."""
        names = []
        for one in inputs_of(self.arguments):
            home = home_of_input(one)
            elsewhere = str(home) != self.store.location
            names.append(f"{home.parent.name}_{one.label}" if elsewhere else one.label)
        name = "+".join(names) or self.key.analysis
        return door_label(name, self._non_default, self.params_bytes)

    @cached_property
    def _non_default(self) -> dict[str, Any]:
        return self.signature.non_default(self.arguments.params)

    @property
    def inputs(self) -> tuple[InputRecord, ...]:
        """Every input, by the argument that holds it."""
        return tuple(
            InputRecord(name, one.label, one.identify(self.store).hex)
            for name, value in self.arguments.inputs.items()
            for one in inputs_in(value)
        )

    @property
    def params(self) -> dict[str, ParamRecord]:
        """Every param, as people read it and as the key counts it."""
        return {
            name: ParamRecord(
                shown(value),
                digest_of("param", encode_param(value)).hex,
                name not in self._non_default,
            )
            for name, value in self.arguments.params.items()
        }

    def __str__(self) -> str:
        """As its author would write it."""
        labels = [one.label for one in self.inputs]
        if len(labels) > _FEW:
            labels = [labels[0], f"... {len(labels) - 2} more ...", labels[-1]]
        params = [f"{name}={record.shown}" for name, record in self.params.items()]
        return f"{self.key.analysis}({', '.join(labels + params)})"

    @property
    def kinship(self) -> str:
        """What calls have in common that are compared when one of them misses: the label of their one input.

        That of a part of a run is the label of the whole, of which it is the beginning.
        """
        inputs = inputs_of(self.arguments)
        if len(inputs) != 1:
            return ""
        (only,) = inputs
        return only.name if isinstance(only, Run) else str(only.label)

    def provenance(self, seconds: float) -> Provenance:
        """How the result is made, by a computation that took `seconds`."""
        return Provenance(
            function=self.declaration.function,
            closure=self.closure.digest.hex,
            whole=self.whole.hex,
            params=self.params,
            inputs=self.inputs,
            ignored={
                name: shown(value) for name, value in self.arguments.ignored.items()
            },
            environment=self.declaration.environment,
            versions=versions_of(self.closure.packages),
            python=platform.python_version(),
            platform=sys.platform + "-" + platform.machine(),
            host=os.uname().nodename,
            created=moment(),
            seconds=seconds,
        )

    def details(self) -> dict[tuple[str, str], Callable[[], Any]]:
        """The closure in words, and the parts of each input, by digest; made when they are asked for."""
        found: dict[tuple[str, str], Callable[[], Any]] = {
            ("closures", self.closure.digest.hex): partial(
                closure_in_words, self.closure
            )
        }
        for one in inputs_of(self.arguments):
            found["inputs", one.identify(self.store).hex] = partial(parts_of, one)
        return found


def inputs_of(arguments: Arguments) -> list[Any]:
    """Every input of a call, in the order of their places."""
    return [one for value in arguments.inputs.values() for one in inputs_in(value)]


def home_of_arguments(arguments: Arguments) -> Path | None:
    """Where what is made of the first input is kept, if nothing else says so."""
    inputs = inputs_of(arguments)
    return home_of_input(inputs[0]) if inputs else None


def home_of_input(one: Any) -> Path:
    """Where what is made of an input is kept, if nothing else says so."""
    if isinstance(one, Run):
        return home_of_run(one.path)
    if not isinstance(one, Artifact):
        return home_of(one.path)
    if one.entry.home:
        return located(one.entry.home)
    return home_of_group(located(one.place))


def paths_of(one: Any) -> list[str]:
    """Where an input may be read: its files, or the directory of a run."""
    return [str(path) for path in getattr(one, "files", [one.path])]


def parts_of(one: Any) -> dict[str, str]:
    """The digest of each named part of an input that has parts: tensors of a checkpoint, checkpoints of a run."""
    if isinstance(one, Run):
        return {f"epoch {epoch}": c.root.hex for epoch, c in one.digested.items()}
    digests: Mapping[str, Any] = getattr(one, "digests", {})
    return {name: digest.hex for name, digest in digests.items()}


def closure_in_words(closure: Closure) -> list[dict[str, Any]]:
    """The members of a closure as JSON: source for the diffs of later, digests to know what to show."""
    return [
        {
            "name": member.name,
            "file": member.file,
            "line": member.line,
            "source": member.source,
            "digest": member.digest.hex,
            "references": [
                [one.kind, one.spelled, one.digest.hex, one.shown]
                for one in member.references
            ],
        }
        for member in closure.members
    ]


def versions_of(packages: Iterable[str]) -> dict[str, str]:
    """The installed version of each package, and of this one."""
    return {
        "artifact_store": __version__,
        **{name: version_of(name) for name in packages},
    }
