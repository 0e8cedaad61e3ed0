"""What follows from other analyses."""

from __future__ import annotations

import numpy as np
from study.caching import Arrays, Checkpoint, analysis
from study.embeddings import spectrum


@analysis
def dominant(checkpoint: Checkpoint, *, share: float = 0.2) -> Arrays:
    """The frequencies with more than a share of the power, and how much that is."""
    power = spectrum(checkpoint)["power"]
    shares = power / power.sum()
    return {"frequencies": np.flatnonzero(shares > share), "shares": shares}


@analysis
def sharpness(checkpoint: Checkpoint) -> Arrays:
    """How much power the first of the dominant frequencies has, and how large the largest share is."""
    from study.weighing import weighed

    found = dominant(checkpoint)
    power = spectrum(checkpoint, window="box")["power"]
    first = weighed(power)[found["frequencies"][:1]].sum()
    return {"sharpness": first * found["shares"].max()}
