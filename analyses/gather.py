"""From the stored artifacts of a run to its report; computes nothing.

run ──► artifacts ┬─► *gather* ──► ReportData ──► page ─┐
                  └─► stamp ────────────────────────────┴─► *report_of*
"""

from __future__ import annotations

from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analyses.clusters import neuron_freq_norm
from analyses.embedding import fourier_coefficients
from analyses.neurons import neuron_activations
from analyses.report import SPECIALISED_FROM, ReportData, render_report
from artifact_store import Analysis, AnalysisPipeline, Artifact, Run
from artifact_store.stamps import stamp_of, stamped

SHOWN: tuple[Analysis[..., Any], ...] = (
    fourier_coefficients,
    neuron_activations,
    neuron_freq_norm,
)
"""The analyses that a report shows."""

SAMPLES = 6
"""Neurons whose grids a report shows; each is a few MB at p = 113 and 95 epochs."""


def report_of(run: Run) -> bytes:
    """The page about `run`, with the stamp of all artifacts that it shows.

    Raises
    ------
    MissingArtifacts
        Some checkpoint has not been analysed.
    """
    shown = artifacts_of(run)
    stamp = stamp_of("report", {}, run.name, None, chain(*shown.values()))
    page = render_report(gather(run), beside=len(stamped(b"", "html", stamp)))
    return stamped(page.encode(), "html", stamp)


def artifacts_of(run: Run) -> dict[str, list[Artifact]]:
    """What the report of `run` shows, by analysis, each along the epochs."""
    pipeline = AnalysisPipeline(run)
    return {
        analysis.__name__: [pipeline.load(analysis, epoch) for epoch in run.epochs]
        for analysis in SHOWN
    }


def gather(run: Run) -> ReportData:
    """What the report of `run` shows, as arrays.

    Raises
    ------
    MissingArtifacts
        Some checkpoint has not been analysed.
    """
    norm = run.series(neuron_freq_norm, "norm").to_numpy()  # (epoch, frequency, neuron)
    neurons = telling_neurons(norm[-1], SAMPLES)
    grids = run.series(
        neuron_activations
    )  # (epoch, neuron, a, b), of which these rows are read
    return ReportData(
        run=run.name,
        config=run.config,
        epochs=np.asarray(run.epochs),
        train_losses=_losses(run, "train_losses"),
        test_losses=_losses(run, "test_losses"),
        coefficients=run.series(fourier_coefficients).to_numpy(),
        norm=norm,
        neurons=neurons,
        activations=grids[:, neurons].to_numpy(),
        provenance={
            name: [one.key.digest.hex for one in along]
            for name, along in artifacts_of(run).items()
        },
    )


def telling_neurons(norm: NDArray[np.floating[Any]], count: int) -> list[int]:
    """Neurons worth looking at: the purest of each frequency in turn, the largest cluster first.

    Parameters
    ----------
    norm
        (frequency, neuron), the share of each neuron's power on a frequency.
    """
    best, purity = norm.argmax(axis=0), norm.max(axis=0)
    pure = purity >= SPECIALISED_FROM
    # Before anything has specialised, the purer half of what there is.
    telling = pure if pure.any() else purity >= np.median(purity)
    clusters = [np.flatnonzero((best == k) & telling) for k in np.unique(best)]
    clusters = [
        cluster[np.argsort(-purity[cluster], kind="stable")] for cluster in clusters
    ]
    clusters.sort(key=lambda cluster: -float(purity[cluster].sum()))
    turns = [
        int(cluster[turn])
        for turn in range(max(map(len, clusters)))
        for cluster in clusters
        if turn < len(cluster)
    ]
    return turns[:count]


def _losses(run: Run, name: str) -> NDArray[np.float64] | None:
    losses = run.metadata.get(name)
    return None if losses is None else np.asarray(losses, dtype=np.float64)
