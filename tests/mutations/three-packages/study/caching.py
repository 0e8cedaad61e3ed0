"""Where results are kept: the one place to change for another way of keeping them."""

from artifact_store import Arrays, Checkpoint, Run, analysis

__all__ = ["Arrays", "Checkpoint", "Run", "analysis"]
