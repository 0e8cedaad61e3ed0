"""Calls: an analysis bound to its inputs and params; not yet computed.

function, arguments ──► *Call* ──► key
                              └──► provenance, and what explains a miss later
"""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from artifact_store._version import __version__
from artifact_store.closures.reach import Closure
from artifact_store.digests import digest_of
from artifact_store.encoding import encode, shown
from artifact_store.keys import Key
from artifact_store.manifests import InputRecord, ParamRecord, Provenance
from artifact_store.params import Arguments, inputs_in
from artifact_store.stores.base import Store


@dataclass(frozen=True, slots=True)
class Call:
    """One call of an analysis, and where its result is kept.

    Attributes
    ----------
    function
        Module and name of the analysis.
    environment
        What its decorator adds to the key, in words.
    label
        The name of its door.
    """

    function: str
    key: Key
    closure: Closure
    environment: str
    arguments: Arguments
    store: Store
    label: str

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
            name: ParamRecord(shown(value), digest_of("param", encode(value)).hex)
            for name, value in self.arguments.params.items()
        }

    def provenance(self, seconds: float) -> Provenance:
        """How the result is made, by a computation that took `seconds`."""
        return Provenance(
            function=self.function,
            closure=self.closure.digest.hex,
            params=self.params,
            inputs=self.inputs,
            ignored={
                name: shown(value) for name, value in self.arguments.ignored.items()
            },
            environment=self.environment,
            versions=versions_of(self.closure.packages),
            python=platform.python_version(),
            platform=sys.platform + "-" + platform.machine(),
            host=os.uname().nodename,
            created=datetime.datetime.now(datetime.UTC).isoformat(
                timespec="microseconds"
            ),
            seconds=seconds,
        )

    def details(self) -> dict[tuple[str, str], Any]:
        """The closure in words, and the parts of each input, by digest."""
        found: dict[tuple[str, str], Any] = {
            ("closures", self.closure.digest.hex): closure_in_words(self.closure)
        }
        for value in self.arguments.inputs.values():
            for one in inputs_in(value):
                found["inputs", one.identify(self.store).hex] = parts_of(one)
        return found


def parts_of(one: Any) -> dict[str, str]:
    """The digest of each named part of an input that has parts: the tensors of a checkpoint."""
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


@lru_cache(maxsize=512)
def version_of(package: str) -> str:
    """The installed version of a top-level package or of a distribution; "unknown" if there is none.

    Never asked of the module itself: the answer must not depend on what has been imported.
    """
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        pass
    # Those whose distribution bears another name, as scikit-learn does.
    for distribution in _distributions().get(package, ()):
        return importlib.metadata.version(distribution)
    return "unknown"


@lru_cache(maxsize=1)
def _distributions() -> Mapping[str, Sequence[str]]:
    return importlib.metadata.packages_distributions()
