"""From the stored artifacts of a run to its report; computes nothing.

run ──► artifacts ┬─► *gather* ──► ReportData ──► page ─┐
                  └─► stamp ────────────────────────────┴─► *report_of*
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analyses.clusters import neuron_freq_norm, neuron_frequencies_over_training
from analyses.embedding import fourier_coefficients, frequency_power_over_training
from analyses.figures.clusters import turn_order
from analyses.figures.frequencies import wave_shares
from analyses.neurons import neuron_activations
from analyses.records import training_losses
from analyses.report import SPECIALISED_FROM, ReportData, dominant_from, render_report
from artifact_store import Analysis, AnalysisPipeline, Artifact, Run
from artifact_store.stamps import stamp_of, stamped

SHOWN: tuple[Analysis[..., Any], ...] = (
    fourier_coefficients,
    neuron_activations,
    neuron_freq_norm,
    frequency_power_over_training,
    neuron_frequencies_over_training,
    training_losses,
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
    data = gather(run)
    if data.provenance != _keys(shown):
        # Something was computed meanwhile: it must not say what it was not drawn from.
        return report_of(run)
    page = render_report(data, beside=len(stamped(b"", "html", stamp)))
    return stamped(page.encode(), "html", stamp)


def _keys(shown: Mapping[str, list[Artifact]]) -> dict[str, list[str]]:
    return {
        name: [one.key.digest.hex for one in along] for name, along in shown.items()
    }


def artifacts_of(run: Run) -> dict[str, list[Artifact]]:
    """What the report of `run` shows, by analysis, each along the epochs."""
    pipeline = AnalysisPipeline(run)
    return {
        analysis.__name__: [
            pipeline.load(analysis, epoch)
            for epoch in ((None,) if analysis.takes_run else run.epochs)
        ]
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
    neurons = turn_order(norm[-1])[:SAMPLES].tolist()
    grids = run.series(
        neuron_activations
    )  # (epoch, neuron, a, b), of which these rows are read
    activations = grids[:, neurons].to_numpy()
    coefficients = run.series(fourier_coefficients).to_numpy()
    spectrum = np.add(*wave_shares(coefficients))  # (epoch, frequency)
    return ReportData(
        run=run.name,
        config=run.config,
        epochs=np.asarray(run.epochs),
        train_losses=_losses(run, "train_losses"),
        test_losses=_losses(run, "test_losses"),
        coefficients=coefficients,
        norm=norm,
        neurons=neurons,
        activations=activations,
        figures=_figures(run, spectrum, neurons, activations),
        # Last, when all else has been read.
        provenance=_keys(artifacts_of(run)),
    )


def _figures(
    run: Run, spectrum: NDArray[Any], neurons: list[int], activations: NDArray[Any]
) -> dict[str, Any]:
    """The views of the last epoch, with scales that suit all epochs, by their names in the report."""
    bright = np.nan_to_num(activations)
    # A single bright pair at one epoch must not darken all others.
    scale = float(bright.min(initial=0)), float(np.quantile(bright, 0.995)) or 1.0
    threshold = dominant_from(spectrum.shape[1])
    views = {
        "frequencies": run.view(
            "dominant_frequencies", threshold=threshold, top=float(spectrum.max())
        ),
        "spectrum": run.view("frequency_heatmap"),
        "activations": run.view(
            "activation_heatmap", neurons=neurons, columns=len(neurons), scale=scale
        ),
        "clusters": run.view("neuron_clusters", threshold=SPECIALISED_FROM),
        "specialised": run.view("specialised_neurons", threshold=SPECIALISED_FROM),
    }
    if "train_losses" in run.metadata:
        views["losses"] = run.view("losses")
    return {name: seen.figure() for name, seen in views.items()}


def _losses(run: Run, name: str) -> NDArray[np.float64] | None:
    losses = run.metadata.get(name)
    return None if losses is None else np.asarray(losses, dtype=np.float64)
