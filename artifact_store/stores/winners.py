"""Two who published the same call: the first has published it for both.

    our manifest, that which is there ──► *is_same_call* ──► served, and compared: a pure function gives one result

Leases make it rare in one store on one host; between hosts it is what keeps their results one.
"""

from __future__ import annotations

import warnings

from artifact_store.errors import ResultsDiffer
from artifact_store.keys import Key
from artifact_store.manifests import Manifest


def is_same_call(ours: Manifest, there: Manifest) -> bool:
    """Whether what is there was made by the same code from the same reads, so that it is as good as ours."""
    return (there.key, there.reads, there.outside, there.provenance.closure) == (
        *(ours.key, ours.reads, ours.outside),
        ours.provenance.closure,
    )


def compare(key: Key, ours: Manifest, there: Manifest, location: str) -> None:
    """Warn of results that differ, of which only that which is there is kept."""
    if there.output != ours.output:
        made = there.provenance
        facts = (str(key), location, there.output[:12], ours.output[:12], made.host)
        warnings.warn(ResultsDiffer(*facts, made.created), stacklevel=2)
