"""Every exception raised on purpose.

Each keeps its facts as attributes and makes its sentence in `__str__`: what
happened, with which values, what to do. Facts go to `super().__init__` by
position, so an error survives the trip back from a worker process.
"""

from __future__ import annotations


class ArtifactStoreError(Exception):
    """Base of every deliberate error."""
