"""Content-addressed artifacts of model checkpoints: decorate a pure function, and its results are kept."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from artifact_store._version import __version__
from artifact_store.artifacts import Artifact
from artifact_store.blocks import Blocks
from artifact_store.checkpoints import Checkpoint
from artifact_store.decorating import analysis
from artifact_store.errors import ArtifactStoreError
from artifact_store.files import File
from artifact_store.folding import Fold, fold
from artifact_store.memoize import Analysis
from artifact_store.modes import mode
from artifact_store.runs import Run
from artifact_store.stores.overlay import overlay
from artifact_store.stores.places import storing_in
from artifact_store.stores.tiered import tier

if TYPE_CHECKING:
    from artifact_store.pipeline import AnalysisPipeline

# What an analysis returns: arrays, tensors or numbers by name. What a call of it gives: read-only numpy arrays.
Arrays: TypeAlias = Mapping[str, Any]

__all__ = [
    "Analysis",
    "AnalysisPipeline",
    "Arrays",
    "Artifact",
    "ArtifactStoreError",
    "Blocks",
    "Checkpoint",
    "File",
    "Fold",
    "Run",
    "__version__",
    "analysis",
    "fold",
    "mode",
    "overlay",
    "storing_in",
    "tier",
]


def __getattr__(name: str) -> Any:
    # What plans, explains and runs in parallel is a fifth of the whole, and most programs never ask for it.
    if name == "AnalysisPipeline":
        from artifact_store.pipeline import AnalysisPipeline

        return AnalysisPipeline
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
